"""TLS where one end is gone, or fails, while the other has something to say (docs/contract.md, "TLS")."""

from __future__ import annotations

import socket

import pytest

from asynctcp import TcpEof, exit_event_loop, pipe_connect, pipe_server
from helpers import fail, ignore, run

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
