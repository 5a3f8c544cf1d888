"""``python -m asynctcp``: the echo server of the command line."""

import signal
import socket
import subprocess
import sys

import pytest

import asynctcp
import cli
from asynctcp.__main__ import main
from peers import LOOPBACK, MIB, exchange, fill, receive


@pytest.fixture
def echo():
    """Give a running echo server and its address."""
    with cli.program("echo", "--port", "0") as program:
        found = program.wait_for(r"echoing on (\S+):(\d+);")
        yield program, (found[1], int(found[2]))


def test_echo_server_echoes_until_ctrl_c_and_tells_the_totals(echo):
    program, address = echo
    with socket.create_connection(address, 10) as raw:
        assert exchange(raw, b"hello") == b"hello"
    assert program.interrupt() == 0
    assert "1 connections, 5 bytes echoed" in program.output


@pytest.mark.slow
def test_client_that_takes_nothing_is_not_read_from(echo):
    program, address = echo
    small = program.memory()
    with socket.create_connection(address, 10) as raw:
        assert fill(raw, b"x" * MIB, 64 * MIB) < 64 * MIB
        assert program.memory() - small < 8 * MIB
        assert len(receive(raw, 64 * MIB // 16)) == 4 * MIB
    assert program.interrupt() == 0


def test_what_is_no_host_is_said_with_status_2(capsys):
    assert main(["echo", "--host", "a b"]) == 2
    assert "a b" in capsys.readouterr().err


def test_port_that_is_taken_is_said_with_status_1(capsys):
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["echo", "--port", str(port)]) == 1
    assert capsys.readouterr().err.startswith(f"cannot listen on {LOOPBACK}:{port}: ")


def test_echo_server_in_this_process_ends_with_ctrl_c(monkeypatch, capsys):
    """Serves one client, who interrupts; what the child process of another test does, seen from inside."""
    serve = asynctcp.tcp_server

    def server(host, port, read_cb, **keywords):
        made = serve(host, port, read_cb, **keywords)

        def answered(_socket, _data):
            signal.raise_signal(signal.SIGINT)

        asynctcp.tcp_connect(*made.address, answered, data=b"hello")
        return made

    monkeypatch.setattr(asynctcp, "tcp_server", server)
    assert main(["echo", "--port", "0"]) == 0
    assert "1 connections, 5 bytes echoed" in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "status"), [(["--version"], 0), ([], 2), (["echo", "--help"], 0)])
def test_command_line_answers(arguments, status):
    done = subprocess.run(
        [sys.executable, "-m", "asynctcp", *arguments],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == status
    assert done.stdout + done.stderr != ""
