"""The proxy that speaks TLS for a server behind a Unix socket."""

import os
import socket
import ssl
import threading

import pytest

from certificates import authority
from peers import DEADLINE, MIB, fill, needs, receive, receive_all, run


class Behind:
    """A raw listener on a Unix socket, and the proxy before it."""

    def __init__(self, start_example, tls_files, path):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.settimeout(DEADLINE)
        self.listener.bind(os.fspath(path))
        self.listener.listen()
        pem = tls_files / "server.pem"
        self.proxy = start_example("tls_proxy", pem, pem, path)
        self.opened = [self.listener]

    def keep(self, raw):
        raw.settimeout(DEADLINE)
        self.opened.append(raw)
        return raw

    def pair(self):
        """A connection through the proxy: the client's end, over TLS, and the server's."""
        context = authority().client_context()
        raw = self.keep(self.proxy.connect())
        client = context.wrap_socket(raw, server_hostname="localhost", suppress_ragged_eofs=False)
        return self.keep(client), self.keep(self.listener.accept()[0])


@pytest.fixture
def behind(start_example, tls_files, tmp_path):
    behind = Behind(start_example, tls_files, tmp_path / "app.sock")
    yield behind
    for each in behind.opened:
        each.close()


def test_both_directions_arrive_unchanged(behind):
    for sender, receiver in (pair := behind.pair()), pair[::-1]:
        data = os.urandom(2 * MIB)
        thread = threading.Thread(target=sender.sendall, args=(data,))
        thread.start()
        assert receive(receiver, len(data)) == data
        thread.join(DEADLINE)


def test_end_of_the_server_is_a_close_notify_for_the_client(behind):
    client, server = behind.pair()
    server.sendall(b"last")
    server.shutdown(socket.SHUT_WR)
    assert receive_all(client) == b"last"  # an end without one would raise


def test_end_of_the_client_goes_through_and_the_answer_comes_back(behind):
    context = authority().client_context()
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(down, up, server_hostname="localhost")
    with behind.proxy.connect() as raw:
        shake(client, raw, up, down)
        client.write(b"question")
        with pytest.raises(ssl.SSLWantReadError):  # the peer's close_notify is not there: its half stays open
            client.unwrap()
        raw.sendall(up.read())
        server = behind.keep(behind.listener.accept()[0])
        assert receive_all(server) == b"question"
        server.sendall(b"answer")
        server.close()
        while piece := raw.recv(65536):
            down.write(piece)
    assert client.read() == b"answer"


def shake(client, raw, up, down):
    while True:
        try:
            client.do_handshake()
            raw.sendall(up.read())
        except ssl.SSLWantReadError:
            raw.sendall(up.read())
            down.write(raw.recv(65536))
        else:
            return


def test_client_whose_server_is_not_there_is_closed(start_example, tls_files, tmp_path):
    pem = tls_files / "server.pem"
    proxy = start_example("tls_proxy", pem, pem, tmp_path / "none.sock")
    with authority().client_context().wrap_socket(proxy.connect(), server_hostname="localhost") as client:
        assert receive_all(client) == b""
    proxy.wait_for("TcpError|TcpRefused")


@pytest.mark.slow
@pytest.mark.parametrize("first", [0, 1], ids=["client", "server"])
def test_side_that_takes_nothing_holds_the_other_back(behind, first):
    pair = behind.pair()
    small = behind.proxy.memory()
    assert fill(pair[first], b"x" * MIB, 64 * MIB) < 64 * MIB
    assert behind.proxy.memory() - small < 8 * MIB


@needs("curl")
def test_curl_gets_an_answer_of_the_server(behind, tls_files):
    def serve():
        server = behind.keep(behind.listener.accept()[0])
        assert receive(server, 16) == b"GET / HTTP/1.1\r\n"
        server.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

    thread = threading.Thread(target=serve)
    thread.start()
    url = f"https://localhost:{behind.proxy.address[1]}/"
    assert run("curl", "-sS", "--cacert", str(tls_files / "ca.pem"), url) == "hi"
    thread.join(DEADLINE)
