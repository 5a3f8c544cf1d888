"""TLS by an `ssl.SSLContext` over the transports of `asynctcp.aio`."""

from __future__ import annotations

import asyncio
import ssl

import pytest
import trustme

from helpers import LOOPBACK, descriptors
from loops import LOOPS, run, turn_until


@pytest.fixture(params=LOOPS)
def loop(request):
    loop = LOOPS[request.param]()
    before = descriptors()
    yield loop
    # The other side of a connection needs some turns more.
    turn_until(loop, lambda: descriptors() == before)
    loop.close()


@pytest.fixture(scope="module")
def contexts():
    """A server's context and one of clients that trust it."""
    ca = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ca.issue_cert("localhost", "127.0.0.1").configure_cert(server)
    ca.configure_trust(client)
    return server, client


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


def test_streams_echo_over_tls(loop, contexts):
    server_context, client_context = contexts

    async def main():
        server = await asyncio.start_server(echo, LOOPBACK, 0, ssl=server_context)
        host, port = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(host, port, ssl=client_context)
        assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
        payload = bytes(range(256)) * 4000
        writer.write(payload)
        got = await reader.readexactly(len(payload))
        writer.close()
        await writer.wait_closed()
        server.close()
        return got == payload

    assert run(loop, main())


def test_start_tls_upgrades_a_connection(loop, contexts):
    server_context, client_context = contexts

    async def serve(reader, writer):
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"go on\n")
        await writer.start_tls(server_context)
        writer.write(b"safe: " + await reader.readline())
        await writer.drain()
        writer.close()

    async def main():
        server = await asyncio.start_server(serve, LOOPBACK, 0)
        host, port = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"STARTTLS\n")
        assert await reader.readline() == b"go on\n"
        await writer.start_tls(client_context, server_hostname="localhost")
        writer.write(b"secret\n")
        got = await reader.readline()
        writer.close()
        server.close()
        return got

    assert run(loop, main()) == b"safe: secret\n"


def test_certificate_that_is_not_trusted_is_refused(loop, contexts):
    async def main():
        server = await asyncio.start_server(echo, LOOPBACK, 0, ssl=contexts[0])
        loop.set_exception_handler(lambda *_: None)
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection(*server.sockets[0].getsockname(), ssl=ssl.create_default_context())
        server.close()

    run(loop, main())
