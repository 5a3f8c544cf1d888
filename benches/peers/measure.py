"""One run: a fresh server, one load, the load's report."""

import json
import os
import select
import subprocess
import tempfile
import timeit
from collections.abc import Iterator
from contextlib import contextmanager

from scenarios import Scenario
from subjects import LOADGEN, Place, Subject

from certificates import certificate

#: Seconds until a server listens, and that a load may take beyond its window.
START, SLACK = 20, 60
#: How CPUs are shared: of the subject and of the load.
PINS = {None: (None, None), "one": (0, 0), "two": (0, 1)}


class Failed(RuntimeError):
    """The run gave no figures."""


def rounds_for(microseconds: int) -> int:
    """Return how many rounds of servers/common.py's work take so long on this machine, when it is quiet."""
    if not microseconds:
        return 0
    rounds = 1000
    best = min(
        timeit.repeat("for _ in range(rounds): pass", globals={"rounds": rounds}, number=20, repeat=50)
    )
    return round(microseconds * rounds / (best / 20 * 1e6))


class Process:
    """A child with a pipe to and from it, and a file for what it complains of."""

    def __init__(self, command: list[str], cpu: int | None, environment: dict[str, str]) -> None:
        self.complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by end()
        self.child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.complaints,
            text=True,
            env={**os.environ, **environment},
        )
        self.pid = self.child.pid
        if cpu is not None:
            # Before it has threads, which inherit it.
            os.sched_setaffinity(self.pid, {cpu})

    def first_line(self) -> str:
        """Return a server's port."""
        assert self.child.stdout
        if not select.select([self.child.stdout], [], [], START)[0]:
            raise Failed(f"not ready after {START} s")
        line = self.child.stdout.readline().strip()
        if not line:
            self.child.wait(START)
            raise Failed(f"ended at its start: {self.last_words()}")
        return line

    def tell(self, line: str) -> None:
        assert self.child.stdin
        self.child.stdin.write(f"{line}\n")
        self.child.stdin.flush()

    def last_words(self) -> str:
        self.complaints.seek(0)
        lines = self.complaints.read().strip().splitlines()
        return lines[-1] if lines else f"exit status {self.child.returncode}"

    def end(self) -> None:
        self.child.kill()
        self.child.communicate()
        self.complaints.close()


@contextmanager
def running(command: list[str], cpu: int | None, environment: dict[str, str]) -> Iterator[Process]:
    """Run a process until the block ends, on one CPU if ``cpu`` is given."""
    process = Process(command, cpu, environment)
    try:
        yield process
    finally:
        process.end()


def report(load: Process, subject: Process, patience: float) -> dict:
    """Return the load's report. Raises the subject's last words where it ended, and so failed the load."""
    try:
        text, _ = load.child.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        raise Failed(f"the load was not done after {patience} s") from None
    if load.child.returncode:
        gone = subject.child.poll() is not None
        raise Failed(f"ended: {subject.last_words()}" if gone else load.last_words())
    return json.loads(text)


def measure(
    scenario: Scenario, subject: Subject, rounds: int, rate: float | None, window: list[str]
) -> dict | None:
    """Return loadgen's report; None: there is nothing to measure. Raises `Failed`."""
    if scenario.is_client:
        return measure_client(scenario, subject, window)
    with place_for(scenario) as place:
        command = subject.server_command(rounds, place, beside=scenario.beside)
        if command is None:
            return None
        subject_cpu, load_cpu = PINS[scenario.pin]
        with running(command, subject_cpu, subject.environment_of(place)) as server:
            where = place.load(server.first_line())
            load = [str(LOADGEN), *scenario.load(), *where, "--pid", str(server.pid), *window]
            if rate is not None:
                load += ["--rate", f"{rate:.0f}"]
            with running(load, load_cpu, {}) as process:
                return report(process, server, seconds_of(window) + SLACK)


@contextmanager
def place_for(scenario: Scenario) -> Iterator[Place]:
    """Give where the server is to listen, until the block ends."""
    with tempfile.TemporaryDirectory() as directory:
        yield {
            "tcp": Place,
            "unix": lambda: Place(path=f"{directory}/socket"),
            "tls": lambda: Place(pem=certificate(scenario.key)),
        }[scenario.transport]()


def measure_client(scenario: Scenario, subject: Subject, window: list[str]) -> dict | None:
    subject_cpu, load_cpu = PINS[scenario.pin]
    if subject.client_command(0, 0, 0) is None:
        return None
    with running([str(LOADGEN), *scenario.load(), *window], load_cpu, {}) as load:
        command = subject.client_command(int(load.first_line()), scenario.conns, scenario.size)
        assert command
        with running(command, subject_cpu, subject.environment) as client:
            load.tell(str(client.pid))
            return report(load, client, seconds_of(window) + SLACK)


def seconds_of(window: list[str]) -> float:
    """Of the arguments ``--seconds S --warmup W``."""
    return sum(map(float, window[1::2]))
