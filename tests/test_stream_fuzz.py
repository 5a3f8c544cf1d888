"""Streams in random pieces, with pauses and cuts on both sides: bytes are exact, and each end is told.

And the calls of `asynctcp.AsyncIOStream` in random order, against a plain model.

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
from asynctcp import LineTooLong, TcpEof
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


class Model:
    """What a stream must give, with no care for cost."""

    def __init__(self):
        self.left = b""
        self.ended = False

    def nothing(self):
        return b"" if self.ended else None

    def read(self, most):
        if most == 0 or not self.left:
            return b"" if most == 0 else self.nothing()
        most = len(self.left) if most < 0 else most
        taken, self.left = self.left[:most], self.left[most:]
        return taken

    def peek(self, most):
        if not self.left:
            return self.nothing()
        return self.left if most < 0 else self.left[:most]

    def readline(self, size, limit):
        if size == 0:
            return b""
        head, newline, _ = self.left.partition(b"\n")
        line = head[:size] if size > 0 else head
        if len(line) > limit:
            return LineTooLong
        if not newline and not self.ended and not 0 < size <= len(head):
            return None
        whole = head + newline
        return self.read(min(size, len(whole)) if size > 0 else len(whole)) or b""


def outcome(call, *arguments, **keywords):
    try:
        return call(*arguments, **keywords)
    except LineTooLong:
        return LineTooLong


def random_piece(dice):
    return b"".join(
        dice.choice((b"\n", b"x" * dice.choice((1, 2, 10, 1000))))
        for _ in range(dice.choice((1, 1, 1, 5, 50)))
    )


@pytest.mark.parametrize("seed", range(40))
def test_reads_lines_and_looks_in_any_order_give_what_a_plain_model_gives(seed):
    dice = random.Random(seed)
    bounds = (-1, 0, 1, 2, 11, 1500)

    def act(stream, model):
        which = dice.choice(("feed", "feed", "read", "peek", "readline", "readline", "readinto"))
        if which == "feed" and not model.ended:
            piece = random_piece(dice)
            stream._feed(piece)
            model.left += piece
        elif which == "readline":
            size, limit = dice.choice(bounds), dice.choice((1, 2, 12, 1000, 10_000))
            assert outcome(stream.readline, size, limit=limit) == model.readline(size, limit)
        elif which == "readinto":
            buffer = bytearray(dice.choice((1, 5, 2000)))
            count, wanted = stream.readinto(buffer), model.read(len(buffer))
            assert (buffer[:count] if count else count) == (wanted or (None if wanted is None else 0))
        elif which in ("read", "peek"):
            most = dice.choice(bounds)
            assert getattr(stream, which)(most) == getattr(model, which)(most)
        assert stream.buffered == len(model.left)

    def start():
        stream, model = asynctcp.init_tcp_socket(None, stream=True), Model()
        for step in range(500):
            act(stream, model)
            if step == 400:
                stream._end()
                model.ended = True

    run(start)
