"""A step that wrote and goes on for long: what it wrote is sent meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import struct
import threading
import time
from pathlib import Path

import pytest

import asynctcp.aio
from helpers import DEADLINE, MUCH, wait_until
from loops import Recorder, connected, run, turn, turn_until


def step(loop, function):
    """Run it as one step of the loop's."""
    loop.call_soon(function)
    turn(loop)


class Peer(threading.Thread):
    """Receives in a thread of its own until it has so much, or the end."""

    def __init__(self, sock, size):
        super().__init__()
        self._sock, self._size = sock, size
        self.data = b""
        self.has_all = threading.Event()
        self.start()

    def run(self):
        while len(self.data) < self._size:
            piece = self._sock.recv(65536)
            if not piece:
                return
            self.data += piece
        self.has_all.set()


@pytest.fixture
def open_pair(loop):
    protocol = Recorder()
    transport, peer = connected(loop, protocol)
    with peer:
        yield transport, peer, protocol
        transport.abort()
        turn(loop)


@pytest.fixture
def native_pair(ours):
    protocol = Recorder()
    transport, peer = connected(ours, protocol)
    with peer:
        yield transport, peer, protocol
        transport.abort()
        turn(ours)


def wait_busily(event):
    """Compute in Python until the event is set; whether it was, within the deadline."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if event.is_set():
            return True
    return False


def test_what_a_step_wrote_is_received_while_it_sleeps(loop, open_pair):
    transport, sock, _ = open_pair
    peer, got = Peer(sock, 5), []

    def write_and_wait():
        transport.write(b"hello")
        got.append(peer.has_all.wait(DEADLINE))

    step(loop, write_and_wait)
    peer.join()
    assert (got, peer.data) == ([True], b"hello")


def test_what_a_step_wrote_is_received_while_it_computes(loop, open_pair):
    transport, sock, _ = open_pair
    peer, got = Peer(sock, 5), []

    def write_and_compute():
        transport.write(b"hello")
        got.append(wait_busily(peer.has_all))

    step(loop, write_and_compute)
    peer.join()
    assert (got, peer.data) == ([True], b"hello")


def test_what_it_writes_later_is_received_too(loop, open_pair):
    transport, sock, _ = open_pair
    first, got = Peer(sock, 1), []

    def write_twice():
        transport.write(b"a")
        got.append(first.has_all.wait(DEADLINE))
        first.join()
        second = Peer(sock, 1)
        transport.write(b"b")
        got.append(second.has_all.wait(DEADLINE))
        second.join()
        got.append(first.data + second.data)

    step(loop, write_twice)
    assert got == [True, True, b"ab"]


def test_after_a_pause_the_next_long_step_is_helped_too(ours, native_pair):
    transport, sock, _ = native_pair
    for _ in range(3):
        peer, got = Peer(sock, 5), []
        # Longer than the thread that sends looks about before it sleeps.
        run(ours, asyncio.sleep(0.05))

        def write_and_wait(peer=peer, got=got):
            transport.write(b"hello")
            got.append(peer.has_all.wait(DEADLINE))

        step(ours, write_and_wait)
        peer.join()
        assert got == [True]


def test_more_than_the_kernel_takes_follows_when_it_takes_more(ours, native_pair):
    transport, sock, protocol = native_pair
    transport.set_write_buffer_limits(high=2 * MUCH)
    payload = bytes(MUCH)
    sent = threading.Event()

    def write_and_wait():
        transport.write(payload)
        # What the kernel has taken is gone from the buffer; asking would send it.
        end = time.monotonic() + DEADLINE
        while transport._unsent() == MUCH and time.monotonic() < end:
            time.sleep(0.001)
        if transport._unsent() < MUCH:
            sent.set()

    step(ours, write_and_wait)
    assert sent.is_set()
    peer = Peer(sock, MUCH)
    turn_until(ours, peer.has_all.is_set)
    peer.join()
    assert peer.data == payload
    assert protocol.told == ["made"]


def test_a_protocol_is_told_to_pause_when_the_step_has_returned(ours, native_pair):
    transport, _, protocol = native_pair
    transport.set_write_buffer_limits(high=2 * MUCH)
    told = []

    def write_and_wait():
        transport.write(bytes(MUCH))
        transport.set_write_buffer_limits(high=2 * MUCH)
        end = time.monotonic() + DEADLINE
        while transport._unsent() == MUCH and time.monotonic() < end:
            time.sleep(0.001)
        told.extend(protocol.told)

    step(ours, write_and_wait)
    assert told == ["made"]
    ours.call_soon(transport.set_write_buffer_limits, 10)
    turn(ours)
    assert protocol.told == ["made", "pause"]


def test_a_failure_of_sending_meanwhile_is_told_when_the_step_has_returned(ours, native_pair):
    transport, sock, protocol = native_pair
    told = []

    def write_and_wait():
        reset(sock)
        transport.write(b"hello")
        # Nothing tells that the thread that sends has tried; if it has not, the test is only easier.
        time.sleep(0.05)
        told.extend(protocol.told)

    step(ours, write_and_wait)
    turn_until(ours, lambda: protocol.told[-1][0] == "lost")
    assert told == ["made"]
    assert protocol.told == ["made", protocol.told[-1]]


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def test_transports_are_sent_in_the_order_in_which_they_were_written_to(ours):
    pairs = [connected(ours, Recorder()) for _ in range(5)]
    with select.epoll() as ready:
        for _, peer in pairs:
            ready.register(peer, select.EPOLLIN)
        step(ours, lambda: [transport.write(b"hello") for transport, _ in pairs])
        # The kernel lists them in the order in which they became ready.
        order = [number for number, _ in ready.poll(DEADLINE)]
    assert order == [peer.fileno() for _, peer in pairs]
    for transport, peer in pairs:
        transport.abort()
        peer.close()
    turn(ours)


def test_a_closed_loop_leaves_no_thread():
    before = flushing_threads()
    loop = asynctcp.aio.new_event_loop()
    transport, peer = connected(loop, Recorder())
    step(loop, lambda: transport.write(b"hello"))
    wait_until(lambda: flushing_threads() - before)
    its = flushing_threads() - before
    transport.abort()
    turn(loop)
    peer.close()
    loop.close()
    wait_until(lambda: not its & flushing_threads())


def flushing_threads():
    """Those there are: one that begins has no name yet, one that ends no file; other loops' may be ending."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            if (task / "comm").read_text().strip() == "asynctcp-flush":
                found.add(task.name)
    return found


def compute():
    end = time.perf_counter() + 0.0002
    while time.perf_counter() < end:
        pass


def leaves_in_its_turn(ours, pair, data, between):
    """Write in one step: whether the peer has it in the last step of the same turn, after those between."""
    transport, sock, _ = pair
    got = []
    for function in (lambda: transport.write(data), *between):
        ours.call_soon(function)
    ours.call_soon(lambda: got.append(bool(select.select([sock], [], [], 0)[0])))
    turn(ours)
    assert sock.recv(1) == data[:1]
    return got[0]


def test_what_a_step_wrote_waits_for_the_others_of_its_turn(ours, native_pair):
    # A machine that holds the turn up for 5 ms has it sent before.
    assert not all(leaves_in_its_turn(ours, native_pair, b"x", [int, int]) for _ in range(5))


@pytest.mark.parametrize(
    ("data", "between"),
    [
        pytest.param(b"x", [compute] * 16, id="after_a_while"),
        pytest.param(b"x", [int] * 64, id="after_many_steps"),
        pytest.param(bytes(65536), [], id="much"),
    ],
)
def test_what_a_step_wrote_does_not_wait_for_long(ours, native_pair, data, between):
    assert leaves_in_its_turn(ours, native_pair, data, between)


def test_what_was_written_goes_before_what_the_program_sends_by_the_socket(loop, open_pair):
    transport, peer, _ = open_pair

    def write_and_end():
        transport.write(b"bye")
        transport.get_extra_info("socket").shutdown(socket.SHUT_WR)

    step(loop, write_and_end)
    peer.settimeout(DEADLINE)
    assert (peer.recv(10), peer.recv(10)) == (b"bye", b"")
