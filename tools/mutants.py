#!/usr/bin/env python3
"""Change the Rust sources in one small way at a time, and show which changes no test notices.

    tools/mutants.py                          120 of all, the same ones each time: the better part of an hour
    tools/mutants.py --sample 300 --seed 1    more and others
    tools/mutants.py --all                    every one, which takes a day
    tools/mutants.py --file 'src/io/*'        all of some files
    tools/mutants.py --survivors              those again that the last run left

cargo-mutants says what to change. A changed source is built in a copy under target/, its native module is put
beside a copy of the Python package, and the Python tests are run against that. What they do not notice in
src/io/ is then shown to the Rust tests, and to the loom models. Ends with 1 if less than 85 % are noticed.
What cannot be noticed is listed, with its reason, in mutants_accepted.txt.
"""

import argparse
import collections
import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time

from judge import ROOT, WORK, Package, Suite, Tally, run, sample

#: All of src/ is changed but these: a new file is tried without being named anywhere.
LEFT_OUT = {
    # Tables of names and classes, which the tests spell out.
    *("src/functions/sockets.rs", "src/functions/connect.rs", "src/functions/serve.rs"),
    *("src/boundary/condition.rs", "src/lib.rs"),
    *(f"src/socket/{name}.rs" for name in ("options", "os_socket", "tcp_option")),
    # What tests inject faults with: the shipped library has none of it.
    *("src/boundary/injection.rs", "src/io/sys/faults.rs"),
    # Not compiled on Linux.
    *(f"src/io/sys/platform/{name}.rs" for name in ("other_unix", "portable", "windows")),
}
#: Names the modules that it takes from src/io/.
MODELS = ROOT / "tests" / "loom" / "src" / "lib.rs"
ACCEPTED = ROOT / "tools" / "mutants_accepted.txt"
SURVIVORS = WORK / "survivors"

# As the shipped module behaves, but built within a second: no panic where numbers overflow.
PROFILE = [
    *("--profile", "mutants"),
    *("--config", 'profile.mutants.inherits="dev"'),
    *("--config", "profile.mutants.debug=0"),
    *("--config", "profile.mutants.debug-assertions=false"),
    *("--config", "profile.mutants.overflow-checks=false"),
]


class Mutant:
    """One change, as cargo-mutants describes it."""

    def __init__(self, description):
        self.file = description["file"]
        # cargo-mutants takes PyResult for some container, whose values it can only guess how to make.
        self.is_viable = not re.search(r"with PyResult::(new|from_iter)\(", description["name"])
        self.diff = description["diff"].replace("PyResult::from(", "PyResult::Ok(")
        self.name = description["name"]
        line = description["span"]["start"]["line"]
        self.line = (ROOT / self.file).read_text().splitlines()[line - 1].strip()
        #: The same when lines are added above it.
        self.key = f"{self.file} | {self.name.split(': ', 1)[1]} | {self.line}"


def sources():
    """The files that are changed."""
    there = {str(path.relative_to(ROOT)) for path in (ROOT / "src").rglob("*.rs")}
    if gone := LEFT_OUT - there:
        sys.exit(f"no longer there, but left out here: {', '.join(sorted(gone))}")
    return there - LEFT_OUT


def modelled():
    """The files that tests/loom/ compiles."""
    names = set(re.findall(r"pub mod (\w+);", MODELS.read_text()))
    return {str(path.relative_to(ROOT)) for path in (ROOT / "src" / "io").rglob("*.rs") if path.stem in names}


def all_mutants():
    """What cargo-mutants would change."""
    command = ["cargo", "mutants", "--list", "--json", "--diff"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    changed = sources()
    mutants = [Mutant(each) for each in json.loads(listed) if each["file"] in changed]
    mutants = [mutant for mutant in mutants if mutant.is_viable]
    seen = collections.Counter()
    for mutant in mutants:
        seen[mutant.key] += 1
        if (number := seen[mutant.key]) > 1:  # a line may hold the same thing twice
            mutant.key += f" | {number}"
    return mutants


def accepted_keys():
    """The changes that cannot be noticed."""
    lines = ACCEPTED.read_text().splitlines() if ACCEPTED.exists() else []
    return {line for line in lines if line and not line.startswith("#")}


class Tree:
    """A copy of the sources, changed and built."""

    def __init__(self):
        self.path = WORK / "tree"
        library = sysconfig.get_config_var("LIBDIR")
        self.environment = {
            **os.environ,
            "CARGO_TARGET_DIR": str(WORK / "build"),
            "PYO3_PYTHON": sys.executable,
            "LD_LIBRARY_PATH": os.pathsep.join(filter(None, [library, os.environ.get("LD_LIBRARY_PATH")])),
        }
        for name in ("src", "tests", "benches", ".config", "Cargo.toml", "Cargo.lock"):
            self.copy(name)

    def copy(self, name):
        """Take a file or folder of the project; it keeps its time, so that nothing is built anew."""
        if (ROOT / name).is_dir():
            shutil.rmtree(self.path / name, ignore_errors=True)
            shutil.copytree(
                ROOT / name, self.path / name, ignore=shutil.ignore_patterns("target", "__pycache__")
            )
        else:
            self.path.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, self.path / name)

    def change(self, mutant):
        command = ["patch", "--quiet", "--no-backup-if-mismatch", mutant.file]
        subprocess.run(command, cwd=self.path, input=mutant.diff, text=True, check=True)

    def restore(self, mutant):
        shutil.copy(ROOT / mutant.file, self.path / mutant.file)

    def cargo(self, *arguments, folder=".", target="build"):
        """Run cargo in the copy: its exit status and output."""
        environment = {**self.environment, "CARGO_TARGET_DIR": str(WORK / target)}
        return run(["cargo", *arguments], cwd=self.path / folder, env=environment, timeout=600)

    def library(self):
        """Build the native module, and return where it is, or None if it does not compile."""
        features = ["--features", "pyo3/extension-module"]
        status, self.output = self.cargo("rustc", "--lib", "--crate-type", "cdylib", *features, *PROFILE)
        if status != 0:
            return None
        [built] = [
            path for path in (WORK / "build" / "mutants").iterdir() if path.suffix in (".so", ".dylib")
        ]
        return built

    def rust_failure(self, mutant):
        """What the Rust tests and the models say, where there are any."""
        if not mutant.file.startswith("src/io/") and "#[cfg(test)]" not in (ROOT / mutant.file).read_text():
            return None
        if self.cargo("nextest", "run", "--all-features", "--config", "profile.test.debug=0")[0] != 0:
            return "Rust tests"
        if (
            mutant.file in modelled()
            and self.cargo("test", "--release", folder="tests/loom", target="loom")[0] != 0
        ):
            return "loom models"
        return None


class Trial:
    """All that judges a mutant."""

    def __init__(self):
        self.tree = Tree()
        self.package = Package()
        self.suite = Suite(self.package)

    def check_unchanged(self):
        """The tests, with a module that is built as the mutants are."""
        library = self.tree.library()
        if library is None:
            sys.exit(self.tree.output)
        self.package.replace_native(library)
        self.suite.check_unchanged()

    def failure(self, mutant):
        """What notices the mutant, None if nothing does; LookupError if it does not compile."""
        self.tree.change(mutant)
        try:
            library = self.tree.library()
            if library is None:
                raise LookupError
            self.package.replace_native(library)
            return self.suite.failure(mutant.file) or self.tree.rust_failure(mutant)
        finally:
            self.tree.restore(mutant)


def try_all(mutants):
    """Judge each, print what came of it, and return whether enough were noticed."""
    trial = Trial()
    trial.check_unchanged()
    tally = Tally(len(mutants))
    with SURVIVORS.open("w") as survivors:
        for mutant in mutants:
            started = time.monotonic()
            try:
                failure = trial.failure(mutant)
            except LookupError:
                tally.skip(mutant.name, "unviable")
                continue
            tally.add(mutant.file, mutant.name, failure, time.monotonic() - started)
            if failure is None:
                print(mutant.key, file=survivors, flush=True)
    return tally.summary()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", action="append", metavar="PATTERN", help="only files like this one")
    parser.add_argument(
        "--sample", type=int, metavar="N", help="only N of them, from each file in proportion (default: 120)"
    )
    parser.add_argument("--all", action="store_true", help="every one")
    parser.add_argument("--seed", type=int, default=0, help="which N (default: 0)")
    parser.add_argument("--survivors", action="store_true", help="only those that the last run left")
    parser.add_argument("--list", action="store_true", help="only say which")
    arguments = parser.parse_args()

    everything = all_mutants()
    accepted = accepted_keys()
    if stale := accepted - {mutant.key for mutant in everything}:
        sys.exit("\n".join(["no longer there, but listed in mutants_accepted.txt:", *sorted(stale)]))
    mutants = [mutant for mutant in everything if mutant.key not in accepted]
    if arguments.file:
        mutants = [
            mutant for mutant in mutants if any(fnmatch.fnmatch(mutant.file, p) for p in arguments.file)
        ]
    if arguments.survivors:
        left = set(SURVIVORS.read_text().splitlines())
        mutants = [mutant for mutant in mutants if mutant.key in left]
    chosen = arguments.all or arguments.file or arguments.survivors
    if count := arguments.sample or (0 if chosen else 120):
        mutants = sample(mutants, count, arguments.seed)
    if arguments.list:
        print("\n".join(mutant.key for mutant in mutants))
        return
    print(f"{len(mutants)} mutants; {len(accepted)} are accepted", flush=True)
    sys.exit(not try_all(mutants))


if __name__ == "__main__":
    main()
