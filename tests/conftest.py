"""Fixtures of all tests, and the check that each one gives back every descriptor."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import settings

import asynctcp
import tracing
from certificates import authority
from cli import Commands, Terminal
from helpers import DEADLINE, Log, descriptors, opened_since, wait_until
from wires import WIRES

# A shell that starts this in the background has Ctrl-C ignored, also by children; here it is what tests send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Whether a gate opens is no matter of luck: what hypothesis invents is the same each time; time is free.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")


def pytest_generate_tests(metafunc):
    """Run a test over each of the wires that its file names (`wires.py`)."""
    wires = getattr(metafunc.module, "WIRES", None)
    if wires and "peers" in metafunc.fixturenames:
        if metafunc.definition.get_closest_marker("tcp_only"):
            wires = wires[:1]
        if metafunc.definition.get_closest_marker("can_reset"):
            wires = [wire for wire in wires if wire != "unix"]
        metafunc.parametrize("peers", wires, indirect=True)


def pytest_collection():
    """By now coverage has begun, also in one of several processes (`-n`)."""
    tracing.hide()


def pytest_collection_modifyitems(items):
    """What is marked so is run last."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


def pytest_collection_finish():
    """What was collected stays: each of the many looks for cycles would go through all of it."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def peers(request):
    """Raw sockets for the other end, over the wire that the test is about."""
    peers = WIRES[getattr(request, "param", "tcp")]()
    yield peers
    peers.close()


@pytest.fixture
def commands():
    """Start commands of the command line by ``commands.start``; the test's end ends them."""
    commands = Commands()
    yield commands
    commands.close()


@pytest.fixture
def terminal(commands):
    """``terminal(*arguments)`` gives a terminal in which a command of the command line runs."""
    opened = []

    def terminal(*arguments, **keywords):
        opened.append(Terminal(commands, *arguments, **keywords))
        return opened[-1]

    yield terminal
    for each in opened:
        each.close()


@pytest.fixture
def ca():
    """The authority of the tests' certificates."""
    return authority()


@pytest.fixture
def log():
    """A record of callbacks."""
    return Log()


@pytest.fixture
def loop():
    """A loop for a foreign one to pump; the test's end ends it."""
    loop = asynctcp.EventLoop()
    yield loop
    loop.exit()


@pytest.fixture
def pair():
    """Two ends of a connection that is none of the library's."""
    ends = socket.socketpair()
    for end in ends:
        end.setblocking(False)
    yield ends
    for end in ends:
        end.close()


@pytest.fixture
def pipe():
    """Two ends of a pipe, which the test may close."""
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


@pytest.fixture
def spawn():
    """``spawn(fn, *args)`` runs it in a thread; the test's end joins it and raises what it raised."""
    started = []

    def spawn(function, *arguments):
        errors = []

        def body():
            try:
                function(*arguments)
            except BaseException as error:  # noqa: BLE001 (raised when the test ends)
                errors.append(error)

        thread = threading.Thread(target=body, daemon=True)
        started.append((thread, errors))
        thread.start()
        return thread

    yield spawn
    for thread, errors in started:
        thread.join(DEADLINE)
        assert not thread.is_alive(), "a thread of the test hangs"
        for error in errors:
            raise error


@pytest.fixture(autouse=True)
def _default_handler_is_the_librarys():
    yield
    asynctcp.set_default_event_handler(None)


@pytest.fixture(scope="session", autouse=True)
def _first_loop():
    """What Python opens once for good is opened before anything is counted."""
    asynctcp.start_event_loop(lambda: asynctcp.delay(int))


@pytest.fixture(autouse=True)
def _no_descriptor_is_left(request, _first_loop):
    """Each test ends with the descriptors that it began with; examples are children, and have their own."""
    if request.path.is_relative_to(Path(__file__).parent / "examples"):
        yield
        return
    before = descriptors()
    yield
    # pytest keeps what the test was given, and a pumped loop keeps its descriptor as long as it is kept.
    request.node.funcargs.clear()
    with contextlib.suppress(AssertionError):
        wait_until(lambda: not opened_since(before), 1.0)
    if sys.version_info >= (3, 12):
        # A callback's exception has frames, which have the loop, and are in a cycle there.
        gc.collect()
    assert opened_since(before) == {}
