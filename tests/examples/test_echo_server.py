"""The echo server, against raw sockets and nc."""

import os
import socket
import struct
import subprocess

import pytest

from peers import MIB, Program, exchange, find, needs


@pytest.fixture
def echo(start_example):
    return start_example("echo_server")


def test_what_is_sent_comes_back(echo):
    data = os.urandom(3 * MIB)
    with echo.connect() as raw:
        assert exchange(raw, data) == data


def test_half_closed_client_gets_all_and_then_the_end(echo):
    data = os.urandom(MIB)
    with echo.connect() as raw:
        assert exchange(raw, data, half_close=True) == data


def test_clients_do_not_mix(echo):
    clients = [echo.connect() for _ in range(50)]
    for number, raw in enumerate(clients):
        raw.sendall(b"%d" % number)
    for number, raw in enumerate(clients):
        with raw:
            assert raw.recv(10) == b"%d" % number


def test_client_that_resets_does_not_hurt_the_others(echo):
    with echo.connect() as good:
        with echo.connect() as bad:
            assert exchange(bad, b"hello") == b"hello"
            bad.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        echo.wait_for("TcpReset")
        assert exchange(good, b"still there") == b"still there"


@needs("nc")
def test_nc_gets_its_lines_back(echo):
    command = [find("nc"), *map(str, echo.address)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as nc:
        try:
            for line in (b"one\n", b"two\n"):
                nc.stdin.write(line)
                assert nc.stdout.readline() == line
        finally:
            nc.kill()


@needs("socat")
def test_socat_gets_its_bytes_back(echo, tmp_path):
    data = os.urandom(MIB)
    (tmp_path / "in").write_bytes(data)
    target = "TCP:{}:{}".format(*echo.address)
    files = f"OPEN:{tmp_path}/in,rdonly!!CREATE:{tmp_path}/out"
    with Program(find("socat"), "-t10", files, target) as socat:
        assert socat.wait() == 0
    assert (tmp_path / "out").read_bytes() == data
