"""Connecting to a name by `asynctcp.aio`: what comes out where an attempt does not fail as networks do."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket

import pytest

from helpers import LOOPBACK
from loops import Recorder, run, turn_until


class Forbidden(RuntimeError):
    """What a test suite's guard of the network raises."""


class Outcome(BaseException):
    """What is no Exception, as pytest's own."""


@pytest.fixture
def closed_address():
    """Of a port where nobody listens."""
    with socket.socket() as bound:
        bound.bind((LOOPBACK, 0))
        yield bound.getsockname()


@pytest.fixture
def connecting(loop, monkeypatch):
    """A coroutine that connects to a name of these addresses."""

    def connecting(addresses, **options):
        async def look_up(*_, **__):
            return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", address) for address in addresses]

        monkeypatch.setattr(loop, "getaddrinfo", look_up)
        return loop.create_connection(Recorder, "name.test", 1, **options)

    return connecting


@pytest.fixture
def connect(loop, connecting):
    return lambda addresses: run(loop, connecting(addresses))


@pytest.mark.parametrize("kind", [Forbidden, Outcome])
def test_exception_of_a_guarded_connect_comes_out(connect, monkeypatch, kind):
    def refuse(_, address):
        raise kind(address)

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(kind, match=r"127\.0\.0\.1"):
        connect([("127.0.0.1", 1), ("127.0.0.2", 1)])


def test_port_that_cannot_be_comes_out(connect):
    with pytest.raises(OverflowError):
        connect([(LOOPBACK, 70_000)])


def test_exception_that_is_no_system_error_ends_the_attempts(connect, closed_address):
    with socket.create_server((LOOPBACK, 0)) as listener, pytest.raises(OverflowError):
        connect([closed_address, (LOOPBACK, 70_000), listener.getsockname()])


def test_errors_of_the_system_go_on_to_the_next_address(loop, connect, closed_address):
    with socket.create_server((LOOPBACK, 0)) as listener:
        transport, protocol = connect([closed_address, listener.getsockname()])
        assert transport.get_extra_info("peername") == listener.getsockname()
        transport.abort()
        turn_until(loop, lambda: protocol.told[-1] == ("lost", None))


def test_error_of_each_address_is_in_the_message(connect, closed_address):
    with pytest.raises(OSError, match=r"Multiple exceptions: .*127\.0\.0\.1.*, .*127\.0\.0\.9"):
        connect([closed_address, ("127.0.0.9", 1)])


@pytest.mark.parametrize("delay", [None, 60])
def test_cancelled_attempt_leaves_no_socket(loop, connecting, monkeypatch, delay):
    begun, socks = asyncio.Event(), []

    async def wait(sock, _):
        socks.append(sock)
        begun.set()
        await loop.create_future()

    async def cancel_it():
        making = asyncio.ensure_future(connecting([(LOOPBACK, 1)], happy_eyeballs_delay=delay))
        await begun.wait()
        making.cancel()
        with pytest.raises(asyncio.CancelledError):
            await making

    monkeypatch.setattr(loop, "sock_connect", wait)
    run(loop, cancel_it())
    turn_until(loop, lambda: not asyncio.all_tasks(loop))
    assert [sock.fileno() for sock in socks] == [-1]


def test_exception_of_a_refused_connection_is_in_no_cycle(loop, closed_address):
    async def main():
        with contextlib.suppress(ConnectionRefusedError):
            await loop.create_connection(Recorder, *closed_address)

    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        run(loop, main())
        gc.collect()
        left = [item for item in gc.garbage if isinstance(item, OSError)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert left == []
