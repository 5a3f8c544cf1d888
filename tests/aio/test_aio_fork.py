"""Forked children of a process that runs a loop of `asynctcp.aio`."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys

import pytest

from helpers import DEADLINE
from loops import FACTORIES, LOOPS


def printed(program):
    """What a process that runs it writes to its standard output."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    return done.stdout


#: CPython 3.14 swallows a ``SystemExit`` in a forked child's task: no loop runs there any more, it finds.
LEAVE = "sys.exit" if sys.version_info < (3, 14) else "os._exit"
WRITES = """
import asyncio, os, socket, sys
from {module} import {factory}

async def main():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        raw, _ = listener.accept()
    writer.write(b"once")
    child = os.fork()
    if child == 0:
        {leave}(0)
    os.waitpid(child, 0)
    writer.close()
    await writer.wait_closed()
    print(raw.recv(100), raw.recv(100))

with asyncio.Runner(loop_factory={factory}) as runner:
    runner.run(main())
"""


@pytest.mark.parametrize("name", FACTORIES)
def test_what_was_written_before_a_fork_is_sent_once(name):
    module, factory = FACTORIES[name].split(":")
    program = WRITES.format(module=module, factory=factory, leave=LEAVE)
    assert printed(program) == "b'once' b''\n"


THREADS = """
import asyncio, os, socket, time
from {module} import {factory}

def threads():
    return [line for line in open("/proc/self/status") if line.startswith("Threads")][0].split()[1]

def tell():
    # The kernel counts one that was waited for a moment longer.
    end = time.monotonic() + 5
    while threads() != "1" and time.monotonic() < end:
        os.sched_yield()
    print(threads())

async def main():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        raw, _ = listener.accept()
    seen = []
    for _ in range(3):
        writer.write(b"x")
        await asyncio.sleep(0)
        child = os.fork()
        if child == 0:
            os._exit(0)
        seen.append(os.waitpid(child, 0)[1])
        writer.write(b"y")
    await asyncio.sleep(0)
    print(seen, raw.recv(100))
    writer.close()

os.register_at_fork(after_in_parent=tell)
with asyncio.Runner(loop_factory={factory}) as runner:
    runner.run(main())
"""


@pytest.mark.parametrize("name", FACTORIES)
def test_process_that_has_written_forks_with_one_thread_and_goes_on(name):
    module, factory = FACTORIES[name].split(":")
    program = THREADS.format(module=module, factory=factory)
    assert printed(program) == "1\n1\n1\n[0, 0, 0] b'xyxyxy'\n"


class EndsFirst(subprocess.Popen):
    """A child that has spoken before its parent goes on."""

    def __init__(self, *args, **keywords):
        super().__init__(*args, **keywords)
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)


@pytest.mark.parametrize("name", LOOPS)
def test_what_was_written_before_a_subprocess_goes_before_what_that_writes(name, monkeypatch):
    async def main():
        near, far = socket.socketpair()
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=near)
        number = transport.get_extra_info("socket").fileno()
        await asyncio.sleep(0)
        transport.write(b"head;")
        child = await asyncio.create_subprocess_exec("/bin/echo", "body", stdout=number)
        assert await child.wait() == 0
        transport.close()
        with far:
            far.settimeout(DEADLINE)
            return far.recv(100)

    monkeypatch.setattr(subprocess, "Popen", EndsFirst)
    with asyncio.Runner(loop_factory=LOOPS[name]) as runner:
        assert runner.run(main()) == b"head;body\n"


LEAVES = """
import asyncio, os, sys, asynctcp
from asynctcp import aio

async def main():
    asynctcp.tcp_server("127.0.0.1", 0, print)
    child = os.fork()
    if child == 0:
        {leave}
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

aio.run(main())
"""


@pytest.mark.parametrize(("leave", "status"), [(f"{LEAVE}(7)", 7), ("return", 0)])
def test_child_leaves_beside_callbacks_of_its_parent_with_its_own_status(leave, status):
    assert printed(LEAVES.format(leave=leave)) == f"{status}\n"


def fork():
    """A child that ends at once."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_fork_outside_of_a_loop_sends_nothing():
    fork()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("name", LOOPS)
def test_fork_in_a_loop_that_has_written_nothing_sends_nothing(name):
    async def main():
        fork()

    with asyncio.Runner(loop_factory=LOOPS[name]) as runner:
        runner.run(main())
