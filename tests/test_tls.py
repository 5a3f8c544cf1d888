"""TLS between our sockets and Python's ``ssl`` (docs/contract.md, "TLS")."""

from __future__ import annotations

import collections
import itertools
import socket
import ssl
import sys
import time

import pytest

import asynctcp
from asynctcp import EventLoop, TlsCertificateError, TlsError, exit_event_loop, tcp_connect, tcp_server
from certificates import authority
from helpers import (
    LOOPBACK,
    MUCH,
    Log,
    after_quiet,
    echo,
    fail,
    ignore,
    receive_all,
    receive_exactly,
    run,
    wait_until,
)

LOOPS = {"plain": {}, "threads": {"io_threads": 1}}


@pytest.fixture(params=LOOPS)
def loop(request):
    """A loop that drives itself, or one with a thread for it."""
    return EventLoop(**LOOPS[request.param])


@pytest.fixture
def wrap(peers, spawn):
    """Talk to a server of ours by Python's ``ssl``, in a thread; ``last``: then the loop ends."""

    def wrap(server, talk, context=None, name="localhost", *, last=True):
        def body():
            raw = peers.connect(server)
            context_ = context or authority().client_context()
            try:
                with context_.wrap_socket(raw, server_hostname=name, suppress_ragged_eofs=False) as secured:
                    talk(secured)
            finally:
                if last:
                    core.exit()

        core = asynctcp.current_event_loop()
        spawn(body)

    return wrap


def test_server_echoes_to_pythons_client(loop, wrap, ca):
    def talk(raw):
        raw.sendall(b"hello")
        got.append(receive_exactly(raw, 5))

    got = []
    run(lambda: wrap(tcp_server(LOOPBACK, 0, echo, ignore, tls=ca.server()), talk), loop=loop)
    assert got == [b"hello"]


@pytest.mark.parametrize("share", ["11ec04c0", "001d0020"], ids=["X25519MLKEM768", "X25519"])
def test_client_has_a_key_ready_for_servers_of_today_and_of_yesterday(peers, ca, share):
    """Else the server asks it to begin anew (RFC 8446, 4.1.4). A group, and the length of its key."""

    def start():
        tcp_connect(*peers.address, None, ignore, tls=ca.client())
        peer = peers.accept()
        wait_until(lambda: bytes.fromhex(share) in peer.recv(1 << 16, socket.MSG_PEEK))
        exit_event_loop()

    run(start)


def test_connect_cb_runs_after_the_handshake_with_what_was_agreed_on(loop, wrap, ca):
    def serve():
        config = ca.server(alpn=["h2", "http/1.1"])
        server = tcp_server(LOOPBACK, 0, None, ignore, connect_cb=welcome, tls=config)
        wrap(server, ignore, context, last=False)

    def welcome(ours):
        told.append(ours.tls)
        exit_event_loop()

    context = ca.client_context()
    context.set_alpn_protocols(["http/1.1"])
    told = []
    run(serve, loop=loop)
    (info,) = told
    assert (info.version, info.alpn, info.server_name) == ("TLSv1.3", "http/1.1", "localhost")
    # From OpenSSL 3.5 on both know the hybrid group, too.
    assert info.group in ("X25519", "X25519MLKEM768")
    assert (info.cipher[:4], info.resumed) == ("TLS_", False)
    assert (info.peer_certificate, info.peer_chain, info.peer_names) == (None, [], [])


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_client_knows_whom_it_talks_to(loop, ca, version):
    def connected(ours):
        told.append(ours.tls)
        exit_event_loop()

    def start():
        server = tcp_server(LOOPBACK, 0, None, tls=ca.server())
        config = ca.client(min_version=version, max_version=version)
        tcp_connect(server.host, server.port, None, fail, connect_cb=connected, tls=config)

    told = []
    run(start, loop=loop)
    (info,) = told
    assert info.version == f"TLSv{version}"
    assert info.peer_names == ["localhost", "127.0.0.1", "::1"]
    assert info.peer_certificate == info.peer_chain[0] == ssl.PEM_cert_to_DER_cert(first(ca.usual))


def first(pem):
    text = pem.decode()
    return (
        text[text.index("-----BEGIN CERT") :].partition("-----END CERTIFICATE-----\n")[0]
        + "-----END CERTIFICATE-----\n"
    )


def test_much_goes_both_ways_and_arrives_whole(loop, ca):
    sent = bytes(range(256)) * (MUCH // 256)
    got = bytearray()

    def read(_ours, data):
        got.extend(data)
        if len(got) == len(sent):
            exit_event_loop()

    def start():
        server = tcp_server(LOOPBACK, 0, echo, fail, tls=ca.server())
        tcp_connect(server.host, server.port, read, fail, data=sent, tls=ca.client())

    run(start, loop=loop)
    assert got == sent


def test_write_cb_runs_once_all_is_with_the_kernel(loop, ca):
    def written(ours):
        told.append(ours.write_buffer_size)
        exit_event_loop()

    def start():
        server = tcp_server(LOOPBACK, 0, ignore, fail, tls=ca.server())
        tcp_connect(
            server.host, server.port, None, fail, data=b"x" * 300_000, write_cb=written, tls=ca.client()
        )

    told = []
    run(start, loop=loop)
    assert told == [0]


def test_close_sends_close_notify_after_all_data(loop, wrap, ca):
    def serve():
        server = tcp_server(LOOPBACK, 0, fail, ignore, connect_cb=welcome, tls=ca.server())
        wrap(server, lambda raw: got.append(receive_all(raw)))

    def welcome(ours):
        ours.write(b"x" * 1_000_000)
        ours.close()

    got = []
    run(serve, loop=loop)
    assert got == [b"x" * 1_000_000], "an end without close_notify is an SSLError here"


def test_shutdown_write_sends_close_notify_and_goes_on_reading(loop, wrap, ca, log):
    def talk(raw):
        got.append(receive_all(raw))
        raw.sendall(b"after your end")
        raw.unwrap()

    def welcome(ours):
        ours.write(b"all of it")
        ours.shutdown_write()

    def told(condition):
        log.event(condition)
        exit_event_loop()

    def serve():
        server = tcp_server(LOOPBACK, 0, log.read, told, connect_cb=welcome, tls=ca.server())
        wrap(server, talk, last=False)

    got = []
    run(serve, loop=loop)
    assert got == [b"all of it"]
    assert log.joined() == b"after your end"


@pytest.mark.slow
def test_shutdown_write_of_another_thread_never_loses_the_close_notify(loop, ca, spawn):
    """The call falls into the flush of what was written; the pauses and the switch interval see to that."""

    def begin():
        server = tcp_server(LOOPBACK, 0, ignore, told, tls=ca.server())
        for _ in range(4):
            connect(server)

    def connect(server):
        tcp_connect(LOOPBACK, server.port, ignore, ignore, connect_cb=connected, tls=trusting)
        servers[:] = [server]

    def connected(ours):
        spawn(say_and_end, ours, next(pauses))

    def say_and_end(ours, pause):
        ours.write(b"x" * 60_000)
        until = time.perf_counter() + pause
        while time.perf_counter() < until:
            pass
        ours.shutdown_write()

    def told(condition):
        ends.append(type(condition))
        if len(ends) < 150:
            connect(servers[0])
        elif len(ends) == 153:
            exit_event_loop()

    ends, servers, trusting = [], [], ca.client()
    pauses = itertools.cycle(step * 1e-5 for step in range(20))
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        run(begin, loop=loop)
    finally:
        sys.setswitchinterval(before)
    assert collections.Counter(ends) == {asynctcp.TcpEof: 153}


def test_peers_close_notify_is_an_end_of_stream(loop, wrap, ca, log):
    def talk(raw):
        raw.sendall(b"all")
        raw.unwrap()

    run(lambda: wrap(tcp_server(LOOPBACK, 0, log.read, log.event, tls=ca.server()), talk), loop=loop)
    assert log.order() == [b"all", "TcpEof"]


@pytest.mark.parametrize("allowed", [False, True])
def test_end_without_close_notify_is_truncation_unless_that_is_allowed(loop, wrap, ca, log, allowed):
    def talk(raw):
        raw.sendall(b"all?")
        socket.socket.shutdown(raw, socket.SHUT_WR)

    def told(condition):
        log.event(condition)
        exit_event_loop()

    config = ca.server(allow_truncation=allowed)
    run(lambda: wrap(tcp_server(LOOPBACK, 0, log.read, told, tls=config), talk, last=False), loop=loop)
    assert log.order() == [b"all?", "TcpEof" if allowed else "TlsError"]
    if not allowed:
        assert log.conditions[0].reason == "truncated"
        assert log.conditions[0].socket is not None


def test_connection_without_tls_is_told_to_the_server_and_not_to_connect_cb(loop, peers, ca):
    def told(condition):
        conditions.append(condition)
        exit_event_loop()

    def start():
        server = tcp_server(LOOPBACK, 0, fail, told, connect_cb=fail, tls=ca.server())
        raw = peers.connect(server)
        raw.sendall(b"GET / HTTP/1.1\r\n\r\n")
        names.append(":".join(map(str, raw.getsockname())))

    conditions, names = [], []
    run(start, loop=loop)
    (condition,) = conditions
    assert (type(condition), condition.reason, condition.socket) == (TlsError, "not-tls", None)
    assert condition.peer == names[0]
    assert "GET" not in str(condition)


def test_connection_that_ends_without_a_byte_is_counted_and_not_told(peers, ca):
    def start():
        server = tcp_server(LOOPBACK, 0, fail, fail, connect_cb=fail, tls=ca.server())
        peers.connect(server).close()

        def look():
            if asynctcp.stats()["tls_handshakes_failed"] == 1:
                exit_event_loop()

        asynctcp.interval(look, 0.001)

    run(start)


def test_failed_handshakes_are_told_ten_times_a_second_and_all_counted(peers, ca):
    def start():
        server = tcp_server(LOOPBACK, 0, fail, conditions.append, connect_cb=fail, tls=ca.server())
        for _ in range(30):
            peers.connect(server).sendall(b"garbage")

        def look():
            if asynctcp.stats()["tls_handshakes_failed"] == 30:
                after_quiet(exit_event_loop)
                timer.cancel()

        timer = asynctcp.interval(look, 0.001)

    conditions = []
    run(start)
    assert 10 <= len(conditions) <= 20, "it may have taken two seconds"


@pytest.mark.parametrize("said", [b"", b"\x16\x03"], ids=["nothing", "a piece"])
def test_handshake_that_takes_too_long_is_told_by_its_reason(loop, peers, ca, said):
    def told(condition):
        conditions.append(condition)
        exit_event_loop()

    def start():
        server = tcp_server(LOOPBACK, 0, fail, told, tls=ca.server(handshake_timeout=0.05))
        raw = peers.connect(server)
        raw.sendall(said)
        names.append(":".join(map(str, raw.getsockname())))

    conditions, names = [], []
    run(start, loop=loop)
    (condition,) = conditions
    assert (condition.reason, condition.peer) == ("handshake-timeout", names[0])


def test_client_whose_server_does_not_answer_has_its_handshake_timeout(loop, peers, ca):
    def told(condition):
        conditions.append(condition)
        exit_event_loop()

    conditions = []
    config = ca.client(handshake_timeout=0.05)
    run(lambda: tcp_connect(*peers.address, None, told, tls=config), loop=loop)
    assert (type(conditions[0]), conditions[0].reason) == (TlsError, "handshake-timeout")


def test_clients_own_timeout_in_the_handshake_is_a_tcp_timeout(loop, peers, ca):
    def told(condition):
        conditions.append(condition)
        exit_event_loop()

    conditions = []
    run(lambda: tcp_connect(*peers.address, None, told, read_timeout=0.05, tls=ca.client()), loop=loop)
    assert type(conditions[0]) is asynctcp.TcpTimeout


def test_second_connection_resumes_the_session(loop, ca):
    def again(server, config, times):
        def read(ours, _data):
            resumed.append(ours.tls.resumed)
            ours.close()
            if times > 1:
                again(server, config, times - 1)
            else:
                exit_event_loop()

        tcp_connect("localhost", server.port, read, fail, tls=config)

    def start():
        server = tcp_server(
            "localhost",
            0,
            None,
            ignore,
            connect_cb=lambda ours: ours.write(b"ticket comes before"),
            tls=ca.server(),
        )
        again(server, ca.client(), 2)

    resumed = []
    run(start, loop=loop)
    assert resumed == [False, True]


def test_session_is_resumed_after_the_certificate_was_reloaded(ca):
    def read(ours, data):
        told.append((ours.tls.resumed, data))
        ours.close()
        if len(told) == 1:
            server.reload_tls(ca.server(ca.issue("localhost", "other.example")))
            tcp_connect("localhost", server.port, read, fail, tls=config)
        else:
            exit_event_loop()

    def start():
        nonlocal server
        server = tcp_server(
            "localhost", 0, None, ignore, connect_cb=lambda ours: ours.write(b"x"), tls=ca.server()
        )
        tcp_connect("localhost", server.port, read, fail, tls=config)

    server, told, config = None, [], ca.client()
    run(start)
    assert told == [(False, b"x"), (True, b"x")]


def test_reloaded_certificate_is_that_of_new_connections(ca):
    def read(ours, _data):
        told.append(ours.tls.peer_names)
        if len(told) == 1:
            server.reload_tls(ca.server(ca.issue("localhost", "other.example")))
            tcp_connect("localhost", server.port, read, fail, tls=ca.client())
        else:
            exit_event_loop()

    def start():
        nonlocal server
        server = tcp_server(
            "localhost", 0, None, ignore, connect_cb=lambda ours: ours.write(b"x"), tls=ca.server()
        )
        tcp_connect("localhost", server.port, read, fail, tls=ca.client())

    server, told = None, []
    run(start)
    assert "other.example" not in told[0]
    assert "other.example" in told[1]


def test_server_without_tls_has_none_to_reload(ca):
    def start():
        server = tcp_server(LOOPBACK, 0, None)
        with pytest.raises(ValueError, match="without TLS"):
            server.reload_tls(ca.server())
        with pytest.raises(TypeError):
            server.reload_tls(ca.client())
        exit_event_loop()

    run(start)


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [("a.example", "a.example"), ("b.wild.example", "*.wild.example"), ("c.example", "localhost")],
)
def test_server_has_other_certificates_for_other_names(loop, ca, asked, wanted):
    def connected(ours):
        told.append(ours.tls.peer_names)
        exit_event_loop()

    def start():
        names = {name: ca.server(ca.issue(name)) for name in ("a.example", "*.wild.example")}
        server = tcp_server(LOOPBACK, 0, None, tls=ca.server(names=names))
        config = asynctcp.TlsConfig.client(verify="insecure-none", server_name=asked)
        tcp_connect(server.host, server.port, None, fail, connect_cb=connected, tls=config)

    told = []
    run(start, loop=loop)
    assert wanted in told[0]


def test_certificate_of_the_client_is_known_to_the_server(loop, ca):
    def welcome(ours):
        told.append(ours.tls.peer_names)
        exit_event_loop()

    def start():
        config = ca.server(client_certs="required", ca_data=ca.pem)
        server = tcp_server(LOOPBACK, 0, None, connect_cb=welcome, tls=config)
        own = ca.client(cert_data=ca.issue("me@example.org"))
        tcp_connect(server.host, server.port, None, tls=own)

    told = []
    run(start, loop=loop)
    assert told == [["me@example.org"]]


def test_client_without_a_certificate_is_refused_where_one_is_required(loop, ca):
    def told(condition):
        conditions.append(condition)
        if len(conditions) == 2:
            exit_event_loop()

    def start():
        config = ca.server(client_certs="required", ca_data=ca.pem)
        server = tcp_server(LOOPBACK, 0, None, told, connect_cb=fail, tls=config)
        tcp_connect(server.host, server.port, None, told, tls=ca.client())

    conditions = []
    run(start, loop=loop)
    of_server = next(each for each in conditions if each.socket is None)
    of_client = next(each for each in conditions if each.socket is not None)
    assert (of_server.reason, of_server.alert) == ("certificate-required", "certificate_required")
    assert (of_client.reason, of_client.alert) == ("certificate-required", "certificate_required")


def test_nothing_in_common_by_alpn_is_told_on_both_sides(loop, ca):
    def told(condition):
        conditions.append(condition)
        if len(conditions) == 2:
            exit_event_loop()

    def start():
        server = tcp_server(LOOPBACK, 0, None, told, tls=ca.server(alpn=["h2"]))
        tcp_connect(server.host, server.port, None, told, tls=ca.client(alpn=["http/1.1"]))

    conditions = []
    run(start, loop=loop)
    assert {each.reason for each in conditions} == {"no-application-protocol"}
    assert {each.alert for each in conditions} == {"no_application_protocol"}


def test_no_version_in_common_is_told_on_both_sides(loop, ca):
    def told(condition):
        conditions.append(condition)
        if len(conditions) == 2:
            exit_event_loop()

    def start():
        server = tcp_server(LOOPBACK, 0, None, told, tls=ca.server(min_version="1.3"))
        tcp_connect(server.host, server.port, None, told, tls=ca.client(max_version="1.2"))

    conditions = []
    run(start, loop=loop)
    assert {each.reason for each in conditions} == {"protocol-version"}


def test_certificate_that_is_refused_tells_why_and_closes(loop, ca):
    def start():
        server = tcp_server(LOOPBACK, 0, None, ignore, tls=ca.server())
        tcp_connect(server.host, server.port, fail, log.event, connect_cb=fail, close_cb=closed, tls=True)

    def closed(_ours, reason):
        log.told.append(reason)
        exit_event_loop()

    log = Log()
    run(start, loop=loop)
    (condition,) = log.conditions
    assert type(condition) is TlsCertificateError
    assert (condition.reason, condition.alert) == ("unknown-issuer", "unknown_ca")
    assert log.told == ["TlsCertificateError", condition]


def test_forced_close_in_the_handshake_ends_it(loop, peers, ca):
    def start():
        ours = tcp_connect(*peers.address, fail, fail, connect_cb=fail, close_cb=closed, tls=ca.client())
        asynctcp.delay(lambda: ours.close(force=True), 0.02)

    def closed(_ours, reason):
        reasons.append(reason)
        exit_event_loop()

    reasons = []
    run(start, loop=loop)
    assert reasons == [None]


def test_data_that_comes_with_the_end_of_the_handshake_is_delivered(loop, wrap, ca, log):
    def talk(raw):
        raw.sendall(b"at once")
        raw.unwrap()

    def serve():
        server = tcp_server(LOOPBACK, 0, log.read, log.event, tls=ca.server(sessions=False))
        wrap(server, talk)

    run(serve, loop=loop)
    assert log.order() == [b"at once", "TcpEof"]


def test_what_waits_for_the_kernel_counts_in_plain_and_sealed_bytes(ca, wrap):
    def welcome(ours):
        ours.write(b"x" * MUCH)
        sizes.append(ours.write_buffer_size)
        after_quiet(lambda: (sizes.append(ours.write_buffer_size), proceed.append(True)))

    def talk(raw):
        wait_until(lambda: proceed)
        receive_exactly(raw, MUCH)

    sizes, proceed = [], []
    run(lambda: wrap(tcp_server(LOOPBACK, 0, None, ignore, connect_cb=welcome, tls=ca.server()), talk))
    # On a busy machine the helper has begun to send by then.
    assert 0 < sizes[1] <= sizes[0] <= MUCH
    assert sizes[1] < MUCH
