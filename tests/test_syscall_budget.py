"""How many system calls a turn costs, kind by kind: ``turns.py`` under strace, which names them all.

That an echo costs no more than three hangs on when Tokio looks for events (``BLIND_TURNS`` in
``src/io/runtime/driver.rs``), which a new version of it may change.
"""

from __future__ import annotations

import collections
import os
import re
import socket
import subprocess
import sys
import time

import pytest

import turns
from helpers import DEADLINE, LOOPBACK, receive_exactly
from idle import untraced
from peers import needs

#: How often the loop's thread makes each call in a turn. The helper's alarm (`timerfd_settime`) is set and
#: cleared in a quiet program, and left to ring in a busy one.
ECHO = {"epoll_wait": 1, "recvfrom": 1, "sendto": 1, "timerfd_settime": 2}
BUDGETS = {
    "echo": ECHO,
    "echo_with_timeouts": ECHO,
    "three_writes": ECHO,
    # Two turns, and the peers' calls.
    "batch": {
        "epoll_wait": 2,
        "recvfrom": 2 * turns.BATCH,
        "sendto": 2 * turns.BATCH,
        "timerfd_settime": 4,
    },
    # Tokio's driver of time wakes itself when a timer is made that is due before all others.
    "timer": {"epoll_wait": 2, "write": 1, "timerfd_settime": 2},
    "next_turn": {"epoll_wait": 1, "timerfd_settime": 2},
    # Two threads want the interpreter.
    "post": {"epoll_wait": 1, "futex": 1, "timerfd_settime": 2},
    # The connection is received from elsewhere: here it is the bell that is read.
    "pump": {"select": 1, "recvfrom": 1, "sendto": 1},
}
ROUNDS = 200
#: What a round may cost of other calls, on the average.
ODDS = 0.1
#: The helper has its turn when this process has to wait for a processor, but not in each of so many tries.
TRIES = 5

#: The same on other processors and in other versions of the C library.
SAME = {"epoll_pwait": "epoll_wait", "pselect6": "select", "_newselect": "select"}
MEMORY = {"brk", "mmap", "munmap", "mremap", "madvise", "mprotect"}


@pytest.fixture(scope="module", autouse=True)
def _may_trace():
    if subprocess.run(["strace", "-o", os.devnull, "true"], check=False, capture_output=True).returncode:
        pytest.skip("strace may not trace here")


class Traced:
    """`turns.py` under strace; all its turns are of one kind."""

    def __init__(self, folder, kind, rounds=ROUNDS):
        self.log = folder / "calls"
        command = ["strace", "-f", "-qq", "-o", self.log, sys.executable, turns.__file__, kind, str(rounds)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, env=untraced())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def connect(self):
        return socket.create_connection((LOOPBACK, int(self.process.stdout.readline())), DEADLINE)

    def calls(self):
        """How often which thread made which call between the two marks; the loop's thread is number 0."""
        assert self.process.wait(DEADLINE) == 0
        log = self.log.read_text(errors="replace")
        calls = re.compile(r"^(\d+) +(\w+)\(", re.MULTILINE)
        assert turns.END in log
        inside = log[log.index("\n", log.index(turns.BEGIN)) : log.rindex("\n", 0, log.index(turns.END)) + 1]
        threads = {}
        counted = collections.Counter()
        for thread, _ in calls.findall(log):
            threads.setdefault(thread, len(threads))
        for thread, name in calls.findall(inside):
            if name not in MEMORY:
                counted[threads[thread], SAME.get(name, name)] += 1
        return counted


def talk(traced, answer):
    """Send a message for each round, and one more for the end."""
    with traced.connect() as raw:
        for _ in range(turns.WARM_UP + ROUNDS):
            raw.sendall(b"x")
            receive_exactly(raw, answer)
        raw.sendall(b"x")
        traced.process.wait(DEADLINE)


def cost_of(kind, folder):
    """What the loop's thread calls in a round, on the average."""
    with Traced(folder, kind) as traced:
        if kind in ("echo", "echo_with_timeouts", "three_writes", "pump"):
            talk(traced, 3 if kind == "three_writes" else 1)
        return {name: n / ROUNDS for (thread, name), n in traced.calls().items() if thread == 0}


@pytest.mark.slow
@needs("strace")
@pytest.mark.parametrize("kind", BUDGETS)
def test_turn_makes_no_more_calls_than_its_budget(kind, tmp_path):
    budget = BUDGETS[kind]
    for _ in range(TRIES):
        cost = cost_of(kind, tmp_path)
        over = {name: n for name, n in cost.items() if n > 1.1 * budget.get(name, 0) + ODDS}
        if not over:
            break
    assert over == {}
    assert cost.keys() & budget.keys(), "nothing was counted"


@pytest.mark.slow
@needs("strace")
def test_idle_connection_makes_no_call(tmp_path):
    """What it does for the last message and for the next one is all, in all threads."""
    with Traced(tmp_path, "idle") as traced:
        with traced.connect() as raw:
            for message in (b"begin", b"end"):
                time.sleep(0.3)
                raw.sendall(message)
                receive_exactly(raw, len(message))
        calls = traced.calls()
    by_name = collections.Counter()
    for (_, name), n in calls.items():
        by_name[name] += n
    # The helper's last look may be among them.
    assert by_name - collections.Counter({**ECHO, "timerfd_settime": 4, "read": 1}) == {}
