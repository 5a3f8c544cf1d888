"""STARTTLS: ``socket.start_tls`` on a connection that is there (docs/contract.md, "TLS")."""

from __future__ import annotations

import socket

import pytest

import asynctcp
from asynctcp import (
    AsyncIOStream,
    EventLoop,
    TcpEof,
    TcpReset,
    TcpTimeout,
    exit_event_loop,
    tcp_connect,
    tcp_server,
)
from helpers import LOOPBACK, MUCH, after_quiet, fail, ignore, receive_exactly, reset, run, wait_until
from raw_tls import RawTlsClient

LOOPS = {"plain": {}, "threads": {"io_threads": 1}}


@pytest.fixture(params=LOOPS)
def loop(request):
    """A loop that drives itself, or one with a thread for it."""
    return EventLoop(**LOOPS[request.param])


def starts_tls(config, then, told=None):
    """Make a ``read_cb`` that begins TLS when the peer asks for it, and then calls ``then``."""

    def read(ours, data):
        if ours.tls is None:
            assert data == b"STARTTLS\r\n"
            ours.write(b"220 go ahead\r\n")
            ours.start_tls(config, connect_cb=told)
        else:
            then(ours, data)

    return read


def test_server_upgrades_and_echoes_to_pythons_client(loop, peers, spawn, ca):
    def talk(server, core):
        raw = peers.connect(server)
        raw.sendall(b"STARTTLS\r\n")
        assert receive_exactly(raw, 14) == b"220 go ahead\r\n"
        with ca.client_context().wrap_socket(raw, server_hostname="localhost") as secured:
            secured.sendall(b"secret")
            got.append(receive_exactly(secured, 6))
        core.exit()

    def start():
        read = starts_tls(
            ca.server(), lambda ours, data: ours.write(data), lambda ours: told.append(ours.tls.version)
        )
        server = tcp_server(LOOPBACK, 0, read, ignore)
        spawn(talk, server, asynctcp.current_event_loop())

    got, told = [], []
    run(start, loop=loop)
    assert (got, told) == ([b"secret"], ["TLSv1.3"])


def test_both_ends_of_ours_upgrade(loop, ca):
    def answered(ours, data):
        if data == b"220 go ahead\r\n":
            ours.start_tls(ca.client(), connect_cb=lambda ours: ours.write(b"over TLS"))
        else:
            got.append((data, ours.tls.server_name))
            exit_event_loop()

    def start():
        server = tcp_server(LOOPBACK, 0, starts_tls(ca.server(), lambda ours, data: ours.write(data)), fail)
        tcp_connect("localhost", server.port, answered, fail, data=b"STARTTLS\r\n")

    got = []
    run(start, loop=loop)
    assert got == [(b"over TLS", "localhost")], "the name is that of the host that was connected to"


def test_what_was_written_before_goes_in_the_clear_and_what_comes_after_waits(loop, peers, spawn, ca):
    def welcome(ours):
        ours.write(b"x" * MUCH)
        ours.start_tls(ca.server())
        ours.write(b"sealed")
        assert ours.write_buffer_size >= 6

    def talk(server, core):
        raw = peers.connect(server)
        assert receive_exactly(raw, MUCH) == b"x" * MUCH
        with ca.client_context().wrap_socket(raw, server_hostname="localhost") as secured:
            got.append(receive_exactly(secured, 6))
        core.exit()

    def start():
        server = tcp_server(LOOPBACK, 0, fail, ignore, connect_cb=welcome)
        spawn(talk, server, asynctcp.current_event_loop())

    got = []
    run(start, loop=loop)
    assert got == [b"sealed"]


def test_what_a_peer_sneaks_in_before_the_handshake_reaches_nobody(loop, peers, spawn, ca):
    def told(condition):
        conditions.append(condition)
        exit_event_loop()

    def start():
        server = tcp_server(LOOPBACK, 0, starts_tls(ca.server(), fail), told)
        spawn(talk, server)

    def talk(server):
        raw = peers.connect(server)
        raw.sendall(b"STARTTLS\r\n")
        assert receive_exactly(raw, 14) == b"220 go ahead\r\n"
        raw.sendall(b"DELETE everything\r\n")
        raw.recv(1)

    conditions = []
    run(start, loop=loop)
    assert conditions[0].reason == "not-tls"
    assert conditions[0].socket is not None


def test_hello_that_was_received_before_the_call_is_the_sessions(loop, peers, spawn, ca):
    """The app does not read while its peer begins already."""

    def welcome(ours):
        ours.disable(read=True)
        accepted.append(ours)

    def begin():
        ours = accepted[0]
        ours.start_tls(ca.server(), connect_cb=lambda ours: ours.write(b"done"))
        ours.enable(read=True)

    def talk(server, core):
        raw = peers.connect(server)
        client = RawTlsClient(raw, ca)
        raw.sendall(client.hello())
        wait_until(lambda: accepted)
        core.call_soon_threadsafe(lambda: after_quiet(begin))
        client.shake_hands()
        got.append(client.drive(lambda: client.session.read(4)))
        core.exit()

    def start():
        server = tcp_server(LOOPBACK, 0, fail, ignore, connect_cb=welcome)
        spawn(talk, server, asynctcp.current_event_loop())

    accepted, got = [], []
    run(start, loop=loop)
    assert got == [b"done"]


@pytest.mark.parametrize("more", [0, 2])
def test_unread_bytes_of_a_stream_are_the_sessions(loop, peers, spawn, ca, more):
    """Of those streams of the socket that were read from."""

    def read(ours, stream):
        if ours.tls is None:
            assert stream.readline() == b"STARTTLS\r\n"
            ours.start_tls(ca.server())
        else:
            got.append(stream.read())
            exit_event_loop()

    def talk(server):
        raw = peers.connect(server)
        client = RawTlsClient(raw, ca)
        raw.sendall(b"STARTTLS\r\n" + client.hello())
        client.shake_hands()
        raw.sendall(client.seal(b"secret"))
        raw.recv(1)

    def start():
        server = tcp_server(LOOPBACK, 0, read, ignore, stream=True, connect_cb=others)
        spawn(talk, server)

    others = (lambda ours: kept.extend(AsyncIOStream(ours) for _ in range(more))) if more else None
    got, kept = [], []
    run(start, loop=loop)
    assert got == [b"secret"]


def test_close_in_the_handshake_sends_what_was_written_first(loop, peers, spawn, ca):
    def welcome(ours):
        ours.start_tls(ca.server())
        ours.write(b"all of it")
        ours.close()

    def talk(server, core):
        raw = peers.connect(server)
        with ca.client_context().wrap_socket(
            raw, server_hostname="localhost", suppress_ragged_eofs=False
        ) as secured:
            got.append(receive_exactly(secured, 9))
            got.append(secured.recv(1))
        core.exit()

    def start():
        server = tcp_server(LOOPBACK, 0, fail, ignore, connect_cb=welcome)
        spawn(talk, server, asynctcp.current_event_loop())

    got = []
    run(start, loop=loop)
    assert got == [b"all of it", b""]


def test_client_may_be_the_one_that_serves(loop, peers, spawn, ca):
    """FTP in active mode, for one."""

    def talk(listener_core):
        raw = peers.accept()
        with ca.client_context().wrap_socket(raw, server_hostname="localhost") as secured:
            got.append(receive_exactly(secured, 2))
        listener_core.exit()

    def connected(ours):
        ours.start_tls(ca.server(), server_side=True, connect_cb=lambda ours: ours.write(b"hi"))

    def start():
        tcp_connect(*peers.address, None, ignore, connect_cb=connected)
        spawn(talk, asynctcp.current_event_loop())

    got = []
    run(start, loop=loop)
    assert got == [b"hi"]


def test_write_cb_runs_once_for_what_waited_for_the_handshake(loop, ca):
    def read(ours, _data):
        ours.start_tls(ca.client(), connect_cb=lambda _: told.append("connected"))
        ours.write(b"secret", write_cb=lambda _: (told.append("written"), after_quiet(exit_event_loop)))

    def start():
        server = tcp_server(LOOPBACK, 0, starts_tls(ca.server(), lambda _, data: got.append(data)), fail)
        tcp_connect(LOOPBACK, server.port, read, fail, data=b"STARTTLS\r\n")

    told, got = [], []
    run(start, loop=loop)
    assert told == ["connected", "written"]
    assert got == [b"secret"]


def test_what_waited_for_the_handshake_and_is_much_arrives(loop, ca):
    """More than the kernel has room for, to a client that says nothing after its handshake."""

    def welcome(ours):
        ours.write(b"go")
        ours.start_tls(ca.server())
        ours.write(bytes(MUCH))

    def client_read(ours, data):
        if data == b"go":
            ours.start_tls(ca.client())
        else:
            got.append(len(data))
            if sum(got) == MUCH:
                exit_event_loop()

    def start():
        server = tcp_server(LOOPBACK, 0, fail, fail, connect_cb=welcome)
        tcp_connect(LOOPBACK, server.port, client_read, fail)

    got = []
    run(start, loop=loop)
    assert sum(got) == MUCH


@pytest.mark.parametrize("clear", [b"", b"220 go ahead\r\n"], ids=["nothing before", "an answer before"])
def test_write_timeout_runs_while_bytes_wait_for_the_handshake(loop, ca, clear):
    def told(condition):
        conditions.append(condition)
        exit_event_loop()

    def connected(ours):
        ours.write(clear)
        ours.start_tls(ca.client())
        ours.write(b"waits")

    def start():
        server = tcp_server(LOOPBACK, 0, None, ignore)
        tcp_connect(LOOPBACK, server.port, None, told, connect_cb=connected, write_timeout=0.05)

    conditions = []
    run(start, loop=loop)
    assert isinstance(conditions[0], TcpTimeout)
    assert "write timeout" in str(conditions[0])


def test_read_timeout_runs_in_a_handshake_after_a_limit_held_reading_up(peers, ca):
    """The limit is reached by the beginning of a hello, of which no more comes."""

    def told(condition):
        conditions.append(condition)
        exit_event_loop()

    def connected(ours):
        ours.disable(read=True)
        after_quiet(lambda: begin(ours))

    def begin(ours):
        ours.start_tls(ca.server(handshake_timeout=None))
        ours.enable(read=True)

    def start():
        server = tcp_server(LOOPBACK, 0, fail, told, connect_cb=connected, read_timeout=0.1)
        peers.connect(server).sendall(b"\x16\x03\x01\x40\x00\x01\x00\x3f\xf0\x03\x03" + bytes(6000))

    conditions = []
    run(start, loop=EventLoop(read_limit=4096))
    assert isinstance(conditions[0], TcpTimeout)


def test_end_is_not_told_while_reading_is_disabled_though_tls_begins(loop, peers, ca):
    def told(condition):
        conditions.append((type(condition), reading[0]))
        exit_event_loop()

    def read(ours, _data):
        ours.disable(read=True)
        ours.start_tls(ca.server())
        after_quiet(lambda: (reading.__setitem__(0, True), ours.enable(read=True)))

    def start():
        server = tcp_server(LOOPBACK, 0, read, told)
        raw = peers.connect(server)
        raw.sendall(b"STARTTLS\r\n")
        raw.shutdown(socket.SHUT_WR)

    conditions, reading = [], [False]
    run(start, loop=loop)
    assert conditions == [(TcpEof, True)]


def test_close_after_an_empty_write_waits_for_no_handshake(loop, ca):
    def connected(ours):
        ours.start_tls(ca.client(handshake_timeout=None))
        ours.write(b"")
        ours.close()
        server[0].close()

    def start():
        server.append(tcp_server(LOOPBACK, 0, None, ignore))
        tcp_connect(LOOPBACK, server[0].port, None, ignore, connect_cb=connected)

    server = []
    run(start, loop=loop)


def test_reset_is_told_while_an_answer_waits_that_goes_before_the_handshake(loop, peers, ca):
    def told(condition):
        conditions.append(condition)
        exit_event_loop()

    def read(ours, _data):
        ours.disable(write=True)
        ours.write(b"220 go ahead\r\n")
        ours.start_tls(ca.server(handshake_timeout=None))
        after_quiet(lambda: reset(raw[0]))

    def start():
        raw.append(peers.connect(tcp_server(LOOPBACK, 0, read, told)))
        raw[0].sendall(b"STARTTLS\r\n")

    conditions, raw = [], []
    run(start, loop=loop)
    assert isinstance(conditions[0], TcpReset)


def test_failed_handshake_of_a_server_is_counted(loop, peers, ca):
    def told(_condition):
        counts.append(asynctcp.stats()["tls_handshakes_failed"])
        exit_event_loop()

    def start():
        config = ca.server(handshake_timeout=0.05)
        server = tcp_server(LOOPBACK, 0, None, told, connect_cb=lambda ours: ours.start_tls(config))
        peers.connect(server)

    counts = []
    run(start, loop=loop)
    assert counts == [1]


def test_handshake_timeout_is_a_closing_condition(loop, peers, ca):
    def told(condition):
        conditions.append(condition)
        exit_event_loop()

    def start():
        server = tcp_server(
            LOOPBACK, 0, fail, told, connect_cb=lambda ours: ours.start_tls(ca.server(handshake_timeout=0.05))
        )
        peers.connect(server)

    conditions = []
    run(start, loop=loop)
    assert conditions[0].reason == "handshake-timeout"
    assert conditions[0].socket.closed


def test_certificate_for_another_name_is_refused(loop, ca):
    def told(condition):
        if condition.socket is ours[0]:
            conditions.append(condition)
            exit_event_loop()

    def start():
        server = tcp_server(LOOPBACK, 0, fail, ignore, connect_cb=lambda each: each.start_tls(ca.server()))
        ours.append(
            tcp_connect(
                server.host,
                server.port,
                fail,
                told,
                connect_cb=lambda each: each.start_tls(ca.client(), server_name="other.example"),
            )
        )

    ours, conditions = [], []
    run(start, loop=loop)
    assert (type(conditions[0]), conditions[0].reason) == (asynctcp.TlsCertificateError, "wrong-name")


def test_second_session_over_one_connection_is_refused(ca):
    def secured(ours):
        with pytest.raises(asynctcp.TcpError, match="TLS already"):
            ours.start_tls(ca.client())
        with pytest.raises(ValueError, match="cannot be detached"):
            ours.detach()
        exit_event_loop()

    def start():
        server = tcp_server(LOOPBACK, 0, None, ignore, tls=ca.server())
        tcp_connect(server.host, server.port, None, fail, connect_cb=secured, tls=ca.client())

    run(start)


def test_call_during_a_handshake_is_refused(ca):
    def welcome(ours):
        ours.start_tls(ca.server())
        with pytest.raises(asynctcp.TcpError, match="TLS already"):
            ours.start_tls(ca.server())
        with pytest.raises(ValueError, match="cannot be detached"):
            ours.detach()
        exit_event_loop()

    def start():
        server = tcp_server(LOOPBACK, 0, None, ignore, connect_cb=welcome)
        tcp_connect(server.host, server.port, None, ignore)

    run(start)


def test_what_was_shut_down_for_writing_cannot_begin(ca):
    def welcome(ours):
        ours.shutdown_write()
        with pytest.raises(asynctcp.TcpBrokenPipe, match="shut down"):
            ours.start_tls(ca.server())
        exit_event_loop()

    def start():
        server = tcp_server(LOOPBACK, 0, None, ignore, connect_cb=welcome)
        tcp_connect(server.host, server.port, None, ignore)

    run(start)


def test_what_is_no_connection_cannot_begin(ca):
    def start():
        ours = asynctcp.init_tcp_socket(None)
        with pytest.raises(asynctcp.TcpError, match="not connected"):
            ours.start_tls(ca.client())
        ours.close()
        with pytest.raises(asynctcp.SocketClosed):
            ours.start_tls(ca.client())
        exit_event_loop()

    run(start)


def test_config_of_the_other_side_is_refused(ca):
    def welcome(ours):
        with pytest.raises(TypeError, match=r"config must be a TlsConfig\.server"):
            ours.start_tls(ca.client())
        with pytest.raises(TypeError, match=r"config must be a TlsConfig\.client"):
            ours.start_tls(ca.server(), server_side=False)
        with pytest.raises(TypeError, match="config must be"):
            ours.start_tls(None)
        with pytest.raises(ValueError, match="not a name that a certificate can be for"):
            ours.start_tls(ca.client(), server_side=False, server_name="no name")
        exit_event_loop()

    def start():
        server = tcp_server(LOOPBACK, 0, None, ignore, connect_cb=welcome)
        tcp_connect(server.host, server.port, None, ignore)

    run(start)


def test_another_thread_cannot_begin(spawn, ca):
    def welcome(ours):
        def elsewhere():
            with pytest.raises(asynctcp.EventLoopError):
                ours.start_tls(ca.server())
            core.exit()

        core = asynctcp.current_event_loop()
        spawn(elsewhere)

    def start():
        server = tcp_server(LOOPBACK, 0, None, ignore, connect_cb=welcome)
        tcp_connect(server.host, server.port, None, ignore)

    run(start)
