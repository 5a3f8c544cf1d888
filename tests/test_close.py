"""``close_socket``: what is still sent, what is dropped, what no longer runs (contract, section 2)."""

from __future__ import annotations

import errno
import gc
import socket
import threading
import time
import weakref

import pytest

import asynctcp
from asynctcp import SocketClosed, delay, tcp_connect
from helpers import (
    LOOPBACK,
    MUCH,
    SOON,
    after_quiet,
    all_acknowledged,
    fail,
    ignore,
    receive_all,
    reset,
    run,
    wait_until,
    wait_until_queued,
    when,
)

#: What each test runs over, unless it is about TCP itself.
WIRES = ("tcp", "tls", "unix")

MEGABYTE = bytes(range(256)) * 4096


def closed_socket(peers):
    """Return a socket that was connected and closed, of a loop that has ended."""
    kept = []
    run(lambda: peers.link(lambda ours, _raw: (kept.append(ours), ours.close())))
    return kept[0]


OPERATIONS = {
    "write": lambda s: s.write(b"x"),
    "write of nothing": lambda s: s.write(b""),
    "write with callbacks": lambda s: s.write(b"x", read_cb=ignore, write_cb=ignore, event_cb=ignore),
    "set_callbacks": lambda s: s.set_callbacks(read_cb=None),
    "set_timeouts": lambda s: s.set_timeouts(1, 1),
    "enable read": lambda s: s.enable(read=True),
    "enable nothing": lambda s: s.enable(),
    "disable write": lambda s: s.disable(write=True),
    "disable nothing": lambda s: s.disable(),
    "shutdown_write": lambda s: s.shutdown_write(),
    "set_write_buffer_limits": lambda s: s.set_write_buffer_limits(2, 1),
    "set_nodelay": lambda s: s.set_nodelay(True),
    "set_keepalive": lambda s: s.set_keepalive(True),
    "fileno": lambda s: s.fileno(),
    "write_socket_data": lambda s: asynctcp.write_socket_data(s, b"x"),
    "close_socket": asynctcp.close_socket,
    "set_socket_timeouts": lambda s: asynctcp.set_socket_timeouts(s, 1, 1),
    "enable_socket": lambda s: asynctcp.enable_socket(s, read=True),
    "disable_socket": lambda s: asynctcp.disable_socket(s, read=True),
}


# --- the closed state ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_operation_on_a_closed_socket_raises_socket_closed(operation, peers):
    seen = []

    def use(ours, _raw):
        ours.close()
        with pytest.raises(SocketClosed) as caught:
            operation(ours)
        seen.append((caught.value.errcode, caught.value.socket is ours))

    run(lambda: peers.link(use))
    assert seen == [(errno.EBADF, True)]


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_operation_on_a_socket_of_an_ended_loop_raises_socket_closed(operation, peers):
    ours = closed_socket(peers)
    with pytest.raises(SocketClosed):
        operation(ours)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_operation_after_a_condition_closed_the_socket_raises_socket_closed(operation, peers):
    kept = []
    run(lambda: kept.append(peers.link(lambda _ours, raw: reset(raw), None, ignore)))
    with pytest.raises(SocketClosed):
        operation(kept[0])


@pytest.mark.parametrize("force", [False, True])
def test_closing_a_closed_socket_again_does_nothing(force, peers):
    def use(ours, _raw):
        ours.close()
        ours.close(force=force)
        kept.append(ours)

    kept = []
    run(lambda: peers.link(use))
    kept[0].close(force=force)
    assert kept[0].closed


@pytest.mark.tcp_only
def test_closing_a_socket_that_a_condition_closed_does_nothing(peers):
    kept = []
    run(lambda: kept.append(peers.link(lambda _ours, raw: reset(raw), None, ignore)))
    kept[0].close()
    assert isinstance(kept[0].close_reason, asynctcp.TcpReset)


def test_closed_socket_still_answers_questions(peers):
    ours = closed_socket(peers)
    assert ours.closed
    assert asynctcp.socket_closed_p(ours)
    assert (ours.data, asynctcp.socket_data(ours), ours.write_buffer_size) == (None, None, 0)
    assert "closed" in repr(ours)


def test_data_of_a_closed_socket_can_be_set(peers):
    ours = closed_socket(peers)
    ours.data = "kept"
    assert asynctcp.socket_data(ours) == "kept"


# --- what is sent -------------------------------------------------------------------------------------------


def test_megabyte_written_before_close_arrives(peers, spawn):
    got = []

    def use(ours, raw):
        spawn(lambda: got.append(receive_all(raw)))
        ours.write(MEGABYTE)
        ours.close()

    run(lambda: peers.link(use))
    wait_until(lambda: got)
    assert got[0] == MEGABYTE


@pytest.mark.parametrize("unread", [1, 1000, 200_000])
def test_megabyte_arrives_though_the_peers_bytes_were_not_read(unread, peers, spawn):
    got = []

    def use(ours, raw):
        ours.disable(read=True)
        raw.sendall(bytes(unread))
        ours.write(MEGABYTE)
        ours.close()
        spawn(lambda: got.append(slowly(raw)))

    run(lambda: peers.link(use, fail))
    wait_until(lambda: got)
    assert got[0] == MEGABYTE


def slowly(raw):
    """All that comes, with a pause after each piece at first."""
    pieces = []
    while piece := raw.recv(100_000):
        pieces.append(piece)
        if len(pieces) < 10:
            time.sleep(0.002)
    return b"".join(pieces)


def test_megabyte_arrives_though_the_peer_goes_on_sending(peers, spawn):
    got = []

    def peer(raw):
        raw.sendall(b"x" * 100_000)
        got.append(slowly(raw))

    def use(ours, raw):
        spawn(peer, raw)
        ours.write(MEGABYTE)
        delay(ours.close, 0.002)

    run(lambda: peers.link(use))
    wait_until(lambda: got)
    assert got[0] == MEGABYTE


@pytest.mark.parametrize("where", ["connect_cb", "read_cb", "write_cb", "delay"])
def test_close_in_any_callback_loses_nothing(where, peers, spawn):
    got = []

    def finish(ours):
        ours.write(MEGABYTE)
        ours.close()

    def use(ours, raw):
        raw.sendall(b"x")
        spawn(lambda: got.append(receive_all(raw)))
        if where == "connect_cb":
            finish(ours)
        elif where == "write_cb":
            ours.write(b"", write_cb=finish)
        elif where == "delay":
            delay(lambda: finish(ours))

    run(lambda: peers.link(use, (lambda ours, _: finish(ours)) if where == "read_cb" else None))
    wait_until(lambda: got)
    assert got[0] == MEGABYTE


@pytest.mark.tcp_only
def test_close_in_the_write_cb_with_bytes_unread_loses_nothing(peers, spawn):
    got = []

    def use(ours, raw):
        ours.disable(read=True)
        raw.sendall(b"not read")
        spawn(lambda: got.append(slowly(raw)))
        when(
            lambda: all_acknowledged(raw),
            lambda: ours.write(MEGABYTE, write_cb=lambda s: s.close()),
        )

    run(lambda: peers.link(use, fail))
    wait_until(lambda: got)
    assert got[0] == MEGABYTE


@pytest.mark.tcp_only
def test_close_while_connecting_still_sends_what_was_written(peers):
    def start():
        ours = tcp_connect(*peers.address, fail, fail, connect_cb=fail, write_cb=fail, data=b"data ")
        ours.write(b"and more")
        ours.close()

    run(start)
    assert receive_all(peers.accept()) == b"data and more"


@pytest.mark.parametrize("io_threads", [0, 2])
@pytest.mark.tcp_only
def test_close_after_the_data_went_out_but_before_connect_cb_loses_nothing(io_threads, peers):
    """Python is busy: other threads connect and send, while the app does not know of it yet."""

    def connect_and_close():
        ours = tcp_connect(*peers.address, fail, fail, connect_cb=fail, data=b"data")
        raws.append(peers.accept())
        assert raws[0].recv(4, socket.MSG_PEEK) == b"data"
        ours.close()

    raws = []
    run(lambda: delay(connect_and_close, 0.01), loop=asynctcp.EventLoop(io_threads=io_threads))
    assert receive_all(raws[0]) == b"data"


@pytest.mark.tcp_only
def test_close_while_connecting_by_name_still_sends_what_was_written(peers):
    run(lambda: tcp_connect("localhost", peers.address[1], fail, fail, connect_cb=fail, data=b"data").close())
    assert receive_all(peers.accept()) == b"data"


def test_close_while_connecting_to_nobody_tells_nothing(peers):
    run(lambda: tcp_connect(LOOPBACK, peers.free_port(), fail, fail, connect_cb=fail, data=b"x").close())


def test_close_while_writing_is_disabled_still_sends(peers):
    kept = []

    def use(ours, raw):
        kept.append(raw)
        ours.disable(write=True)
        ours.write(b"written while disabled")
        ours.close()

    run(lambda: peers.link(use))
    assert receive_all(kept[0]) == b"written while disabled"


def test_loop_does_not_return_before_a_closed_socket_has_sent(peers):
    kept = []

    def use(ours, raw):
        kept.append(raw)
        ours.write(bytes(MUCH))
        ours.close()
        delay(lambda: seen.append("loop runs"), 0.02)
        delay(lambda: thread_reads(raw), 0.03)

    def thread_reads(raw):
        threads.append(threading.Thread(target=lambda: seen.append(len(receive_all(raw)))))
        threads[0].start()

    seen, threads = [], []
    run(lambda: peers.link(use))
    threads[0].join()
    assert seen == ["loop runs", MUCH]


def test_close_after_shutdown_write_loses_nothing(peers):
    kept = []

    def use(ours, raw):
        kept.append(raw)
        ours.write(b"x")
        ours.shutdown_write()
        ours.close()

    run(lambda: peers.link(use))
    assert receive_all(kept[0]) == b"x"


def test_idle_connection_that_is_closed_ends_with_a_fin(peers):
    kept = []
    run(lambda: peers.link(lambda ours, raw: (kept.append(raw), ours.close())))
    assert kept[0].recv(1) == b""


def test_closing_socket_is_given_up_after_the_write_timeout_without_progress(peers):
    kept = []

    def use(ours, raw):
        kept.append(raw)
        ours.set_timeouts(None, 0.1)
        ours.write(bytes(MUCH))
        ours.close()

    begun = time.monotonic()
    run(lambda: peers.link(use, fail, fail))
    assert 0.1 <= time.monotonic() - begun < SOON


@pytest.mark.slow
@pytest.mark.tcp_only
def test_closing_socket_with_a_slow_reader_is_not_given_up(peers, spawn):
    got = []

    def slow(raw):
        total = 0
        while piece := raw.recv(1 << 20):
            total += len(piece)
            if total < MUCH // 2:
                time.sleep(0.08)
        got.append(total)

    def use(ours, raw):
        ours.set_timeouts(None, 0.6)
        ours.write(bytes(MUCH))
        ours.close()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        spawn(slow, raw)

    run(lambda: peers.link(use))
    wait_until(lambda: got)
    assert got == [MUCH]


@pytest.mark.parametrize("set_before", [True, False], ids=["at tcp_connect", "by set_timeouts"])
def test_closing_socket_that_never_connects_is_given_up_after_the_write_timeout(set_before, peers):
    def start():
        timeout = 0.1 if set_before else -1
        ours = tcp_connect(*peers.black_hole(), fail, fail, connect_cb=fail, data=b"x", write_timeout=timeout)
        delay(lambda: close(ours), 0.02)

    def close(ours):
        ours.set_timeouts(None, 0.1)
        ours.close()

    begun = time.monotonic()
    run(start)
    assert time.monotonic() - begun < SOON


def test_closing_an_attempt_with_nothing_to_send_ends_the_loop_at_once(peers):
    begun = time.monotonic()
    run(lambda: tcp_connect(*peers.black_hole(), fail, fail, connect_cb=fail).close())
    assert time.monotonic() - begun < SOON


# --- force --------------------------------------------------------------------------------------------------


@pytest.mark.tcp_only
def test_force_resets_the_connection(peers):
    kept = []
    run(lambda: peers.link(lambda ours, raw: (kept.append(raw), ours.close(force=True))))
    with pytest.raises(ConnectionResetError):
        kept[0].recv(1)


@pytest.mark.tcp_only
def test_force_drops_what_was_written(peers):
    kept = []

    def use(ours, raw):
        kept.append(raw)
        ours.write(b"dropped")
        asynctcp.close_socket(ours, force=True)

    run(lambda: peers.link(use))
    with pytest.raises(ConnectionResetError):
        kept[0].recv(10)


def test_force_while_connecting_ends_the_attempt(peers):
    begun = time.monotonic()
    run(lambda: tcp_connect(*peers.black_hole(), fail, fail, connect_cb=fail, data=b"x").close(force=True))
    assert time.monotonic() - begun < SOON


def test_force_while_a_name_is_looked_up_ends_the_attempt():
    begun = time.monotonic()
    run(
        lambda: tcp_connect("no-such-host.invalid", 80, fail, fail, connect_cb=fail, data=b"x").close(
            force=True
        )
    )
    assert time.monotonic() - begun < SOON


def test_force_with_much_waiting_does_not_keep_the_loop(peers):
    def use(ours, _raw):
        ours.write(bytes(MUCH))
        delay(lambda: ours.close(force=True), 0.01)

    begun = time.monotonic()
    run(lambda: peers.link(use))
    assert time.monotonic() - begun < SOON


# --- nothing runs after close -------------------------------------------------------------------------------


@pytest.mark.parametrize("force", [False, True])
def test_no_callback_runs_after_close_though_events_are_queued(force, peers):
    def use(ours, raw):
        # The helper thread queues what came, what has left and the end, while this callback runs.
        raw.sendall(b"data")
        ours.write(b"x", write_cb=fail)
        wait_until(lambda: ours.bytes_read and not ours.write_buffer_size)
        assert raw.recv(1) == b"x"
        queued = asynctcp.stats()["queued_events"]
        raw.close()
        wait_until_queued(queued + 1)
        ours.close(force=force)
        after_quiet(ignore)

    run(lambda: peers.link(use, fail, fail))


def test_close_by_another_sockets_callback_voids_queued_events(peers, log):
    ours = []

    def read(socket, data):
        log.read(socket, data)
        next(one for one in ours if one is not socket).close()

    def use(socket, raw):
        ours.append(socket)
        socket.data = raw
        if len(ours) == 2:
            for one in ours:
                one.data.sendall(b"x")
            wait_until(lambda: all(one.bytes_read for one in ours))  # both are queued in one batch
            after_quiet(lambda: [one.close() for one in ours if not one.closed])

    run(lambda: [peers.link(use, read, fail) for _ in range(2)])
    assert log.told == [b"x"]


def test_close_in_a_read_cb_drops_the_data_that_follows(peers, log):
    def read(ours, data):
        log.read(ours, data)
        ours.close()

    run(lambda: peers.link(lambda _ours, raw: (raw.sendall(bytes(300_000)), raw.close()), read, fail))
    assert len(log.told) == 1


def test_close_releases_the_callbacks_at_once(peers):
    class Callback:
        def __call__(self, *_):
            return None

    seen = []

    def use(ours, _raw):
        callback = Callback()
        dead = weakref.ref(callback)
        ours.write(b"x", read_cb=callback, write_cb=callback, event_cb=callback)
        del callback
        seen.append(dead() is None)
        ours.close()
        gc.collect()
        seen.append(dead() is None)

    run(lambda: peers.link(use))
    assert seen == [False, True]


def test_connect_and_close_raced_a_hundred_times_leaves_nothing():
    with socket.create_server((LOOPBACK, 0), backlog=128) as listener:
        run(lambda: close_race(listener.getsockname()))


def close_race(address):
    """Connect and close at all stages of connecting."""
    for number in range(100):
        ours = tcp_connect(*address, None, ignore, data=b"x" if number % 2 else None)
        force = number % 3 == 0
        delay(lambda ours=ours, force=force: ours.closed or ours.close(force=force), number % 5 / 2000)
