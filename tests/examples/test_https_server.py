"""The HTTPS server, against Python's ``ssl`` and curl."""

import pytest

from certificates import authority
from peers import needs, receive_all, run


@pytest.fixture
def server(start_example, tls_files):
    """The server, which is to end its connections by itself, and not because it waited in vain."""
    server = start_example("https_server", tls_files / "server.pem", tls_files / "server.pem")
    yield server
    server.interrupt()  # then all of its output is there
    assert "TcpTimeout" not in server.output


@pytest.fixture
def client(server):
    with server.connect() as raw:
        context = authority().client_context()
        with context.wrap_socket(raw, server_hostname="localhost", suppress_ragged_eofs=False) as secured:
            yield secured


def test_greeting_tells_what_tls_came_to_and_the_connection_ends(client):
    client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    head, text = receive_all(client).split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert f"Content-Length: {len(text)}\r\n".encode() in head
    assert text.decode() == f"Hello over {client.version()} with {client.cipher()[0]}!\n"


def test_head_that_comes_in_pieces_is_answered_once(client):
    for byte in b"GET / HTTP/1.1\r\n\r\n":
        client.sendall(bytes([byte]))
    assert receive_all(client).count(b"HTTP/1.1 200 OK") == 1


def test_head_that_is_too_long_ends_the_connection(client):
    client.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * 8192)
    assert receive_all(client) == b""


@needs("curl")
def test_curl_verifies_it_and_prints_the_greeting(server, tls_files):
    url = f"https://localhost:{server.address[1]}/"
    assert run("curl", "-sS", "--cacert", str(tls_files / "ca.pem"), url).startswith("Hello over TLSv1.3 ")
