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
    # Tokio's look, that of the descriptors, and the asking again.
    "poller": {"epoll_wait": 2, "epoll_ctl": 1, "timerfd_settime": 2},
    # With a call that is ready, one turn in five looks for events.
    "next_turn": {"epoll_wait": 0.2, "timerfd_settime": 0.4},
    # Two threads want the interpreter.
    "post": {"epoll_wait": 1, "futex": 1, "timerfd_settime": 2},
    # The connection is received from elsewhere: here it is the bell that is read.
    "pump": {"select": 1, "recvfrom": 1, "sendto": 1},
    # asyncio's loop waits where the I/O is driven.
    "hosted": ECHO,
}
ROUNDS = 200
#: What a round may cost of other calls, on the average.
ODDS = 0.1
#: On a busy machine the helper has its turn in most parts of a try, but not in each part of each try.
TRIES = 5

#: The same on other processors and in other versions of the C library.
SAME = {"epoll_pwait": "epoll_wait", "pselect6": "select", "_newselect": "select"}
#: Memory that is taken now and then; the marks.
NOT_COUNTED = {
    *("brk", "mmap", "munmap", "mremap", "madvise", "mprotect"),
    *("access", "faccessat", "faccessat2"),
}


@pytest.fixture(scope="module", autouse=True)
def _may_trace():
    if subprocess.run(["strace", "-o", os.devnull, "true"], check=False, capture_output=True).returncode:
        pytest.skip("strace may not trace here")


class Traced:
    """`turns.py` under strace; all its turns are of one kind."""

    def __init__(self, folder, kind, rounds=ROUNDS):
        self.log = folder / "calls"
        command = ["strace", "-f", "-qq", "-o", self.log, sys.executable, turns.__file__, kind, str(rounds)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def connect(self):
        return socket.create_connection((LOOPBACK, int(self.process.stdout.readline())), DEADLINE)

    def parts(self):
        """How often each thread made each call between two marks; the loop's thread is number 0."""
        assert self.process.wait(DEADLINE) == 0
        calls = re.compile(r"^(\d+) +(\w+)\(", re.MULTILINE)
        log = self.log.read_text(errors="replace")
        threads = {}
        for thread, _ in calls.findall(log):
            threads.setdefault(thread, len(threads))
        return [
            collections.Counter(
                (threads[thread], SAME.get(name, name))
                for thread, name in calls.findall(part)
                if name not in NOT_COUNTED
            )
            for part in log.split(turns.MARK)[1:-1]
        ]


def talk(traced, answer):
    """Send a message for each round, and one more for the end."""
    with traced.connect() as raw:
        for _ in range(turns.WARM_UP + ROUNDS):
            raw.sendall(b"x")
            receive_exactly(raw, answer)
        raw.sendall(b"x")
        traced.process.wait(DEADLINE)


def excesses(kind, folder):
    """What the loop's thread calls beyond the budget in a round, on the average of each part."""
    with Traced(folder, kind) as traced:
        if kind in ("echo", "echo_with_timeouts", "three_writes", "pump", "hosted"):
            talk(traced, 3 if kind == "three_writes" else 1)
        parts = traced.parts()
    assert len(parts) == ROUNDS // turns.PART
    for part in parts:
        cost = {name: n / turns.PART for (thread, name), n in part.items() if thread == 0}
        assert cost.keys() & BUDGETS[kind].keys(), "nothing was counted"
        yield {name: n for name, n in cost.items() if n > 1.1 * BUDGETS[kind].get(name, ODDS)}


def best(excess):
    """What ``excess()`` gives in the first try that gives nothing, or else in the last."""
    for _ in range(TRIES):
        if not (over := excess()):
            break
    return over


@pytest.mark.slow
@needs("strace")
@pytest.mark.parametrize("kind", BUDGETS)
def test_turn_makes_no_more_calls_than_its_budget(kind, tmp_path):
    assert best(lambda: min(excesses(kind, tmp_path), key=len)) == {}


@pytest.mark.slow
@needs("strace")
def test_idle_connection_makes_no_call(tmp_path):
    """What it does for the last message and for the next one is all, in all threads."""
    # The helper's last look may be among them.
    budget = collections.Counter({**ECHO, "timerfd_settime": 4, "read": 1})
    assert best(lambda: calls_of_an_idle_one(tmp_path) - budget) == {}


def calls_of_an_idle_one(folder):
    with Traced(folder, "idle") as traced:
        with traced.connect() as raw:
            for message in (b"begin", b"end"):
                time.sleep(0.3)  # the point: the connection is idle
                raw.sendall(message)
                receive_exactly(raw, len(message))
        [calls] = traced.parts()
    by_name = collections.Counter()
    for (_, name), n in calls.items():
        by_name[name] += n
    return by_name
