"""STARTTLS with others: asyncio, PostgreSQL's exchange; and from which callbacks it may begin."""

from __future__ import annotations

import asyncio
import socket
import struct
import subprocess

import pytest

import asynctcp
from asynctcp import EventLoop, TcpTimeout, exit_event_loop, tcp_connect, tcp_server
from certificates import authority
from helpers import (
    DEADLINE,
    LOOPBACK,
    MUCH,
    QUIET,
    after_quiet,
    fail,
    ignore,
    receive_all,
    receive_exactly,
    run,
    wait_until,
    when,
)
from peers import find, needs

LOOPS = {"plain": {}, "threads": {"io_threads": 1}}

#: What a client of PostgreSQL says first: its length and a number that is no version.
SSL_REQUEST = struct.pack("!II", 8, 80877103)


@pytest.fixture(params=LOOPS)
def loop(request):
    """A loop that drives itself, or one with a thread for it."""
    return EventLoop(**LOOPS[request.param])


# --- asyncio ------------------------------------------------------------------------------------------------


def test_asyncios_client_upgrades(loop, spawn, ca):
    async def talk(port):
        reader, writer = await asyncio.open_connection("localhost", port)
        writer.write(b"STARTTLS\r\n")
        assert await reader.readline() == b"220 go ahead\r\n"
        await writer.start_tls(ca.client_context(), server_hostname="localhost")
        writer.write(b"x" * 300_000)
        got.append(await reader.readexactly(300_000))
        writer.close()
        await writer.wait_closed()

    def read(ours, data):
        if ours.tls is None:
            ours.write(b"220 go ahead\r\n")
            ours.start_tls(ca.server())
        else:
            ours.write(data)

    def start():
        server = tcp_server("localhost", 0, read, ignore)
        core = asynctcp.current_event_loop()
        spawn(lambda: (asyncio.run(asyncio.wait_for(talk(server.port), DEADLINE)), core.exit()))

    got = []
    run(start, loop=loop)
    assert got == [b"x" * 300_000]


def test_asyncios_server_upgrades(loop, spawn, ca):
    async def serve(reader, writer):
        assert await reader.readline() == b"STARTTLS\r\n"
        writer.write(b"220 go ahead\r\n")
        await writer.drain()
        await writer.start_tls(ca.server_context())
        writer.write(await reader.readexactly(6))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def listen():
        async with await asyncio.start_server(serve, "localhost", 0) as server:
            ports.append(server.sockets[0].getsockname()[1])
            await asyncio.wait_for(over.wait(), DEADLINE)

    def listening():
        nonlocal over, core
        over, core = asyncio.Event(), asyncio.new_event_loop()
        core.run_until_complete(listen())
        core.close()

    def read(ours, data):
        if ours.tls is None:
            ours.start_tls(ca.client(), connect_cb=lambda ours: ours.write(b"secret"))
        else:
            got.append(data)
            exit_event_loop()

    got, ports, over, core = [], [], None, None
    spawn(listening)
    wait_until(lambda: ports)
    try:
        run(lambda: tcp_connect("localhost", ports[0], read, fail, data=b"STARTTLS\r\n"), loop=loop)
    finally:
        core.call_soon_threadsafe(over.set)
    assert got == [b"secret"]


# --- PostgreSQL ---------------------------------------------------------------------------------------------


def postgres(ca, answer=b"S", then=ignore):
    """Make a ``read_cb`` of a server that agrees to TLS as PostgreSQL does."""

    def read(ours, data):
        if ours.tls is None:
            assert data == SSL_REQUEST
            ours.write(answer)
            ours.start_tls(ca.server())
        else:
            then(ours, data)

    return read


def test_byte_that_agrees_is_in_the_clear_and_all_after_it_is_sealed(loop, ca):
    def answered(ours, data):
        if ours.tls is None:
            clear.append(data)
            ours.start_tls(ca.client(), connect_cb=lambda ours: ours.write(b"startup"))
        else:
            sealed.append(data)
            exit_event_loop()

    def start():
        server = tcp_server("localhost", 0, postgres(ca, then=lambda ours, data: ours.write(data)), fail)
        tcp_connect("localhost", server.port, answered, fail, data=SSL_REQUEST)

    clear, sealed = [], []
    run(start, loop=loop)
    assert (clear, sealed) == ([b"S"], [b"startup"])


@needs("psql")
def test_psql_upgrades_and_verifies(spawn, ca, tmp_path):
    """It says who it is, and is refused by a message."""

    def startup(ours, data):
        got.append(data)
        fields = b"SFATAL\0C28000\0Mgo away\0\0"
        ours.write(b"E" + struct.pack("!I", 4 + len(fields)) + fields)
        ours.close()

    def talk(port, core):
        (tmp_path / "ca.pem").write_bytes(ca.pem)
        name = f"host=localhost port={port} user=me sslmode=verify-full sslrootcert={tmp_path}/ca.pem"
        done = subprocess.run([find("psql"), name], capture_output=True, timeout=DEADLINE, check=False)
        told.append(done.stderr)
        core.exit()

    def start():
        server = tcp_server("localhost", 0, postgres(ca, then=startup), ignore)
        spawn(talk, server.port, asynctcp.current_event_loop())

    got, told = [], []
    run(start)
    assert b"user\0me\0" in got[0]
    assert b"go away" in told[0]


# --- from which callbacks -----------------------------------------------------------------------------------


def upgrading(peers, spawn, ca, begin):
    """What a raw peer gets over TLS that a server of ours begins by ``begin(socket)``, in some callback."""

    def talk(server, core):
        raw = peers.connect(server)
        assert receive_exactly(raw, 3) == b"220"
        with ca.client_context().wrap_socket(raw, server_hostname="localhost") as secured:
            got.append(receive_exactly(secured, 6))
        core.exit()

    def start():
        server = tcp_server(LOOPBACK, 0, fail, ignore, connect_cb=begin)
        spawn(talk, server, asynctcp.current_event_loop())

    got = []
    run(start)
    return got


def secure(ours):
    ours.start_tls(authority().server(), connect_cb=lambda ours: ours.write(b"secret"))


def test_session_begins_in_a_write_cb(peers, spawn, ca):
    def written(ours):
        if ours.tls is None:
            secure(ours)

    assert upgrading(peers, spawn, ca, lambda ours: ours.write(b"220", write_cb=written)) == [b"secret"]


def test_session_begins_in_an_event_cb(peers, spawn, ca):
    def begin(ours):
        ours.set_write_buffer_limits(2, 1)
        ours.disable(write=True)
        ours.write(b"220", event_cb=lambda condition: told.append(type(condition)) or then(condition.socket))
        after_quiet(lambda: ours.enable(write=True))

    def then(ours):
        if told == [asynctcp.TcpBufferFull]:
            secure(ours)

    told = []
    assert upgrading(peers, spawn, ca, begin) == [b"secret"]


def test_session_cannot_begin_at_the_end_of_the_stream(peers, ca):
    def told(condition):
        with pytest.raises(asynctcp.TcpError, match="not connected"):
            condition.socket.start_tls(ca.server(), connect_cb=fail)
        conditions.append(condition)
        exit_event_loop()

    def start():
        server = tcp_server(LOOPBACK, 0, fail, told, allow_half_open=True)
        peers.connect(server).shutdown(socket.SHUT_WR)

    conditions = []
    run(start)
    assert [type(each) for each in conditions] == [asynctcp.TcpEof]


# --- at each moment of a handshake --------------------------------------------------------------------------


def is_there(raw):
    """Whether the peer has sent its hello."""
    try:
        return raw.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False


@pytest.fixture(params=["attempt", "upgrade"])
def shaking(request, peers, ca):
    """``shaking(use, event_cb, **keywords)``: ``use(ours, raw)`` while a handshake waits for its peer."""

    def shaking(use, event_cb=fail, **keywords):
        def greeted(ours, raw):
            raw.setblocking(False)
            when(lambda: is_there(raw), lambda: (raw.settimeout(DEADLINE), use(ours, raw)))

        def connected(ours):
            ours.start_tls(ca.client(), connect_cb=fail)
            greeted(ours, peers.accept())

        if request.param == "upgrade":
            tcp_connect(*peers.address, fail, event_cb, connect_cb=connected, **keywords)
        else:
            keywords.update(connect_cb=fail, tls=ca.client())
            ours = tcp_connect(*peers.address, fail, event_cb, **keywords)
            after_quiet(lambda: greeted(ours, peers.accept()), 0)

    return shaking


def test_force_in_the_handshake_resets_and_tells_the_end_once(loop, shaking):
    def use(ours, raw):
        raws.append(raw)
        ours.close(force=True)

    raws, reasons = [], []
    run(lambda: shaking(use, close_cb=lambda _ours, reason: reasons.append(reason)), loop=loop)
    assert reasons == [None]
    with pytest.raises(ConnectionResetError):
        receive_all(raws[0])


def test_timeout_that_is_set_in_the_handshake_ends_it(loop, shaking):
    conditions = []
    run(lambda: shaking(lambda ours, _raw: ours.set_timeouts(QUIET, None), conditions.append), loop=loop)
    assert [type(each) for each in conditions] == [TcpTimeout]


def test_disabled_reading_and_writing_outlast_a_handshake(loop, peers, spawn, ca):
    """The handshake goes on; what follows waits until it is enabled."""

    def welcome(ours):
        ours.start_tls(ca.server(), connect_cb=secured)
        ours.disable(read=True, write=True)
        ours.write(b"waited")
        after_quiet(lambda: enable(ours))

    def secured(_ours):
        told.append("secured")

    def enable(ours):
        told.append("enabled")
        ours.enable(read=True, write=True)

    def read(_ours, data):
        told.append(data)

    def talk(server, core):
        raw = peers.connect(server)
        with ca.client_context().wrap_socket(raw, server_hostname="localhost") as secured:
            secured.sendall(b"ping")
            assert receive_exactly(secured, 6) == b"waited"
            wait_until(lambda: b"ping" in told)
        core.exit()

    def start():
        server = tcp_server(LOOPBACK, 0, read, ignore, connect_cb=welcome)
        spawn(talk, server, asynctcp.current_event_loop())

    told = []
    run(start, loop=loop)
    assert told.index("enabled") < told.index(b"ping")


@pytest.mark.parametrize("much", [False, True], ids=["silent", "dead"])
def test_close_before_the_handshake_is_given_up_as_any_other(loop, peers, ca, much):
    """The peer says nothing, or does not even read what goes in the clear."""

    def use(ours, _raw):
        if much:
            ours.write(bytes(MUCH))
        ours.start_tls(ca.client(handshake_timeout=None), server_name="localhost")
        ours.write(b"never sealed")
        ours.close()

    run(lambda: peers.link(use, write_timeout=QUIET), loop=loop)


def test_write_timeout_goes_on_while_what_is_in_the_clear_waits(loop, peers, ca):
    def use(ours, _raw):
        ours.write(bytes(MUCH))
        ours.start_tls(ca.client(handshake_timeout=None), server_name="localhost")

    conditions = []
    run(lambda: peers.link(use, None, conditions.append, write_timeout=QUIET), loop=loop)
    assert [type(each) for each in conditions] == [TcpTimeout]


def test_close_before_the_handshake_does_not_wait_for_it_where_nothing_waits(loop, peers, ca):
    def use(ours, raw):
        ours.write(b"in the clear")
        ours.start_tls(ca.client(handshake_timeout=None), server_name="localhost")
        ours.close()
        raws.append(raw)

    raws = []
    run(lambda: peers.link(use), loop=loop)
    assert receive_all(raws[0]).startswith(b"in the clear")
