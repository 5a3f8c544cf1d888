"""Unix sockets on the command line: ``--unix PATH`` and ``unix:PATH``."""

from __future__ import annotations

import os
import socket
import stat
import subprocess

import pytest

import cli
from asynctcp._cli.main import main
from cli import finish
from peers import DEADLINE, LOOPBACK, MIB, find, needs, receive, receive_all


@pytest.fixture
def path(tmp_path):
    """Where a socket is to be; relative paths are shorter than the 107 bytes that there are."""
    return tmp_path / "a.sock"


@pytest.fixture
def serve():
    """``serve(*arguments)`` runs a command that listens. Its end must be orderly."""
    started = []

    def serve(command, *arguments):
        started.append(cli.program(command, *arguments))
        started[-1].wait_for(r"(?:echoing|listening) on ")
        return started[-1]

    yield serve
    for program in started:
        with program:
            program.interrupt()
        assert "Traceback" not in program.output


@pytest.fixture
def connected(peers):
    """``connected(path)`` gives a raw socket."""

    def connected(path):
        raw = peers.keep(socket.socket(socket.AF_UNIX))
        raw.settimeout(DEADLINE)
        raw.connect(os.fspath(path))
        return raw

    return connected


@pytest.fixture
def listener(peers, path):
    """A raw socket that listens at ``path``."""
    raw = peers.keep(socket.socket(socket.AF_UNIX))
    raw.settimeout(DEADLINE)
    raw.bind(os.fspath(path))
    raw.listen()
    return raw


def test_echo_listens_there_and_says_what_to_type(serve, connected, path):
    program = serve("echo", "--unix", path)
    assert f"echoing on unix:{path}; try it: nc -U {path} " in program.output
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    raw = connected(path)
    raw.sendall(b"hello")
    assert receive(raw, 5) == b"hello"
    raw.close()
    assert program.interrupt() == 0
    assert not path.exists()


@pytest.mark.parametrize("form", ["--unix", "unix:"])
def test_connect_talks_to_it(commands, serve, path, form):
    data = os.urandom(MIB)
    serve("echo", "--unix", path)
    arguments = [form, path] if form == "--unix" else [f"unix:{path}"]
    command = commands.start("connect", "--verbose", *arguments)
    assert finish(command, data) == (0, data, f"connected to unix:{path}\n")


@pytest.mark.parametrize("form", ["--unix", "unix:"])
def test_proxy_listens_there(serve, connected, peers, path, form):
    target = "{}:{}".format(*peers.address)
    program = serve("proxy", *(["--unix", path] if form == "--unix" else [f"unix:{path}"]), target)
    assert f"listening on unix:{path} for {target} " in program.output
    client = connected(path)
    client.sendall(b"hello")
    assert receive(peers.accept(), 5) == b"hello"


def test_proxy_leads_there(serve, peers, path, listener):
    program = serve("proxy", f"{LOOPBACK}:0", f"unix:{path}")
    host, port = program.wait_for(r"listening on (\S+):(\d+)").groups()
    client = peers.keep(socket.create_connection((host, port), DEADLINE))
    client.sendall(b"hello")
    client.shutdown(socket.SHUT_WR)
    target = peers.keep(listener.accept()[0])
    assert receive_all(target) == b"hello"
    target.sendall(b"world")
    target.close()
    assert receive_all(client) == b"world"


@pytest.mark.parametrize("version", ["1", "2"])
def test_connect_begins_with_a_header_that_echo_takes(commands, serve, path, version):
    serve("echo", "--unix", path, "--proxy-protocol", "require")
    command = commands.start("connect", "--send-proxy", version, "--unix", path)
    assert finish(command, b"hello") == (0, b"hello", "")


# --- what goes wrong ----------------------------------------------------------------------------------------


def test_path_where_nobody_listens_is_said_with_status_1(commands, path):
    status, _, told = finish(commands.start("connect", "--unix", path))
    assert (status, told.startswith(f"cannot connect to unix:{path}: ")) == (1, True)


@pytest.mark.parametrize("arguments", [["echo", "--unix"], ["proxy", "localhost:1", "--unix"]], ids=repr)
@pytest.mark.usefixtures("listener")
def test_path_that_is_taken_is_said_with_status_1(path, arguments, capsys):
    assert main([*arguments, str(path)]) == 1
    assert capsys.readouterr().err.startswith(f"cannot listen on unix:{path}: ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["connect", "--unix", "x", "localhost", "1"], "--unix stands in place of HOST PORT"),
        (["connect", "unix:"], "HOST PORT: no path after unix:"),
        (["proxy", "--unix", "x"], "required: TARGET"),
        (["proxy", "--unix", "x", ":80", "localhost:1"], "--unix stands in place of LISTEN"),
        (["proxy", ":0", "unix:"], "TARGET: no path after unix:"),
    ],
    ids=repr,
)
def test_wrong_argument_is_named_with_status_2(arguments, told, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("arguments", [["echo"], ["proxy", "localhost:1"]], ids=repr)
@pytest.mark.parametrize(
    "options", [["require", "--proxy-from", "10.0.0.0/8"], ["accept", "--proxy-from", "10.0.0.0/8"]], ids=repr
)
def test_networks_are_refused_where_nobody_has_an_address_with_status_2(path, arguments, options, capsys):
    assert main([*arguments, "--unix", str(path), "--proxy-protocol", *options]) == 2
    assert "proxy_" in capsys.readouterr().err
    assert not path.exists()


def test_path_that_is_too_long_is_said_with_status_2(capsys):
    assert main(["echo", "--unix", "x" * 200]) == 2
    assert "107" in capsys.readouterr().err


# --- real programs ------------------------------------------------------------------------------------------


@needs("curl")
def test_curl_talks_through_a_proxy_that_listens_there(serve, peers, path):
    serve("proxy", "--unix", path, "{}:{}".format(*peers.address))
    command = [find("curl"), "--silent", "--unix-socket", path, "http://localhost/"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as curl:
        target = peers.accept()
        assert receive(target, 16) == b"GET / HTTP/1.1\r\n"
        target.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        assert (curl.stdout.read(), curl.wait(DEADLINE)) == (b"hi", 0)
