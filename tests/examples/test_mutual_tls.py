"""The server and the client that show each other their certificates."""

import pytest

from certificates import Authority
from peers import run_example


@pytest.fixture
def server(start_example, tls_files):
    pem = tls_files / "server.pem"
    return start_example("mutual_tls_server", pem, pem, tls_files / "ca.pem")


@pytest.fixture
def ask(server, tls_files):
    """``ask(certificate, host)`` runs the client; what it trusts is the authority of the server."""

    def ask(certificate, host="localhost"):
        files = [str(path) for path in (certificate, certificate, tls_files / "ca.pem")]
        return run_example("mutual_tls_client", *files, host, str(server.address[1]))

    return ask


def test_client_is_greeted_by_its_name_and_gets_its_line_back(ask, tls_files):
    done = ask(tls_files / "client.pem")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "hello me@example.org\nIs anybody there?\n"


def test_client_of_another_authority_is_refused_and_the_next_is_served(ask, server, tls_files, tmp_path):
    stranger = tmp_path / "stranger.pem"
    stranger.write_bytes(Authority().issue("me@example.org"))
    done = ask(stranger)
    assert (done.returncode, done.stdout) == (1, "")
    server.wait_for("TlsCertificateError")
    assert ask(tls_files / "client.pem").returncode == 0


def test_client_without_a_certificate_is_refused(server):
    with server.connect() as raw:
        raw.sendall(b"hello\n")
        assert b"hello" not in raw.recv(100)
    server.wait_for("TlsError")


def test_file_that_is_not_there_is_said_with_status_2(ask, tmp_path):
    done = ask(tmp_path / "none.pem")
    assert (done.returncode, "No such file" in done.stderr) == (2, True)


def test_what_is_no_host_is_said_with_status_2(ask, tls_files):
    assert ask(tls_files / "client.pem", "a b").returncode == 2
