"""``sock=``, ``adopt_tcp_socket``, ``detach``, ``socket_options``, ``family``."""

from __future__ import annotations

import errno
import os
import socket

import pytest

import asynctcp
from asynctcp import delay, exit_event_loop, tcp_connect, tcp_server
from helpers import DEADLINE, LOOPBACK, after_quiet, echo, ignore, in_loop, run, when


def pair():
    """A connected pair of TCP sockets."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        near = socket.create_connection(listener.getsockname(), DEADLINE)
        far, _ = listener.accept()
    far.settimeout(DEADLINE)
    return near, far


# --- sock= ------------------------------------------------------------------------------------------------


def test_sock_is_connected_with_the_options_that_it_has(peers):
    seen = []

    def connect(ours):
        seen.append(ours.c.getsockopt(socket.IPPROTO_IP, socket.IP_TOS))
        ours.close()

    def start():
        own = socket.socket()
        own.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0x10)
        number = own.fileno()
        tcp_connect(*peers.address, None, sock=own, connect_cb=connect)
        assert own.fileno() == -1, "detached"
        assert number >= 0

    run(start)
    assert seen == [0x10]


def test_sock_that_is_bound_keeps_its_address(peers):
    seen = []

    def start():
        own = socket.socket()
        own.bind(("127.0.0.2", 0))
        wanted = own.getsockname()
        tcp_connect(
            *peers.address,
            None,
            sock=own,
            connect_cb=lambda ours: (seen.append((ours.sockname, wanted)), ours.close()),
        )

    run(start)
    assert seen[0][0] == seen[0][1]


def test_sock_that_cannot_connect_tells_its_event_cb(peers, log):
    run(lambda: tcp_connect(LOOPBACK, peers.free_port(), None, log.event, sock=socket.socket()))
    assert log.told == ["TcpRefused"]


# --- adopt_tcp_socket -------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_number", [False, True])
def test_connected_socket_is_adopted(as_number):
    near, far = pair()
    got = []

    def start():
        given = os.dup(near.fileno()) if as_number else near
        ours = asynctcp.adopt_tcp_socket(given, lambda ours, data: (got.append(data), ours.close()))
        got.append(ours.peername == far.getsockname())
        far.sendall(b"x")
        if not as_number:
            assert near.fileno() == -1, "detached"

    run(start)
    assert got == [True, b"x"]
    near.close()
    assert far.recv(1) == b""
    far.close()


def test_adopted_socket_tells_its_end():
    near, far = pair()
    told = []

    def start():
        asynctcp.adopt_tcp_socket(near, None, lambda condition: told.append(type(condition).__name__))
        far.close()

    run(start)
    assert told == ["TcpEof"]


def test_adopted_socket_takes_the_keywords_of_a_connection():
    near, far = pair()
    told = []

    def start():
        stream = asynctcp.adopt_tcp_socket(
            near,
            lambda _ours, stream: told.append(stream.readline()),
            lambda condition: told.append(type(condition).__name__),
            stream=True,
            read_timeout=0.1,
            close_cb=lambda _ours, reason: told.append(type(reason).__name__),
        )
        assert isinstance(stream, asynctcp.AsyncIOStream)
        far.sendall(b"line\n")

    run(start)
    far.close()
    assert told == [b"line\n", "TcpTimeout", "TcpTimeout"]


def test_adopted_socket_keeps_the_loop_running_until_it_is_closed():
    near, far = pair()
    closed = []

    def start():
        ours = asynctcp.adopt_tcp_socket(near, None)
        delay(lambda: (ours.close(), closed.append(True)), 0.02)

    run(start)
    far.close()
    assert closed == [True]


@pytest.mark.parametrize("kind", ["not connected", "udp", "listening", "text"])
def test_what_is_no_connection_is_not_adopted(kind):
    def look():
        with socket.socket(type=socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM) as one:
            if kind == "listening":
                one.listen()
            with pytest.raises((OSError, ValueError, TypeError)):
                asynctcp.adopt_tcp_socket("text" if kind == "text" else one, None)
            assert one.fileno() >= 0, "still the app's"

    in_loop(look)


# --- detach -----------------------------------------------------------------------------------------------


def detached(peers, use):
    """Return what ``use(socket, raw)`` returned, which is called once connected, and raw."""
    got = []

    def connect(ours, raw):
        def act():
            got.extend([use(ours, raw), raw])

        delay(act, 0.05)

    run(lambda: peers.link(connect, ignore))
    return got


def test_detach_gives_the_connection_away(peers):
    (own, unread), raw = detached(peers, lambda ours, _raw: ours.detach())
    with own:
        assert isinstance(own, socket.socket)
        assert unread == b""
        raw.sendall(b"x")
        own.settimeout(DEADLINE)
        assert own.recv(1) == b"x"
        own.sendall(b"y")
    assert raw.recv(1) == b"y"
    assert raw.recv(1) == b""


def test_detach_hands_what_was_written_to_the_kernel_first(peers):
    def use(ours, _raw):
        ours.write(b"before")
        return ours.detach()

    (own, _), raw = detached(peers, use)
    with own:
        own.sendall(b" after")
    assert b"".join(iter(lambda: raw.recv(100), b"")) == b"before after"


def test_detach_gives_what_was_received_and_not_delivered(peers):
    def connect(ours, raw):
        ours.disable(read=True)
        raw.sendall(b"unread")
        delay(lambda: give(ours), 0.1)

    def give(ours):
        own, unread = ours.detach()
        with own:
            own.settimeout(DEADLINE)
            while len(unread) < len(b"unread"):
                unread += own.recv(100)
        got.append(unread)

    got = []
    run(lambda: peers.link(connect, ignore))
    assert got == [b"unread"]


def test_detach_of_what_the_kernel_does_not_take_raises_and_detaches_nothing(peers):
    seen = []

    def use(ours, _raw):
        ours.write(bytes(32 << 20))
        with pytest.raises(BlockingIOError):
            ours.detach()
        seen.append(ours.closed)
        ours.close(force=True)
        return None, None

    detached(peers, use)
    assert seen == [False]


def test_socket_is_closed_after_detach(peers):
    def use(ours, _raw):
        own, _ = ours.detach()
        own.close()
        with pytest.raises(asynctcp.SocketClosed):
            ours.write(b"x")
        return ours.closed

    assert detached(peers, use)[0] is True


# --- options and family -----------------------------------------------------------------------------------


TOS = (socket.IPPROTO_IP, socket.IP_TOS, 0x10)


def test_socket_options_of_a_client_are_set_before_connecting(peers):
    seen = []
    options = [TOS, (socket.SOL_SOCKET, socket.SO_RCVBUF, 10_000)]

    def connect(ours):
        seen.append([ours.c.getsockopt(level, name) for level, name, _ in options])
        ours.close()

    run(lambda: tcp_connect(*peers.address, None, connect_cb=connect, socket_options=options))
    assert seen == [[0x10, 20_000]]


def test_socket_options_of_a_server_are_set_on_each_accepted_socket(peers):
    seen = []

    def start():
        server = tcp_server(LOOPBACK, 0, None, ignore, connect_cb=look, socket_options=[TOS])
        peers.connect(server)
        when(lambda: seen, server.close)

    def look(ours):
        seen.append(ours.c.getsockopt(*TOS[:2]))
        ours.close()

    run(start)
    assert seen == [0x10]


def test_socket_option_can_be_bytes(peers):
    import struct

    seen = []
    linger = (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 5))

    def connect(ours):
        seen.append(ours.c.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8))
        ours.close(force=True)

    run(lambda: tcp_connect(*peers.address, None, connect_cb=connect, socket_options=[linger]))
    assert seen == [linger[2]]


def test_socket_option_that_the_system_refuses_is_told(peers, log):
    def start():
        try:
            tcp_connect(*peers.address, None, log.event, socket_options=[(socket.SOL_SOCKET, 9999, 1)])
        except OSError as error:
            log.conditions.append(error)

    run(start)
    assert log.conditions[0].errno == errno.ENOPROTOOPT


@pytest.mark.parametrize("wrong", [1, [1], [("a", 1, 1)], [(1, 1)], [(1, 1, 1.5)]], ids=str)
def test_socket_options_of_another_shape_are_refused(wrong):
    def look():
        with pytest.raises((TypeError, ValueError), match="socket_options"):
            tcp_connect(LOOPBACK, 1, None, socket_options=wrong)

    in_loop(look)


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_client_uses_addresses_of_its_family_only(family, host):
    seen = []
    try:
        socket.getaddrinfo("localhost", 0, family)
    except socket.gaierror:
        pytest.skip("localhost has no address of that family here")

    def start():
        server = tcp_server(host, 0, echo, ignore)
        tcp_connect(
            "localhost",
            server.port,
            None,
            lambda c: (seen.append(c), server.close()),
            family=family,
            connect_cb=lambda ours: (seen.append(ours.peername[0]), ours.close(), server.close()),
        )

    run(start)
    assert seen == [host]


@pytest.mark.parametrize(("family", "wanted"), [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")])
def test_server_listens_on_addresses_of_its_family_only(family, wanted):
    def look():
        server = tcp_server(None, 0, None, family=family)
        return [address[0] for address in server.addresses]

    assert in_loop(look) == [wanted]


def test_address_of_another_family_is_refused(log):
    def start():
        try:
            tcp_connect("127.0.0.1", 9, None, log.event, family=socket.AF_INET6)
        except ValueError as error:
            log.conditions.append(error)
        after_quiet(exit_event_loop)

    run(start)
    assert len(log.conditions) == 1


# --- together with streams ----------------------------------------------------------------------------------


def test_stream_of_an_adopted_socket_is_the_same_each_time():
    near, far = pair()
    seen = []

    def read(ours, stream):
        stream.mark = getattr(stream, "mark", 0) + 1
        seen.append(stream.read())
        if seen == [b"a", b"b"]:
            seen.append(stream.mark)
            ours.close()

    def start():
        asynctcp.adopt_tcp_socket(near, read, stream=True)
        far.sendall(b"a")
        when(lambda: seen == [b"a"], lambda: far.sendall(b"b"))

    run(start)
    far.close()
    assert seen == [b"a", b"b", 2]


def test_max_line_of_an_adopted_socket_holds_for_its_stream():
    near, far = pair()
    told = []

    def read(ours, stream):
        with pytest.raises(asynctcp.LineTooLong) as caught:
            stream.readline()
        told.append(caught.value.partial)
        ours.close()

    def start():
        asynctcp.adopt_tcp_socket(near, read, stream=True, max_line=5)
        far.sendall(b"x" * 20)

    run(start)
    far.close()
    assert told == [b"x" * 20]


def test_what_a_stream_holds_can_be_read_after_detach(peers):
    """It was delivered; what comes later is the new owner's."""

    def use(ours, raw):
        stream = ours.stream
        own, unread = ours.detach()
        with own:
            raw.sendall(b"later")
            own.settimeout(DEADLINE)
            return stream.read(), unread, own.recv(10), stream.read()

    got = []

    def connect(ours, raw):
        raw.sendall(b"held")
        when(lambda: ours.stream.buffered == 4, lambda: got.append(use(ours, raw)))

    run(lambda: peers.link(connect, ignore, stream=True))
    assert got == [(b"held", b"", b"later", b"")]
