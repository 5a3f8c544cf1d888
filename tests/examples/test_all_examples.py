"""What examples have in common: options, and of the servers Ctrl-C and a port that is taken."""

import re
import socket

import pytest

from peers import EXAMPLES, LOOPBACK, run_example

REMOTE = {"simple_proxy": [LOOPBACK, "9"], "limited_proxy": [LOOPBACK, "9"]}
CLIENTS = ("dns_lookup", "port_scanner", "redis_client", "tcp_client")
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py"))
SERVERS = [name for name in NAMES if name not in CLIENTS]


@pytest.mark.parametrize("name", NAMES)
def test_help_lists_the_options(name):
    done = run_example(name, "--help")
    assert (done.returncode, done.stdout.startswith(f"usage: {name}.py")) == (0, True)
    assert ("--port" in done.stdout) == (name in SERVERS)


@pytest.mark.parametrize("name", SERVERS)
def test_ctrl_c_ends_it_with_status_0_and_no_traceback(name, start_example):
    example = start_example(name, *REMOTE.get(name, []))
    assert example.interrupt() == 0
    assert example.output.splitlines()[-1] == "ended"


@pytest.mark.parametrize("name", ["echo_server", "http_hello"])
def test_ctrl_c_with_an_open_connection_ends_it_and_the_connection(name, start_example):
    example = start_example(name)
    with example.connect() as raw:
        raw.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert raw.recv(65536)
        assert example.interrupt() == 0
        assert raw.recv(65536) == b""


@pytest.mark.parametrize("name", SERVERS)
def test_port_that_is_taken_is_said_with_status_1(name):
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run_example(name, "--port", port, *REMOTE.get(name, []))
    assert done.returncode == 1
    assert done.stderr.startswith(f"cannot listen on {LOOPBACK}:{port}: ")
    assert len(done.stderr.splitlines()) == 1


def test_table_names_each_example():
    table = (EXAMPLES / "README.md").read_text()
    assert sorted(re.findall(r"^\| \[(\w+)\]\(\1\.py\) ", table, re.MULTILINE)) == NAMES
