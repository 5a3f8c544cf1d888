"""`socket.detach()`: a connection given away with what was not delivered (docs/contract.md, section 2)."""

from __future__ import annotations

import errno
import os
import socket
import threading

import pytest

import asynctcp
from asynctcp import EventLoop, adopt_tcp_socket, delay
from helpers import (
    DEADLINE,
    MUCH,
    Serving,
    after_quiet,
    fail,
    ignore,
    receive_all,
    reset,
    run,
    wait_until,
    wait_until_queued,
    when,
)

LOOPS = {"plain": {}, "threads": {"io_threads": 1}}


@pytest.fixture(params=LOOPS)
def loop(request):
    """A loop that drives itself, or one with a thread for it."""
    return EventLoop(**LOOPS[request.param])


@pytest.fixture
def keep(peers):
    """Take what ``detach()`` returned, to be closed at the end."""

    def keep(detached):
        sock, unread = detached
        assert type(sock) is socket.socket
        assert type(unread) is bytes
        return peers.keep(sock), unread

    return keep


def test_detached_connection_goes_on_in_both_directions(loop, peers, keep):
    def use(ours, raw):
        ours.write(b"written before ")
        names = ours.peername, ours.sockname
        kept.extend([*keep(ours.detach()), raw])
        assert ours.closed
        assert (kept[0].getpeername(), kept[0].getsockname()) == names

    kept = []
    run(lambda: peers.link(use, fail, fail), loop=loop)
    sock, unread, raw = kept
    assert unread == b""
    sock.sendall(b"and after")
    sock.shutdown(socket.SHUT_WR)
    assert receive_all(raw) == b"written before and after"
    raw.sendall(b"answer")
    assert sock.recv(100) == b"answer"


def test_detached_socket_blocks_as_a_new_one(peers):
    def use(ours, _raw):
        sock, _ = ours.detach()
        modes.append((sock.gettimeout(), sock.getblocking(), os.get_blocking(sock.fileno())))
        sock.close()

    modes = []
    run(lambda: peers.link(use))
    assert modes == [(None, True, True)]


def test_detached_connection_is_not_ended_with_its_loop(loop, peers, keep):
    """Neither a FIN nor a reset comes, whatever the loop still has to do."""

    def use(ours, raw):
        kept.extend([*keep(ours.detach()), raw])
        after_quiet(asynctcp.exit_event_loop)

    kept = []
    run(lambda: peers.link(use), loop=loop)
    sock, _, raw = kept
    raw.setblocking(False)
    with pytest.raises(BlockingIOError):
        raw.recv(1)
    sock.close()
    raw.settimeout(DEADLINE)
    assert raw.recv(1) == b""


def test_close_cb_of_a_detached_socket_has_no_reason(peers, keep):
    def use(ours, _raw):
        keep(ours.detach())

    told = []
    run(lambda: peers.link(use, fail, fail, close_cb=lambda _ours, reason: told.append(reason)))
    assert told == [None]


def test_bytes_held_back_are_unread(loop, peers, keep):
    def use(ours, raw):
        ours.disable(read=True)
        raw.sendall(b"held ")
        raw.sendall(b"back")
        when(lambda: ours.bytes_read or True, lambda: delay(lambda: give(ours), 0.02))

    def give(ours):
        sock, unread = keep(ours.detach())
        got.append(unread + sock.recv(100) if len(unread) < 9 else unread)

    got = []
    run(lambda: peers.link(use, fail, fail), loop=loop)
    assert got == [b"held back"]


class Flow:
    """A peer that sends all the time, and all that came, in order, whoever received it."""

    def __init__(self, size):
        self.size = size
        self.wanted = b"".join(b"%9d\n" % number for number in range(size // 2))
        self.got = []
        self.sock = None

    def send(self, raw):
        for start in range(0, len(self.wanted), self.size):
            raw.sendall(self.wanted[start : start + self.size])
        raw.shutdown(socket.SHUT_WR)

    def read(self, _ours, data):
        self.got.append(data)

    def give(self, ours):
        if not ours.closed:
            self.sock, unread = ours.detach()
            self.got.append(unread)

    def whole(self):
        if self.sock is not None:
            with self.sock:
                self.got.append(receive_all(self.sock))
        return b"".join(self.got)


@pytest.fixture(params=[10, 300_000], ids=["small", "large"])
def flow(request):
    return Flow(request.param)


def test_bytes_are_delivered_unread_or_in_the_kernel_if_a_read_cb_detaches(flow, loop, peers, spawn):
    def read(ours, data):
        flow.read(ours, data)
        flow.give(ours)

    run(lambda: peers.link(lambda _ours, raw: spawn(flow.send, raw), read, ignore), loop=loop)
    assert flow.whole() == flow.wanted


def test_bytes_are_delivered_unread_or_in_the_kernel_if_a_timer_detaches(flow, loop, peers, spawn):
    def use(ours, raw):
        spawn(flow.send, raw)
        delay(lambda: flow.give(ours), 0.003)

    run(lambda: peers.link(use, flow.read, ignore), loop=loop)
    assert flow.whole() == flow.wanted


def test_bytes_that_are_queued_while_python_is_busy_are_unread(flow, loop, peers, spawn):
    def use(ours, raw):
        spawn(flow.send, raw)
        wait_until(lambda: loop.stats()["queued_bytes"] > 0)
        flow.give(ours)

    run(lambda: peers.link(use, fail, fail), loop=loop)
    assert len(flow.got[0]) > 0
    assert flow.whole() == flow.wanted


def test_later_events_of_the_same_batch_are_unread(peers, keep, log):
    """Two connections have data in one batch; the callback of the first detaches the second."""

    def start():
        serving = Serving(log)
        raws.extend([peers.connect(serving.server), peers.connect(serving.server)])
        when(lambda: len(serving.sockets) == 2, lambda: both(serving))

    def both(serving):
        serving.server.close()
        for ours in serving.sockets:
            ours.set_callbacks(read_cb=read)
        for raw in raws:
            raw.sendall(b"data")
        held.extend(serving.sockets)
        # Both have come when this callback is over.
        wait_until(lambda: asynctcp.stats()["queued_bytes"] == 8)

    def read(ours, data):
        other = next(one for one in held if one is not ours)
        got.append((data, keep(other.detach())[1]))
        ours.close()

    raws, held, got = [], [], []
    run(start)
    assert got == [(b"data", b"data")]


def test_end_of_stream_that_was_not_told_is_met_by_the_new_owner(peers, keep):
    def use(ours, raw):
        ours.disable(read=True)
        raw.sendall(b"last")
        raw.close()
        delay(lambda: give(ours), 0.02)

    def give(ours):
        sock, unread = keep(ours.detach())
        got.append(unread + receive_all(sock))

    got = []
    run(lambda: peers.link(use, fail, fail))
    assert got == [b"last"]


def test_bytes_that_the_kernel_does_not_take_are_an_error_and_nothing_is_lost(peers, keep, spawn):
    def use(ours, raw):
        kept.append(raw)
        ours.write(bytes(MUCH))
        with pytest.raises(BlockingIOError) as caught:
            ours.detach()
        assert caught.value.errno == errno.EAGAIN
        assert not ours.closed
        ours.set_callbacks(write_cb=flushed)
        spawn(lambda: got.append(len(receive_all(raw))))

    def flushed(ours):
        sock, _ = keep(ours.detach())
        sock.shutdown(socket.SHUT_WR)

    kept, got = [], []
    run(lambda: peers.link(use))
    wait_until(lambda: got)
    assert got == [MUCH]


def test_bytes_of_a_socket_that_may_not_write_are_an_error(peers):
    def use(ours, _raw):
        ours.disable(write=True)
        ours.write(b"x")
        with pytest.raises(BlockingIOError):
            ours.detach()
        ours.enable(write=True)
        ours.close()
        done.append(True)

    done = []
    run(lambda: peers.link(use))
    assert done


def test_half_closed_connection_is_detached_with_its_end_sent(peers, keep):
    def use(ours, raw):
        ours.write(b"all")
        ours.shutdown_write()
        kept.extend([keep(ours.detach())[0], raw])

    kept = []
    run(lambda: peers.link(use))
    assert receive_all(kept[1]) == b"all"


def test_socket_that_is_not_connected_is_not_detached(peers):
    def look():
        ours = asynctcp.init_tcp_socket(None)
        with pytest.raises(asynctcp.TcpError) as caught:
            ours.detach()
        assert caught.value.errno == errno.ENOTCONN
        connecting = asynctcp.tcp_connect(*peers.black_hole(), None)
        with pytest.raises(asynctcp.TcpError, match="not connected"):
            connecting.detach()
        connecting.close(force=True)
        with pytest.raises(asynctcp.SocketClosed):
            connecting.detach()
        done.append(True)

    done = []
    run(look)
    assert done


def test_broken_connection_is_not_detached(peers):
    def use(ours, raw):
        reset(raw)
        ours.disable(read=True)
        delay(lambda: attempt(ours), 0.02)

    def attempt(ours):
        if not ours.closed:
            ours.write(b"x")
            with pytest.raises(asynctcp.TcpError):
                ours.detach()
        done.append(True)

    done = []
    run(lambda: peers.link(use, None, ignore))
    assert done


def test_connection_whose_failure_waits_behind_held_data_is_not_detached(peers):
    def use(_ours, raw):
        raw.sendall(b"told")
        raws.append(raw)

    def read(ours, _data):
        raws[0].sendall(b"held")
        wait_until_queued(1)
        ours.disable(read=True)
        reset(raws[0])
        after_quiet(lambda: attempt(ours))

    def attempt(ours):
        with pytest.raises(asynctcp.TcpError) as caught:
            ours.detach()
        told.append(caught.value.errno)
        ours.enable(read=True)
        ours.set_callbacks(read_cb=lambda _ours, data: told.append(data))

    raws, told = [], []
    run(lambda: peers.link(use, read, lambda condition: told.append(type(condition).__name__)))
    assert told == [errno.ENOTCONN, b"held", "TcpReset"]


def test_socket_is_detached_in_its_loop_only(peers):
    def use(ours, _raw):
        thread = threading.Thread(target=attempt, args=(ours,))
        thread.start()
        thread.join()
        ours.close()

    def attempt(ours):
        with pytest.raises(asynctcp.EventLoopError):
            ours.detach()
        done.append(True)

    done = []
    run(lambda: peers.link(use))
    assert done


def test_detached_connection_is_adopted_again(peers, log):
    def use(ours, raw):
        raw.sendall(b"x")
        delay(lambda: again(ours, raw), 0.02)

    def again(ours, raw):
        sock, unread = ours.detach()
        log.told.append(unread)
        adopt_tcp_socket(sock, log.read, log.event, connect_cb=log.connect)
        raw.sendall(b"y")
        raw.close()

    run(lambda: peers.link(lambda ours, raw: (ours.disable(read=True), use(ours, raw)), fail, fail))
    assert log.joined() == b"xy"
    assert log.order()[-1] == "TcpEof"


def test_unix_connection_is_detached(keep, peers):
    one, other = socket.socketpair()
    peers.keep(other)

    def use(ours):
        ours.write(b"x")
        sock, _ = keep(ours.detach())
        assert sock.family == socket.AF_UNIX
        sock.sendall(b"y")
        kept.append(sock)

    kept = []
    run(lambda: adopt_tcp_socket(one, None, connect_cb=use))
    kept[0].shutdown(socket.SHUT_WR)
    assert receive_all(other) == b"xy"


def test_server_counts_a_detached_connection_no_more(peers, keep, log):
    def welcome(ours):
        serving.server.close()
        keep(ours.detach())
        when(lambda: serving.server.connections == 0, lambda: done.append(True))

    def start():
        nonlocal serving
        serving = Serving(log, connect_cb=welcome)
        peers.connect(serving.server)

    serving, done = None, []
    run(start)
    assert done


def test_pumped_loop_gives_a_connection_away(peers, keep):
    loop = EventLoop()
    kept = []

    def use(ours, raw):
        raw.sendall(b"x")
        kept.extend([*keep(ours.detach()), raw])

    loop.call_soon_threadsafe(lambda: peers.link(use))
    wait_until(lambda: loop.pump(0.01) >= 0 and kept)
    loop.exit()
    sock, unread, raw = kept
    assert (unread or sock.recv(1)) == b"x"
    sock.sendall(b"y")
    assert raw.recv(1) == b"y"


def test_os_socket_is_closed_with_a_detached_one(peers, keep):
    def use(ours, _raw):
        c = ours.c
        keep(ours.detach())
        seen.append(c.fileno())

    seen = []
    run(lambda: peers.link(use))
    assert seen == [-1]


def test_many_connections_are_detached_in_one_turn(peers, keep, log):
    def start():
        serving = Serving(log)
        raws.extend(peers.connect(serving.server) for _ in range(50))
        when(lambda: len(serving.sockets) == 50, lambda: all_of(serving))

    def all_of(serving):
        serving.server.close()
        for raw in raws:
            raw.sendall(b"x" * 100)
        for ours in serving.sockets:
            sock, unread = keep(ours.detach())
            got.append(unread + (b"" if len(unread) == 100 else sock.recv(100 - len(unread))))

    raws, got = [], []
    run(start)
    assert got == [b"x" * 100] * 50
