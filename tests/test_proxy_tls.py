"""PROXY headers in front of TLS: in the clear, before the handshake, both ways."""

from __future__ import annotations

import ssl

import pytest

import asynctcp
from asynctcp import ProxyHeader, tcp_connect, tcp_server
from certificates import authority
from helpers import DEADLINE, LOOPBACK, Log, fail, ignore, receive_all, receive_exactly, reset, run, when

CLIENT, SERVICE = ("192.0.2.1", 51234), ("198.51.100.2", 443)
LOCAL = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"
HEADERS = [bytes(ProxyHeader(CLIENT, SERVICE, version=version)) for version in (1, 2)]


def talk(raw, header, pieces):
    """Send ``header`` with the first bytes of TLS, cut at ``pieces``, then a line; return the answer."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    secured = authority().client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    early = header

    def drive(step):
        nonlocal early
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                sent, early = early + outgoing.read(), b""
                for begin, end in zip([0, *pieces], [*pieces, len(sent)], strict=True):
                    raw.sendall(sent[begin:end])
                incoming.write(raw.recv(65536))

    drive(secured.do_handshake)
    secured.write(b"hello\n")
    raw.sendall(outgoing.read())
    return drive(lambda: secured.read(100))


@pytest.mark.parametrize("pieces", [[], [10], [50]], ids=["whole", "in the header", "in the handshake"])
@pytest.mark.parametrize("header", HEADERS, ids=["1", "2"])
@pytest.mark.parametrize("options", [{}, {"io_threads": 1}], ids=["plain", "threads"])
def test_tls_begins_behind_the_header(peers, spawn, header, pieces, options):
    seen, answers = [], []

    def answer(ours, data):
        seen.append((ours.peername, ours.proxy.version, ours.tls.version, data))
        ours.write(data.upper())
        ours.close()

    def start():
        server = tcp_server(LOOPBACK, 0, answer, fail, tls=authority().server(), proxy_protocol="require")
        raw = peers.connect(server)
        spawn(lambda: answers.append(talk(raw, header, pieces)))
        when(lambda: answers, server.close)

    run(start, loop=asynctcp.EventLoop(**options))
    assert seen == [(CLIENT, 1 if header == HEADERS[0] else 2, "TLSv1.3", b"hello\n")]
    assert answers == [b"HELLO\n"]


def test_header_is_sent_before_the_handshake(peers, spawn):
    got = []

    def start():
        ours = tcp_connect(
            *peers.address,
            None,
            ignore,
            tls=authority().client(),
            send_proxy=ProxyHeader(CLIENT, SERVICE, version=1),
        )
        spawn(lambda: got.append(receive_exactly(peers.accept(), len(HEADERS[0]) + 3)))
        when(lambda: got, lambda: ours.close(force=True))

    run(start)
    assert got == [HEADERS[0] + b"\x16\x03\x01"]


def test_header_goes_over_tls_from_one_of_ours_to_another():
    seen, log = [], Log()

    def welcome(ours):
        seen.append((ours.peername, ours.tls.version))
        ours.close()

    def start():
        server = tcp_server(
            LOOPBACK, 0, None, fail, connect_cb=welcome, tls=authority().server(), proxy_protocol="require"
        )
        client = authority().client(server_name="localhost")
        tcp_connect(*server.address, None, log.event, tls=client, send_proxy=ProxyHeader(CLIENT, SERVICE))
        when(lambda: log.told, server.close)

    run(start)
    assert seen == [(CLIENT, "TLSv1.3")]
    assert log.told == ["TcpEof"]


def test_stranger_is_refused_before_any_handshake(peers):
    log = Log()

    def start():
        server = tcp_server(
            LOOPBACK,
            0,
            None,
            log.event,
            connect_cb=fail,
            tls=authority().server(),
            proxy_protocol="require",
            proxy_from=["192.0.2.0/24"],
        )
        raw = peers.connect(server)
        when(lambda: log.told, server.close)
        raw.settimeout(DEADLINE)
        raws.append(raw)

    raws = []
    run(start)
    assert log.told == ["ProxyError"]
    with pytest.raises(ConnectionResetError):
        receive_all(raws[0])


def test_handshake_without_a_header_is_no_header(peers):
    log = Log()

    def start():
        server = tcp_server(LOOPBACK, 0, None, log.event, tls=authority().server(), proxy_protocol="require")
        peers.connect(server).sendall(b"\x16\x03\x01\x02\x00\x01\x00")
        when(lambda: log.told, server.close)

    run(start)
    assert [condition.reason for condition in log.conditions] == ["no-header"]


def test_untrusted_connection_is_served_over_tls_under_accept(peers, spawn):
    answers = []

    def start():
        server = tcp_server(
            LOOPBACK,
            0,
            lambda ours, data: (ours.write(data), ours.close()),
            fail,
            tls=authority().server(),
            proxy_protocol="accept",
            proxy_from=["127.0.0.0/8"],
        )
        raw = peers.connect(server)
        spawn(lambda: answers.append(talk(raw, b"", [])))
        when(lambda: answers, server.close)

    run(start)
    assert answers == [b"hello\n"]


@pytest.mark.parametrize(
    "sent", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03", b""], ids=["no TLS", "cut", "nothing"]
)
def test_failed_handshake_behind_a_header_names_whom_the_header_does(peers, sent):
    log = Log()

    def start():
        config = authority().server(handshake_timeout=0.05)
        server = tcp_server(LOOPBACK, 0, None, log.event, tls=config, proxy_protocol="require")
        raw = peers.connect(server)
        raw.sendall(HEADERS[1] + sent)
        when(lambda: log.told, server.close)

    run(start)
    (condition,) = log.conditions
    assert condition.peer == ":".join(map(str, CLIENT))
    assert condition.peer in str(condition)


def test_failed_handshake_behind_a_health_check_names_the_balancer(peers):
    log, names = Log(), []

    def start():
        server = tcp_server(LOOPBACK, 0, None, log.event, tls=authority().server(), proxy_protocol="require")
        raw = peers.connect(server)
        raw.sendall(LOCAL + b"garbage")
        names.append(":".join(map(str, raw.getsockname())))
        when(lambda: log.told, server.close)

    run(start)
    assert [condition.peer for condition in log.conditions] == names


def test_reset_behind_a_piece_of_what_is_no_header_is_told(peers):
    log = Log()

    def start():
        server = tcp_server(
            LOOPBACK,
            0,
            None,
            log.event,
            tls=authority().server(),
            proxy_protocol="accept",
            proxy_from=["127.0.0.0/8"],
        )
        raw = peers.connect(server)
        raw.sendall(b"PRO")
        reset(raw)
        when(lambda: log.told, server.close)

    run(start)
    assert log.told == ["TlsError"]


def test_handshakes_behind_headers_are_bounded_in_number(peers):
    """Who has not sent its header yet is on the way to a handshake as well."""

    def told(condition):
        reasons.append(condition.reason)
        counts.append(asynctcp.stats()["tls_handshakes_failed"])
        server[0].close()

    def start():
        config = authority().server(handshake_timeout=0.1)
        options = {"tls": config, "proxy_protocol": "require", "max_handshakes": 2}
        server.append(tcp_server(LOOPBACK, 0, fail, told, **options))
        for raw in [peers.connect(server[0]) for _ in range(8)]:
            raw.sendall(HEADERS[0] + b"\x16\x03\x01")

    server, reasons, counts = [], [], []
    run(start)
    assert set(reasons) == {"handshake-timeout"}
    assert counts[0] <= 2
