"""A greeting over HTTP/1.1: `serve.py LIBRARY KIND`, which prints its port and serves until it is ended.

The kind is a parser, that of examples/http_hello.py (`hello`) or httptools, or a framework: uvicorn, aiohttp.
A parser is called in a read callback on asynctcp, and in a Protocol on the others, their fastest form; a
framework runs on asynctcp's asyncio loop.
"""

import argparse
import asyncio
import importlib
import socket
import sys
from pathlib import Path

import httptools

import asynctcp

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
import http_hello

BACKLOG = 1024
REPLY = http_hello.parse_head(b"GET / HTTP/1.1").reply


class Hello:
    """What examples/http_hello.py does, but for its error replies."""

    def __init__(self, write):
        self.write = write
        self.connection = http_hello.Connection()

    def feed(self, data):
        replies = []
        http_hello.answer(self.connection, data, replies)
        if replies:
            self.write(b"".join(replies))


class HttpTools:
    """A parser in C that calls back for each message."""

    def __init__(self, write):
        self.write = write
        self.parser = httptools.HttpRequestParser(self)
        self.feed = self.parser.feed_data

    def on_message_complete(self):
        self.write(REPLY)


PARSERS = {"hello": Hello, "httptools": HttpTools}


def serve_asynctcp(parser):
    def on_connect(socket):
        socket.data = parser(socket.write).feed

    def on_read(socket, data):
        socket.data(data)

    def main():
        server = asynctcp.tcp_server(
            "127.0.0.1", 0, on_read, lambda _: None, connect_cb=on_connect, backlog=BACKLOG
        )
        print(server.address[1], flush=True)

    asynctcp.start_event_loop(main, catch_app_errors=True)


def serve_asyncio(loop, parser):
    class Protocol(asyncio.Protocol):
        def connection_made(self, transport):
            self.feed = parser(transport.write).feed

        def data_received(self, data):
            self.feed(data)

    async def main():
        running = asyncio.get_running_loop()
        server = await running.create_server(Protocol, "127.0.0.1", 0, backlog=BACKLOG)
        print(server.sockets[0].getsockname()[1], flush=True)
        await running.create_future()

    loop.run_until_complete(main())


def listen():
    """A socket that listens, whose port is printed: clients wait in its backlog until the framework is up."""
    # asyncio sets TCP_NODELAY for what says that it is TCP.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(BACKLOG)
    print(listener.getsockname()[1], flush=True)
    return listener


async def serve_uvicorn():
    import uvicorn

    async def app(_scope, _receive, send):
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"13")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"Hello, world!"})

    config = uvicorn.Config(app, http="httptools", lifespan="off", access_log=False, log_level="warning")
    await uvicorn.Server(config).serve(sockets=[listen()])


async def serve_aiohttp():
    from aiohttp import web

    async def hello(_request):
        return web.Response(text="Hello, world!")

    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, listen()).start()
    await asyncio.get_running_loop().create_future()


FRAMEWORKS = {"uvicorn": serve_uvicorn, "aiohttp": serve_aiohttp}


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("library", help="asynctcp, or a module with new_event_loop()")
    arguments.add_argument("kind", choices=[*PARSERS, *FRAMEWORKS])
    chosen = arguments.parse_args()
    is_ours = chosen.library == "asynctcp"
    if chosen.kind in PARSERS and is_ours:
        serve_asynctcp(PARSERS[chosen.kind])
        return
    loop = importlib.import_module("asynctcp.aio" if is_ours else chosen.library).new_event_loop()
    asyncio.set_event_loop(loop)
    if chosen.kind in PARSERS:
        serve_asyncio(loop, PARSERS[chosen.kind])
    else:
        loop.run_until_complete(FRAMEWORKS[chosen.kind]())


if __name__ == "__main__":
    main()
