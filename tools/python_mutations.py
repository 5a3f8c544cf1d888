#!/usr/bin/env python3
"""Change the Python package in one way at a time, and show which changes no test notices.

    tools/python_mutations.py          all of python_mutations.txt
    tools/python_mutations.py fork     those with this in their name

Each change is made to a copy of the installed package, which the Python tests are run against. Ends with 1 if
less than 85 % are noticed, or if the text that one would change is no longer there exactly once.
"""

import re
import sys
import time
from pathlib import Path

from judge import Package, Suite, Tally

LIST = Path(__file__).with_suffix(".txt")


def read_list():
    """The blocks of the list: file, what is wrong then, text, its replacement."""
    blocks = re.split(r"\n{2,}", re.sub(r"^#.*\n", "", LIST.read_text(), flags=re.MULTILINE).strip())
    for block in blocks:
        title, *lines = block.splitlines()
        old, new = ("\n".join(line[1:] for line in lines if line[0] == sign) for sign in "-+")
        yield *title.split(": ", 1), old, new


def refuse_stale(package, mutations):
    """End with 1 if a text that is to be changed is no longer there exactly once."""
    stale = [
        f"{file}: {what}"
        for file, what, old, _new in mutations
        if (package.origin / file).read_text().count(old) != 1
    ]
    if stale:
        sys.exit("\n".join(["their texts are not there exactly once:", *stale]))


def try_all(mutations):
    """Judge each, print what came of it, and return whether enough were noticed."""
    package = Package()
    refuse_stale(package, mutations)
    suite = Suite(package)
    if failure := suite.failure(""):
        sys.exit(f"without any change, this fails: {failure}")
    tally = Tally(len(mutations))
    for file, what, old, new in mutations:
        name = f"{file}: {what}"
        source = (package.origin / file).read_text()
        started = time.monotonic()
        (package.path / file).write_text(source.replace(old, new))
        tally.add(file, name, suite.failure(file), time.monotonic() - started)
        (package.path / file).write_text(source)
    return tally.summary()


def main():
    only = " ".join(sys.argv[1:])
    mutations = [mutation for mutation in read_list() if only in f"{mutation[0]}: {mutation[1]}"]
    if not mutations:
        sys.exit(f"no mutation is called {only!r}")
    sys.exit(not try_all(mutations))


if __name__ == "__main__":
    main()
