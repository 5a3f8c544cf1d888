"""Tell whether the Python tests notice that the package was changed.

What `mutants.py` and `python_mutants.py` share: a copy of the installed package that they may spoil, and
the tests run against that copy, several processes at once, until the first of them fails.
"""

import collections
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests"
WORK = ROOT / "target" / "mutants"

#: Percentage of mutants that tests must notice.
GOAL = 85.0
#: Processes that share the tests of one mutant. Most tests wait more than they compute.
PROCESSES = 4
#: Seconds for a single test, and for all tests of a mutant where they take less than half of it without any
#: change, or else twice what they take then; a mutant that needs more is noticed.
TEST_TIMEOUT = 40
TIMEOUT = 90
#: Seconds for all tests without any change.
PATIENCE = 600
#: Bytes of address space of a test process: a mutant that never stops to store must not take the machine.
MEMORY = 8 << 30

#: Tests of texts and types, which no behaviour changes, those that wait for seconds, and one of CPU time,
#: which fails where several processes share the cores.
LEFT_OUT = {
    f"test_{name}.py"
    for name in ("black_hole", "busy_poll", "contract", "docstrings", "reliability", "types")
}
OPTIONS = ["-x", "-q", "-m", "not peer", "-p", "no:cacheprovider", f"--timeout={TEST_TIMEOUT}"]


def prepare_process():
    """Bound what it may take, and let Ctrl-C through, which a background process of a shell ignores."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


# A run that is ended takes its tests along: they are in process groups of their own.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def end(process):
    """Kill a process with all that it started, and wait for it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run(command, *, timeout=TIMEOUT, **options):
    """Run a command with all that it starts: its exit status (None: killed, too late) and its output."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True, **options)
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            end(process)
        output.seek(0)
        return status, output.read().decode(errors="replace")


class Package:
    """A copy of the installed package that is imported instead of it."""

    def __init__(self):
        import asynctcp

        self.site = WORK / "site"
        self.path = self.site / "asynctcp"
        self.origin = Path(asynctcp.__file__).parent
        self.restore()

    def restore(self):
        """Make the copy what the installed package is."""
        shutil.rmtree(self.site, ignore_errors=True)
        shutil.copytree(self.origin, self.path, ignore=shutil.ignore_patterns("__pycache__"))

    def replace_native(self, library):
        """Take another native module; only that name is left of it."""
        for old in self.path.glob("_core*.so"):
            old.unlink()
        shutil.copy(library, self.path / "_core.so")


class Suite:
    """The Python tests, the files that noticed mutants of the same source file before ahead of the others."""

    def __init__(self, package):
        self.environment = {**os.environ, "PYTHONPATH": str(package.site), "PYTHONDONTWRITEBYTECODE": "1"}
        self.noticed = collections.Counter()
        paths = [path for folder in (TESTS, TESTS / "aio") for path in folder.glob("test_*.py")]
        self.files = sorted(str(path.relative_to(TESTS)) for path in paths if path.name not in LEFT_OUT)
        self.timeout = PATIENCE

    def check_unchanged(self):
        """Tests that fail without a change would notice everything."""
        started = time.monotonic()
        if failure := self.failure(""):
            sys.exit(f"without any change, this fails: {failure}")
        seconds = time.monotonic() - started
        self.timeout = max(TIMEOUT, 2 * seconds)
        print(f"without any change, the Python tests pass in {seconds:.0f} s", flush=True)

    def order(self, source):
        """All test files, the likeliest to notice a change of ``source`` first."""
        about = Path(source).stem.strip("_")

        def rank(name):
            return -self.noticed[source, name], about not in name, -self.noticed[name], name

        return sorted(self.files, key=rank)

    def failure(self, source):
        """Name what fails, or return None if the tests pass. What fails only once has noticed the load."""
        failure = self.attempt(source, self.order(source))
        if failure is None or "::" not in failure or self.attempt(source, [failure]):
            return failure
        return self.attempt(source, self.order(source))

    def attempt(self, source, tests):
        """Run files, or single tests, once."""
        deadline = time.monotonic() + self.timeout
        with ExitStack() as stack:
            running = [
                self.start(stack, tests[number::PROCESSES]) for number in range(min(PROCESSES, len(tests)))
            ]
            while running:
                if time.monotonic() > deadline:
                    return f"timeout after {self.timeout:.0f} s"
                for process, output in running.copy():
                    status = process.poll()
                    if status:
                        return self.note(source, status, output)
                    if status == 0:
                        running.remove((process, output))
                time.sleep(0.02)
        return None

    def start(self, stack, tests):
        output = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 (the stack closes it)
        command = [sys.executable, "-m", "pytest", *OPTIONS, *(str(TESTS / name) for name in tests)]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=self.environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=prepare_process,  # noqa: PLW1509 (this process has one thread)
        )
        stack.callback(end, process)
        return process, output

    def note(self, source, status, output):
        """Name the test that failed, and remember its file."""
        output.seek(0)
        text = output.read().decode(errors="replace")
        if found := re.search(
            r"^(?:FAILED|ERROR) (?:tests/)?(((?:aio/)?test_\w+\.py)\S*)", text, re.MULTILINE
        ):
            self.noticed[source, found[2]] += 1
            self.noticed[found[2]] += 1
            return found[1]
        if "Timeout" in text:
            return f"a test that took more than {TEST_TIMEOUT} s"
        return f"pytest ended with status {status}"


def sample(mutants, count, seed):
    """Take ``count`` of them, from each file in proportion."""
    shuffled = mutants.copy()
    random.Random(seed).shuffle(shuffled)
    shuffled.sort(key=lambda mutant: mutant.file)
    count = min(count, len(shuffled))
    return [shuffled[(2 * number + 1) * len(shuffled) // (2 * count)] for number in range(count)]


class Tally:
    """How many mutants of each file were noticed."""

    def __init__(self, total):
        self.total = total
        self.done = 0
        self.caught = collections.Counter()
        self.tried = collections.Counter()

    def add(self, source, name, failure, seconds):
        """Print a line for one mutant; ``failure``: what noticed it, or None."""
        self.done += 1
        self.tried[source] += 1
        self.caught[source] += failure is not None
        word = "SURVIVED" if failure is None else "caught  "
        by = "" if failure is None else f"  [{failure}]"
        print(f"{word} {self.done}/{self.total} {seconds:.1f} s  {name}{by}", flush=True)

    def skip(self, name, why):
        """Print a line for a mutant that says nothing."""
        self.done += 1
        print(f"{why:8} {self.done}/{self.total} {name}", flush=True)

    def summary(self):
        """Print a line for each file, and return whether the goal is met."""
        for source in sorted(self.tried):
            print(f"{percentage(self.caught[source], self.tried[source])}  {source}")
        caught, tried = self.caught.total(), self.tried.total()
        print(f"{percentage(caught, tried)}  in all (goal: {GOAL:.0f} %)")
        return tried and 100 * caught >= GOAL * tried


def percentage(caught, tried):
    return f"{100 * caught / max(tried, 1):5.1f} %  {caught:4} of {tried:4} caught"
