"""Names, options, counters and identity of a ``Socket`` (api.md, section 2)."""

from __future__ import annotations

import os
import re
import socket
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
