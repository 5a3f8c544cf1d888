"""TLS where one end is gone, or fails, while the other has something to say (docs/contract.md, "TLS")."""

from __future__ import annotations

import socket
import ssl

import pytest

import asynctcp
from asynctcp import TcpEof, TcpReset, exit_event_loop, pipe_connect, pipe_server, tcp_server
from helpers import LOOPBACK, MUCH, fail, ignore, reset, run, wait_until
from raw_tls import RawTlsClient

ROUNDS = 20


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "socket")


def test_data_of_a_client_that_is_gone_before_our_tickets_is_received(ca, spawn, path):
    """It has finished its handshake, sent and closed at once: over a Unix socket our tickets meet EPIPE."""

    def body():
        for _ in range(ROUNDS):
            raw = socket.socket(socket.AF_UNIX)
            raw.connect(path)
            with ca.client_context().wrap_socket(raw, server_hostname="localhost") as secured:
                secured.sendall(b"yes")

    def event(condition):
        assert isinstance(condition, TcpEof)
        ends.append(condition)
        if len(ends) == ROUNDS:
            exit_event_loop()

    def start():
        config = ca.server(allow_truncation=True)
        pipe_server(path, lambda _, data: got.append(data), event, connect_cb=opened.append, tls=config)
        spawn(body)

    opened, got, ends = [], [], []
    run(start)
    assert len(opened) == ROUNDS
    assert b"".join(got) == b"yes" * ROUNDS


def test_client_of_ours_that_upgrades_writes_and_closes_loses_nothing(ca, path):
    def server_read(ours, data):
        if data == b"STARTTLS":
            ours.write(b"go")
            ours.start_tls(ca.server(allow_truncation=True))
        else:
            got.append(data)

    def client_read(ours, _data):
        ours.start_tls(ca.client(server_name="localhost"))
        ours.write(b"secret")
        ours.close()

    def event(condition):
        assert isinstance(condition, TcpEof)
        exit_event_loop()

    def start():
        pipe_server(path, server_read, event)
        pipe_connect(path, client_read, fail, data=b"STARTTLS")

    got = []
    run(start)
    assert got == [b"secret"]


def test_alert_that_was_received_is_told_although_a_write_failed_meanwhile(ca, path):
    def write_on(ours):
        ours.write(b"x", write_cb=write_on)

    def event(condition):
        told.append(condition)
        exit_event_loop()

    def start():
        pipe_server(path, None, ignore, tls=ca.server(client_certs="required", ca_data=ca.pem))
        pipe_connect(path, None, event, connect_cb=write_on, tls=ca.client(server_name="localhost"))

    for _ in range(ROUNDS):
        told = []
        run(start)
        assert told[0].alert == "certificate_required"


def test_what_is_written_at_the_end_arrives_though_bytes_follow_the_close_notify(ca, peers, spawn):
    def body(server):
        raw = peers.connect(server)
        client = RawTlsClient(raw, ca)
        client.shake_hands()
        client.session.write(b"ask")
        with pytest.raises(ssl.SSLWantReadError):
            client.session.unwrap()
        raw.sendall(client.sealed())
        wait_until(lambda: ends)
        raw.sendall(b"more")
        count = 0
        while count < MUCH:
            count += len(client.drive(lambda: client.session.read(1 << 16)))
        got.append(count)

    def ended(condition):
        condition.socket.write(bytes(MUCH))
        ends.append(condition)

    def start():
        server = tcp_server(LOOPBACK, 0, ignore, ended, tls=ca.server())
        spawn(body, server)
        asynctcp.delay(server.close, 0.05)

    got, ends = [], []
    run(start)
    wait_until(lambda: got)
    assert got == [MUCH]


def test_reset_that_a_send_meets_first_is_a_reset(ca, peers, spawn):
    def body(server):
        raw = peers.connect(server)
        secured = ca.client_context().wrap_socket(raw, server_hostname="localhost")
        wait_until(lambda: stuck)
        reset(secured)

    def connected(ours):
        ours.write(bytes(20 * MUCH))
        asynctcp.delay(lambda: stuck.append(ours.write_buffer_size), 0.05)

    def told(condition):
        conditions.append(condition)
        exit_event_loop()

    def start():
        spawn(body, tcp_server(LOOPBACK, 0, None, told, connect_cb=connected, tls=ca.server()))

    conditions, stuck = [], []
    run(start)
    assert isinstance(conditions[0], TcpReset)


def test_unix_peer_that_goes_with_our_hello_unread_is_an_end_in_the_handshake(ca, spawn, path):
    def told(condition):
        conditions.append(condition)
        exit_event_loop()

    def body():
        peer = listener.accept()[0]
        peer.recv(1, socket.MSG_PEEK)
        peer.close()

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        spawn(body)
        conditions = []
        run(lambda: pipe_connect(path, None, told, tls=ca.client(server_name="localhost")))
    assert conditions[0].reason == "truncated"


def test_bytes_written_are_the_same_after_a_close_by_force(ca, peers, spawn):
    def body(server):
        raw = peers.connect(server)
        with ca.client_context().wrap_socket(raw, server_hostname="localhost"):
            wait_until(lambda: counts)

    def connected(ours):
        ours.write(bytes(20 * MUCH))
        asynctcp.delay(lambda: close(ours), 0.05)

    def close(ours):
        before = ours.bytes_written
        ours.close(force=True)
        counts.append((before, ours.bytes_written))
        exit_event_loop()

    def start():
        spawn(body, tcp_server(LOOPBACK, 0, None, ignore, connect_cb=connected, tls=ca.server()))

    counts = []
    run(start)
    assert counts[0][0] == counts[0][1]
