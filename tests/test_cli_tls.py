"""``asynctcp echo``, ``connect``, ``proxy`` over TLS: with each other, Python's ``ssl``, openssl and curl."""

from __future__ import annotations

import hashlib
import socket
import ssl
import subprocess

import pytest

import cli
from asynctcp import TlsError, TlsInfo
from asynctcp._cli.main import main
from asynctcp._cli.tls_words import describe, explain
from certificates import authority
from cli import finish
from peers import (
    DEADLINE,
    LOOPBACK,
    MIB,
    Program,
    find,
    hash_of,
    make_file,
    needs,
    nginx,
    receive,
    receive_all,
)

ANY = f"{LOOPBACK}:0"


@pytest.fixture
def folder(tmp_path):
    """Files: whom to trust, the ordinary certificate with its key, a client's, one for another name."""
    ca = authority()
    (tmp_path / "ca.pem").write_bytes(ca.pem)
    (tmp_path / "server.pem").write_bytes(ca.usual)
    (tmp_path / "client.pem").write_bytes(ca.issue("me@example.org"))
    (tmp_path / "other.pem").write_bytes(ca.issue("other.test"))
    return tmp_path


@pytest.fixture
def serve(folder):
    """``serve(*arguments)`` runs a command that listens; gives it, and where. Its end must be orderly."""
    started = []

    def serve(command, *arguments):
        program = cli.program(command, *arguments, cwd=folder)
        started.append(program)
        found = program.wait_for(r"(?:echoing|listening) on (\S+):(\d+)")
        return program, (found[1], int(found[2]))

    yield serve
    for program in started:
        with program:
            program.interrupt()
        assert "Traceback" not in program.output


@pytest.fixture
def echo(serve):
    """``echo(*options)`` runs an echo server over TLS."""

    def echo(*options, cert="server.pem"):
        return serve("echo", "--port", "0", "--tls", "--cert", cert, *options)

    return echo


@pytest.fixture
def connect(commands, folder):
    """``connect(address, *options)`` sends hello; gives status, output and what was said of TLS."""

    def connect(address, *options, data=b"hello"):
        command = commands.start("connect", *options, "localhost", address[1], cwd=folder)
        return finish(command, data)

    return connect


def secured(address, context=None):
    raw = socket.create_connection(address, DEADLINE)
    return (context or authority().client_context()).wrap_socket(raw, server_hostname="localhost")


# --- connect and echo ---------------------------------------------------------------------------------------


def test_connect_talks_to_echo_and_says_what_was_agreed_on_and_who_answered(echo, connect):
    _, address = echo("--alpn", "h2,http/1.1")
    status, output, told = connect(address, "--tls", "--ca", "ca.pem", "--alpn", "x", "--alpn", "http/1.1")
    assert (status, output) == (0, b"hello")
    certificate = ssl.PEM_cert_to_DER_cert(
        authority().usual[authority().usual.index(b"-----BEGIN CERT") :].decode()
    )
    rows = dict(line.strip().split("  ", 1) for line in told.splitlines())
    assert {name: value.strip() for name, value in rows.items()} == {
        "TLS": "TLSv1.3, TLS_AES_256_GCM_SHA384, X25519MLKEM768",
        "ALPN": "http/1.1",
        "peer": "verified",
        "names": "localhost, 127.0.0.1, ::1",
        "chain 1": f"SHA-256 {hashlib.sha256(certificate).hexdigest()}, {len(certificate)} bytes",
    }


def test_quiet_connect_says_nothing(echo, connect):
    _, address = echo()
    assert connect(address, "--tls", "--ca", "ca.pem", "--quiet") == (0, b"hello", "")


def test_certificate_of_nobody_who_is_trusted_is_explained_with_a_hint(echo, connect):
    _, address = echo()
    status, output, told = connect(address, "--tls")
    assert (status, output) == (1, b"")
    first, *rows = told.splitlines()
    assert first == (
        f"cannot connect to localhost:{address[1]}: its certificate was signed by nobody who is trusted here"
    )
    assert [row.split()[0] for row in rows] == ["reason", "alert", "found", "try"]
    assert (rows[0].split()[1], rows[1].split()[1]) == ("unknown-issuer", "unknown_ca")
    assert "--ca FILE" in rows[3]


def test_insecure_takes_any_certificate_and_says_so(echo, connect):
    _, address = echo()
    status, output, told = connect(address, "--tls", "--insecure")
    assert (status, output) == (0, b"hello")
    assert "not verified" in told


def test_name_of_the_certificate_is_what_server_name_says(echo, connect):
    _, address = echo(cert="other.pem")
    trusted = ("--tls", "--ca", "ca.pem")
    status, _, told = connect(address, *trusted)
    assert (status, "its certificate is for other names" in told, '"other.test"' in told) == (1, True, True)
    assert connect(address, *trusted, "--server-name", "other.test")[:2] == (0, b"hello")


def test_protocol_that_is_not_spoken_is_explained(echo, connect):
    _, address = echo("--alpn", "h2")
    status, _, told = connect(address, "--tls", "--ca", "ca.pem", "--alpn", "x")
    assert (status, "it speaks none of the protocols of --alpn" in told) == (1, True)


def test_server_that_speaks_no_tls_is_explained(serve, connect):
    _, address = serve("echo", "--port", "0")
    status, _, told = connect(address, "--tls")
    assert (status, "its answer is not what TLS expects there" in told, "STARTTLS" in told) == (1, True, True)


def test_client_without_tls_is_refused_and_the_others_served(echo):
    program, address = echo()
    with socket.create_connection(address, DEADLINE) as raw:
        raw.sendall(b"GET / HTTP/1.0\r\n\r\n")
        receive_all(raw)
    program.wait_for("TlsError")
    with secured(address) as client:
        client.sendall(b"hello")
        assert receive(client, 5) == b"hello"


def test_echo_with_ca_wants_a_certificate_and_connect_shows_one(echo, connect):
    _, address = echo("--ca", "ca.pem")
    trusted = ("--tls", "--ca", "ca.pem")
    assert connect(address, *trusted, data=None)[0] == 1
    assert connect(address, *trusted, "--cert", "client.pem")[:2] == (0, b"hello")


def test_connect_sends_much_and_gets_all(echo, connect):
    data = bytes(range(256)) * (MIB // 128)
    _, address = echo()
    assert connect(address, "--tls", "--ca", "ca.pem", "-q", data=data) == (0, data, "")


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ([], "connect --tls --ca ca.pem 127.0.0.1 "),
        (["--ca", "ca.pem"], "connect --tls --ca ca.pem --cert FILE 127.0.0.1 "),
        (["--proxy-protocol", "require"], "connect --send-proxy 2 --tls --ca ca.pem 127.0.0.1 "),
        (["--unix", "e.sock"], "connect --tls --ca ca.pem --server-name NAME --unix e.sock "),
    ],
    ids=repr,
)
def test_echo_says_what_to_type(folder, options, hint):
    command = ["echo", "--port", "0", "--tls", "--cert", "server.pem", *options]
    with cli.program(*command, cwd=folder) as program:
        program.wait_for("echoing on")
        assert f"try it: python -m asynctcp {hint}" in program.output
        assert program.interrupt() == 0


def test_echo_does_not_name_a_ca_that_is_not_there(folder):
    (folder / "ca.pem").unlink()
    with cli.program("echo", "--port", "0", "--tls", "--cert", "server.pem", cwd=folder) as program:
        assert program.wait_for("try it: .* connect --tls 127.0.0.1 ")
        assert program.interrupt() == 0


# --- proxy --------------------------------------------------------------------------------------------------


def test_proxy_ends_the_tls_of_clients(serve, peers):
    _, address = serve("proxy", ANY, "{}:{}".format(*peers.address), "--tls", "--cert", "server.pem")
    with secured(address) as client:
        client.sendall(b"hello")
        target = peers.accept()
        assert receive(target, 5) == b"hello"
        target.sendall(b"world")
        target.shutdown(socket.SHUT_WR)
        assert receive(client, 5) == b"world"
        assert client.recv(1) == b""  # close_notify: an end without one would raise


def test_proxy_speaks_tls_to_its_target(serve, echo):
    _, (_, port) = echo(cert="other.pem")
    options = ("--target-tls", "--target-ca", "ca.pem", "--target-name", "other.test")
    _, address = serve("proxy", ANY, f"{LOOPBACK}:{port}", *options)
    with socket.create_connection(address, DEADLINE) as client:
        client.sendall(b"hello")
        client.shutdown(socket.SHUT_WR)
        assert receive_all(client) == b"hello"


def test_proxy_says_why_a_target_is_not_trusted_and_closes_the_client(serve, echo):
    _, (_, port) = echo()
    program, address = serve("proxy", ANY, f"{LOOPBACK}:{port}", "--target-tls")
    with socket.create_connection(address, DEADLINE) as client:
        assert receive_all(client) == b""
    program.wait_for("TlsCertificateError.*unable to find an issuer")


# --- what is asked for wrongly ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["echo", "--tls"], "--tls needs --cert FILE"),
        (["echo", "--cert", "server.pem"], "--cert needs --tls"),
        (["echo", "--alpn", "h2"], "--alpn needs --tls"),
        (["echo", "--tls", "--cert", "server.pem", "--alpn", "h2,"], "--alpn"),
        (["proxy", ANY, "localhost:1", "--tls"], "--tls needs --cert FILE"),
        (["proxy", ANY, "localhost:1", "--target-ca", "ca.pem"], "--target-ca needs --target-tls"),
        (["connect", "localhost", "1", "--insecure"], "--insecure needs --tls"),
        (["connect", "localhost", "1", "--server-name", "x"], "--server-name needs --tls"),
    ],
    ids=repr,
)
def test_option_that_lacks_another_is_refused_with_status_2(arguments, told, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments",
    [
        ["echo", "--tls", "--cert", "none.pem"],
        ["proxy", ANY, "localhost:1", "--tls", "--cert", "none.pem"],
        ["proxy", ANY, "localhost:1", "--target-tls", "--target-ca", "none.pem"],
        ["connect", "--tls", "--ca", "none.pem", "localhost", "1"],
    ],
    ids=repr,
)
def test_file_that_is_not_there_is_named_with_status_2(arguments, capsys):
    assert main(arguments) == 2
    assert "'none.pem': No such file" in capsys.readouterr().err


# --- words --------------------------------------------------------------------------------------------------


def test_names_of_a_peer_do_not_command_the_terminal():
    info = TlsInfo("TLSv1.2", "TLS_X", None, None, None, None, [], False, ["a\x1b[2J.test"])
    text = describe(info, is_verified=False)
    assert "\x1b" not in text
    assert r"'a\x1b[2J.test'" in text
    assert "no key exchange" in text


def test_reason_without_words_of_its_own_is_told_as_it_is():
    text = explain(TlsError(71, "what happened", reason="misbehaviour"))
    assert text == "TLS failed\n  reason  misbehaviour\n  found   what happened"


# --- real programs ------------------------------------------------------------------------------------------


@needs("openssl")
def test_openssl_verifies_echo(echo, folder):
    _, (host, port) = echo("--alpn", "h2")
    command = [find("openssl"), "s_client", "-connect", f"{host}:{port}", "-CAfile", "ca.pem", "-alpn", "h2"]
    done = subprocess.run(
        [*command, "-servername", "localhost", "-verify_return_error"],
        cwd=folder,
        input=b"",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=DEADLINE,
        check=False,
    )
    assert b"Verify return code: 0 (ok)" in done.stdout
    assert b"ALPN protocol: h2" in done.stdout


@needs("openssl")
def test_connect_gets_a_page_of_openssl(connect, folder):
    with socket.socket() as raw:
        raw.bind((LOOPBACK, 0))
        port = raw.getsockname()[1]
    command = [find("openssl"), "s_server", "-accept", f"{LOOPBACK}:{port}", "-cert", "server.pem", "-www"]
    with Program(*command, cwd=folder) as server:
        server.wait_for("ACCEPT")
        request = b"GET / HTTP/1.0\n\n"
        status, output, told = connect((LOOPBACK, port), "--tls", "--ca", "ca.pem", "--crlf", data=request)
    assert (status, output.startswith(b"HTTP/1.0 200 ")) == (0, True), told


@needs("curl", "nginx")
def test_curl_gets_a_file_of_nginx_over_tls_through_the_proxy(serve, tmp_path):
    digest = make_file(tmp_path / "file", 4 * MIB)
    with nginx(tmp_path) as target:
        _, (_, port) = serve("proxy", ANY, "{}:{}".format(*target), "--tls", "--cert", "server.pem")
        assert hash_of(f"https://localhost:{port}/file", "--cacert", str(tmp_path / "ca.pem")) == digest
