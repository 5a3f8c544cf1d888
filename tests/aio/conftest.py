"""Fixtures of the tests of `asynctcp.aio`: loops, and connections of theirs."""

from __future__ import annotations

import asyncio
import socket

import pytest

import asynctcp.aio
from datagrams import endpoints
from helpers import DEADLINE, LOOPBACK
from loops import LOOPS, Connection, turn, turn_until
from secured import WORLDS, worlds


@pytest.fixture(params=LOOPS)
def loop(request):
    """The loop of asyncio, which says what is right, and ours."""
    loop = LOOPS[request.param]()
    yield loop
    close(loop)


@pytest.fixture
def ours():
    """Our loop alone, where asyncio does something else or there is something native to look at."""
    loop = asynctcp.aio.new_event_loop()
    yield loop
    close(loop)


@pytest.fixture
def ours_without_tasks(ours):
    """Our loop, whose tasks end with the test."""
    yield ours
    for task in asyncio.all_tasks(ours):
        task.cancel()
    turn_until(ours, lambda: not asyncio.all_tasks(ours))


def close(loop):
    """Close it, after what is ready."""
    if not loop.is_closed():
        turn(loop)
        loop.close()


@pytest.fixture
def connect(loop):
    made = []

    def connect(protocol=None):
        made.append(Connection(loop, protocol))
        return made[-1]

    yield connect
    for connection in made:
        connection.close()


@pytest.fixture(params=WORLDS)
def world(request):
    """A way to do TLS on a loop."""
    yield from worlds(request.param)


@pytest.fixture(params=["client", "server"])
def side(request):
    """Keywords of `Link.open`: which end is ours."""
    return {"server_side": request.param == "server"}


@pytest.fixture
def endpoint(loop):
    """Make endpoints for datagrams of that loop, which are closed at the end."""
    yield from endpoints(loop)


@pytest.fixture
def own_endpoint(ours):
    """The same of our loop alone."""
    yield from endpoints(ours)


@pytest.fixture
def peer():
    """A plain socket for datagrams."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as raw:
        raw.bind((LOOPBACK, 0))
        raw.settimeout(DEADLINE)
        yield raw
