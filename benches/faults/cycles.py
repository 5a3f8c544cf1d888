"""Cycles of a socket, its callbacks and the app's data are collected once it is closed.

By turns closed by us, by us with a reset, by the peer's end, by the peer's reset, and never connected at all.
"""

import gc
import socket
import weakref

from common import LOOPBACK, main, none_of, reset

import asynctcp

BATCH = 100


class Session:
    """What an app keeps for a connection: it knows its socket, and the socket knows it."""

    def __init__(self, kind, listener):
        self.kind = kind
        self.listener = listener
        self.socket = asynctcp.init_tcp_socket(
            self.read, self.event, connect_cb=self.connected, write_cb=self.written
        )
        self.socket.data = self
        if kind != "never connected":
            asynctcp.connect_tcp_socket(self.socket, *listener.getsockname())

    def connected(self, ours):
        raw = self.listener.accept()[0]
        self.keep = raw
        raw.sendall(b"data")
        if self.kind == "peer ends":
            raw.close()
        elif self.kind == "peer resets":
            reset(raw)
        else:
            ours.write(b"answer")

    def read(self, ours, _data):
        if self.kind in {"closed", "aborted"}:
            ours.close(force=self.kind == "aborted")

    def written(self, _ours):
        """Do nothing: it is a bound method, and so part of the cycle."""

    def event(self, condition):
        self.last = condition


KINDS = ("closed", "aborted", "peer ends", "peer resets", "never connected")


def batch(listener, first, count):
    """Make ``count`` sessions in a loop of their own, close what is left; return weak references."""
    dead = []

    def start():
        for number in range(first, first + count):
            session = Session(KINDS[number % len(KINDS)], listener)
            dead.extend((weakref.ref(session), weakref.ref(session.socket)))
            if session.kind == "never connected":
                session.socket.close()

    asynctcp.start_event_loop(start)
    return dead


def measure(_server, n):
    with socket.create_server((LOOPBACK, 0), backlog=BATCH) as listener:
        alive = 0
        for first in range(0, n, BATCH):
            dead = batch(listener, first, min(BATCH, n - first))
            gc.collect()
            alive += sum(reference() is not None for reference in dead)
    yield none_of("cycles of socket, callbacks and data: objects left", n, alive)


if __name__ == "__main__":
    main(measure, quick=500, full=10_000)
