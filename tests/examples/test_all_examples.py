"""What examples have in common: options, and of the servers Ctrl-C and a port that is taken."""

import re
import socket

import pytest

from peers import EXAMPLES, LOOPBACK, run_example

REMOTE = {"simple_proxy": [LOOPBACK, "9"], "limited_proxy": [LOOPBACK, "9"], "tls_proxy": ["/nowhere"]}
#: Files that come first.
TLS = dict.fromkeys(["certificate_reload", "https_server", "smtp_sink", "tls_proxy"], ["server.pem"] * 2)
TLS["mutual_tls_server"] = ["server.pem", "server.pem", "ca.pem"]
CLIENTS = ("dns_lookup", "mutual_tls_client", "port_scanner", "redis_client", "tcp_client")
#: Not `_shared.py`, which is a part of others.
NAMES = sorted(path.stem for path in EXAMPLES.glob("[!_]*.py"))
SERVERS = [name for name in NAMES if name not in CLIENTS]


@pytest.fixture
def needed(tls_files):
    """``needed(name)`` gives the arguments that a server cannot do without."""
    return lambda name: [*(str(tls_files / file) for file in TLS.get(name, [])), *REMOTE.get(name, [])]


@pytest.mark.parametrize("name", NAMES)
def test_help_lists_the_options(name):
    done = run_example(name, "--help")
    assert (done.returncode, done.stdout.startswith(f"usage: {name}.py")) == (0, True)
    assert ("--port" in done.stdout) == (name in SERVERS)


@pytest.mark.parametrize("name", SERVERS)
def test_ctrl_c_ends_it_with_status_0_and_no_traceback(name, start_example, needed):
    example = start_example(name, *needed(name))
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
def test_port_that_is_taken_is_said_with_status_1(name, needed):
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run_example(name, "--port", port, *needed(name))
    assert done.returncode == 1
    assert done.stderr.startswith(f"cannot listen on {LOOPBACK}:{port}: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", TLS)
def test_certificate_that_is_not_there_is_said_with_status_2(name, needed):
    arguments = ["nowhere.pem", *needed(name)[1:]]
    done = run_example(name, "--port", "0", *arguments)
    assert (done.returncode, "'nowhere.pem': No such file" in done.stderr) == (2, True)


def test_table_names_each_example():
    table = (EXAMPLES / "README.md").read_text()
    names = "".join(re.findall(r"^\|([^|]+)\|", table, re.MULTILINE))
    assert sorted(re.findall(r"\[(\w+)\]\(\1\.py\)", names)) == NAMES
