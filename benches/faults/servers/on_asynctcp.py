"""The behaviours on asynctcp."""

import os
import time
import zlib

from wire import behaviour, report

import asynctcp
from asynctcp import TcpEof, tcp_server

LOOPBACK = "127.0.0.1"


def serve(read_cb, event_cb=lambda _condition: None, **keywords):
    report(port=tcp_server(LOOPBACK, 0, read_cb, event_cb, **keywords).address[1])


def echo(**keywords):
    """Send back what comes. Accept errors are told."""

    def event(condition):
        if isinstance(condition, asynctcp.TcpAcceptError):
            report(error=str(condition))

    serve(lambda socket, data: socket.write(data), event, **keywords)


def impatient(timeout):
    """Echo, and end a connection that is silent for so long."""
    echo(read_timeout=timeout)


def sleepy(nap, naps):
    """Count what comes, sleeping in the first callbacks."""
    left = naps
    total = crc = 0

    def read(_socket, data):
        nonlocal left, total, crc
        if left:
            left -= 1
            time.sleep(nap)
        total += len(data)
        crc = zlib.crc32(data, crc)

    serve(read, lambda _condition: report(bytes=total, crc=crc))


def late(pause):
    """Read nothing for so long, then all; tell what came and how it ended."""

    def connected(socket):
        socket.data = 0
        socket.disable(read=True)
        asynctcp.delay(lambda: socket.enable(read=True), pause)

    def read(socket, data):
        socket.data += len(data)

    def ended(condition):
        end = "eof" if isinstance(condition, TcpEof) else type(condition).__name__
        report(bytes=condition.socket.data, end=end, peer=condition.socket.peername[1])

    serve(read, ended, connect_cb=connected)


def raising():
    """Echo, and raise where the data says so."""

    def read(socket, data):
        if data.startswith(b"raise"):
            raise RuntimeError("as the data says")
        socket.write(data)

    serve(read, lambda condition: report(error=type(condition).__name__))


def flood(pieces):
    """Queue so many pieces of 64 KiB for the first connection; abort it when another one says something."""
    first = []

    def connected(socket):
        if not first:
            first.append(socket)
            for _ in range(int(pieces)):
                socket.write(bytes(64 << 10))
            report(queued=True)

    def read(_socket, _data):
        first.pop().close(force=True)
        report(aborted=True)

    serve(read, connect_cb=connected)


def forker():
    """At the first byte fork a child that sleeps, and close the connection."""

    def read(socket, _data):
        child = os.fork()
        if not child:
            time.sleep(60)
            os._exit(0)
        socket.close()

    serve(read)


def interrupted(spin):
    """Echo until Ctrl-C, and tell when it came. ``spin``: seconds that each turn computes, 0 for none."""
    serve(lambda socket, data: socket.write(data))

    def compute():
        until = time.perf_counter() + spin
        while time.perf_counter() < until:
            pass
        asynctcp.delay(compute)

    if spin:
        compute()


BEHAVIOURS = {f.__name__: f for f in (echo, impatient, sleepy, late, raising, flood, forker, interrupted)}

_, start, arguments = behaviour(BEHAVIOURS)
try:
    asynctcp.start_event_loop(lambda: start(*arguments), catch_app_errors=True)
except KeyboardInterrupt:
    report(at=time.monotonic())
