"""The programs in README.md and on the pages of docs/ run as they stand there."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import asynctcp
from asynctcp._cli.main import COMMANDS
from certificates import authority
from helpers import wait_until
from peers import DEADLINE, LOOPBACK, Program, find, needs, receive, receive_all, reserved_port

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
#: A mark, if there is one, and the fenced block below it.
BLOCK = re.compile(r"(?:<!-- (?P<mark>[^\n]*?) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)```", re.DOTALL)


@dataclass
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    mark: str
    text: str
    output: str | None = None

    @property
    def name(self):
        return f"{self.page}:{self.line}"


def blocks_of(page):
    """The blocks of a page; one that is marked as output belongs to the block before it."""
    text = page.read_text()
    found = []
    for match in BLOCK.finditer(text):
        mark = match["mark"] or ""
        if mark == "output":
            found[-1].output = (found[-1].output or "") + match["text"]
            continue
        line = text.count("\n", 0, match.start("text"))
        found.append(Block(str(page.relative_to(ROOT)), line, match["language"], mark, match["text"]))
    return found


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def of(mark):
    return [
        pytest.param(block, id=block.name)
        for block in BLOCKS
        if block.language == "python" and block.mark == mark and block.page != "README.md"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("block", of(""))
def test_program_ends_and_prints_what_the_page_says(block, tmp_path):
    file = tmp_path / "program.py"
    with reserved_port() as port:
        file.write_text(block.text.replace("7000", str(port)))
        done = subprocess.run(
            [sys.executable, "-W", "error", file],
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    if block.output is not None:
        assert done.stdout == block.output


#: Without a plugin that has nothing to do with it, and that warns of options that are not set.
PYTEST = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-p", "no:asyncio"]


@pytest.mark.slow
@pytest.mark.parametrize("block", of("pytest"))
def test_test_file_passes(block, tmp_path):
    (tmp_path / "test_it.py").write_text(block.text)
    done = subprocess.run(
        [*PYTEST, tmp_path],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stdout


# --- programs that have a name: each runs until it is ended -------------------------------------------------

NAMED = {block.mark.removeprefix("file: "): block for block in BLOCKS if block.mark.startswith("file: ")}


@pytest.fixture
def ports():
    """Free ports for 7000, 7001 and 7002 of the pages."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(reserved_port()) for _ in range(3)]


@pytest.fixture
def start(tmp_path, ports):
    """``start(name, *arguments)`` runs the program of that name, with ports that are free here."""
    running = contextlib.ExitStack()

    def start(name, *arguments, command=(sys.executable, "-u", "-W", "error")):
        text = NAMED[name].text
        for number, port in enumerate(ports):
            text = text.replace(f"700{number}", str(port))
        file = tmp_path / name
        file.write_text(text)
        return running.enter_context(Program(*command, file, *arguments))

    with running:
        yield start


@pytest.fixture
def pem(tmp_path):
    """A file with a certificate and its key."""
    path = tmp_path / "server.pem"
    path.write_bytes(authority().usual)
    return path


def secured(raw):
    return authority().client_context().wrap_socket(raw, server_hostname="localhost")


def connect(port):
    return socket.create_connection((LOOPBACK, port), DEADLINE)


def refused(port):
    try:
        connect(port).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        # It was in the listener's queue when that was closed.
        return False
    return False


def terminate(program):
    """End it as a service manager does; return its exit status."""
    program.process.send_signal(signal.SIGTERM)
    return program.wait()


@pytest.mark.slow
def test_clients_of_the_tutorial_print_what_it_says(start):
    careful = start("careful_client.py")
    assert careful.wait() == 0
    start("server.py").wait_for("listening on")
    client, answered = start("client.py"), start("careful_client.py")
    assert client.wait() == answered.wait() == 0
    assert client.output == NAMED["client.py"].output
    assert careful.output + answered.output == NAMED["careful_client.py"].output


def test_last_server_of_the_tutorial_sends_and_ends(start, ports):
    server = start("graceful.py")
    server.wait_for("listening on")
    with connect(ports[0]) as client:
        client.sendall(b"hello")
        assert receive(client, 5) == b"hello"
        assert terminate(server) == 0
        assert client.recv(1) == b""
    assert server.output.endswith("all is sent, goodbye\n")


@pytest.mark.slow
def test_patient_server_answers_before_it_ends(start, ports):
    server = start("patient.py")
    server.wait_for("listening on")
    with connect(ports[0]) as idle, connect(ports[0]) as busy:
        busy.sendall(b"hello")
        server.wait_for("a request")
        server.process.send_signal(signal.SIGTERM)
        assert idle.recv(1) == b""
        assert receive(busy, 5) == b"HELLO"
    assert server.wait() == 0
    assert server.output.endswith("all answered\n")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["workers.py", "shared.py"])
def test_workers_share_a_port_and_end_with_their_parent(start, ports, name):
    parent = start(name)
    # Not by lines: two processes may write theirs into each other's.
    wait_until(lambda: parent.output.count("worker listens") == 2)
    for _ in range(8):
        with connect(ports[0]) as client:
            client.sendall(b"hello")
            client.shutdown(socket.SHUT_WR)
            assert receive_all(client).endswith(b"hello")
    assert terminate(parent) == 0
    assert parent.output.endswith("all workers ended\n")


ECHO_SERVERS = [
    "from_cl_async.py",
    "on_asyncio.py",
    "from_asyncio.py",
    "from_gevent.py",
    "handler_from_gevent.py",
]


@pytest.mark.parametrize("name", ECHO_SERVERS)
def test_server_that_stands_beside_another_librarys_echoes(start, ports, name):
    start(name).wait_for("listening on")
    with connect(ports[0]) as client:
        client.sendall(b"hello")
        assert receive(client, 5) == b"hello"


def test_line_server_sends_lines_to_the_others(start, ports):
    start("from_twisted.py").wait_for("listening on")
    with connect(ports[0]) as speaker, connect(ports[0]) as hearer:
        hearer.sendall(b"here\n")
        assert receive(speaker, 5) == b"here\n"
        speaker.sendall(b"hello\nand")
        assert receive(hearer, 6) == b"hello\n"


def test_service_of_the_page_sends_and_ends(start, ports):
    service = start("service.py")
    service.wait_for("listening on")
    with connect(ports[0]) as client:
        client.sendall(b"hello")
        assert receive(client, 5) == b"hello"
        service.process.send_signal(signal.SIGTERM)
        wait_until(lambda: refused(ports[0]))
        client.sendall(b"and")
        assert receive(client, 3) == b"and"
    assert service.wait() == 0
    assert service.output.endswith("all is sent, goodbye\n")


#: Listens, and becomes a program that has it as descriptor 3, as systemd does.
ACTIVATE = """
import os, socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, sys.argv[2]])
"""


def test_service_of_the_page_takes_the_service_managers_socket(start, ports):
    port = ports[1]
    start("service.py", command=(sys.executable, "-c", ACTIVATE, str(port))).wait_for(
        f"listening on .*{port}"
    )
    with connect(port) as client:
        client.sendall(b"hello")
        assert receive(client, 5) == b"hello"


def test_watched_server_prints_its_figures(start, ports):
    watched = start("watched.py")
    watched.wait_for('"servers": 1')
    with connect(ports[0]):
        watched.wait_for('"incoming_tcp_connections": 1')


@needs("haproxy")
def test_client_behind_haproxy_is_told_its_own_address(start, ports):
    servers = [start("behind_haproxy.py", port) for port in ports[1:]]
    for server in servers:
        server.wait_for("listening on")
    start("haproxy.cfg", command=(find("haproxy"), "-f"))

    def answered():
        with contextlib.suppress(OSError), connect(ports[0]) as client:
            client.sendall(b"hello")
            host, port = client.getsockname()
            return receive(client, len(f"{host}:{port} says hello")) == f"{host}:{port} says hello".encode()

    wait_until(answered)


#: What HAProxy's health check sends by ``send-proxy`` and by ``send-proxy-v2`` (LOCAL).
CHECKS = [
    b"PROXY TCP4 127.0.0.1 127.0.0.1 %d 7001\r\n",
    b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00",
]


@pytest.mark.parametrize("header", CHECKS, ids=["send-proxy", "send-proxy-v2"])
def test_health_check_of_haproxy_is_not_reported(start, ports, header):
    server = start("behind_haproxy.py", ports[1])
    server.wait_for("listening on")

    def reset_by(client, names):
        """A connection with a header that names a client, which is served and then reset."""
        client.sendall(names + b"hello")
        assert client.recv(100).endswith(b" says hello")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()

    check = connect(ports[1])
    reset_by(check, header.replace(b"%d", b"%d" % check.getsockname()[1]))
    reset_by(connect(ports[1]), b"PROXY TCP4 192.0.2.1 127.0.0.1 4321 7001\r\n")
    server.wait_for("TcpReset from 192.0.2.1:4321")
    assert server.output.count("TcpReset") == 1


def test_who_is_not_haproxy_is_reset(start, ports):
    start("behind_haproxy.py", ports[1]).wait_for("listening on")
    with connect(ports[1]) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            client.recv(1)


@pytest.mark.slow
def test_tls_server_of_the_page_echoes(start, ports, pem):
    start("tls_echo.py", pem).wait_for("listening on")
    with connect(ports[0]) as raw, secured(raw) as client:
        client.sendall(b"hello")
        assert receive(client, 5) == b"hello"


@pytest.mark.slow
def test_starttls_server_of_the_page_upgrades(start, ports, pem):
    start("starttls.py", pem).wait_for("listening on")
    with connect(ports[0]) as raw:
        raw.sendall(b"STARTTLS\r\n")
        assert receive(raw, 14) == b"220 go ahead\r\n"
        with secured(raw) as client:
            client.sendall(b"hello")
            assert receive(client, 5) == b"hello"


# --- nothing is left out ------------------------------------------------------------------------------------


def test_each_named_program_is_run():
    source = Path(__file__).read_text()
    assert [name for name in NAMED if f'"{name}"' not in source] == []


def test_reference_has_each_public_name():
    documented = set()
    for page in (ROOT / "docs" / "reference").glob("*.rst"):
        documented |= set(re.findall(r"^\.\. (?:auto)?\w+:: (\w+)", page.read_text(), re.MULTILINE))
    assert set(asynctcp.__all__) - {"__version__"} - documented == set()


def test_consoles_start_programs_of_the_pages():
    consoles = "".join(block.text for block in BLOCKS if block.language == "console")
    assert set(re.findall(r"[\w.]+\.(?:py|cfg)\b", consoles)) - set(NAMED) == set()


def test_consoles_name_commands_that_are_there():
    commands = {command.__name__.rpartition(".")[2] for command in COMMANDS}
    consoles = "".join(block.text for block in BLOCKS if block.language == "console")
    assert set(re.findall(r"asynctcp ([a-z]+)", consoles)) - commands == set()


@pytest.mark.slow
def test_connect_prints_what_the_page_says(start, ports):
    start("server.py").wait_for("listening on")
    (console,) = (block.text for block in BLOCKS if "connect --verbose 127" in block.text)
    done = subprocess.run(
        [sys.executable, "-m", "asynctcp", "connect", "--verbose", LOOPBACK, str(ports[0])],
        input="hello\n",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE,
        check=True,
    )
    assert done.stdout.replace(str(ports[0]), "7000") == console.split("\n", 1)[1]


def test_links_of_the_readme_lead_to_files():
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / "README.md").read_text())
    assert [link for link in links if not (ROOT / link).exists()] == []
