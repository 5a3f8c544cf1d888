"""Unix stream sockets: ``pipe_connect``, ``pipe_server`` and their kin (docs/contract.md, "Pipes")."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

import pytest

import asynctcp
from asynctcp import (
    EventLoop,
    TcpEof,
    TcpServerBindError,
    TlsConfig,
    connect_pipe_socket,
    exit_event_loop,
    init_pipe_socket,
    pipe_connect,
    pipe_server,
)
from certificates import authority
from helpers import MUCH, Log, echo, fail, ignore, receive_all, run, wait_until, when

LOOPS = {"plain": {}, "threads": {"io_threads": 1}}


@pytest.fixture(params=LOOPS)
def loop(request):
    """A loop that drives itself, or one with a thread for it."""
    return EventLoop(**LOOPS[request.param])


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "socket")


@pytest.fixture
def connect(peers):
    """Connect a raw socket to a path."""

    def connect(path):
        raw = peers.keep(socket.socket(socket.AF_UNIX))
        raw.connect(path)
        return raw

    return connect


def in_loop(look):
    def start():
        try:
            seen.append(look())
        finally:
            exit_event_loop()

    seen = []
    run(start)
    return seen[0]


def test_client_and_server_of_ours_talk(loop, path):
    def read(ours, data):
        got.append((data, ours.peername, ours.sockname))
        exit_event_loop()

    got = []
    run(lambda: (pipe_server(path, echo), pipe_connect(path, read, fail, data=b"hello")), loop=loop)
    assert got == [(b"hello", path, "")]


def test_much_goes_both_ways_and_arrives_whole(loop, path):
    got = bytearray()

    def read(_ours, data):
        got.extend(data)
        if len(got) == MUCH:
            exit_event_loop()

    sent = bytes(range(256)) * (MUCH // 256)
    run(lambda: (pipe_server(path, echo), pipe_connect(path, read, fail, data=sent)), loop=loop)
    assert got == sent


@pytest.mark.parametrize("kind", [str, os.fsencode, Path])
def test_path_may_be_of_each_kind(path, kind):
    def read(_ours, data):
        got.append(data)
        exit_event_loop()

    got = []
    run(lambda: (pipe_server(kind(path), echo), pipe_connect(kind(path), read, fail, data=b"x")))
    assert got == [b"x"]


def test_abstract_name_is_in_no_file_system(path):
    name = "\0" + path

    def read(ours, _data):
        told.extend([ours.peername, server.address])
        exit_event_loop()

    def start():
        nonlocal server
        server = pipe_server(name, echo)
        pipe_connect(name, read, fail, data=b"x")

    server, told = None, []
    run(start)
    assert told == [name, name]
    assert not Path(path).exists()


def test_server_says_where_it_listens(path):
    server = in_loop(lambda: pipe_server(path, None))
    assert (server.address, server.addresses, server.host, server.port) == (path, [path], path, 0)
    assert asynctcp.Server is asynctcp.TcpServer is type(server)
    assert path in repr(server)


def test_accepted_socket_knows_who_is_there(loop, path, connect):
    def welcome(ours):
        told.append((ours.peername, ours.sockname, ours.peercred, ours.server is server))
        exit_event_loop()

    def start():
        nonlocal server
        server = pipe_server(path, None, connect_cb=welcome)
        connect(path)

    server, told = None, []
    run(start, loop=loop)
    assert told == [("", path, (os.getpid(), os.getuid(), os.getgid()), True)]


def test_tcp_socket_has_no_credentials(peers):
    told = []

    def use(ours, _raw):
        told.append(ours.peercred)
        exit_event_loop()

    run(lambda: peers.link(use))
    assert told == [None]


@pytest.mark.parametrize("mode", [None, 0o600, 0o666, 0o660, 0o777])
@pytest.mark.parametrize("umask", [0, 0o077])
def test_file_has_its_mode_whatever_the_umask(path, mode, umask):
    def look():
        pipe_server(path, None, **({} if mode is None else {"mode": mode}))
        return stat.S_IMODE(Path(path).stat().st_mode)

    before = os.umask(umask)
    try:
        found = in_loop(look)
    finally:
        os.umask(before)
    assert found == (0o600 if mode is None else mode)


def test_file_goes_when_the_server_closes(path):
    def look():
        server = pipe_server(path, None)
        there = Path(path).exists()
        server.close()
        return there, Path(path).exists()

    assert in_loop(look) == (True, False)


def test_file_goes_when_the_loop_ends(path):
    in_loop(lambda: pipe_server(path, None))
    assert not Path(path).exists()


def test_file_stays_where_that_is_wanted_and_is_replaced_by_the_next_server(path):
    def look():
        pipe_server(path, None, unlink=False).close()
        assert Path(path).exists()
        pipe_server(path, None, unlink=False).close()

    in_loop(look)
    assert Path(path).exists()


def test_file_of_somebody_else_stays(path):
    def look():
        server = pipe_server(path, None)
        Path(path).unlink()
        Path(path).write_text("not a socket")
        server.close()

    in_loop(look)
    assert Path(path).read_text() == "not a socket"


def test_relative_path_is_found_again_elsewhere(tmp_path, monkeypatch):
    def look():
        monkeypatch.chdir(tmp_path)
        server = pipe_server("here", None)
        monkeypatch.chdir("/")
        server.close()

    in_loop(look)
    assert not (tmp_path / "here").exists()


def test_stale_file_is_replaced(path):
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)
    assert Path(path).exists()
    in_loop(lambda: pipe_server(path, None))


def test_live_file_is_in_use(path):
    with socket.socket(socket.AF_UNIX) as live:
        live.bind(path)
        live.listen()
        with pytest.raises(TcpServerBindError) as raised:
            in_loop(lambda: pipe_server(path, None))
    assert (raised.value.errno, raised.value.address, raised.value.port) == (errno.EADDRINUSE, path, None)
    assert path in str(raised.value)
    assert Path(path).exists()


def test_server_that_is_too_busy_to_answer_is_alive(path, peers):
    with socket.socket(socket.AF_UNIX) as live:
        live.bind(path)
        live.listen(0)
        peers.keep(socket.socket(socket.AF_UNIX)).connect(path)
        with pytest.raises(TcpServerBindError) as raised:
            in_loop(lambda: pipe_server(path, None))
    assert raised.value.errno == errno.EADDRINUSE


def test_other_kind_of_file_is_in_use(path):
    Path(path).write_text("data")
    with pytest.raises(TcpServerBindError) as raised:
        in_loop(lambda: pipe_server(path, None))
    assert raised.value.errno == errno.EADDRINUSE
    assert "a file that is no socket is there, and is not removed" in str(raised.value)
    assert Path(path).read_text() == "data"


def test_link_to_a_socket_is_in_use(path, tmp_path):
    target = str(tmp_path / "target")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(target)
    Path(path).symlink_to(target)
    with pytest.raises(TcpServerBindError):
        in_loop(lambda: pipe_server(path, None))
    assert Path(target).exists()


def test_abstract_name_that_is_taken_is_in_use(path):
    with socket.socket(socket.AF_UNIX) as live:
        live.bind("\0" + path)
        live.listen()
        with pytest.raises(TcpServerBindError) as raised:
            in_loop(lambda: pipe_server("\0" + path, None))
    assert raised.value.errno == errno.EADDRINUSE


def test_directory_that_is_not_there_is_a_bind_error(path):
    with pytest.raises(TcpServerBindError) as raised:
        in_loop(lambda: pipe_server(path + "/socket", None))
    assert raised.value.errno == errno.ENOENT


@pytest.mark.parametrize("make", [pipe_connect, pipe_server])
@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("", ValueError, "path must be a path"),
        ("/" + "x" * 107, ValueError, "at most 107 bytes"),
        (b"\0" + b"x" * 108, ValueError, "at most 107 bytes"),
        ("/a\0b", ValueError, "without NUL"),
        (
            "/\ud800",
            ValueError,
            "path must be a path that the file system's encoding can encode, not '/.ud800'",
        ),
        (1, TypeError, "path"),
        (None, TypeError, "path"),
    ],
)
def test_path_that_cannot_be_is_refused_at_the_call(make, value, error, message):
    def look():
        with pytest.raises(error, match=message):
            make(value, None)

    in_loop(look)


@pytest.mark.parametrize("length", [106, 107])
def test_path_of_107_bytes_is_bound_and_connected_to(tmp_path, monkeypatch, length):
    monkeypatch.chdir(tmp_path)
    path = "x" * length

    def read(ours, _data):
        got.append(ours.peername)
        exit_event_loop()

    got = []
    run(lambda: (pipe_server(path, echo), pipe_connect(path, read, fail, data=b"x")))
    assert got == [path]


@pytest.mark.parametrize(
    ("wrong", "error"), [(-1, ValueError), (0o10000, ValueError), ("600", TypeError), (True, TypeError)]
)
def test_mode_that_cannot_be_is_refused(path, wrong, error):
    def look():
        with pytest.raises(error, match="mode"):
            pipe_server(path, None, mode=wrong)

    in_loop(look)


def test_nobody_who_listens_is_refused(path):
    def told(condition):
        conditions.append(condition)
        exit_event_loop()

    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)
    conditions = []
    run(lambda: pipe_connect(path, None, told))
    assert type(conditions[0]) is asynctcp.TcpRefused
    assert conditions[0].peer == path
    assert conditions[0].attempts == ((path, errno.ECONNREFUSED, "connection refused"),)


def test_path_that_is_not_there_is_told(path):
    def told(condition):
        conditions.append(condition)
        exit_event_loop()

    conditions = []
    run(lambda: pipe_connect(path, None, told))
    assert (type(conditions[0]), conditions[0].errno) == (asynctcp.TcpError, errno.ENOENT)


def test_client_waits_for_a_server_whose_queue_is_full(path, peers):
    def connected(_ours):
        told.append("connected")
        exit_event_loop()

    def start():
        pipe_connect(path, None, fail, connect_cb=connected)
        asynctcp.delay(lambda: peers.keep(live.accept()[0]), 0.05)

    told = []
    with socket.socket(socket.AF_UNIX) as live:
        live.bind(path)
        live.listen(0)
        peers.keep(socket.socket(socket.AF_UNIX)).connect(path)
        run(start)
    assert told == ["connected"]


def test_client_gives_up_a_full_queue_when_its_time_is_over(path, peers):
    def told(condition):
        conditions.append(condition)
        exit_event_loop()

    conditions = []
    with socket.socket(socket.AF_UNIX) as live:
        live.bind(path)
        live.listen(0)
        peers.keep(socket.socket(socket.AF_UNIX)).connect(path)
        run(lambda: pipe_connect(path, None, told, read_timeout=0.05))
    assert type(conditions[0]) is asynctcp.TcpTimeout
    assert [each[:2] for each in conditions[0].attempts] == [(path, errno.ETIMEDOUT)]


def test_peer_that_goes_without_having_read_is_an_end(loop, path, connect):
    def welcome(ours):
        raw = raws[0]
        ours.write(b"never read")
        when(lambda: ours.write_buffer_size == 0, raw.close)

    def told(condition):
        conditions.append(condition)
        exit_event_loop()

    def start():
        pipe_server(path, ignore, told, connect_cb=welcome)
        raws.append(connect(path))

    raws, conditions = [], []
    run(start, loop=loop)
    assert type(conditions[0]) is TcpEof


def test_forced_close_ends_the_connection(loop, path, connect):
    def welcome(ours):
        ours.write(b"x" * MUCH)
        ours.close(force=True)

    def closed(_ours, reason):
        reasons.append(reason)
        exit_event_loop()

    def start():
        pipe_server(path, None, connect_cb=welcome, close_cb=closed)
        raws.append(connect(path))

    raws, reasons = [], []
    run(start, loop=loop)
    assert reasons == [None]
    assert len(receive_all(raws[0])) < MUCH


def test_close_sends_what_was_written_first(loop, path, connect, spawn):
    def welcome(ours):
        ours.write(b"x" * MUCH)
        ours.close()
        spawn(lambda: (got.append(len(receive_all(raws[0]))), core.exit()))

    def start():
        nonlocal core
        core = asynctcp.current_event_loop()
        pipe_server(path, None, connect_cb=welcome)
        raws.append(connect(path))

    core, raws, got = None, [], []
    run(start, loop=loop)
    assert got == [MUCH]


def test_socket_is_made_first_and_connected_later(path):
    def read(_ours, data):
        got.append(data)
        exit_event_loop()

    def start():
        pipe_server(path, echo)
        ours = init_pipe_socket(read, data=b"before")
        assert connect_pipe_socket(ours, path, event_cb=fail) is ours
        with pytest.raises(asynctcp.TcpError):
            connect_pipe_socket(ours, path)

    got = []
    run(start)
    assert got == [b"before"]


def test_stream_over_a_pipe(path):
    def read(_ours, stream):
        got.append(stream.readline())
        exit_event_loop()

    got = []
    run(lambda: (pipe_server(path, echo), pipe_connect(path, read, fail, stream=True, data=b"line\n")))
    assert got == [b"line\n"]


def test_tls_over_a_pipe(loop, path):
    def read(ours, data):
        got.append((data, ours.tls.version))
        exit_event_loop()

    ca = authority()
    got = []
    run(
        lambda: (
            pipe_server(path, echo, tls=ca.server()),
            pipe_connect(path, read, fail, data=b"x", tls=ca.client(server_name="localhost")),
        ),
        loop=loop,
    )
    assert got == [(b"x", "TLSv1.3")]


def test_tls_over_a_pipe_needs_a_name(path):
    def look():
        with pytest.raises(ValueError, match="needs a server_name"):
            pipe_connect(path, None, tls=authority().client())

    in_loop(look)


def test_tls_over_a_pipe_needs_no_name_where_nothing_is_verified(path):
    def connected(_ours):
        told.append("connected")
        exit_event_loop()

    told = []
    run(
        lambda: (
            pipe_server(path, None, tls=authority().server()),
            pipe_connect(
                path, None, fail, connect_cb=connected, tls=TlsConfig.client(verify="insecure-none")
            ),
        )
    )
    assert told == ["connected"]


def test_descriptor_that_listens_is_served(path, connect):
    def welcome(ours):
        told.append(ours.sockname)
        exit_event_loop()

    told = []
    with socket.socket(socket.AF_UNIX) as live:
        live.bind(path)
        live.listen()
        run(lambda: (pipe_server(path, None, connect_cb=welcome, fd=live.fileno()), connect(path)))
        assert Path(path).exists(), "it is not ours to remove"
    assert told == [path]


def test_descriptor_of_another_kind_is_refused(path):
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        pytest.raises(TcpServerBindError, match="Unix stream"),
    ):
        in_loop(lambda: pipe_server(path, None, fd=tcp.fileno()))


def test_client_that_has_gone_before_it_was_accepted_is_served(path):
    """The kernel has forgotten its name by then."""
    log = Log()

    def start():
        server = pipe_server(path, log.read, log.event, connect_cb=log.connect)
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(path)
            raw.sendall(b"gone")
        when(lambda: "TcpEof" in log.told, lambda: (server.close(), exit_event_loop()))

    run(start)
    assert log.order() == ["connect", b"gone", "TcpEof"]


def test_forked_child_does_not_remove_the_file(path):
    def look():
        server = pipe_server(path, None)
        child = os.fork()
        if not child:
            del server
            os._exit(0)
        wait_until(lambda: os.waitpid(child, os.WNOHANG)[0])
        return Path(path).exists()

    assert in_loop(look)


@pytest.mark.parametrize("early", [True, False])
def test_set_nodelay_does_nothing_as_nothing_is_held_back(path, log, early):
    def use(ours):
        if not early:
            ours.set_nodelay(True)
        log.connect(ours)
        exit_event_loop()

    def start():
        pipe_server(path, None)
        ours = pipe_connect(path, None, fail, connect_cb=use)
        if early:
            ours.set_nodelay(False)

    run(start)
    assert log.told == ["connect"]
