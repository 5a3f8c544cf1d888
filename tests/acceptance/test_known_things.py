"""What was known once is kept: addresses of an accepted socket, numbers of errors."""

from __future__ import annotations

import contextlib
import errno
import resource
import socket
import time

import pytest

import asynctcp
from asynctcp import TcpServerBindError, tcp_connect, tcp_server
from helpers import LOOPBACK, ignore, in_loop, reset, run, when


@contextlib.contextmanager
def no_descriptor_left():
    """Take all descriptors that the process may have."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(limits[0], 1000), limits[1]))
    taken = []
    try:
        while True:
            taken.append(socket.socket())
    except OSError:
        pass
    try:
        yield
    finally:
        for one in taken:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.parametrize("adopted", [False, True])
@pytest.mark.parametrize("address", [None, LOOPBACK, "::"])
def test_peername_is_known_although_the_peer_reset_before_the_accept(address, adopted):
    seen, listeners = [], []
    near = "::1" if address == "::" else LOOPBACK

    def start():
        if adopted:
            family = socket.AF_INET if address == LOOPBACK else socket.AF_INET6
            listener = socket.create_server(
                (address or "::", 0), family=family, dualstack_ipv6=family == socket.AF_INET6
            )
            listeners.append(listener)
            server = tcp_server(address, 0, None, ignore, connect_cb=look, fd=listener.fileno())
        else:
            server = tcp_server(address, 0, None, ignore, connect_cb=look)
        for _ in range(20):
            reset(socket.create_connection((near, server.address[1])))
        when(lambda: len(seen) == 20, server.close)

    def look(ours):
        seen.append((ours.peername, ours.sockname))

    run(start)
    for listener in listeners:
        listener.close()
    assert all(peer is not None and peer[0] == near for peer, _ in seen)
    assert all(own is not None for _, own in seen)


def test_os_socket_is_there_until_the_reset_was_told(peers):
    seen = []

    def connect(ours):
        raw = peers.accept(ours)
        reset(raw)
        time.sleep(0.05)  # the reset is received and not told; were it not, the test would only be easier
        seen.append((ours.closed, ours.c is not None, ours.fileno() >= 0))

    run(lambda: tcp_connect(*peers.address, None, ignore, connect_cb=connect))
    assert seen == [(False, True, True)]


def test_tcp_server_without_a_descriptor_left_raises_the_bind_error():
    def look():
        with no_descriptor_left(), pytest.raises(TcpServerBindError) as caught:
            tcp_server(LOOPBACK, 0, None)
        return caught.value

    error = in_loop(look)
    assert (error.errno, error.errcode, error.address) == (errno.EMFILE, errno.EMFILE, LOOPBACK)
    assert error.strerror


def test_error_of_an_option_has_number_and_text(peers):
    seen = []

    def connect(ours):
        with no_descriptor_left(), pytest.raises(OSError) as caught:  # noqa: PT011 (its number is looked at)
            assert ours.c
        seen.append(caught.value)
        ours.close()

    run(lambda: tcp_connect(*peers.address, None, ignore, connect_cb=connect))
    assert seen[0].errno == errno.EMFILE
    assert seen[0].strerror


@pytest.mark.parametrize(
    ("idle", "interval", "count"), [(0, 1, 1), (32768, 1, 1), (1, 32768, 1), (1, 1, 128), (86400, 1, 1)]
)
def test_keepalive_beyond_what_the_kernel_takes_is_refused_at_the_call(idle, interval, count):
    def look():
        ours = asynctcp.init_tcp_socket(None)
        with pytest.raises(ValueError, match="must be"):
            ours.set_keepalive(True, idle=idle, interval=interval, count=count)

    in_loop(look)


def keep_pair(keep):
    near, far = socket.socketpair()
    keep(far)
    return keep(near)


@pytest.mark.parametrize("kind", ["unix", "udp", "closed", "connected", "not listening"])
def test_descriptor_that_no_server_can_be_made_of_is_named(kind):
    with contextlib.ExitStack() as stack:
        keep = stack.enter_context
        if kind == "unix":
            number = keep(socket.socket(socket.AF_UNIX)).fileno()
        elif kind == "udp":
            number = keep(socket.socket(type=socket.SOCK_DGRAM)).fileno()
        elif kind == "connected":
            number = keep_pair(keep).fileno()
        elif kind == "closed":
            with socket.socket() as one:
                number = one.fileno()
        else:
            number = keep(socket.socket()).fileno()

        def look():
            with pytest.raises((TcpServerBindError, ValueError, OSError)) as caught:
                tcp_server(None, 0, None, fd=number)
            return caught.value

        error = in_loop(look)
        if isinstance(error, OSError):
            assert error.errno
            assert error.strerror


def test_conditions_of_attempts_have_number_and_text(peers, log):
    run(lambda: tcp_connect(LOOPBACK, peers.free_port(), None, log.event))
    assert (log.conditions[0].errno, bool(log.conditions[0].strerror)) == (errno.ECONNREFUSED, True)
