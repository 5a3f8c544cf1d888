"""uvicorn, hypercorn and aiohttp do their work on our loop as on asyncio's own."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import ssl

import pytest

from certificates import authority
from helpers import LOOPBACK
from loops import run
from peers import MIB, hash_of, needs
from peers import run as run_program
from services import needs_package

LISTENING = r"(?:listening on |http://)([\d.]+:\d+)"
SERVERS = {
    "uvicorn": ("-m", "uvicorn", "asgi:app", "--loop", "LOOP", "--port", "0", "--no-access-log"),
    "hypercorn": ("hypercorn_app.py",),
}


@pytest.fixture(params=SERVERS)
def url(request, children, loop_name):
    """Where a server of the FastAPI app is, which runs on the loop."""
    server = children.start(*SERVERS[request.param], loop_name=loop_name)
    found = server.wait_for(LISTENING)[1]
    assert server.wait_for(r"^loop (\w+)")[1] == loop_name
    return f"http://{found}"


@needs("curl")
@needs_package("aiohttp", "fastapi", "hypercorn", "uvicorn", "websockets")
class TestServersOfTheApp:
    def test_requests_of_all_kinds_are_answered(self, url, tmp_path):
        ask = ("--silent", "--show-error", "--fail")
        assert run_program("curl", *ask, f"{url}/") == '{"hello":"world"}'
        assert run_program("curl", *ask, f"{url}/in-a-thread") == '{"hello":"thread"}'
        (tmp_path / "file").write_bytes(os.urandom(4 * MIB))
        sent = run_program("curl", *ask, "--data-binary", f"@{tmp_path}/file", f"{url}/upload")
        assert sent == str(4 * MIB)
        body = b"".join(bytes([number]) * 65536 for number in range(64))
        assert hash_of(f"{url}/download?pieces=64") == hashlib.sha256(body).hexdigest()
        version = ("--output", "/dev/null", "--write-out", "%{http_version} %{http_code}")
        assert run_program("curl", "--silent", *version, f"{url}/nothing") == "1.1 404"

    def test_websocket_answers(self, url):
        from websockets.sync.client import connect

        with connect(url.replace("http", "ws") + "/echo") as socket:
            socket.send("hello")
            assert socket.recv(timeout=10) == "HELLO"

    @needs("wrk")
    def test_a_hundred_connections_get_right_answers_alone(self, url):
        wrk = run_program("wrk", "-t1", "-c100", "-d1s", f"{url}/")
        assert "requests in" in wrk
        assert "errors" not in wrk
        assert "Non-2xx" not in wrk


@needs("curl")
@needs_package("hypercorn", "fastapi")
def test_hypercorn_speaks_http_2(children, loop_name):
    server = children.start("hypercorn_app.py", loop_name=loop_name)
    url = f"http://{server.wait_for(LISTENING)[1]}/"
    options = ("--silent", "--http2-prior-knowledge", "--write-out", " %{http_version}")
    assert run_program("curl", *options, url) == '{"hello":"world"} 2'


# --- aiohttp, both sides in one loop ---


async def echo_body(request):
    from aiohttp import web

    response = web.StreamResponse()
    await response.prepare(request)
    async for piece in request.content.iter_any():
        await response.write(piece)
    return response


async def echo_messages(request):
    from aiohttp import web

    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(message.data.upper())
    return socket


async def serve_aiohttp(tls):
    """Start a server; return what stops it, and its address."""
    from aiohttp import web

    app = web.Application()
    app.router.add_post("/echo", echo_body)
    app.router.add_get("/socket", echo_messages)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    context = authority().server_context() if tls else None
    site = web.TCPSite(runner, LOOPBACK, 0, ssl_context=context)
    await site.start()
    return runner, f"{'https' if tls else 'http'}://{LOOPBACK}:{runner.addresses[0][1]}"


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@needs_package("aiohttp")
def test_aiohttp_talks_to_itself(loop, tls):
    import aiohttp

    body = os.urandom(2 * MIB)

    async def pieces():
        for at in range(0, len(body), 100_000):
            yield body[at : at + 100_000]

    async def main():
        runner, url = await serve_aiohttp(tls)
        connector = aiohttp.TCPConnector(ssl=authority().client_context())
        async with aiohttp.ClientSession(connector=connector) as session:
            for data in (io.BytesIO(body), pieces()):
                async with session.post(f"{url}/echo", data=data) as response:
                    assert response.status == 200
                    assert await response.read() == body
            async with session.ws_connect(f"{url}/socket") as socket:
                await socket.send_str("hello")
                assert await socket.receive_str() == "HELLO"
            async with session.get(f"{url}/nothing") as response:
                assert response.status == 404
        await runner.cleanup()

    run(loop, main())


@needs_package("aiohttp")
def test_aiohttps_client_gives_up_at_its_timeout(loop):
    import aiohttp

    async def silent(reader, writer):
        await reader.read()
        writer.close()
        await writer.wait_closed()
        ended.set()

    async def main():
        server = await asyncio.start_server(silent, LOOPBACK, 0)
        url = "http://{}:{}/".format(*server.sockets[0].getsockname())
        timeout = aiohttp.ClientTimeout(total=0.1)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            with pytest.raises(TimeoutError):
                await session.get(url)
        await ended.wait()
        server.close()

    ended = asyncio.Event()
    run(loop, main())


@needs_package("aiohttp")
def test_aiohttps_client_is_told_of_a_certificate_that_nobody_trusts(loop):
    import aiohttp

    async def main():
        runner, url = await serve_aiohttp(tls=True)
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectorCertificateError) as raised:
                await session.post(f"{url}/echo", data=b"")
        await runner.cleanup()
        return raised.value.certificate_error

    assert isinstance(run(loop, main()), ssl.SSLCertVerificationError)


@needs_package("aiohttp")
def test_aiohttp_talks_over_a_unix_socket(loop, tmp_path):
    import aiohttp
    from aiohttp import web

    async def main():
        app = web.Application()
        app.router.add_post("/echo", echo_body)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.UnixSite(runner, tmp_path / "app.sock").start()
        connector = aiohttp.UnixConnector(path=str(tmp_path / "app.sock"))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.post("http://localhost/echo", data=b"hello") as response,
        ):
            answer = await response.read()
        await runner.cleanup()
        return answer

    assert run(loop, main()) == b"hello"


@needs("curl")
@needs_package("aiohttp")
def test_file_that_aiohttp_sends_arrives_whole(loop, tmp_path):
    """Over sendfile."""
    from aiohttp import web

    body = os.urandom(8 * MIB)
    (tmp_path / "file").write_bytes(body)

    async def main():
        app = web.Application()
        app.router.add_static("/", tmp_path)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, LOOPBACK, 0).start()
        url = f"http://{LOOPBACK}:{runner.addresses[0][1]}/file"
        digest = await asyncio.to_thread(hash_of, url)
        await runner.cleanup()
        return digest

    assert run(loop, main()) == hashlib.sha256(body).hexdigest()
