"""Streams in random pieces, with pauses and cuts on both sides: bytes are exact, and each end is told.

``ASYNCTCP_STREAMS`` sets how many connections are tried.
"""

from __future__ import annotations

import hashlib
import os
import random
import socket
import threading

import pytest

import asynctcp
from asynctcp import TcpEof
from helpers import DEADLINE, LOOPBACK, reset, run

STREAMS = int(os.environ.get("ASYNCTCP_STREAMS", "60"))
#: Connections at a time.
AT_ONCE = 20
LARGEST = 400_000


def pieces(data, dice):
    """Cut ``data`` into random pieces."""
    at = 0
    while at < len(data):
        size = dice.choice((1, 100, 4096, 70_000))
        yield data[at : at + size]
        at += size


class Peer(threading.Thread):
    """A blocking socket: it sends, takes what comes, and leaves as ``cut`` says."""

    def __init__(self, seed, address):
        super().__init__(daemon=True)
        self.dice = random.Random(seed)
        self.address = address
        self.data = self.dice.randbytes(self.dice.randrange(LARGEST))
        self.cut = self.dice.choice(("no", "no", "end", "reset"))
        self.got = hashlib.sha256()
        self.whole = False  # it has seen our end of stream
        self.leaves = False

    def run(self):
        raw = socket.create_connection(self.address, DEADLINE)
        self.port = raw.getsockname()[1]
        reader = threading.Thread(target=self.read, args=(raw,))
        try:
            reader.start()
            for piece in pieces(self.data, self.dice):
                raw.sendall(piece)
                if self.cut != "no" and self.dice.random() < 0.1:
                    break
            if self.cut == "reset":
                # A socket that is closed while another thread waits for it stays open until that is over.
                self.leaves = True
                raw.shutdown(socket.SHUT_RD)
                reader.join(DEADLINE)
                reset(raw)
                return
            raw.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        finally:
            reader.join(DEADLINE)
            raw.close()

    def read(self, raw):
        try:
            while piece := raw.recv(self.dice.choice((100, 65_536))):
                self.got.update(piece)
            self.whole = not self.leaves
        except OSError:
            pass


class Ours:
    """Our end: it sends as well, switches reading off and on, and writes down what it is told."""

    def __init__(self, seed, ours):
        self.dice = random.Random(-seed)
        self.ours = ours
        self.got = bytearray()
        self.sent = hashlib.sha256()
        self.ends = []
        self.left = pieces(self.dice.randbytes(self.dice.randrange(LARGEST)), self.dice)
        asynctcp.delay(self.send)

    def send(self):
        if self.ours.closed:
            return
        piece = next(self.left, None)
        if piece is None:
            self.ours.shutdown_write()
            return
        try:
            self.ours.write(piece)
        except asynctcp.TcpBrokenPipe:
            return
        self.sent.update(piece)
        asynctcp.delay(self.send, self.dice.choice((0, 0, 0, 0.001)))

    def read(self, ours, data):
        self.got += data
        if self.dice.random() < 0.2:
            ours.disable(read=True)
            asynctcp.delay(self.resume, self.dice.choice((0, 0.002)))

    def resume(self):
        if not self.ours.closed:
            self.ours.enable(read=True)

    def event(self, condition):
        self.ends.append("eof" if isinstance(condition, TcpEof) else "error")
        if len(self.ends) == 1 and not self.ours.closed:
            self.finish()

    def finish(self):
        """Close: what was written still arrives."""
        self.left = iter(())  # what was not written yet stays so
        self.ours.close()


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(0, STREAMS, AT_ONCE))
def test_streams_arrive_exactly_and_every_end_is_told(batch):
    ours, streams = {}, []

    def welcome(made):
        ours[made.peername[1]] = made.data = Ours(made.peername[1], made)

    def start():
        server = asynctcp.tcp_server(
            LOOPBACK,
            0,
            lambda made, data: made.data.read(made, data),
            lambda condition: condition.socket.data.event(condition),
            connect_cb=welcome,
            allow_half_open=True,
        )
        streams.extend(Peer(batch + number, server.address) for number in range(AT_ONCE))
        for stream in streams:
            stream.start()
        look = asynctcp.interval(
            lambda: any(stream.is_alive() for stream in streams) or (look.cancel(), server.close()), 0.005
        )

    run(start)
    for stream in streams:
        end = ours[stream.port]
        assert stream.data.startswith(end.got)
        assert len(end.ends) in (1, 2), end.ends
        if stream.cut == "no":
            assert end.ends == ["eof"]
            assert bytes(end.got) == stream.data
        if stream.whole:
            assert stream.got.digest() == end.sent.digest()
