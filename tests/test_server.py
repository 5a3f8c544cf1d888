"""``tcp_server`` and ``TcpServer`` (docs/contract.md, section 3)."""

from __future__ import annotations

import errno
import re
import socket
import weakref
from pathlib import Path

import pytest

import asynctcp
from asynctcp import TcpServerBindError, delay, exit_event_loop, tcp_connect, tcp_server
from helpers import (
    DEADLINE,
    LOOPBACK,
    Oops,
    Serving,
    after_quiet,
    echo,
    fail,
    ignore,
    in_loop,
    receive_all,
    reset,
    run,
    when,
)
from peers import needs
from peers import run as peer_run

# --- connections --------------------------------------------------------------------------------------------


def test_connect_cb_comes_before_the_data_that_was_there_already(peers, log):
    def start():
        serving = Serving(log)
        raw = peers.connect(serving.server)
        raw.sendall(b"early")
        raw.close()
        when(lambda: "TcpEof" in log.told, serving.end)

    run(start)
    assert log.told == ["connect", b"early", "TcpEof"]


def test_connect_cb_comes_first_for_each_of_many_connections(peers):
    order = {}

    def start():
        server = tcp_server(
            LOOPBACK,
            0,
            lambda ours, data: order[ours].append(data),
            lambda condition: order[condition.socket].append("eof"),
            connect_cb=lambda ours: order.setdefault(ours, []).append("connect"),
        )
        for _ in range(100):
            raw = peers.connect(server)
            raw.sendall(b"x")
            raw.close()
        when(lambda: [entry for told in order.values() for entry in told].count("eof") == 100, server.close)

    run(start)
    assert list(order.values()) == [["connect", b"x", "eof"]] * 100


def test_server_echoes_to_many_clients(log):
    def start():
        server = tcp_server(LOOPBACK, 0, echo)
        for number in range(50):
            client = tcp_connect(
                *server.address, lambda s, data: (log.read(s, data), s.close()), data=b"%02d" % number
            )
            client.data = number
        when(lambda: len(log.told) == 50, server.close)

    run(start)
    assert sorted(log.told) == [b"%02d" % number for number in range(50)]


def test_socket_knows_its_server(peers, log):
    def start():
        serving = Serving(log)
        peers.connect(serving.server)
        when(
            lambda: serving.sockets,
            lambda: (log.told.append(serving.sockets[0].server is serving.server), serving.end()),
        )

    run(start)
    assert log.told == ["connect", True]


def test_accepted_sockets_names_are_those_of_the_connection(peers, log):
    def start():
        serving = Serving(log)
        raw = peers.connect(serving.server)
        when(lambda: serving.sockets, lambda: finish(serving, raw))

    def finish(serving, raw):
        (ours,) = serving.sockets
        log.told = [ours.peername == raw.getsockname(), ours.sockname == raw.getpeername()]
        serving.end()

    run(start)
    assert log.told == [True, True]


def test_reset_between_handshake_and_accept_is_no_accept_error(peers, log):
    def start():
        serving = Serving(log)
        reset(peers.connect(serving.server))
        good = peers.connect(serving.server)
        good.sendall(b"good")
        when(lambda: b"good" in log.told, serving.end)

    run(start)
    assert set(log.told) <= {"connect", "TcpReset", b"good"}


def test_event_cb_of_the_server_gets_each_connections_conditions(peers, log):
    def start():
        serving = Serving(log)
        for _ in range(3):
            peers.connect(serving.server).close()
        when(lambda: log.told.count("TcpEof") == 3, serving.end)

    run(start)
    assert {condition.socket.server.closed for condition in log.conditions} == {True}


def test_server_without_callbacks_reads_and_drops(peers, log):
    def start():
        server = tcp_server(LOOPBACK, 0, None)
        raw = peers.connect(server)
        raw.sendall(b"dropped")
        raw.shutdown(socket.SHUT_WR)
        delay(server.close, 0.02)
        log.raw = raw

    run(start)
    assert receive_all(log.raw) == b""


def test_peer_that_resets_does_not_end_the_server(peers, log):
    def start():
        server = tcp_server(LOOPBACK, 0, log.read)
        raw = peers.connect(server)
        delay(lambda: reset(raw), 0.01)
        delay(lambda: peers.connect(server).sendall(b"next"), 0.03)
        when(lambda: log.told, exit_event_loop)

    run(start)
    assert log.told == [b"next"]


# --- addresses ----------------------------------------------------------------------------------------------


def test_port_zero_takes_a_free_port_and_tells_it():
    host, port = in_loop(lambda: tcp_server(LOOPBACK, 0, None).address)
    assert host == LOOPBACK
    assert port > 0


def test_ipv6_address_is_a_tuple_of_four_as_getsockname_gives_it():
    address = in_loop(lambda: tcp_server("::1", 0, None).address)
    assert (address[0], address[2:]) == ("::1", (0, 0))


def test_address_is_kept_after_closing():
    def look():
        server = tcp_server(LOOPBACK, 0, None)
        before = server.address
        server.close()
        return before == server.address

    assert in_loop(look)


def test_host_name_can_be_bound():
    assert in_loop(lambda: tcp_server("localhost", 0, None).address)[0] in ("127.0.0.1", "::1")


@pytest.mark.parametrize("any_address", [None, ""])
@pytest.mark.parametrize("client", ["127.0.0.1", "::1"])
def test_any_address_serves_both_families(any_address, client, peers, log):
    def start():
        serving = Serving(log, any_address)
        raw = peers.keep(socket.create_connection((client, serving.server.address[1]), 5))
        raw.close()
        when(
            lambda: "TcpEof" in log.told,
            lambda: (log.told.append(serving.sockets[0].peername[0]), serving.end()),
        )

    run(start)
    assert log.told == ["connect", "TcpEof", client]


def test_ipv4_peer_of_a_dual_stack_server_has_a_plain_ipv4_name(peers, log):
    def start():
        serving = Serving(log, None)
        raw = peers.connect(serving.server)
        when(lambda: serving.sockets, lambda: finish(serving, raw))

    def finish(serving, raw):
        (ours,) = serving.sockets
        log.told = [ours.peername == raw.getsockname(), ours.sockname == raw.getpeername()]
        serving.end()

    run(start)
    assert log.told == [True, True]


def test_server_on_an_ipv6_address_does_not_take_ipv4():
    def start():
        port = tcp_server("::1", 0, None).address[1]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((LOOPBACK, port), 5)
        exit_event_loop()

    run(start)


# --- bind errors --------------------------------------------------------------------------------------------


def bind_error(*arguments):
    """Return the error that ``tcp_server`` raises."""
    with pytest.raises(TcpServerBindError) as caught:
        tcp_server(*arguments, None)
    return caught.value


def test_port_in_use_raises_a_bind_error_with_address_port_and_code(peers):
    port = peers.address[1]
    error = in_loop(lambda: bind_error(LOOPBACK, port))
    assert (error.address, error.port, error.errcode) == (LOOPBACK, port, errno.EADDRINUSE)
    assert isinstance(error, OSError)


def test_bind_error_says_where(peers):
    port = peers.address[1]
    assert f"{LOOPBACK}:{port}" in str(in_loop(lambda: bind_error(LOOPBACK, port)))


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_address_that_is_not_ours_raises_a_bind_error(address):
    error = in_loop(lambda: bind_error(address, 0))
    assert (error.address, error.errcode) == (address, errno.EADDRNOTAVAIL)


def test_name_that_does_not_exist_raises_a_bind_error():
    error = in_loop(lambda: bind_error("no-such-host.invalid", 0))
    assert error.address == "no-such-host.invalid"
    assert error.errcode in (socket.EAI_NONAME, socket.EAI_AGAIN)


def test_two_servers_of_one_loop_on_one_port_are_a_bind_error():
    def look():
        server = tcp_server(LOOPBACK, 0, None)
        return bind_error(*server.address).errcode

    assert in_loop(look) == errno.EADDRINUSE


def test_bind_error_leaves_the_loop_running(peers, log):
    def start():
        bind_error(*peers.address)
        delay(lambda: log.told.append("goes on"))

    run(start)
    assert log.told == ["goes on"]


# --- options ------------------------------------------------------------------------------------------------


def test_reuse_port_lets_two_servers_listen_on_one_port():
    def look():
        first = tcp_server(LOOPBACK, 0, None, reuse_port=True)
        return first.address == tcp_server(*first.address, None, reuse_port=True).address

    assert in_loop(look)


@pytest.fixture
def listening():
    """A raw socket that listens, of which the test may hand over the descriptor."""
    with socket.create_server((LOOPBACK, 0)) as raw:
        yield raw


def test_host_and_port_are_those_of_the_address_and_kept_after_closing():
    def look():
        server = tcp_server(LOOPBACK, 0, None)
        server.close()
        return server.host, server.port, server.address, server.addresses

    host, port, address, addresses = in_loop(look)
    assert (host, port) == address
    assert addresses == [address]
    assert port > 0


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")])
def test_family_of_a_server_of_any_address(family, host):
    def look():
        server = tcp_server(None, 0, None, family=family)
        with socket.socket(family) as raw:
            raw.connect((LOOPBACK if family == socket.AF_INET else "::1", server.port))
        with socket.socket() as raw:
            reached = raw.connect_ex((LOOPBACK, server.port)) == 0
        server.close()
        return server.host, reached

    assert in_loop(look) == (host, family == socket.AF_INET)


def test_family_that_is_not_the_address_s_is_a_bind_error():
    with pytest.raises(TcpServerBindError) as caught:
        in_loop(lambda: tcp_server(LOOPBACK, 0, None, family=socket.AF_INET6))
    assert caught.value.errcode == socket.EAI_ADDRFAMILY


def test_adopted_descriptor_serves(listening, peers, log):
    def start():
        serving = Serving(log, fd=listening.fileno())
        assert serving.server.address == listening.getsockname()
        peers.connect(serving.server).close()
        when(lambda: "TcpEof" in log.told, serving.end)

    run(start)
    assert log.told[0] == "connect"


def test_adopted_descriptor_stays_the_callers(listening):
    in_loop(lambda: tcp_server(None, 0, None, fd=listening.fileno()))
    assert listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1


def test_adopted_descriptor_may_be_closed_by_the_caller(listening, peers, log):
    def start():
        serving = Serving(log, fd=listening.fileno())
        listening.close()
        peers.connect(serving.server).close()
        when(lambda: "TcpEof" in log.told, serving.end)

    run(start)
    assert log.told[0] == "connect"


def test_closed_server_leaves_an_adopted_socket_listening(listening, peers):
    def start():
        server = tcp_server(None, 0, fail, connect_cb=fail, fd=listening.fileno())
        server.close()
        peers.keep(socket.create_connection(listening.getsockname(), DEADLINE))

    run(start)
    assert listening.accept()[0].close() is None


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (socket.socket, errno.EINVAL),  # it does not listen
        (lambda: socket.socket(type=socket.SOCK_DGRAM), errno.EINVAL),
        (Path("/dev/null").open, errno.ENOTSOCK),
    ],
)
def test_descriptor_that_does_not_listen_is_a_bind_error(make, code):
    def look():
        with make() as raw, pytest.raises(TcpServerBindError) as caught:
            tcp_server(None, 0, None, fd=raw.fileno())
        return caught.value.errcode

    assert in_loop(look) == code


def test_descriptor_that_is_not_open_is_a_bind_error():
    def look():
        with pytest.raises(TcpServerBindError) as caught:
            tcp_server(None, 0, None, fd=10**6)
        return caught.value.errcode

    assert in_loop(look) == errno.EBADF


def test_backlog_of_minus_one_holds_many_connections_while_python_is_busy(peers):
    wanted = min(300, int(Path("/proc/sys/net/core/somaxconn").read_text()))

    def start():
        server = tcp_server(LOOPBACK, 0, None)
        for _ in range(wanted):
            peers.connect(server)  # each with a deadline; none is refused or left waiting
        exit_event_loop()

    run(start)


@pytest.mark.parametrize("backlog", [0, 1, 16, 2**31 - 1])
def test_any_backlog_serves(backlog, peers, log):
    def start():
        serving = Serving(log, backlog=backlog)
        peers.connect(serving.server).close()
        when(lambda: "TcpEof" in log.told, serving.end)

    run(start)
    assert log.told == ["connect", "TcpEof"]


def test_max_connections_pauses_accepting_and_goes_on_when_one_ends(peers, log):
    def start():
        serving = Serving(log, max_connections=2)
        raws = [peers.connect(serving.server) for _ in range(3)]
        after_quiet(lambda: (log.told.append(serving.server.connections), raws[0].close()))
        when(lambda: log.told.count("connect") == 3, serving.end)

    run(start)
    assert log.told == ["connect", "connect", 2, "TcpEof", "connect"]


def test_max_connections_is_never_exceeded_and_serves_all(log):
    most = []

    def welcome(ours):
        most.append(ours.server.connections)
        delay(ours.close, 0.001)

    def start():
        server = tcp_server(LOOPBACK, 0, None, connect_cb=welcome, max_connections=3)
        for _ in range(30):
            tcp_connect(*server.address, None, log.event)
        when(lambda: len(log.told) == 30, server.close)

    run(start)
    assert (len(most), max(most) <= 3) == (30, True)


def test_connections_counts_those_open_now(peers, log):
    def start():
        serving = Serving(log)
        counts.append(serving.server.connections)
        raws = [peers.connect(serving.server) for _ in range(3)]
        when(
            lambda: len(serving.sockets) == 3,
            lambda: (counts.append(serving.server.connections), raws[0].close()),
        )
        when(lambda: "TcpEof" in log.told and serving.server.connections == 2, lambda: close_one(serving))

    def close_one(serving):
        counts.append(2)
        serving.sockets[-1 if not serving.sockets[-1].closed else 0].close()
        when(lambda: serving.server.connections == 1, serving.end)

    counts = []
    run(start)
    assert counts == [0, 3, 2]


@pytest.mark.parametrize("io_threads", [0, 1])
@pytest.mark.parametrize("ends", ["close", "force", "timeout", "eof"])
def test_last_connection_that_ends_is_counted_no_more_in_its_close_cb(peers, ends, io_threads):
    def start():
        server = tcp_server(
            LOOPBACK,
            0,
            ignore,
            ignore,
            connect_cb=meet,
            close_cb=lambda *_: (counts.append((server.connections, server.sockets)), server.close()),
            read_timeout=0.05 if ends == "timeout" else None,
        )
        raws.append(peers.connect(server))

    def meet(ours):
        if ends == "eof":
            raws[0].close()
        elif ends != "timeout":
            ours.close(force=ends == "force")

    counts, raws = [], []
    run(start, loop=asynctcp.EventLoop(io_threads=io_threads))
    assert counts == [(0, [])]


# --- the object ---------------------------------------------------------------------------------------------


def test_repr_names_state_address_and_connections():
    def look():
        server = tcp_server(LOOPBACK, 0, None)
        before = repr(server)
        server.close()
        return before, repr(server)

    before, after = in_loop(look)
    assert re.fullmatch(r"<asynctcp\.TcpServer listening 127\.0\.0\.1:\d+ connections=0>", before)
    assert "closed" in after


def test_server_is_hashable_and_weakly_referenceable():
    def look():
        server = tcp_server(LOOPBACK, 0, None)
        return {server: 1}[server] == 1 and weakref.ref(server)() is server

    assert in_loop(look)


def test_server_has_no_other_public_state():
    names = {name for name in dir(asynctcp.TcpServer) if not name.startswith("_")}
    addresses = {"address", "addresses", "host", "port"}
    assert names == addresses | {"close", "closed", "connections", "reload_tls", "sockets"}


def test_sockets_are_a_snapshot_of_those_that_are_open(peers, log):
    def look():
        first, second = serving.sockets
        seen.append(serving.server.sockets)
        assert sorted(map(id, seen[0])) == sorted(map(id, serving.sockets))
        assert all(one.server is serving.server for one in seen[0])
        first.close()
        assert serving.server.sockets == [second]
        assert len(seen[0]) == 2
        assert other.server.sockets == []
        serving.server.close()
        assert serving.server.sockets == [second]
        exit_event_loop()
        assert serving.server.sockets == []

    def start():
        nonlocal serving, other
        serving, other = Serving(log), Serving(log)
        assert serving.server.sockets == []
        tcp_connect(*peers.address, None)
        for _ in range(2):
            peers.connect(serving.server)
        when(lambda: len(serving.sockets) == 2, look)

    seen, serving, other = [], None, None
    run(start)
    assert seen


def test_with_block_closes_the_server():
    def look():
        with tcp_server(LOOPBACK, 0, None) as server:
            assert isinstance(server, asynctcp.TcpServer)
            assert not server.closed
        assert server.closed
        return True

    assert in_loop(look)


def test_with_block_that_raises_closes_the_server_and_the_exception_goes_on():
    def look():
        with pytest.raises(Oops), tcp_server(LOOPBACK, 0, None) as server:
            raise Oops
        return server.closed

    assert in_loop(look)


def test_server_closed_in_its_with_block_may_be_closed_again():
    def look():
        with tcp_server(LOOPBACK, 0, None) as server:
            server.close()
        return server.closed

    assert in_loop(look)


def test_server_lives_without_a_reference(peers, log):
    def start():
        address = tcp_server(LOOPBACK, 0, log.read).address
        delay(lambda: connect(address), 0.01)

    def connect(address):
        peers.keep(socket.create_connection(address, 5)).sendall(b"x")
        when(lambda: log.told, exit_event_loop)

    run(start)
    assert log.told == [b"x"]


@needs("ss")
@pytest.mark.parametrize("backlog", [-1, 7])
def test_kernel_holds_the_backlog_asked_for(backlog):
    def look():
        server = tcp_server(LOOPBACK, 0, None, backlog=backlog)
        return peer_run("ss", "-ltnH", f"sport = :{server.address[1]}").split()[2]

    most = Path("/proc/sys/net/core/somaxconn").read_text().strip()
    assert in_loop(look) == (most if backlog == -1 else str(backlog))
