"""Datagram transports: when what is sent leaves, and what happens where the kernel takes no more."""

from __future__ import annotations

import contextlib
import socket

import pytest

import asynctcp.aio
from datagrams import NEW, waiting
from helpers import DEADLINE
from loops import turn, turn_until

# Steps and turns.


def test_what_a_step_sends_leaves_when_it_returns(ours, own_endpoint, peer):
    transport, _ = own_endpoint()
    peer.setblocking(False)
    seen = []

    def send():
        for data in (b"one", b"two"):
            transport.sendto(data, peer.getsockname())
        with contextlib.suppress(BlockingIOError):
            seen.append(peer.recv(9))
        ours.call_soon(lambda: seen.extend(peer.recv(9) for _ in range(2)))

    ours.call_soon(send)
    turn(ours)
    turn(ours)
    assert seen == [b"one", b"two"]


def test_what_a_long_step_sends_leaves_before_it_returns(loop, endpoint, peer):
    transport, _ = endpoint()
    seen = []

    def send():
        transport.sendto(b"one", peer.getsockname())
        transport.sendto(b"two", peer.getsockname())
        seen.extend(peer.recv(9) for _ in range(2))

    loop.call_soon(send)
    turn(loop)
    assert seen == [b"one", b"two"]


def test_error_of_what_a_long_step_sends_is_told_when_it_has_returned(ours, own_endpoint, peer):
    transport, protocol = own_endpoint()
    transport.set_write_buffer_limits(high=1 << 20)
    seen = []

    def send():
        transport.sendto(bytes(70_000), peer.getsockname())
        transport.sendto(b"two", peer.getsockname())
        seen.append(peer.recv(9))
        seen.extend(protocol.errors)

    ours.call_soon(send)
    turn(ours)
    assert seen == [b"two"]
    assert [error.errno for error in protocol.errors] == [90]


def test_what_is_sent_outside_of_the_loop_leaves_at_once(endpoint, peer):
    transport, _ = endpoint()
    transport.sendto(b"x", peer.getsockname())
    assert peer.recv(9) == b"x"


# Flow control.


@pytest.fixture
def full(endpoint, tmp_path):
    """An endpoint whose peer takes no more, and that peer."""
    transport, protocol = endpoint(family=socket.AF_UNIX, local_addr=str(tmp_path / "ours"))
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    peer.bind(str(tmp_path / "peer"))
    peer.settimeout(DEADLINE)
    sent = 0
    while not transport.get_write_buffer_size():
        transport.sendto(b"%d" % sent, str(tmp_path / "peer"))
        sent += 1
    yield transport, protocol, peer, sent
    peer.close()


def test_what_the_kernel_does_not_take_waits_and_is_counted(full):
    transport, _, peer, sent = full
    last = len(b"%d" % (sent - 1))
    assert transport.get_write_buffer_size() == last + (8 if NEW else 0)
    transport.sendto(b"more", peer.getsockname())
    assert transport.get_write_buffer_size() == last + 4 + (16 if NEW else 0)


def test_it_is_sent_in_order_when_there_is_room(loop, full):
    transport, _, peer, sent = full
    transport.sendto(b"last", peer.getsockname())
    got = []
    peer.setblocking(False)

    def come():
        got.extend(waiting(peer))
        return len(got) == sent + 1

    turn_until(loop, come)
    assert got == [*(b"%d" % number for number in range(sent)), b"last"]
    if type(transport) is asynctcp.aio.DatagramTransport:  # CPython 3.13.0 counts the headers once too often
        assert transport.get_write_buffer_size() == 0


def test_protocol_is_paused_above_the_high_mark_and_resumed_below_the_low_one(loop, full):
    transport, protocol, peer, _ = full
    transport.set_write_buffer_limits(high=1000, low=100)
    assert transport.get_write_buffer_limits() == (100, 1000)
    transport.sendto(bytes(2000), peer.getsockname())
    assert protocol.told == ["made", "pause"]
    transport.sendto(bytes(2000), peer.getsockname())
    peer.setblocking(False)

    def come():
        waiting(peer)
        return "resume" in protocol.told

    turn_until(loop, come)
    assert protocol.told == ["made", "pause", "resume"]


def test_marks_pause_at_once_where_so_much_waits_already(full):
    transport, protocol, *_ = full
    transport.set_write_buffer_limits(high=0)
    assert protocol.told[-1] == "pause"
    with pytest.raises(ValueError, match=r"high \(1\) must be >= low \(2\) must be >= 0"):
        transport.set_write_buffer_limits(high=1, low=2)


def test_close_waits_until_all_is_sent(loop, full):
    transport, protocol, peer, sent = full
    transport.close()
    assert transport.is_closing()
    turn(loop)
    assert protocol.told == ["made"]
    got = []
    peer.setblocking(False)

    def come():
        got.extend(waiting(peer))
        return protocol.told[-1] == ("lost", None)

    turn_until(loop, come)
    come()
    assert len(got) == sent


def test_abort_drops_what_waits(loop, full):
    transport, protocol, _, _ = full
    transport.abort()
    turn_until(loop, lambda: protocol.told[-1] == ("lost", None))
