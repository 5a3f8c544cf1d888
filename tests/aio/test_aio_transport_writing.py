"""What stream transports of `asynctcp.aio` send, each behaviour as on asyncio's own loop."""

from __future__ import annotations

import array
import contextlib
import errno
import re
import socket
import sys

import pytest

import asynctcp
from helpers import DEADLINE, MUCH, Oops
from loops import LOST, Connection, Recorder, connected, drain, run, turn, turn_until


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_like_data_arrives(loop, connect, kind):
    it = connect()
    it.transport.write(kind(b"payload"))
    turn(loop)
    assert drain(it.peer, 7) == b"payload"


def test_bytearray_may_be_changed_after_the_write(loop, connect):
    it, data = connect(), bytearray(b"before")
    it.transport.write(data)
    data[:] = b"after!"
    turn(loop)
    assert drain(it.peer, 6) == b"before"


def test_write_outside_of_the_loops_turns_leaves_at_once(connect):
    it = connect()
    it.transport.write(b"now")
    assert drain(it.peer, 3) == b"now"


def test_writes_of_one_callback_leave_together_when_it_returns(ours):
    it = Connection(ours)
    got = []

    def answer():
        it.transport.write(b"head ")
        it.transport.write(b"body")
        it.peer.setblocking(False)
        try:
            got.append(it.peer.recv(100))
        except BlockingIOError:
            got.append("nothing yet")
        it.peer.settimeout(DEADLINE)

    ours.call_soon(answer)
    ours.call_soon(lambda: got.append(it.peer.recv(100)))
    turn(ours)
    assert got == ["nothing yet", b"head body"]
    it.close()


def test_what_was_written_before_an_interrupt_leaves(loop, connect):
    it = connect()

    def leave():
        it.transport.write(b"last")
        raise KeyboardInterrupt

    loop.call_soon(leave)
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    assert drain(it.peer, 4) == b"last"


def test_order_of_small_and_large_writes_is_kept(loop, connect):
    it = connect()
    pieces = [bytes([number]) * size for number, size in enumerate([3, 40_000, 1, 70_000, 16_384, 5])]

    async def write():
        for piece in pieces:
            it.transport.write(piece)

    run(loop, write())
    assert drain(it.peer, sum(map(len, pieces))) == b"".join(pieces)


def test_writelines_writes_each(loop, connect):
    it = connect()
    it.transport.writelines([b"a", bytearray(b"b"), memoryview(b"c")])
    turn(loop)
    assert drain(it.peer, 3) == b"abc"


def test_writelines_takes_all_that_has_a_buffer(loop, connect):
    it = connect()
    it.transport.writelines(iter([array.array("H", b"ab"), memoryview(b"cdef").cast("H"), b""]))
    turn(loop)
    assert drain(it.peer, 6) == b"abcdef"


def broken_off():
    """A generator that fails."""
    yield b"x"
    raise Oops


@pytest.mark.parametrize("bad", [[b"x", "text"], [b"x", 1], broken_off], ids=["text", "number", "broken off"])
def test_lines_with_a_bad_one_are_not_sent(loop, connect, bad):
    if sys.version_info >= (3, 15) and not isinstance(loop, asynctcp.aio.Loop):
        pytest.skip("CPython 3.15 sends nothing any more")
    it = connect()
    with pytest.raises((TypeError, Oops)) as raised:
        it.transport.writelines(bad() if callable(bad) else bad)
    if not callable(bad):
        assert raised.match("bytes-like object")
    it.transport.write(b"good")
    turn(loop)
    assert drain(it.peer, 4) == b"good"


def test_no_lines_after_the_end_are_refused(connect):
    transport = connect().transport
    transport.write_eof()
    with pytest.raises(RuntimeError, match="after write_eof"):
        transport.writelines([])


@pytest.mark.parametrize("bad", ["text", 1, None, [b"x"]])
def test_data_that_is_not_bytes_is_refused(connect, bad):
    it = connect()
    from_314_on = sys.version_info >= (3, 14)
    kind = "a bytes, bytearray, or memoryview" if from_314_on else "a bytes-like"
    with pytest.raises(TypeError, match=f"data argument must be {kind} object, not '"):
        it.transport.write(bad)


def test_protocol_is_paused_above_the_high_water_mark_and_resumed_below_the_low(loop, connect):
    it = connect()
    it.transport.write(b"x" * MUCH)
    assert it.protocol.told[-1] == "pause"
    assert it.transport.get_write_buffer_size() > 0
    it.take(MUCH)
    turn_until(loop, lambda: it.protocol.told[-1] == "resume")
    assert it.transport.get_write_buffer_size() == 0


def test_what_is_written_after_a_full_kernel_keeps_its_order(connect):
    it = connect()
    it.transport.write(b"x" * MUCH)
    it.transport.write(b"the end")
    assert it.take(MUCH + 7).endswith(b"x" + b"the end")


def test_exception_of_pause_writing_is_told_and_the_connection_goes_on(loop, connect):
    got = []
    loop.set_exception_handler(lambda _, context: got.append(context["message"]))

    class Fails(Recorder):
        def pause_writing(self):
            raise ZeroDivisionError

    it = connect(Fails())
    it.transport.write(b"x" * MUCH)
    assert got == ["protocol.pause_writing() failed"]
    assert not it.transport.is_closing()


def test_interrupt_in_pause_writing_comes_out_of_the_write(connect):
    class Leaves(Recorder):
        def pause_writing(self):
            raise KeyboardInterrupt

    it = connect(Leaves())
    with pytest.raises(KeyboardInterrupt):
        it.transport.write(b"x" * MUCH)


def test_limits_are_what_was_set(connect):
    transport = connect().transport
    assert transport.get_write_buffer_limits() == (16384, 65536)
    transport.set_write_buffer_limits(high=1000)
    assert transport.get_write_buffer_limits() == (250, 1000)
    transport.set_write_buffer_limits(low=100)
    assert transport.get_write_buffer_limits() == (100, 400)
    for bad in ({"high": 1, "low": 2}, {"high": -1}, {"low": -1}):
        with pytest.raises(ValueError, match="must be >="):
            transport.set_write_buffer_limits(**bad)


def test_limits_may_be_any_numbers(connect):
    transport = connect().transport
    transport.set_write_buffer_limits(high=1e6)
    assert transport.get_write_buffer_limits() == (250_000, 1_000_000)
    transport.set_write_buffer_limits(high=2**70, low=1.0)
    low, high = transport.get_write_buffer_limits()
    assert low == 1
    assert high >= sys.maxsize
    transport.set_write_buffer_limits(high=float("inf"), low=0)
    transport.write(b"x" * MUCH)
    assert not transport.get_protocol().told.count("pause")
    with pytest.raises(ValueError, match=re.escape("high (1.5) must be >= low (2) must be >= 0")):
        transport.set_write_buffer_limits(high=1.5, low=2)
    with pytest.raises(TypeError):
        transport.set_write_buffer_limits(high="much")


def test_write_eof_ends_the_sending_side_after_what_was_written(loop, connect):
    it = connect()

    async def end():
        it.transport.write(b"last words")
        it.transport.write_eof()

    run(loop, end())
    assert it.transport.can_write_eof()
    assert drain(it.peer, 10) == b"last words"
    assert it.peer.recv(1) == b""
    with pytest.raises(RuntimeError, match="write_eof"):
        it.transport.write(b"more")
    it.peer.sendall(b"heard")
    turn_until(loop, lambda: it.protocol.data == b"heard")


def test_write_to_a_peer_that_has_reset_ends_the_connection(loop, connect):
    it = connect()
    it.transport.pause_reading()
    it.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    it.peer.close()
    turn_until(loop, lambda: it.transport.write(b"x") or it.protocol.told[-1] in LOST)


@pytest.mark.parametrize("call", ["write", "close", "abort", "pause_reading"])
def test_socket_that_was_closed_behind_its_transport_sends_nothing_by_another_one(loop, call):
    protocol, (own, peer) = Recorder(), socket.socketpair()
    transport, _ = run(loop, loop.create_connection(lambda: protocol, sock=own))
    number = own.fileno()
    own.close()
    other, far = socket.socketpair()
    if far.fileno() == number:
        other, far = far, other
    assert other.fileno() == number
    far.settimeout(DEADLINE)
    if call == "write":
        transport.write(b"secret")
        turn_until(loop, lambda: protocol.told[-1] == ("lost", "OSError"))
        assert protocol.error.errno == errno.EBADF
    elif call == "pause_reading":
        transport.pause_reading()
        turn(loop)
        transport.abort()
    else:
        getattr(transport, call)()
    turn_until(loop, lambda: isinstance(protocol.told[-1], tuple))
    # It is as it was, and can be another transport's.
    later = Recorder()
    second, _ = run(loop, loop.create_connection(lambda: later, sock=other))
    second.write(b"open")
    far.send(b"heard")
    turn_until(loop, lambda: later.data == b"heard")
    assert far.recv(10) == b"open"
    second.abort()
    turn_until(loop, lambda: later.told[-1] == ("lost", None))
    for each in (peer, far):
        each.close()


def test_end_of_a_transport_leaves_one_that_has_its_number_alone(ours):
    first, (own, peer) = Recorder(), socket.socketpair()
    transport, _ = run(ours, ours.create_connection(lambda: first, sock=own))
    number = own.fileno()
    own.close()
    other, far = socket.socketpair()
    if far.fileno() == number:
        other, far = far, other
    second = Recorder()
    run(ours, ours.create_connection(lambda: second, sock=other))
    transport.abort()
    turn_until(ours, lambda: first.told[-1] == ("lost", None))
    far.send(b"heard")
    turn_until(ours, lambda: second.data == b"heard")
    second.transport.abort()
    turn_until(ours, lambda: second.told[-1] == ("lost", None))
    for each in (peer, far):
        each.close()


@pytest.fixture(params=["tcp", "unix"])
def either(request, loop):
    """A transport over TCP or a Unix socket, its protocol and the other end as a plain socket."""
    protocol = Recorder()
    if request.param == "tcp":
        transport, peer = connected(loop, protocol)
    else:
        own, peer = socket.socketpair()
        peer.settimeout(DEADLINE)
        transport, _ = run(loop, loop.create_connection(lambda: protocol, sock=own))
    yield transport, protocol, peer
    peer.close()
    transport.abort()
    turn_until(loop, lambda: protocol.told[-1] in LOST)


def test_answer_of_a_peer_that_left_while_writing_was_blocked_is_delivered_before_the_loss(loop, either):
    transport, protocol, peer = either
    transport.write(b"x" * MUCH)
    peer.sendall(b"413 too large")
    peer.close()
    turn_until(loop, lambda: protocol.told[-1] in LOST)
    assert protocol.data == b"413 too large"
    # The end of the flow control comes after what came before it.
    assert protocol.told[:3] == ["made", "pause", "data"]


def test_answer_of_a_peer_that_left_within_the_step_that_wrote_is_delivered_before_the_loss(loop, either):
    transport, protocol, peer = either

    def step():
        transport.write(b"x")
        peer.sendall(b"bye")
        peer.close()

    loop.call_soon(step)
    turn_until(loop, lambda: protocol.told[-1] in LOST)
    assert protocol.data == b"bye"


def test_long_answer_of_a_peer_that_left_within_the_step_that_wrote_is_delivered_whole(loop):
    protocol, (own, peer) = Recorder(), socket.socketpair()
    transport, _ = run(loop, loop.create_connection(lambda: protocol, sock=own))
    # More than is received at once.
    for raw in (own, peer):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    peer.setblocking(False)
    sent = []

    def step():
        transport.write(b"x")
        with contextlib.suppress(BlockingIOError):
            while True:
                sent.append(peer.send(b"y" * 10_000))
        peer.close()

    loop.call_soon(step)
    turn_until(loop, lambda: protocol.told[-1] in LOST)
    assert len(protocol.data) == sum(sent) > 256 * 1024


def test_loss_of_a_peer_that_left_with_bytes_unread_is_a_reset(loop):
    protocol, (own, peer) = Recorder(), socket.socketpair()
    transport, _ = run(loop, loop.create_connection(lambda: protocol, sock=own))
    transport.write(b"x" * MUCH)
    peer.close()
    turn_until(loop, lambda: protocol.told[-1] in LOST)
    assert protocol.told[-1] == ("lost", "ConnectionResetError")
