"""``tcp_connect`` and ``tcp_server`` with programs at the other end that know nothing of us."""

from __future__ import annotations

import hashlib
import os

import asynctcp
from helpers import LOOPBACK, run
from peers import BY_PAGES, MIB, Program, find, make_file, needs, nginx, reserved_port

GET = b"GET /%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@needs("nginx")
def test_file_from_nginx_arrives_whole_and_then_the_end(tmp_path, log):
    digest = make_file(tmp_path / "file", 8 * MIB)
    with nginx(tmp_path) as address:
        run(lambda: asynctcp.tcp_connect(*address, log.read, log.event, data=GET % b"file"))
    head, _, body = log.joined().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert hashlib.sha256(body).hexdigest() == digest
    assert log.told[-1] == "TcpEof"


@needs("nginx")
def test_answers_of_nginx_are_read_from_one_stream_in_order(tmp_path):
    (tmp_path / "file").write_text("text\n")
    lines = []

    def on_read(_socket, stream):
        lines.extend(iter(stream.readline, None))
        if lines.count(b"text\n") == 3:
            stream.close()

    with nginx(tmp_path) as address:
        run(
            lambda: asynctcp.tcp_connect(
                *address, on_read, stream=True, data=b"GET /file HTTP/1.1\r\nHost: x\r\n\r\n" * 3
            )
        )
    assert [line for line in lines if line.startswith(b"HTTP/")] == [b"HTTP/1.1 200 OK\r\n"] * 3


@needs("socat")
def test_half_closed_stream_through_socat_comes_back_whole(log):
    data = os.urandom(4 * MIB)

    def use(ours):
        ours.write(data)
        ours.shutdown_write()

    with reserved_port() as port:
        listen = f"TCP-LISTEN:{port},bind={LOOPBACK},reuseaddr"
        with Program(find("socat"), "-d", "-d", "-t20", BY_PAGES, listen, "PIPE") as socat:
            socat.wait_for("listening on")
            run(lambda: asynctcp.tcp_connect(LOOPBACK, port, log.read, log.event, connect_cb=use))
    assert log.joined() == data
    assert log.told[-1] == "TcpEof"


@needs("socat")
def test_file_sent_by_socat_is_received_to_its_end(tmp_path, log):
    digest = make_file(tmp_path / "file", 8 * MIB)
    programs = []

    def end(condition):
        log.event(condition)
        server.close()

    def start():
        nonlocal server
        server = asynctcp.tcp_server(LOOPBACK, 0, log.read, end)
        programs.append(
            Program(find("socat"), "-u", f"OPEN:{tmp_path}/file", f"TCP:{LOOPBACK}:{server.address[1]}")
        )

    server = None
    run(start)
    with programs[0] as socat:
        assert socat.wait() == 0
    assert hashlib.sha256(log.joined()).hexdigest() == digest
    assert log.told[-1] == "TcpEof"
