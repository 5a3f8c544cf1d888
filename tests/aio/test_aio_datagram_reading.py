"""Datagram transports: whose turn it is, pausing, replacing the protocol."""

from __future__ import annotations

import contextvars

from datagrams import Recorder, address
from helpers import LOOPBACK
from loops import run, turn, turn_until


def test_flood_does_not_keep_others_waiting(loop, endpoint, peer):
    """After so many datagrams of one others have their turn."""
    transport, protocol = endpoint()
    other, others = endpoint()
    for _ in range(100):
        peer.sendto(b"x", address(transport))
    peer.sendto(b"y", address(other))
    turn(loop)
    assert others.got
    assert 1 <= len(protocol.got) <= 16


def test_paused_transport_delivers_nothing_until_it_is_resumed(loop, endpoint, peer):
    class Pauses(Recorder):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            self.transport.pause_reading()

    transport, protocol = endpoint(Pauses())
    for number in range(3):
        peer.sendto(b"%d" % number, address(transport))
    for expected in range(1, 4):
        turn_until(loop, lambda expected=expected: len(protocol.got) == expected)
        assert not transport.is_reading()
        for _ in range(3):
            turn(loop)
        assert len(protocol.got) == expected
        transport.resume_reading()
        assert transport.is_reading()
    assert [data for data, _ in protocol.got] == [b"%d" % number for number in range(3)]


def test_pausing_and_resuming_again_does_nothing_and_neither_does_it_after_the_end(loop, endpoint, peer):
    transport, protocol = endpoint()
    transport.pause_reading()
    transport.pause_reading()
    transport.resume_reading()
    transport.resume_reading()
    peer.sendto(b"x", address(transport))
    turn_until(loop, lambda: protocol.got)
    transport.close()
    transport.pause_reading()
    transport.resume_reading()
    assert not transport.is_reading()


def test_closed_in_its_callback_gets_nothing_more(loop, endpoint, peer):
    class Closes(Recorder):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            self.transport.close()

    transport, protocol = endpoint(Closes())
    for _ in range(3):
        peer.sendto(b"x", address(transport))
    turn_until(loop, lambda: protocol.told[-1] == ("lost", None))
    assert len(protocol.got) == 1


def test_protocol_can_be_replaced_between_two_datagrams(loop, endpoint, peer):
    class Replaces(Recorder):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            self.transport.set_protocol(second)

    second = Recorder()
    transport, first = endpoint(Replaces())
    for _ in range(3):
        peer.sendto(b"x", address(transport))
    turn_until(loop, lambda: len(second.got) == 2)
    assert len(first.got) == 1
    assert transport.get_protocol() is second


def test_callbacks_run_in_the_context_in_which_the_endpoint_was_made(loop, peer):
    variable = contextvars.ContextVar("variable", default="outside")
    seen = []

    class Looks(Recorder):
        def datagram_received(self, *_):
            seen.append(variable.get())
            variable.set("changed")

    async def main():
        variable.set("inside")
        transport, _ = await loop.create_datagram_endpoint(Looks, local_addr=(LOOPBACK, 0))
        return transport

    transport = run(loop, main())
    for _ in range(2):
        peer.sendto(b"x", address(transport))
    turn_until(loop, lambda: len(seen) == 2)
    assert seen[0] == "inside"
    assert variable.get() == "outside"
    transport.close()
    turn(loop)
