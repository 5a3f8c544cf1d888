"""Names, options, counters and identity of a ``Socket`` (docs/contract.md, section 2)."""

from __future__ import annotations

import os
import re
import socket
import typing
import weakref

import pytest

import asynctcp
from asynctcp import exit_event_loop, tcp_connect
from helpers import LOOPBACK, ignore, run, when


def inside(peers, look, **keywords):
    """What ``look(socket, raw)`` returns for a connected socket."""
    seen = []

    def use(ours, raw):
        seen.append(look(ours, raw))
        if not ours.closed:
            ours.close()

    run(lambda: peers.link(use, **keywords))
    return seen[0]


def test_peername_and_sockname_are_those_of_the_connection(peers):
    seen = inside(
        peers, lambda ours, raw: (ours.peername, ours.sockname, raw.getsockname(), raw.getpeername())
    )
    assert seen[:2] == seen[2:]


@pytest.mark.parametrize("io_threads", [0, 2])
def test_names_and_descriptor_are_there_in_every_connect_cb(io_threads):
    wrong = []

    def connected(ours):
        if ours.peername != server.address or ours.sockname is None or ours.fileno() < 0:
            wrong.append(ours)
        ours.close()

    def start():
        nonlocal server
        server = asynctcp.tcp_server(LOOPBACK, 0, None, ignore)
        for _ in range(200):
            tcp_connect(*server.address, None, connect_cb=connected)
        when(lambda: asynctcp.stats()["outgoing_tcp_connections"] == 0, server.close)

    server = None
    run(start, loop=asynctcp.EventLoop(io_threads=io_threads))
    assert wrong == []


def test_names_are_none_before_the_connection_exists(peers):
    def start():
        ours = tcp_connect(*peers.address, None)
        assert (ours.peername, ours.sockname, ours.fileno()) == (None, None, -1)
        ours.close()

    run(start)


def test_names_are_kept_after_closing(peers):
    kept = []
    run(lambda: peers.link(lambda ours, _raw: (kept.append(ours), ours.close())))
    assert kept[0].peername == peers.address


def test_fileno_is_the_descriptor_of_the_connection(peers):
    def look(ours, raw):
        with socket.fromfd(ours.fileno(), socket.AF_INET, socket.SOCK_STREAM) as twin:
            return twin.getpeername() == raw.getsockname()

    assert inside(peers, look)


def test_descriptor_is_not_inherited(peers):
    assert inside(peers, lambda ours, _raw: os.get_inheritable(ours.fileno())) is False


def option(ours, level, name):
    with socket.fromfd(ours.fileno(), socket.AF_INET, socket.SOCK_STREAM) as twin:
        return twin.getsockopt(level, name)


def test_nodelay_is_on_by_default(peers):
    assert inside(peers, lambda ours, _raw: option(ours, socket.IPPROTO_TCP, socket.TCP_NODELAY))


def test_nodelay_is_on_for_a_servers_connections(peers, log):
    def welcome(ours):
        log.told.append(bool(option(ours, socket.IPPROTO_TCP, socket.TCP_NODELAY)))
        exit_event_loop()

    run(lambda: peers.connect(asynctcp.tcp_server(LOOPBACK, 0, None, connect_cb=welcome)))
    assert log.told == [True]


@pytest.mark.parametrize("on", [True, False])
def test_set_nodelay_sets_the_option(on, peers):
    def look(ours, _raw):
        ours.set_nodelay(on)
        return bool(option(ours, socket.IPPROTO_TCP, socket.TCP_NODELAY))

    assert inside(peers, look) is on


def test_keepalive_sets_all_four_options(peers):
    def look(ours, _raw):
        ours.set_keepalive(True, idle=7, interval=3, count=2)
        names = [socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT]
        on = option(ours, socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        return [on, *(option(ours, socket.IPPROTO_TCP, name) for name in names)]

    assert inside(peers, look) == [1, 7, 3, 2]


def test_keepalive_can_be_switched_off(peers):
    def look(ours, _raw):
        ours.set_keepalive(True)
        ours.set_keepalive(False, idle=7)
        return option(ours, socket.SOL_SOCKET, socket.SO_KEEPALIVE)

    assert inside(peers, look) == 0


@pytest.mark.parametrize("begin", [tcp_connect, "init"])
def test_options_set_before_the_connection_hold_in_the_connect_cb(begin, peers):
    seen = []

    def connected(ours):
        seen.append(option(ours, socket.IPPROTO_TCP, socket.TCP_NODELAY))
        seen.append(option(ours, socket.IPPROTO_TCP, socket.TCP_KEEPIDLE))
        ours.close()

    def start():
        if begin == "init":
            ours = asynctcp.init_tcp_socket(None, connect_cb=connected)
        else:
            ours = begin(*peers.address, None, connect_cb=connected)
        ours.set_nodelay(False)
        ours.set_keepalive(True, idle=7)
        if begin == "init":
            asynctcp.connect_tcp_socket(ours, *peers.address)

    run(start)
    assert seen == [0, 7]


def test_option_that_the_system_refuses_is_told_when_it_is_set(peers):
    def look(ours, _raw):
        with pytest.raises(OSError, match="Invalid"):
            ours.set_keepalive(True, count=1000)

    inside(peers, look)


# --- socket_c -----------------------------------------------------------------------------------------------


def test_os_socket_is_over_the_same_connection(peers):
    def look(ours, raw):
        below = ours.c
        below.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        same = option(ours, socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0
        return isinstance(below, socket.socket), same, below.getpeername() == raw.getsockname()

    assert inside(peers, look) == (True, True, True)


def test_os_socket_is_the_same_object_each_time(peers):
    assert inside(peers, lambda ours, _raw: ours.c is asynctcp.socket_c(ours))


def test_os_socket_of_a_stream_is_that_of_its_socket(peers):
    assert inside(peers, lambda ours, _raw: asynctcp.socket_c(ours.stream) is ours.c, stream=True)


def test_os_socket_is_none_before_a_connection_exists(peers):
    def start():
        idle = asynctcp.init_tcp_socket(None)
        connecting = tcp_connect(*peers.address, None)
        assert (idle.c, connecting.c) == (None, None)
        idle.close()
        connecting.close()

    run(start)


@pytest.mark.parametrize(
    "end", [lambda s: s.close(), lambda s: s.close(force=True), lambda _: exit_event_loop()]
)
def test_os_socket_is_closed_with_the_socket(end, peers):
    kept = []

    def use(ours, _raw):
        kept.append(ours.c)
        end(ours)

    run(lambda: peers.link(use))
    assert kept[0].fileno() == -1


def test_os_socket_is_closed_with_the_end_of_the_stream(peers):
    kept = []

    def use(ours, raw):
        kept.append(ours.c)
        raw.close()

    run(lambda: peers.link(use))
    assert kept[0].fileno() == -1


def test_os_socket_of_a_closed_socket_is_what_it_was(peers):
    kept = []

    def use(ours, _raw):
        kept.extend([ours, ours.c])
        ours.close()

    run(lambda: peers.link(use))
    assert kept[0].c is kept[1]


def test_os_socket_first_asked_for_after_closing_is_none(peers):
    kept = []
    run(lambda: peers.link(lambda ours, _raw: (kept.append(ours), ours.close())))
    assert kept[0].c is None


def test_os_socket_closed_alone_does_not_end_the_connection(peers):
    def look(ours, raw):
        ours.c.close()
        ours.write(b"alive", write_cb=lambda s: s.close())
        return raw

    seen = []

    def use(ours, raw):
        seen.append(look(ours, raw))

    run(lambda: peers.link(use))
    assert seen[0].recv(100) == b"alive"


@pytest.mark.parametrize("default", [None, 5.0])
def test_os_socket_never_blocks(default, peers):
    def look(ours, _raw):
        with pytest.raises(BlockingIOError):
            ours.c.recv(1)
        return ours.c.gettimeout()

    socket.setdefaulttimeout(default)
    try:
        assert inside(peers, look) == 0.0
    finally:
        socket.setdefaulttimeout(None)


@pytest.mark.parametrize("change", [lambda c: c.setblocking(True), lambda c: c.settimeout(1)])
def test_os_socket_refuses_to_block(change, peers):
    def look(ours, _raw):
        with pytest.raises(ValueError, match="non-blocking"):
            change(ours.c)

    inside(peers, look)


def test_duplicate_of_the_os_socket_is_the_callers(peers):
    def look(ours, raw):
        with ours.c.dup() as twin:
            return type(twin) is socket.socket and twin.getpeername() == raw.getsockname()

    assert inside(peers, look)


def test_file_made_of_the_os_socket_does_not_keep_it_open(peers):
    kept = []

    def use(ours, _raw):
        kept.extend([ours.c, ours.c.makefile("rb", 0)])
        ours.close()

    run(lambda: peers.link(use))
    assert kept[0].fileno() == -1


def test_reset_reaches_the_peer_although_the_os_socket_was_asked_for(peers):
    seen = []

    def use(ours, raw):
        assert ours.c is not None
        ours.close(force=True)
        seen.append(raw)

    run(lambda: peers.link(use))
    with pytest.raises(ConnectionResetError):
        seen[0].recv(1)


def test_byte_counters_count_both_directions(peers, log):
    def read(ours, _data):
        log.told.append((ours.bytes_read, ours.bytes_written, ours.write_buffer_size))
        ours.close()

    run(lambda: peers.link(lambda _ours, raw: raw.sendall(b"12345"), read, data=b"123"))
    assert log.told == [(5, 3, 0)]


def test_write_buffer_size_counts_what_the_kernel_did_not_take(peers):
    def look(ours, _raw):
        ours.write(b"12345")
        return ours.write_buffer_size

    assert inside(peers, look) == 5


def test_server_of_an_outgoing_socket_is_none(peers):
    assert inside(peers, lambda ours, _raw: ours.server) is None


def test_data_is_none_at_first_and_anything_afterwards(peers):
    def look(ours, _raw):
        first = ours.data
        ours.data = {"any": "thing"}
        return first, ours.data, asynctcp.socket_data(ours)

    assert inside(peers, look) == (None, {"any": "thing"}, {"any": "thing"})


def test_repr_names_state_and_addresses(peers):
    text = inside(peers, lambda ours, _raw: repr(ours))
    assert re.fullmatch(r"<asynctcp.Socket open 127\.0\.0\.1:\d+ -> 127\.0\.0\.1:\d+>", text)


def test_repr_of_a_connecting_socket_says_so(peers):
    def start():
        ours = tcp_connect(*peers.address, None)
        assert "connecting" in repr(ours)
        ours.close()
        assert "closed" in repr(ours)

    run(start)


def test_sockets_are_hashable_and_differ(peers):
    def start():
        both = {peers.link(lambda ours, _raw: ours.close()) for _ in range(2)}
        assert len(both) == 2

    run(start)


def test_socket_can_be_weakly_referenced(peers):
    assert inside(peers, lambda ours, _raw: weakref.ref(ours)() is ours)


@pytest.mark.parametrize("native", [asynctcp.Socket, asynctcp.TcpServer])
def test_class_cannot_be_called(native):
    with pytest.raises(TypeError):
        native()


def test_socket_has_no_attribute_of_the_apps_but_data(peers):
    def look(ours, _raw):
        with pytest.raises(AttributeError):
            ours.other = 1
        return True

    assert inside(peers, look)


def test_os_socket_that_cannot_be_made_leaves_the_descriptor_to_its_caller():
    from asynctcp._os_socket import OSSocket

    reading, writing = os.pipe()
    try:
        with pytest.raises(OSError, match="non-socket"):
            OSSocket(reading)
        os.fstat(reading)
    finally:
        os.close(reading)
        os.close(writing)


def test_socket_is_generic_in_its_data():
    class Session:
        """What an app keeps."""

    named = asynctcp.Socket[Session]
    assert (named.__origin__, named.__args__) == (asynctcp.Socket, (Session,))
    assert typing.get_type_hints(annotated)["socket"] == asynctcp.Socket[int]


def annotated(socket: asynctcp.Socket[int]) -> None:
    """A callback of an app's."""
