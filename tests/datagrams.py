"""Endpoints of datagrams, and a protocol that notes what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import sys

from helpers import LOOPBACK
from loops import run, turn

#: CPython 3.13 sends empty datagrams, and counts 8 bytes for each that waits.
NEW = sys.version_info >= (3, 13)


def waiting(peer):
    """What waits at a socket that does not block, in order."""
    got = []
    with contextlib.suppress(BlockingIOError):
        while True:
            got.append(peer.recv(9999))
    return got


class Recorder(asyncio.DatagramProtocol):
    """Notes what it is told."""

    def __init__(self):
        self.told, self.got, self.errors = [], [], []
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport
        self.told.append("made")

    def datagram_received(self, data, addr):
        self.got.append((data, addr))

    def error_received(self, exc):
        self.errors.append(exc)

    def pause_writing(self):
        self.told.append("pause")

    def resume_writing(self):
        self.told.append("resume")

    def connection_lost(self, exc):
        self.told.append(("lost", type(exc).__name__ if exc else None))


def endpoints(loop):
    """What makes endpoints, for a fixture; ``loop.caught`` has what the loop's exception handler was told."""
    made = []
    loop.caught = []
    loop.set_exception_handler(lambda _, context: loop.caught.append(context))

    def make(protocol=None, **keywords):
        protocol = protocol or Recorder()
        if not keywords:
            keywords = {"local_addr": (LOOPBACK, 0)}
        transport, _ = run(loop, loop.create_datagram_endpoint(lambda: protocol, **keywords))
        made.append(transport)
        return transport, protocol

    yield make
    for transport in made:
        if not transport.is_closing():
            transport.abort()
    turn(loop)


def address(transport):
    return transport.get_extra_info("sockname")
