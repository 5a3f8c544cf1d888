"""Sockets made elsewhere: `sock=`, `adopt_tcp_socket` and `socket_options=` (docs/contract.md, section 2)."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
import struct

import pytest

import asynctcp
from asynctcp import EventLoop, adopt_tcp_socket, delay, exit_event_loop, tcp_connect
from helpers import (
    LOOPBACK,
    Oops,
    Serving,
    after_quiet,
    descriptors,
    echo,
    fail,
    ignore,
    in_loop,
    oops,
    receive_all,
    run,
    wait_until,
    when,
)


def tcp():
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM)


# --- sock= --------------------------------------------------------------------------------------------------


def test_given_socket_is_connected_with_its_options_and_owned(peers, log):
    def start():
        made = tcp()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 30_000)
        made.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0x10)
        wanted.append(made.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF))
        number = made.fileno()
        asynctcp.tcp_connect(*peers.address, log.read, connect_cb=use, data=b"first", sock=made)
        assert made.fileno() == -1
        numbers.append(number)

    def use(ours):
        assert ours.fileno() == numbers[0]
        seen.append(ours.c.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF))
        seen.append(ours.c.getsockopt(socket.IPPROTO_IP, socket.IP_TOS))
        seen.append(peers.accept(ours).recv(100))
        ours.close()

    wanted, seen, numbers = [], [], []
    run(start)
    assert seen == [wanted[0], 0x10, b"first"]


def test_given_socket_that_is_bound_keeps_its_address(peers):
    def start():
        made = tcp()
        made.bind((LOOPBACK, 0))
        own.append(made.getsockname())
        tcp_connect(
            *peers.address, None, connect_cb=lambda ours: (own.append(ours.sockname), ours.close()), sock=made
        )

    own = []
    run(start)
    assert own[0] == own[1]


def test_given_socket_of_a_name_tries_addresses_of_its_family_only(log):
    def start():
        serving = Serving(log)
        tcp_connect("localhost", serving.server.address[1], None, fail, connect_cb=connected, sock=tcp())
        when(lambda: told, serving.end)

    def connected(ours):
        told.append(ours.peername[0])
        ours.close()

    told = []
    run(start)
    assert told == [LOOPBACK]


def test_given_socket_of_a_failed_attempt_is_closed(peers, log):
    def start():
        made.append(tcp())
        tcp_connect(LOOPBACK, peers.free_port(), None, log.event, sock=made[0])

    made = []
    before = len(descriptors())
    run(start)
    assert log.told == ["TcpRefused"]
    assert made[0].fileno() == -1
    assert len(descriptors()) <= before


def test_given_socket_can_be_connected_later(peers):
    def start():
        made = tcp()
        ours = asynctcp.init_tcp_socket(None, connect_cb=lambda ours: ours.close(), sock=made)
        assert made.fileno() == -1
        assert asynctcp.connect_tcp_socket(ours, *peers.address) is ours

    run(start)


def test_given_socket_of_a_socket_that_is_closed_before_it_connects_is_closed():
    def look():
        made = tcp()
        number = made.fileno()
        asynctcp.init_tcp_socket(None, sock=made).close()
        return number not in descriptors()

    assert in_loop(look)


@contextlib.contextmanager
def sockets_of_all_kinds():
    """A socket for each way in which one can be unfit, by name; what a test leaves open is closed."""
    with contextlib.ExitStack() as stack:
        made = {
            "new": tcp(),
            "closed": tcp(),
            "listening": socket.create_server((LOOPBACK, 0)),
            "udp": socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        }
        made["connected"] = socket.create_connection(made["listening"].getsockname())
        made["unix"], made["other"] = socket.socketpair()
        made["unix datagrams"], made["more"] = socket.socketpair(type=socket.SOCK_DGRAM)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made["tls"] = context.wrap_socket(tcp(), server_hostname="x", do_handshake_on_connect=False)
        for one in made.values():
            stack.enter_context(one)
        made["closed"].close()
        yield made


UNFIT_TO_CONNECT = {
    "tls": (TypeError, None),
    "closed": (OSError, errno.EBADF),
    "connected": (OSError, errno.EISCONN),
    "listening": (ValueError, None),
    "udp": (ValueError, None),
    "unix": (ValueError, None),
}


@pytest.mark.parametrize("kind", UNFIT_TO_CONNECT)
def test_given_socket_that_cannot_be_connected_is_refused_and_stays_the_apps(kind, peers):
    error, code = UNFIT_TO_CONNECT[kind]

    def look():
        with sockets_of_all_kinds() as made:
            number = made[kind].fileno()
            with pytest.raises(error, match=r"sock ") as caught:
                tcp_connect(*peers.address, None, sock=made[kind])
            return (getattr(caught.value, "errno", None), made[kind].fileno()) == (code, number)

    assert in_loop(look)


@pytest.mark.parametrize("sock", [5, "text", object()])
def test_given_socket_that_is_none_is_refused(sock, peers):
    def look():
        with pytest.raises(TypeError, match=r"^sock must be a plain socket\.socket, not "):
            tcp_connect(*peers.address, None, sock=sock)
        return True

    assert in_loop(look)


@pytest.mark.parametrize(
    "wrong",
    [
        {"data": 5},
        {"read_timeout": "x"},
        {"socket_options": 5},
        {"connect_cb": 5},
        {"family": socket.AF_INET6},
    ],
)
def test_given_socket_stays_the_apps_where_another_argument_is_bad(wrong, peers):
    def look():
        with tcp() as made:
            with pytest.raises((TypeError, ValueError)):
                tcp_connect(*peers.address, None, sock=made, **wrong)
            return made.fileno() >= 0

    assert in_loop(look)


# --- socket_options= ----------------------------------------------------------------------------------------

TOS = (socket.IPPROTO_IP, socket.IP_TOS, 0x10)


@pytest.mark.parametrize(
    "options", [[TOS], (TOS,), [(*TOS[:2], struct.pack("i", 0x10))], [(*TOS[:2], 1), TOS]]
)
def test_option_is_set_on_a_connection(options, peers):
    def use(ours, _raw):
        seen.append(ours.c.getsockopt(*TOS[:2]))
        ours.close()

    seen = []
    run(lambda: peers.link(use, socket_options=options))
    assert seen == [0x10]


def test_option_is_set_before_connecting(peers):
    """The kernel takes a maximum segment size before the handshake only to heart."""

    def start():
        tcp_connect(
            *peers.address,
            None,
            connect_cb=lambda ours: (raws.append(peers.accept(ours)), ours.close()),
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 600)],
        )

    raws = []
    run(start)
    assert raws[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) <= 600


def test_option_that_the_system_refuses_is_an_error_of_the_attempt(peers, log):
    run(lambda: tcp_connect(*peers.address, None, log.event, socket_options=[(socket.IPPROTO_TCP, 9999, 1)]))
    (error,) = log.conditions
    assert error.errno == errno.ENOPROTOOPT


def test_option_is_set_on_a_server_and_its_connections(peers, log):
    def welcome(ours):
        seen.append(ours.c.getsockopt(*TOS[:2]))
        serving.end()
        ours.close()

    def start():
        nonlocal serving
        serving = Serving(log, connect_cb=welcome, socket_options=[TOS])
        peers.connect(serving.server)

    seen, serving = [], None
    run(start)
    assert seen == [0x10]


def test_option_for_listening_sockets_only_ends_no_connection(peers, log):
    def start():
        serving = Serving(log, socket_options=[(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 5)])
        peers.connect(serving.server).sendall(b"x")
        when(lambda: b"x" in log.told, serving.end)

    run(start)
    assert log.told == ["connect", b"x"]


def test_option_is_set_on_an_adopted_listener():
    def look():
        with socket.create_server((LOOPBACK, 0)) as listening:
            asynctcp.tcp_server(None, 0, None, fd=listening.fileno(), socket_options=[TOS])
            return listening.getsockopt(*TOS[:2])

    assert in_loop(look) == 0x10


@pytest.mark.parametrize("fd", [False, True])
def test_option_that_the_system_refuses_of_a_server_is_a_bind_error(fd):
    def look():
        with socket.create_server((LOOPBACK, 0)) as listening:
            with pytest.raises(asynctcp.TcpServerBindError) as caught:
                asynctcp.tcp_server(
                    LOOPBACK,
                    0,
                    None,
                    fd=listening.fileno() if fd else None,
                    socket_options=[(socket.IPPROTO_TCP, 9999, 1)],
                )
            return caught.value.errno

    assert in_loop(look) == errno.ENOPROTOOPT


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (5, TypeError),
        ("text", TypeError),
        ([5], TypeError),
        ([(1, 2)], TypeError),
        ([(1, 2, 3, 4)], TypeError),
        ([("1", 2, 3)], TypeError),
        ([(1, 2.0, 3)], TypeError),
        ([(1, 2, "3")], TypeError),
        ([(1, 2, None)], TypeError),
        ([(1, 2, 2**31)], ValueError),
        ([(-1, 2, 3)], ValueError),
        ([(2**31, 2, 3)], ValueError),
    ],
)
def test_options_of_a_wrong_form_are_refused_at_the_call(options, error, peers):
    def look():
        with pytest.raises(error, match=r"^socket_options must "):
            tcp_connect(*peers.address, None, socket_options=options)
        with pytest.raises(error, match=r"^socket_options must "):
            asynctcp.tcp_server(LOOPBACK, 0, None, socket_options=options)
        return True

    assert in_loop(look)


# --- adopt_tcp_socket ---------------------------------------------------------------------------------------


def tcp_pair():
    with socket.create_server((LOOPBACK, 0)) as listening:
        client = socket.create_connection(listening.getsockname())
        return client, listening.accept()[0]


PAIRS = {"tcp": tcp_pair, "unix": socket.socketpair}


@pytest.fixture(params=PAIRS)
def pair(request, peers):
    """A connection: the end to be adopted, and the other one."""
    one, other = PAIRS[request.param]()
    yield one, peers.keep(other)
    one.close()


@pytest.mark.parametrize("by_number", [False, True])
def test_adopted_connection_reads_writes_and_ends(by_number, pair, log):
    one, other = pair

    def read(ours, data):
        log.read(ours, data)
        ours.write(b"answer")

    def start():
        given = one.detach() if by_number else one
        ours = adopt_tcp_socket(given, read, log.event, connect_cb=log.connect, data=b"first ")
        assert one.fileno() == -1
        assert not ours.closed
        assert ours.server is None
        other.sendall(b"x")
        when(lambda: b"x" in log.told, lambda: other.shutdown(socket.SHUT_WR))

    run(start)
    assert log.told == ["connect", b"x", "TcpEof"]
    assert receive_all(other) == b"first answer"


def test_adopted_connection_knows_its_names_at_once(pair):
    one, _ = pair
    names = one.getpeername(), one.getsockname()

    def look():
        ours = adopt_tcp_socket(one, None)
        return ours.peername, ours.sockname

    assert in_loop(look) == names


def test_connect_cb_of_an_adopted_connection_comes_first_and_not_inside_of_the_call(pair, log):
    one, other = pair
    other.sendall(b"early")
    other.close()

    def start():
        adopt_tcp_socket(one, log.read, log.event, connect_cb=log.connect)
        log.told.append("called")

    run(start)
    assert log.told == ["called", "connect", b"early", "TcpEof"]


def test_adopted_connection_ends_by_force(pair):
    one, other = pair
    run(lambda: adopt_tcp_socket(one, None, fail, connect_cb=lambda ours: ours.close(force=True)))
    with contextlib.suppress(ConnectionResetError):
        assert other.recv(1) == b""


def test_much_is_sent_over_an_adopted_connection(pair, spawn):
    one, other = pair
    got = []
    spawn(lambda: got.append(len(receive_all(other))))
    run(lambda: adopt_tcp_socket(one, None, fail, data=bytes(5_000_000)).close())
    wait_until(lambda: got)
    assert got == [5_000_000]


def test_stream_over_an_adopted_connection(pair):
    one, other = pair

    def read(_ours, stream):
        seen.append(stream.read())
        stream.close()

    def start():
        stream = adopt_tcp_socket(one, read, stream=True)
        assert isinstance(stream, asynctcp.AsyncIOStream)
        other.sendall(b"line\n")

    seen = []
    run(start)
    assert seen == [b"line\n"]


def test_timeout_of_an_adopted_connection(pair, log):
    one, _ = pair
    run(lambda: adopt_tcp_socket(one, None, log.event, read_timeout=0.02))
    assert log.told == ["TcpTimeout"]


def test_close_cb_of_an_adopted_connection(pair):
    one, other = pair
    told = []
    other.close()
    run(lambda: adopt_tcp_socket(one, None, ignore, close_cb=lambda _s, reason: told.append(type(reason))))
    assert told == [asynctcp.TcpEof]


def test_adopted_connection_keeps_the_loop_running_and_counts_as_outgoing(pair):
    one, _ = pair
    seen = []

    def start():
        ours = adopt_tcp_socket(one, None)
        delay(lambda: (seen.append(asynctcp.stats()["outgoing_tcp_connections"]), ours.close()), 0.02)

    run(start)
    assert seen == [1]


def test_app_error_over_an_adopted_connection_names_its_peer(pair, log):
    one, _ = pair
    run(lambda: adopt_tcp_socket(one, None, log.event, connect_cb=oops), catch_app_errors=True)
    (error,) = log.conditions
    assert isinstance(error.__cause__, Oops)
    assert error.peer is None or error.peer.startswith(LOOPBACK)


def test_adopted_connection_over_a_path_is_named_by_it(tmp_path, log):
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        client = socket.socket(socket.AF_UNIX)
        client.connect(path)
        served = listening.accept()[0]

    def start():
        ours = adopt_tcp_socket(client, None, log.event, connect_cb=lambda _: served.close())
        assert ours.peername == path
        assert path in repr(ours)

    run(start)
    assert log.conditions[0].peer == path


def test_connection_of_a_loop_with_threads_is_adopted(pair, log):
    one, other = pair

    def start():
        adopt_tcp_socket(one, log.read, log.event, connect_cb=log.connect)
        other.sendall(b"x")
        other.close()

    run(start, loop=EventLoop(io_threads=1))
    assert log.order() == ["connect", b"x", "TcpEof"]


UNFIT_TO_ADOPT = {
    "tls": (TypeError, None),
    "closed": (OSError, errno.EBADF),
    "new": (OSError, errno.ENOTCONN),
    "listening": (ValueError, None),
    "udp": (ValueError, None),
    "unix datagrams": (ValueError, None),
}


@pytest.mark.parametrize(
    ("kind", "by_number"),
    # A number has no wrapper, and a closed socket no number.
    [
        (kind, number)
        for kind in UNFIT_TO_ADOPT
        for number in (False, True)
        if not number or kind not in ("tls", "closed")
    ],
)
def test_socket_that_is_no_connection_is_not_adopted_and_stays_the_apps(kind, by_number):
    error, code = UNFIT_TO_ADOPT[kind]

    def look():
        with sockets_of_all_kinds() as made:
            number = made[kind].fileno()
            with pytest.raises(error) as caught:
                adopt_tcp_socket(number if by_number else made[kind], None)
            assert asynctcp.stats()["outgoing_tcp_connections"] == 0
            return (getattr(caught.value, "errno", None), made[kind].fileno()) == (code, number)

    assert in_loop(look)


@pytest.mark.parametrize(
    ("given", "error", "code"),
    [
        ("text", TypeError, None),
        (None, TypeError, None),
        (True, TypeError, None),
        (-1, ValueError, None),
        (1 << 31, ValueError, None),
        (10**6, OSError, errno.EBADF),
    ],
)
def test_what_is_no_socket_is_not_adopted(given, error, code):
    def look():
        with pytest.raises(error) as caught:
            adopt_tcp_socket(given, None)
        return getattr(caught.value, "errno", None) == code

    assert in_loop(look)


def test_descriptor_that_is_no_socket_is_not_adopted():
    def look():
        read, write = os.pipe()
        with pytest.raises(OSError, match=r"non-socket") as caught:
            adopt_tcp_socket(read, None)
        os.close(read)
        os.close(write)
        return caught.value.errno == errno.ENOTSOCK

    assert in_loop(look)


@pytest.mark.parametrize("by_number", [False, True])
@pytest.mark.parametrize("wrong", [{"data": 5}, {"read_timeout": "x"}, {"connect_cb": 5}])
def test_connection_stays_the_apps_where_another_argument_is_bad(wrong, by_number, pair):
    one, other = pair

    def look():
        with pytest.raises((TypeError, ValueError)):
            adopt_tcp_socket(one.fileno() if by_number else one, None, **wrong)
        other.sendall(b"x")
        return one.recv(1)

    assert in_loop(look) == b"x"


def test_nothing_is_adopted_without_a_loop(pair):
    one, _ = pair
    with pytest.raises(asynctcp.EventLoopError):
        adopt_tcp_socket(one, None)
    assert one.fileno() >= 0


def test_adopted_connection_is_closed_with_the_loop(pair):
    one, other = pair

    def start():
        adopt_tcp_socket(one, echo)
        after_quiet(exit_event_loop)

    run(start)
    assert receive_all(other) == b""
