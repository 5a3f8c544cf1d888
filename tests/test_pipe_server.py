"""Servers of Unix sockets: limits, foreign loops, PROXY headers, programs (docs/contract.md, "Pipes")."""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import subprocess
import sys
import time

import pytest

import asynctcp
from asynctcp import (
    EventLoop,
    ProxyHeader,
    exit_event_loop,
    pipe_connect,
    pipe_server,
    tcp_connect,
    tcp_server,
)
from certificates import authority
from helpers import (
    DEADLINE,
    LOOPBACK,
    Log,
    after_quiet,
    echo,
    fail,
    ignore,
    run,
    when,
)
from peers import BY_PAGES, find, needs
from peers import run as peer_run
from test_os_errors import descriptors_left

LOOPS = {"plain": {}, "threads": {"io_threads": 1}}
CLIENT, SERVICE = ("192.0.2.1", 51234), ("198.51.100.2", 443)


@pytest.fixture(params=LOOPS)
def loop(request):
    """A loop that drives itself, or one with a thread for it."""
    return EventLoop(**LOOPS[request.param])


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "socket")


@pytest.fixture
def connect(peers, path):
    """Connect a raw socket to the path."""

    def connect():
        raw = peers.keep(socket.socket(socket.AF_UNIX))
        raw.connect(path)
        return raw

    return connect


# --- limits -------------------------------------------------------------------------------------------------


def test_accept_without_descriptors_is_told_and_nobody_is_lost(path, peers):
    def told(condition):
        conditions.append(condition)
        if len(conditions) == 1:
            held.close()

    def start():
        nonlocal held
        server = pipe_server(path, echo, told, connect_cb=lambda _ours: (server.close(), exit_event_loop()))
        raw = peers.keep(socket.socket(socket.AF_UNIX))
        held = contextlib.ExitStack()
        held.enter_context(descriptors_left(0))
        raw.connect(path)

    held, conditions = None, []
    try:
        run(start)
    finally:
        held.close()
    assert [(type(each), each.errno) for each in conditions] == [(asynctcp.TcpAcceptError, errno.EMFILE)]


def test_accepting_pauses_at_max_connections(loop, path, connect):
    def welcome(ours):
        accepted.append(ours)
        if len(accepted) == 2:
            after_quiet(look)
        elif len(accepted) == 3:
            exit_event_loop()

    def look():
        seen.append((len(accepted), accepted[0].server.connections))
        accepted[0].close()

    def start():
        pipe_server(path, None, ignore, connect_cb=welcome, max_connections=2)
        for _ in range(3):
            connect()

    accepted, seen = [], []
    run(start, loop=loop)
    assert seen == [(2, 2)]
    assert len(accepted) == 3


@needs("ss")
def test_kernel_holds_the_backlog_asked_for(loop, path):
    def look():
        pipe_server(path, None, backlog=7)
        listeners = peer_run("ss", "-xlnH").splitlines()
        waiting.extend(line.split()[3] for line in listeners if str(path) in line)
        exit_event_loop()

    waiting = []
    run(look, loop=loop)
    assert waiting == ["7"]


# --- a foreign loop -----------------------------------------------------------------------------------------


def test_foreign_loop_serves_and_connects(path):
    def read(_ours, data):
        got.append(data)

    loop, got = EventLoop(), []
    try:
        loop.call_soon_threadsafe(
            lambda: (pipe_server(path, echo, ignore), pipe_connect(path, read, fail, data=b"hello"))
        )
        deadline = time.monotonic() + DEADLINE
        while not got:
            assert select.select([loop.fileno()], [], [], deadline - time.monotonic())[0], "it rang in vain"
            loop.pump()
    finally:
        loop.exit()
    assert got == [b"hello"]


# --- PROXY headers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("version", [1, 2])
def test_header_says_whom_a_connection_serves(loop, path, version, secured):
    def welcome(ours):
        told.append((ours.peername, ours.sockname, ours.transport_peername, ours.proxy.version))

    def read(_ours, data):
        told.append(data)
        exit_event_loop()

    def start():
        keywords = {"tls": authority().server()} if secured else {}
        pipe_server(path, read, fail, connect_cb=welcome, proxy_protocol="require", **keywords)
        keywords = {"tls": authority().client(server_name="localhost")} if secured else {}
        header = ProxyHeader(CLIENT, SERVICE, version=version)
        pipe_connect(path, None, fail, data=b"hello", send_proxy=header, **keywords)

    told = []
    run(start, loop=loop)
    assert told == [(CLIENT, SERVICE, "", version), b"hello"]


def test_connection_without_a_header_is_refused(loop, path, connect):
    def told(condition):
        conditions.append(condition)
        exit_event_loop()

    def start():
        pipe_server(path, fail, told, connect_cb=fail, proxy_protocol="require")
        connect().sendall(b"GET / HTTP/1.0\r\n\r\n")

    conditions = []
    run(start, loop=loop)
    assert (type(conditions[0]), conditions[0].reason) == (asynctcp.ProxyError, "no-header")


# --- socat --------------------------------------------------------------------------------------------------


@pytest.fixture
def socat():
    """Start ``socat`` with two addresses; the test's end ends it."""
    started = []

    def socat(*arguments):
        command = [find("socat"), *map(str, arguments)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(process)
        return process

    yield socat
    for process in started:
        process.kill()
        process.communicate(timeout=DEADLINE)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "ca.pem").write_bytes(authority().pem)
    (tmp_path / "server.pem").write_bytes(authority().usual)
    return tmp_path


def said(spawn, process, data):
    """Say ``data`` to a program in a thread, and end the loop when as much came back; what did."""

    def hear(core):
        got.append(process.stdout.read(len(data)))
        core.exit()

    got = []
    spawn(hear, asynctcp.current_event_loop())
    # In a thread of its own: the program may wait until somebody takes what it says.
    spawn(lambda: (process.stdin.write(data), process.stdin.flush()))
    return got


@needs("socat")
def test_socat_is_echoed_over_a_unix_socket(loop, path, socat, spawn):
    def start():
        nonlocal got
        pipe_server(path, echo, ignore)
        got = said(spawn, socat("-", f"UNIX-CONNECT:{path}"), b"x" * 300_000)

    got = []
    run(start, loop=loop)
    assert got == [b"x" * 300_000]


@needs("socat")
def test_socat_is_echoed_over_tls(loop, folder, socat, spawn):
    def start():
        nonlocal got
        server = tcp_server("localhost", 0, echo, ignore, tls=authority().server())
        address = f"OPENSSL:localhost:{server.port},cafile={folder}/ca.pem"
        got = said(spawn, socat("-", address), b"x" * 300_000)

    got = []
    run(start, loop=loop)
    assert got == [b"x" * 300_000]


def attempts(connect):
    """Call ``connect(read_cb, event_cb)`` until the program is there; what it echoed of 300,000 bytes."""

    def told(condition):
        if isinstance(condition, asynctcp.TcpRefused) or condition.errno == errno.ENOENT:
            asynctcp.delay(lambda: connect(log.read, told), 0.02)
        else:
            fail(condition)

    log = Log()
    run(lambda: (connect(log.read, told), when(lambda: len(log.joined()) == 300_000, exit_event_loop)))
    return log.joined()


@needs("socat")
def test_socat_echoes_over_a_unix_socket(path, socat):
    socat(BY_PAGES, f"UNIX-LISTEN:{path}", "PIPE")
    sent = bytes(range(250)) * 1200
    assert attempts(lambda read, told: pipe_connect(path, read, told, data=sent)) == sent


@needs("socat")
def test_socat_echoes_over_tls(folder, socat, peers):
    port = peers.free_port()
    listen = f"OPENSSL-LISTEN:{port},bind={LOOPBACK},cert={folder}/server.pem,verify=0"
    socat(BY_PAGES, listen, "PIPE")
    sent = bytes(range(250)) * 1200
    config = authority().client()
    assert attempts(lambda read, told: tcp_connect(LOOPBACK, port, read, told, data=sent, tls=config)) == sent


def test_servers_that_start_at_once_do_not_take_each_others_file(path):
    """Each finds a stale file; one of them serves, the others are told."""
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)
    started = [
        subprocess.Popen([sys.executable, "-c", STARTED, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    told = sorted(process.stdout.readline() for process in started)
    for process in started:
        process.communicate(timeout=DEADLINE)
    assert told == [b"in use\n"] * 3 + [b"serving\n"]


#: Says what became of it, and serves until its input ends, when the others have said it, too.
STARTED = """
import sys, asynctcp
def start():
    try:
        asynctcp.pipe_server(sys.argv[1], None)
    except asynctcp.TcpServerBindError:
        print("in use", flush=True)
    else:
        print("serving", flush=True)
        sys.stdin.read()
    asynctcp.exit_event_loop()
asynctcp.start_event_loop(start)
"""
