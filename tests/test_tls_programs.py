"""TLS with programs that are not ours: OpenSSL, curl, nginx (docs/contract.md, "TLS")."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import time

import pytest

import asynctcp
from asynctcp import TlsConfig, exit_event_loop, tcp_connect, tcp_server
from helpers import DEADLINE, LOOPBACK, MUCH, ignore, run, wait_until
from peers import needs

#: A server that says hello.
NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log stderr;
events {{ }}
http {{
    access_log off; client_body_temp_path {folder}; proxy_temp_path {folder};
    fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{
        listen {address} ssl; ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.pem;
        location / {{ return 200 "hello"; }}
    }}
}}
"""


@pytest.fixture
def folder(tmp_path, ca):
    """Files for programs: whom to trust, and the ordinary certificate with its key."""
    (tmp_path / "ca.pem").write_bytes(ca.pem)
    (tmp_path / "server.pem").write_bytes(ca.usual)
    (tmp_path / "client.pem").write_bytes(ca.issue("me@example.org"))
    return tmp_path


@pytest.fixture
def start(folder):
    """Start a program in that folder; the test's end ends it."""
    started = []

    def start(*command):
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait(DEADLINE)
        process.stdin.close()
        process.stdout.close()


def read_until(process, wanted):
    """All that it prints up to ``wanted``, a pattern."""
    told, deadline = b"", time.monotonic() + DEADLINE
    while not re.search(wanted, told):
        rest = deadline - time.monotonic()
        assert rest > 0, f"waited in vain for {wanted!r}: {told!r}"
        if select.select([process.stdout], [], [], rest)[0]:
            piece = os.read(process.stdout.fileno(), 1 << 16)
            assert piece, f"it ended: {told!r}"
            told += piece
    return told


def say(process, data):
    process.stdin.write(data)
    process.stdin.flush()


@pytest.fixture
def against(spawn):
    """Run ``talk(server)`` in a thread beside a server of ours, whose ``read_cb`` echoes."""

    def against(config, talk, read_cb=None, told=None, **keywords):
        def body(server, core):
            try:
                talk(server)
            finally:
                core.exit()

        def begin():
            server = tcp_server(
                LOOPBACK,
                0,
                read_cb or (lambda ours, data: ours.write(data)),
                told or ignore,
                tls=config,
                **keywords,
            )
            spawn(body, server, asynctcp.current_event_loop())

        run(begin, timeout=3 * DEADLINE)

    return against


def s_client(server, *options):
    return ("openssl", "s_client", "-connect", f"{LOOPBACK}:{server.port}", "-CAfile", "ca.pem", *options)


@needs("openssl")
@pytest.mark.parametrize("version", ["tls1_2", "tls1_3"])
def test_s_client_connects_verifies_and_is_echoed(against, start, ca, version):
    def talk(server):
        client = start(*s_client(server, f"-{version}", "-servername", "localhost", "-alpn", "x,http/1.1"))
        told.append(read_until(client, rb"Verify return code: .*\n").decode())
        say(client, b"echo\n")
        read_until(client, rb"(?m)^echo")

    told = []
    against(ca.server(alpn=["http/1.1"]), talk)
    assert "Verify return code: 0 (ok)" in told[0]
    assert "ALPN protocol: http/1.1" in told[0]


@needs("openssl")
@pytest.mark.parametrize("version", ["tls1", "tls1_1"])
def test_old_versions_are_refused(against, start, ca, version):
    def talk(server):
        client = start(*s_client(server, f"-{version}", "-cipher", "DEFAULT@SECLEVEL=0"))
        told.append(client.communicate(timeout=DEADLINE)[0].decode())
        wait_until(lambda: conditions)

    told, conditions = [], []
    against(ca.server(), talk, told=conditions.append)
    assert "alert protocol version" in told[0]
    assert [each.reason for each in conditions] == ["protocol-version"]


@needs("openssl")
@pytest.mark.parametrize(
    "ciphers", ["AES128-SHA", "DHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-SHA", "AES256-GCM-SHA384"]
)
def test_weak_suites_of_tls_1_2_are_refused(against, start, ca, ciphers):
    def talk(server):
        client = start(*s_client(server, "-tls1_2", "-cipher", f"{ciphers}:@SECLEVEL=0"))
        told.append(client.communicate(timeout=DEADLINE)[0].decode())

    told = []
    against(ca.server(), talk)
    assert "handshake failure" in told[0]


@needs("openssl")
def test_renegotiation_is_refused(against, start, ca):
    def talk(server):
        client = start(*s_client(server, "-tls1_2"))
        read_until(client, rb"Verify return code: .*\n")
        say(client, b"R\n")
        told.append(client.communicate(timeout=DEADLINE)[0].decode())

    told = []
    against(ca.server(), talk)
    assert "no renegotiation" in told[0] or "alert" in told[0]


@needs("openssl")
@pytest.mark.parametrize("version", ["tls1_2", "tls1_3"])
def test_s_client_resumes_its_session(against, start, ca, folder, version):
    def talk(server):
        options = (f"-{version}", "-servername", "localhost")
        # Quiet, since what it prints of a ticket would keep the answer in its buffer.
        first = start(*s_client(server, *options, "-quiet", "-sess_out", "session"))
        say(first, b"a\n")
        read_until(first, rb"(?m)^a")
        wait_until((folder / "session").exists)
        second = start(*s_client(server, *options, "-sess_in", "session"))
        told.append(read_until(second, rb"(New|Reused), TLS.*\n").decode())
        wait_until(lambda: len(resumed) == 2)

    told, resumed = [], []
    against(ca.server(), talk, connect_cb=lambda ours: resumed.append(ours.tls.resumed))
    assert "Reused" in told[0]
    assert resumed == [False, True]


@needs("openssl")
def test_keys_are_updated_by_the_peer(against, start, ca):
    def talk(server):
        client = start(*s_client(server, "-tls1_3"))
        read_until(client, rb"Verify return code: .*\n")
        for number in range(5):
            say(client, b"K\n")
            read_until(client, rb"KEYUPDATE")
            say(client, b"after %d\n" % number)
            read_until(client, rb"(?m)^after %d" % number)

    against(ca.server(), talk)


@needs("openssl")
def test_peer_that_is_killed_has_truncated_its_stream(against, start, ca):
    def talk(server):
        client = start(*s_client(server))
        say(client, b"half\n")
        read_until(client, rb"(?m)^half")
        client.send_signal(signal.SIGKILL)
        wait_until(lambda: conditions)

    conditions = []
    against(ca.server(), talk, told=conditions.append)
    assert [each.reason for each in conditions if isinstance(each, asynctcp.TlsError)] == ["truncated"]


@needs("openssl")
def test_s_client_shows_its_certificate(against, start, ca):
    def talk(server):
        client = start(*s_client(server, "-quiet", "-cert", "client.pem", "-key", "client.pem"))
        say(client, b"a\n")
        read_until(client, rb"(?m)^a")

    told = []
    against(
        ca.server(client_certs="required", ca_data=ca.pem),
        talk,
        connect_cb=lambda ours: told.append(ours.tls.peer_names),
    )
    assert told == [["me@example.org"]]


@needs("openssl")
def test_s_client_without_a_certificate_is_told_so(against, start, ca):
    def talk(server):
        client = start(*s_client(server, "-tls1_3", "-ign_eof"))
        told.append(client.communicate(timeout=DEADLINE)[0].decode())

    told = []
    against(ca.server(client_certs="required", ca_data=ca.pem), talk)
    assert "certificate required" in told[0]


@contextlib.contextmanager
def serving(start, *options):
    """Run ``openssl s_server``; yields it and its port."""
    import socket

    with socket.create_server((LOOPBACK, 0)) as probe:
        port = probe.getsockname()[1]
    command = (
        "openssl",
        "s_server",
        "-accept",
        f"{LOOPBACK}:{port}",
        "-cert",
        "server.pem",
        "-key",
        "server.pem",
    )
    server = start(*command, *options)
    read_until(server, rb"ACCEPT")
    yield server, port


@needs("openssl")
@pytest.mark.parametrize("version", ["tls1_2", "tls1_3"])
def test_client_of_ours_talks_to_s_server(start, ca, version):
    def read(ours, data):
        got.extend(data)
        if got.endswith(b"\n"):
            told.append((ours.tls.version, ours.tls.alpn, ours.tls.server_name))
            exit_event_loop()

    got, told = bytearray(), []
    with serving(start, f"-{version}", "-rev", "-alpn", "http/1.1") as (_, port):
        run(lambda: tcp_connect("localhost", port, read, data=b"olleh\n", tls=ca.client(alpn=["http/1.1"])))
    assert bytes(got) == b"hello\n"
    assert told == [("TLSv1.2" if version == "tls1_2" else "TLSv1.3", "http/1.1", "localhost")]


@needs("openssl")
@pytest.mark.parametrize("version", ["tls1_2", "tls1_3"])
def test_client_of_ours_resumes_with_s_server(start, ca, version):
    def again(port, times):
        def read(ours, _data):
            resumed.append(ours.tls.resumed)
            ours.close()
            again(port, times - 1) if times > 1 else exit_event_loop()

        tcp_connect("localhost", port, read, data=b"x\n", tls=config)

    resumed, config = [], ca.client()
    with serving(start, f"-{version}", "-rev") as (_, port):
        run(lambda: again(port, 2))
    assert resumed == [False, True]


@needs("openssl")
def test_client_of_ours_shows_its_certificate_to_s_server(start, ca, folder):
    config = ca.client(cert_file=folder / "client.pem")
    got = []

    def read(_ours, data):
        got.append(data)
        exit_event_loop()

    with serving(start, "-Verify", "1", "-CAfile", "ca.pem", "-verify_return_error", "-rev") as (_, port):
        run(lambda: tcp_connect("localhost", port, read, data=b"ab\n", tls=config))
    assert got == [b"ba\n"]


@needs("openssl")
def test_s_server_that_wants_a_certificate_refuses_a_client_without(start, ca):
    def told(condition):
        conditions.append(condition)
        exit_event_loop()

    conditions = []
    with serving(start, "-Verify", "1", "-CAfile", "ca.pem", "-verify_return_error") as (_, port):
        run(lambda: tcp_connect("localhost", port, None, told, data=b"x", tls=ca.client()))
    assert conditions[0].reason == "certificate-required"


@needs("curl")
def test_curl_fetches_much_over_tls(against, start, ca, folder):
    def read(ours, _data):
        ours.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % MUCH)
        ours.write(b"x" * MUCH)
        ours.close()

    def talk(server):
        curl = start("curl", "-sS", "--cacert", "ca.pem", "-o", "got", f"https://localhost:{server.port}/")
        told.append(curl.communicate(timeout=DEADLINE)[0])

    told = []
    against(ca.server(alpn=["http/1.1"]), talk, read)
    assert told == [b""]
    assert (folder / "got").stat().st_size == MUCH


@needs("curl")
def test_curl_that_does_not_know_the_authority_is_told_of(against, start, ca):
    def talk(server):
        curl = start("curl", "-sS", f"https://localhost:{server.port}/")
        told.append(curl.communicate(timeout=DEADLINE)[0])
        wait_until(lambda: conditions)

    told, conditions = [], []
    against(ca.server(), talk, told=conditions.append)
    assert b"certificate" in told[0]
    # Newer ones look at the certificate when the handshake is over, and close or reset without an alert.
    if isinstance(conditions[0], asynctcp.TlsError) and conditions[0].reason != "truncated":
        assert (conditions[0].reason, conditions[0].alert) == ("certificate-refused", "unknown_ca")
    else:
        assert isinstance(conditions[0], (asynctcp.TlsError, asynctcp.TcpReset))


@needs("nginx")
def test_nginx_answers_our_client(start, ca, folder):
    import socket

    with socket.create_server((LOOPBACK, 0)) as probe:
        port = probe.getsockname()[1]
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, address=f"{LOOPBACK}:{port}"))
    start("nginx", "-c", folder / "nginx.conf", "-e", "stderr")
    got = bytearray()

    def attempt():
        tcp_connect(
            "localhost",
            port,
            lambda _ours, data: got.extend(data),
            told,
            data=b"GET / HTTP/1.0\r\n\r\n",
            tls=ca.client(),
        )

    def told(condition):
        if isinstance(condition, asynctcp.TcpRefused):
            asynctcp.delay(attempt, 0.02)
        else:
            conditions.append(condition)
            exit_event_loop()

    conditions = []
    run(attempt)
    assert isinstance(conditions[0], asynctcp.TcpEof), "nginx sends close_notify"
    assert got.endswith(b"hello")


def test_system_store_trusts_no_stranger(ca):
    def told(condition):
        conditions.append(condition)
        exit_event_loop()

    def begin():
        server = tcp_server(LOOPBACK, 0, None, ignore, tls=ca.server())
        tcp_connect("localhost", server.port, None, told, tls=TlsConfig.client())

    conditions = []
    run(begin)
    assert conditions[0].reason == "unknown-issuer"
