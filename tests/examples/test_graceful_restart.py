"""The server that is replaced while clients come and go."""

import os
import signal
import socket
import sys
import threading

import psutil
import pytest

from helpers import wait_until
from idle import wait_until_idle
from peers import DEADLINE, EXAMPLES, Program


class Generations:
    """The first process, and all that came after it."""

    def __init__(self, start_example, *arguments):
        self.first = start_example("graceful_restart", *arguments)
        self.pids = [self.first.pid]

    def restart(self):
        """Replace the newest process; return the number of its successor, which serves."""
        before = self.first.lines()
        os.kill(self.pids[-1], signal.SIGHUP)
        pid = int(self.first.wait_for(r"listening on \S+ as (\d+)", after=before)[1])
        self.first.wait_for(rf"{self.pids[-1]} retires", after=before)
        self.pids.append(pid)
        return pid

    def connect(self):
        return self.first.connect()

    def end(self):
        for pid in self.pids[1:]:
            try:
                process = psutil.Process(pid)
                wait_until_idle(pid)
                process.send_signal(signal.SIGINT)
                process.wait(DEADLINE)
            except psutil.NoSuchProcess:
                pass


@pytest.fixture
def restartable(start_example):
    """``restartable(*arguments)`` gives a running server; the test's end ends all that came after it, too."""
    started = []

    def restartable(*arguments):
        started.append(Generations(start_example, *arguments))
        return started[-1]

    yield restartable
    for generations in started:
        generations.end()


@pytest.fixture
def generations(restartable):
    return restartable()


def ask(raw, text=b"hello"):
    """Return the number of the process that answers."""
    raw.sendall(text)
    pid, _, answer = raw.recv(100).partition(b": ")
    assert answer == text
    return int(pid)


def test_new_process_serves_who_comes_and_the_old_one_who_is_there(generations):
    with generations.connect() as early:
        assert ask(early) == generations.pids[0]
        new = generations.restart()
        with generations.connect() as late:
            assert ask(late) == new
            assert ask(early) == generations.pids[0]


def test_old_process_ends_with_its_last_connection(generations):
    with generations.connect() as early:
        assert ask(early) == generations.pids[0]
        generations.restart()
        assert generations.first.process.poll() is None
    assert generations.first.process.wait(DEADLINE) == 0


@pytest.mark.slow
def test_connection_that_outstays_the_grace_is_put_out(restartable):
    generations = restartable("--grace", 0.2)
    with generations.connect() as early:
        assert ask(early) == generations.pids[0]
        generations.restart()
        assert early.recv(1) == b""
    assert generations.first.process.wait(DEADLINE) == 0


@pytest.mark.slow
def test_nobody_is_refused_or_lost_while_processes_change(generations):
    """Clients that come one after the other, in four threads, while three generations pass."""
    served, failures = set(), []
    over = threading.Event()

    def come_and_go():
        while not over.is_set():
            try:
                with generations.connect() as raw:
                    served.add(ask(raw))
            except (OSError, AssertionError, ValueError) as error:
                failures.append(error)

    clients = [threading.Thread(target=come_and_go, daemon=True) for _ in range(4)]
    for client in clients:
        client.start()
    for _ in range(3):
        new = generations.restart()
        wait_until(lambda new=new: new in served)
    over.set()
    for client in clients:
        client.join(DEADLINE)
    assert failures == []
    assert served == set(generations.pids)


def test_old_process_goes_on_when_the_new_one_fails(tmp_path):
    script = tmp_path / "graceful_restart.py"
    script.write_text((EXAMPLES / "graceful_restart.py").read_text())
    with Program(sys.executable, script, "--port", 0) as server:
        found = server.wait_for(r"listening on (\S+):(\d+) as (\d+)")
        script.write_text("raise SystemExit(3)\n")
        os.kill(server.pid, signal.SIGHUP)
        server.wait_for(rf"{server.pid} goes on: the next version failed with 3")
        with socket.create_connection((found[1], int(found[2])), DEADLINE) as raw:
            assert ask(raw) == server.pid
