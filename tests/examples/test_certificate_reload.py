"""The server that takes a new certificate on SIGHUP."""

import shutil
import signal
import ssl

import pytest

from certificates import authority
from peers import exchange


@pytest.fixture
def pem(tmp_path, tls_files):
    """The server's file, which may be written anew."""
    return shutil.copy(tls_files / "server.pem", tmp_path / "server.pem")


@pytest.fixture
def server(start_example, pem):
    return start_example("certificate_reload", pem, pem)


def connect(server):
    return authority().client_context().wrap_socket(server.connect(), server_hostname="localhost")


def hang_up(server, said):
    after = server.lines()
    server.process.send_signal(signal.SIGHUP)
    server.wait_for(said, after=after)


def test_new_connections_get_the_new_certificate_and_open_ones_go_on(server, pem):
    with connect(server) as old:
        pem.write_bytes(authority().issue())
        hang_up(server, "took the new certificate")
        with connect(server) as new:
            assert old.getpeercert(True) != new.getpeercert(True)
            assert new.getpeercert(True) == first_certificate(pem)
            assert exchange(new, b"hello") == b"hello"
        assert exchange(old, b"hello") == b"hello"


def test_bad_file_leaves_the_old_certificate(server, pem):
    with connect(server) as before:
        certificate = before.getpeercert(True)
    for content in (b"no certificate", b""):
        pem.write_bytes(content)
        hang_up(server, "kept the old certificate: cert_file ")
    pem.unlink()
    hang_up(server, "kept the old certificate: .*No such file")
    with connect(server) as after:
        assert after.getpeercert(True) == certificate


def first_certificate(pem):
    text = pem.read_text()
    return ssl.PEM_cert_to_DER_cert(
        text[text.index("-----BEGIN CERT") :].partition("-----END CERT")[0] + "-----END CERTIFICATE-----\n"
    )
