"""``asynctcp echo`` and ``proxy`` behind and before what speaks the PROXY protocol."""

from __future__ import annotations

import socket

import pytest

import cli
from asynctcp._cli.main import main
from peers import DEADLINE, LOOPBACK, receive

LINE = b"PROXY TCP4 192.0.2.1 198.51.100.2 51234 443\r\n"
ANY = f"{LOOPBACK}:0"


def connect(address):
    return socket.create_connection(address, DEADLINE)


def echo(*options):
    program = cli.program("echo", "--port", "0", *options)
    found = program.wait_for(r"echoing on (\S+):(\d+);")
    return program, (found[1], int(found[2]))


def proxy(peers, *options):
    target = "{}:{}".format(*peers.address)
    program = cli.program("proxy", ANY, target, *options)
    found = program.wait_for(r"listening on (\S+):(\d+) for")
    return program, (found[1], int(found[2]))


def test_echo_takes_headers_and_refuses_who_sends_none():
    program, address = echo("--proxy-protocol", "require")
    with program:
        with connect(address) as client:
            client.sendall(LINE + b"hello")
            assert receive(client, 5) == b"hello"
        with connect(address) as client:
            client.sendall(b"hello")
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        assert program.interrupt() == 0
        assert "ProxyError" in program.output


def test_echo_accepts_headers_of_those_who_are_named():
    program, address = echo(
        "--proxy-protocol", "accept", "--proxy-from", "10.0.0.0/8", "--proxy-from", "127.0.0.1"
    )
    with program:
        for sent in [LINE + b"hello", b"hello"]:
            with connect(address) as client:
                client.sendall(sent)
                assert receive(client, 5) == b"hello"
        assert program.interrupt() == 0


def test_proxy_tells_the_target_whom_it_serves(peers):
    program, address = proxy(peers, "--send-proxy", "1")
    with program, connect(address) as client:
        client.sendall(b"hello")
        host, port = client.getsockname()
        line = f"PROXY TCP4 {host} {address[0]} {port} {address[1]}\r\n".encode()
        assert receive(peers.accept(), len(line) + 5) == line + b"hello"


def test_proxy_passes_on_whom_its_balancer_serves(peers):
    program, address = proxy(peers, "--send-proxy", "2", "--proxy-protocol", "require")
    with program, connect(address) as client:
        client.sendall(LINE + b"hello")
        got = receive(peers.accept(), 28 + 5)
        assert got[16:] == bytes([192, 0, 2, 1, 198, 51, 100, 2, 0xC8, 0x22, 1, 0xBB]) + b"hello"


@pytest.mark.parametrize(
    "arguments",
    [
        ["echo", "--port", "0", "--proxy-protocol", "accept"],
        ["echo", "--port", "0", "--proxy-protocol", "require", "--proxy-from", "10.0.0.1/8"],
        ["proxy", ANY, "127.0.0.1:1", "--proxy-protocol", "accept"],
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, capsys):
    assert main(arguments) == 2
    assert "proxy_from" in capsys.readouterr().err
