"""A loop that always has something to do, and a thread beside it that lets go of the interpreter often."""

from __future__ import annotations

import os
import threading
import time

import pytest

import asynctcp
import asynctcp.aio
from helpers import DEADLINE, run

#: Left to Python, such a thread gets the interpreter at most 5,000 times a second, and rather 300 times.
ROUNDS = 50_000
CHAINS = 20


class Reader(threading.Thread):
    """Writes to a pipe and reads from it: two system calls without the interpreter's lock a round."""

    def __init__(self):
        super().__init__(daemon=True)
        self.ends = os.pipe()
        self.rounds = 0

    def run(self):
        read, write = self.ends
        until = time.monotonic() + DEADLINE
        while self.rounds < ROUNDS and time.monotonic() < until:
            os.write(write, b"x")
            os.read(read, 1)
            self.rounds += 1
        for end in self.ends:
            os.close(end)


def beside_chain_of_delays(reader):
    def step():
        if reader.is_alive():
            asynctcp.delay(step)

    run(lambda: [step() for _ in range(CHAINS)])


def beside_chain_of_calls(reader, *, with_callbacks=False):
    loop = asynctcp.aio.new_event_loop()
    if with_callbacks:
        assert loop.tcp

    def step():
        if reader.is_alive():
            loop.call_soon(step)
        else:
            loop.stop()

    for _ in range(CHAINS):
        loop.call_soon(step)
    loop.run_forever()
    loop.close()


def beside_chain_of_calls_with_callbacks(reader):
    beside_chain_of_calls(reader, with_callbacks=True)


BUSY = [beside_chain_of_delays, beside_chain_of_calls, beside_chain_of_calls_with_callbacks]


@pytest.mark.parametrize("beside", BUSY)
def test_thread_that_lets_go_of_the_interpreter_often_gets_it_back_soon(beside):
    reader = Reader()
    reader.start()
    beside(reader)
    assert reader.rounds == ROUNDS
