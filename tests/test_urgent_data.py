"""TCP's urgent data (RFC 9293, 3.8.5), of telnet and FTP: what is ordinary before and behind it is read."""

from __future__ import annotations

import socket

import pytest

import asynctcp
from asynctcp import exit_event_loop
from helpers import Log, run, when

LOOPS = [0, 1]


@pytest.mark.parametrize("io_threads", LOOPS)
def test_data_behind_an_urgent_byte_is_read_at_once(io_threads, peers):
    log = Log()

    def use(ours, raw):
        # All of it has arrived when reading begins.
        ours.disable(read=True)
        raw.sendall(b"before")
        raw.send(b"!", socket.MSG_OOB)
        raw.sendall(b"after")
        asynctcp.delay(lambda: ours.enable(read=True), 0.02)
        when(lambda: log.joined() == b"beforeafter", exit_event_loop)

    run(lambda: peers.link(use, log.read), loop=asynctcp.EventLoop(io_threads=io_threads))
    assert log.joined() == b"beforeafter"


@pytest.mark.parametrize("io_threads", LOOPS)
def test_reading_goes_on_after_urgent_bytes_one_after_the_other(io_threads, peers, spawn):
    log, rounds = Log(), 50

    def ordinary():
        # An urgent byte that the next one overtakes becomes an ordinary one (RFC 6093, 3.2).
        return log.joined().replace(b"!", b"")

    def use(_ours, raw):
        def send():
            for _ in range(rounds):
                raw.sendall(b"a")
                raw.send(b"!", socket.MSG_OOB)
                raw.sendall(b"b")

        spawn(send)
        when(lambda: len(ordinary()) >= 2 * rounds, exit_event_loop)

    run(lambda: peers.link(use, log.read), loop=asynctcp.EventLoop(io_threads=io_threads))
    assert ordinary() == b"ab" * rounds


def test_end_of_stream_behind_an_urgent_byte_is_told(peers):
    log = Log()

    def use(_ours, raw):
        raw.sendall(b"before")
        raw.send(b"!", socket.MSG_OOB)
        raw.close()

    run(lambda: peers.link(use, log.read, lambda condition: (log.event(condition), exit_event_loop())))
    assert log.order() == [b"before", "TcpEof"]
