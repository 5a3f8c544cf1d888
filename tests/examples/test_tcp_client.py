"""The TCP client, against raw sockets, the echo server, nginx and redis."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import reset
from peers import DEADLINE, EXAMPLES, LOOPBACK, MIB, Program, fill, needs, nginx, receive, receive_all, redis

COMMAND = [sys.executable, EXAMPLES / "tcp_client.py"]


@pytest.fixture
def start_client():
    """``start_client(*arguments)`` gives the running client, a `subprocess.Popen` with pipes of bytes."""
    started = []

    def start(*arguments, stdin=subprocess.PIPE):
        command = [*COMMAND, *map(str, arguments)]
        pipe = subprocess.PIPE
        # Its own flushing is what is tested.
        env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        client = subprocess.Popen(command, stdin=stdin, stdout=pipe, stderr=pipe, bufsize=0, env=env)
        started.append(client)
        return client

    yield start
    for client in started:
        client.kill()
        client.communicate(timeout=DEADLINE)


def finish(client, data=None):
    """Let ``client`` have ``data`` as its input; return its status, its output and what it complained of."""
    output, complaints = client.communicate(data, timeout=DEADLINE)
    return client.returncode, output, complaints.decode()


# --- what is sent and printed -------------------------------------------------------------------------------


@pytest.mark.parametrize(("option", "end"), [([], b"\n"), (["--crlf"], b"\r\n")], ids=["lf", "crlf"])
def test_arguments_are_sent_as_lines_and_what_comes_is_printed(option, end, start_client, peers):
    client = start_client(*option, *peers.address, "one", "", "two words")
    raw = peers.accept()
    assert receive_all(raw) == b"one" + end + end + b"two words" + end
    raw.sendall(b"an\xffswer\r\n")
    raw.close()
    assert finish(client) == (0, b"an\xffswer\r\n", "")


def test_argument_that_is_no_text_is_sent_as_its_bytes(start_client, peers):
    start_client(*peers.address, os.fsdecode(b"\xff"))
    assert receive_all(peers.accept()) == b"\xff\n"


def test_input_is_sent_unchanged_and_comes_back_from_an_echo_server(start_client, start_example):
    data = os.urandom(3 * MIB)
    client = start_client(*start_example("echo_server").address)
    assert finish(client, data) == (0, data, "")


def test_line_is_sent_and_its_answer_printed_while_the_input_is_open(start_client, peers):
    client = start_client(*peers.address)
    raw = peers.accept()
    for line in (b"one\n", b"two\n"):
        client.stdin.write(line)
        assert receive(raw, 4) == line
        raw.sendall(line.upper())
        assert client.stdout.readline() == line.upper()


def test_end_of_the_peer_ends_it_while_its_input_is_open(start_client, peers):
    client = start_client(*peers.address)
    raw = peers.accept()
    raw.sendall(b"bye\n")
    raw.close()
    assert client.stdout.read() == b"bye\n"
    assert (client.wait(DEADLINE), client.stderr.read()) == (0, b"")


def test_empty_input_ends_its_half_and_it_waits_for_the_peers(start_client, peers):
    client = start_client(*peers.address, stdin=subprocess.DEVNULL)
    raw = peers.accept()
    assert raw.recv(1) == b""
    raw.sendall(b"late")
    raw.close()
    assert finish(client) == (0, b"late", "")


@pytest.mark.slow
def test_peer_that_takes_nothing_holds_its_input_back(start_client, peers):
    ours, its = socket.socketpair()
    with ours:
        with its:
            client = start_client(*peers.address, stdin=its)
        raw = peers.accept()
        sent = fill(ours, b"x" * MIB, 64 * MIB)
        assert sent < 32 * MIB
        ours.shutdown(socket.SHUT_WR)
        assert len(receive_all(raw)) == sent
        raw.close()
        assert finish(client) == (0, b"", "")


# --- what goes wrong ----------------------------------------------------------------------------------------


def test_refused_connection_is_said_with_status_1(start_client, peers):
    port = peers.free_port()
    client = start_client(LOOPBACK, port, "hello")
    assert finish(client) == (1, b"", f"cannot connect to {LOOPBACK}:{port}: connection refused\n")


def test_unknown_name_is_said_with_status_1(start_client):
    status, output, complaints = finish(start_client("no-such-host.invalid", 80, "hello"))
    assert (status, output) == (1, b"")
    assert complaints.startswith("cannot connect to no-such-host.invalid:80: ")
    assert len(complaints.splitlines()) == 1


def test_connection_that_takes_too_long_is_said_with_status_1(start_client, peers):
    host, port = peers.black_hole()
    status, output, complaints = finish(start_client("--timeout", 0.1, host, port, "hello"))
    assert (status, output) == (1, b"")
    assert complaints.startswith(f"cannot connect to {host}:{port}: ")
    assert len(complaints.splitlines()) == 1


@pytest.mark.parametrize("lines", [["hello"], []], ids=["arguments", "input"])
def test_silent_peer_is_said_with_status_1(lines, start_client, peers):
    host, port = peers.address
    client = start_client("--timeout", 0.1, host, port, *lines, stdin=subprocess.DEVNULL)
    status, output, complaints = finish(client)
    assert (status, output) == (1, b"")
    assert complaints.startswith(f"lost the connection to {host}:{port}: ")
    assert len(complaints.splitlines()) == 1


@pytest.mark.slow
def test_peer_may_be_silent_while_the_input_is_open(start_client, peers):
    client = start_client("--timeout", 0.1, *peers.address)
    raw = peers.accept()
    with pytest.raises(subprocess.TimeoutExpired):
        client.wait(0.4)
    raw.close()
    assert finish(client) == (0, b"", "")


def test_reset_is_said_with_status_1_after_what_came(start_client, peers):
    client = start_client(*peers.address)
    raw = peers.accept()
    raw.sendall(b"half a li")
    assert client.stdout.read(9) == b"half a li"
    reset(raw)
    status, output, complaints = finish(client)
    assert (status, output) == (1, b"")
    assert complaints.startswith("lost the connection to ")
    assert len(complaints.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "host"),
        (["localhost"], "port"),
        (["localhost", "0"], "port"),
        (["localhost", "65536"], "port"),
        (["localhost", "http"], "port"),
        (["a b", "80"], "host"),
        (["", "80"], "host"),
        (["--timeout", "nan", "localhost", "80"], "timeout"),
    ],
    ids=repr,
)
def test_wrong_argument_is_named_with_status_2(arguments, named, start_client):
    status, output, complaints = finish(start_client(*arguments))
    assert (status, output) == (2, b"")
    assert named in complaints.splitlines()[-1].partition("error:")[2]
    assert "Traceback" not in complaints


def test_ctrl_c_ends_it_and_the_connection_with_status_130_and_no_traceback(peers):
    with Program(*COMMAND, *peers.address) as client:
        raw = peers.accept()
        assert raw.recv(1) == b""
        assert client.interrupt() == 130
        assert client.output == "\nended\n"


def test_reader_that_has_had_enough_ends_it_without_a_traceback(start_client, peers):
    client = start_client(*peers.address)
    raw = peers.accept()
    raw.sendall(b"one\n")
    assert client.stdout.readline() == b"one\n"
    client.stdout.close()
    raw.sendall(b"two\n")
    assert receive_all(raw) == b""
    assert (client.wait(DEADLINE), client.stderr.read()) == (1, b"")


# --- real servers -------------------------------------------------------------------------------------------


@needs("nginx")
def test_page_of_nginx_is_printed(start_client, tmp_path):
    Path(tmp_path, "page").write_bytes(b"hello\n" * 50_000)
    with nginx(tmp_path) as address:
        request = ["GET /page HTTP/1.1", "Host: localhost", "Connection: close", ""]
        status, output, complaints = finish(start_client("--crlf", *address, *request))
    head, _, body = output.partition(b"\r\n\r\n")
    assert (status, complaints) == (0, "")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert body == b"hello\n" * 50_000


@needs("redis-server")
def test_redis_answers_each_line(start_client, tmp_path):
    with redis(tmp_path) as address:
        client = start_client(*address)
        client.stdin.write(b"PING\r\n")
        assert client.stdout.readline() == b"+PONG\r\n"
        assert finish(client, b"ECHO again\r\nQUIT\r\n") == (0, b"$5\r\nagain\r\n+OK\r\n", "")
