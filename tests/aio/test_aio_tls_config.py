"""`ssl=TlsConfig` wherever asyncio's loop takes `ssl=`: names, what is told of the session, programs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

import asynctcp.aio
from asynctcp import TlsCertificateError, aio
from certificates import authority
from helpers import DEADLINE, LOOPBACK, MUCH
from loops import Recorder, run, turn, until
from peers import find, needs
from secured import Link, echo, refused, serving, tcp_pair, worlds


@pytest.fixture
def world():
    """Our loop, with `TlsConfig`."""
    yield from worlds("asynctcp-config")


@pytest.fixture
def loop(world):
    return world.loop


# --- where it is taken --------------------------------------------------------------------------------------


@pytest.mark.parametrize("server", ["config", "context"])
@pytest.mark.parametrize("client", ["config", "context"])
def test_streams_echo(loop, ca, server, client):
    async def main():
        config = ca.server() if server == "config" else ca.server_context()
        listening, address = await serving(config)
        config = ca.client() if client == "config" else ca.client_context()
        reader, writer = await asyncio.open_connection(*address, ssl=config)
        sent = bytes(range(256)) * (MUCH // 256)
        writer.write(sent)
        got = await reader.readexactly(len(sent))
        writer.close()
        await writer.wait_closed()
        listening.close()
        return got == sent

    assert run(loop, main())


def test_unix_sockets(loop, ca):
    async def main():
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "socket")
            server = await asyncio.start_unix_server(echo, path, ssl=ca.server())
            named = ca.client(server_name="localhost")
            for config, options in ((ca.client(), {"server_hostname": "localhost"}), (named, {})):
                reader, writer = await asyncio.open_unix_connection(path, ssl=config, **options)
                writer.write(b"word")
                assert await reader.readexactly(4) == b"word"
                writer.close()
                await writer.wait_closed()
            with pytest.raises(ValueError, match="server_hostname"):
                await asyncio.open_unix_connection(path, ssl=ca.client())
            server.close()

    run(loop, main())


def test_start_tls_on_both_sides(loop, ca):
    async def serve(reader, writer):
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"go on\n")
        await writer.start_tls(ca.server())
        await echo(reader, writer)

    async def main():
        server = await asyncio.start_server(serve, LOOPBACK, 0)
        for name in ("localhost", None):
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"STARTTLS\n")
            assert await reader.readline() == b"go on\n"
            await writer.start_tls(ca.client(), server_hostname=name)
            writer.write(b"secret")
            assert await reader.readexactly(6) == b"secret"
            assert writer.get_extra_info("tls").version == "TLSv1.3"
            writer.close()
            await writer.wait_closed()
        server.close()

    run(loop, main())


@pytest.mark.parametrize("by", ["config", "context"])
@pytest.mark.parametrize("streams", ["native", "asyncio"])
def test_hello_that_came_before_start_tls_is_the_sessions(loop, ca, by, streams):
    """A client that does not wait for the server's word."""
    config = ca.server() if by == "config" else ca.server_context()
    own, other = tcp_pair()

    def talk():
        with ca.client_context().wrap_socket(other, server_hostname="localhost") as peer:
            peer.settimeout(DEADLINE)
            peer.sendall(b"early")
            got.append(peer.recv(5))
            with contextlib.suppress(OSError):
                peer.unwrap()

    async def main():
        open_connection = (aio if streams == "native" else asyncio).open_connection
        reader, writer = await open_connection(sock=own)
        # As a server's.
        name = "_connected_cb" if streams == "native" else "_client_connected_cb"
        setattr(writer._protocol, name, echo)
        await until(lambda: "bytes" in repr(reader))
        await writer.start_tls(config)
        writer.write(await reader.readexactly(5))
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()

    got = []
    thread = threading.Thread(target=talk)
    thread.start()
    run(loop, main())
    thread.join()
    assert got == [b"early"]


def test_start_tls_wants_a_transport_that_can(loop, ca):
    class Other:
        _start_tls_compatible = False

    with pytest.raises(TypeError, match=r"is not supported by start_tls\(\)"):
        run(loop, loop.start_tls(Other(), Recorder(), ca.client()))
    with pytest.raises(TypeError, match=r"is not supported by start_tls\(\)"):
        run(loop, loop.start_tls(Other(), Recorder(), ca.client_context()))
    with pytest.raises(TypeError, match=r"expected to be an instance of ssl\.SSLContext"):
        run(loop, loop.start_tls(Other(), Recorder(), None))


def test_start_tls_that_is_cancelled_closes_the_connection(loop, ca):
    own, other = tcp_pair()

    async def main():
        transport, protocol = await loop.create_connection(Recorder, sock=own)
        upgrade = asyncio.ensure_future(
            loop.start_tls(transport, protocol, ca.client(), server_hostname="localhost")
        )
        await asyncio.sleep(0)
        upgrade.cancel()
        with pytest.raises(asyncio.CancelledError):
            await upgrade
        assert transport.is_closing()

    run(loop, main())
    other.close()


def test_socket_of_a_class_of_the_apps(loop, ca):
    """Asyncio's own transport is below it then."""

    class Odd(socket.socket):
        pass

    own, other = tcp_pair()
    odd = Odd(fileno=own.detach())

    # Both at once: each waits for the other's handshake.
    async def both():
        accepting = asyncio.ensure_future(loop.connect_accepted_socket(lambda: peer, other, ssl=ca.server()))
        protocol = Recorder()
        transport, _ = await loop.create_connection(
            lambda: protocol, sock=odd, ssl=ca.client(), server_hostname="localhost"
        )
        served, _ = await accepting
        assert type(transport._transport).__module__ == "asyncio.selector_events"
        assert "_SelectorSocketTransport" in repr(transport)
        served.write(b"x" * 300_000)
        transport.write(b"y" * (8 << 20))
        await until(lambda: (len(protocol.data), len(peer.data)) == (300_000, 8 << 20))
        transport.close()
        await until(lambda: all(isinstance(one.told[-1], tuple) for one in (peer, protocol)))

    peer = Recorder()
    run(loop, both())


def test_wrong_kind_of_config_is_refused(loop, ca):
    client, server = ca.client(), ca.server()
    own, other = tcp_pair()
    attempts = [
        (loop.create_connection, (Recorder, LOOPBACK, 1), server),
        (loop.create_unix_connection, (Recorder, "/nowhere"), server),
        (loop.create_server, (Recorder, LOOPBACK, 0), client),
        (loop.create_unix_server, (Recorder, "/nowhere"), client),
        (loop.connect_accepted_socket, (Recorder, own), client),
    ]
    for method, arguments, config in attempts:
        with pytest.raises(TypeError, match=r"ssl must be a TlsConfig\.(client|server)\(\.\.\.\) here"):
            run(loop, method(*arguments, ssl=config))
    with pytest.raises(TypeError, match=r"ssl must be a TlsConfig\.server"):
        run(loop, loop.connect_accepted_socket(Recorder, own, ssl=client))
    own.close()
    other.close()


# --- names --------------------------------------------------------------------------------------------------


def test_name_is_the_servers_hostname_then_the_configs_then_the_host(loop, ca):
    asked = []

    async def note(_, writer):
        asked.append(writer.get_extra_info("tls").server_name)
        writer.close()

    async def main():
        config = ca.server(ca.issue("localhost", "other.example", "third.example", "127.0.0.1"))
        server, (_, port) = await serving(config, note)
        named = ca.client(server_name="other.example")
        for host, config, options in (
            ("localhost", ca.client(), {}),
            ("localhost", named, {}),
            ("localhost", named, {"server_hostname": "third.example"}),
            ("127.0.0.1", ca.client(), {}),
            ("127.0.0.1", ca.client(), {"server_hostname": ""}),
        ):
            reader, writer = await asyncio.open_connection(
                host, port, ssl=config, family=socket.AF_INET, **options
            )
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()
        server.close()

    run(loop, main())
    assert asked == ["localhost", "other.example", "third.example", None, None]


def test_wrong_name_is_refused_in_words_of_both(loop, ca):
    async def main():
        server, address = await serving(ca.server())
        error = await refused(address, ca.client(), server_hostname="elsewhere.example")
        server.close()
        return error

    error = run(loop, main())
    assert isinstance(error, TlsCertificateError)
    assert isinstance(error, ssl.SSLCertVerificationError)
    assert (error.reason, error.alert) == ("wrong-name", "bad_certificate")
    assert "elsewhere.example" in error.verify_message
    assert error.errno
    assert error.strerror
    assert error.library == "rustls"
    assert error.verify_code == 1
    assert str(error).startswith("wrong-name: the peer's certificate was refused")


def test_name_is_needed_where_the_peer_has_none(loop, ca):
    one, other = socket.socketpair()

    async def main():
        transport, protocol = await loop.create_unix_connection(Recorder, sock=one)
        with pytest.raises(ValueError, match="server_hostname is needed"):
            await loop.start_tls(transport, protocol, ca.client())
        transport.close()

    run(loop, main())
    other.close()


def test_name_is_needed_where_the_connection_is_lost_already(loop, ca):
    async def main():
        with socket.socket() as raw:
            raw.setblocking(False)
            with pytest.raises(ValueError, match="server_hostname is needed"):
                loop._make_ssl_transport(raw, Recorder(), ca.client())

    run(loop, main())


# --- what is told of a session ------------------------------------------------------------------------------


def test_session_is_told_as_asyncio_and_as_sockets_tell_it(loop, ca):
    seen = []

    async def serve(reader, writer):
        seen.append(writer)
        await echo(reader, writer)

    async def main():
        config = ca.server(alpn=["h2", "http/1.1"], client_certs="required", ca_data=ca.pem)
        server, address = await serving(config, serve)
        client = ca.client(alpn=["h2"], cert_data=ca.issue("me.example"))
        reader, writer = await asyncio.open_connection("localhost", address[1], ssl=client)
        writer.write(b"x")
        await reader.readexactly(1)
        told = [
            {
                name: one.get_extra_info(name)
                for name in ("tls", "peercert", "cipher", "compression", "sslcontext")
            }
            for one in (writer, *seen)
        ]
        views = [one.get_extra_info("ssl_object") for one in (writer, *seen)]
        writer.close()
        await writer.wait_closed()
        server.close()
        return told, views, (client, config)

    (ours, theirs), (view, other), configs = run(loop, main())
    assert ours["tls"].version == theirs["tls"].version == "TLSv1.3"
    assert ours["tls"].alpn == theirs["tls"].alpn == "h2"
    assert ours["tls"].server_name == theirs["tls"].server_name == "localhost"
    assert theirs["peercert"] == {"subjectAltName": (("DNS", "me.example"),)}
    assert ("IP Address", "127.0.0.1") in ours["peercert"]["subjectAltName"]
    assert ours["cipher"] == ("TLS_AES_256_GCM_SHA384", "TLSv1.3", 256)
    assert ours["compression"] is None
    assert (ours["sslcontext"], theirs["sslcontext"]) == configs
    assert view.version() == "TLSv1.3"
    assert view.cipher() == ours["cipher"]
    assert view.compression() is None
    assert view.selected_alpn_protocol() == "h2"
    assert view.server_hostname == "localhost"
    assert view.getpeercert(binary_form=True) == ours["tls"].peer_certificate
    assert (view.server_side, other.server_side) == (False, True)
    assert view.context is configs[0]
    assert not view.session_reused


def test_session_is_unknown_before_the_handshake(world):
    link = Link(world)
    turn(world.loop)
    link.peer.close()
    link.until(link.attempt.done)
    assert link.attempt.exception()
    transport = asynctcp.aio._tls.secure(
        world.loop, Recorder(), authority().client(), None, server_hostname="localhost", peername=tuple
    )
    assert transport.get_extra_info("tls") is None
    assert transport.get_extra_info("peername", 1) == 1
    transport.abort()
    transport._fatal_error(ConnectionError())
    assert world.told == []


def test_context_has_no_tls_info(loop, ca):
    async def main():
        server, address = await serving(ca.server())
        _reader, writer = await asyncio.open_connection(*address, ssl=ca.client_context())
        assert writer.get_extra_info("tls") is None
        writer.close()
        await writer.wait_closed()
        server.close()

    run(loop, main())


# --- others -------------------------------------------------------------------------------------------------


def test_what_a_context_was_set_to_is_heeded(loop, ca):
    """Its callbacks get the genuine object; its class for objects is used."""
    asked, written = [], []

    class Noting(ssl.SSLObject):
        def write(self, data):
            written.append(len(data))
            return super().write(data)

    async def main():
        context = ca.server_context()
        context.sni_callback = lambda session, name, _: asked.append((type(session), name))
        client = ca.client_context()
        client.sslobject_class = Noting
        server, address = await serving(context)
        reader, writer = await asyncio.open_connection("localhost", address[1], ssl=client)
        writer.write(b"word")
        assert await reader.readexactly(4) == b"word"
        writer.close()
        await writer.wait_closed()
        server.close()

    run(loop, main())
    assert asked == [(ssl.SSLObject, "localhost")]
    assert written == [4]


@pytest.mark.peer
@needs("openssl")
def test_openssls_client_and_our_server(loop, ca):
    async def main():
        server, (_, port) = await serving(ca.server())
        program = await asyncio.create_subprocess_exec(
            find("openssl"),
            *("s_client", "-quiet", "-connect", f"{LOOPBACK}:{port}", "-servername", "localhost"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        program.stdin.write(b"a line\n")
        assert await program.stdout.readline() == b"a line\n"
        program.stdin.close()
        program.terminate()
        await program.wait()
        server.close()

    run(loop, main())


def test_much_goes_both_ways_at_once(loop, ca):
    async def main():
        server, address = await serving(ca.server())
        pairs = [await asyncio.open_connection(*address, ssl=ca.client()) for _ in range(4)]

        async def talk(reader, writer):
            data = os.urandom(1 << 20)

            async def send():
                for _ in range(4):
                    writer.write(data)
                    await writer.drain()

            sending = asyncio.ensure_future(send())
            for _ in range(4):
                assert await reader.readexactly(len(data)) == data
            await sending
            writer.close()
            await writer.wait_closed()

        await asyncio.gather(*(talk(*pair) for pair in pairs))
        server.close()

    run(loop, main())


@pytest.mark.slow
@pytest.mark.parametrize("by", ["config", "context"])
def test_two_thousand_connections_leave_nothing(loop, ca, by):
    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    async def main():
        config, client = (
            (ca.server(), ca.client()) if by == "config" else (ca.server_context(), ca.client_context())
        )
        server, address = await serving(config)

        async def one():
            reader, writer = await asyncio.open_connection(*address, ssl=client)
            writer.write(b"x" * 1000)
            await reader.readexactly(1000)
            writer.close()
            await writer.wait_closed()

        async def many(count):
            for _ in range(count // 20):
                await asyncio.gather(*(one() for _ in range(20)))

        await many(400)
        before = resident()
        await many(2000)
        grown = resident() - before
        server.close()
        return grown

    # Seconds of handshakes, and many where others work, too.
    assert run(loop, main(), 4 * DEADLINE) < 4 << 20
