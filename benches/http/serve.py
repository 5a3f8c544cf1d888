"""A greeting over HTTP/1.1: `serve.py LIBRARY PARSER`, which prints its port and serves until it is ended.

The parser is that of examples/http_hello.py (`hello`), or httptools. On asynctcp the request is parsed in a
read callback, on the others in a Protocol, which is their fastest form.
"""

import argparse
import asyncio
import importlib
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


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("library", help="asynctcp, or a module with new_event_loop()")
    arguments.add_argument("parser", choices=PARSERS)
    chosen = arguments.parse_args()
    parser = PARSERS[chosen.parser]
    if chosen.library == "asynctcp":
        serve_asynctcp(parser)
    else:
        serve_asyncio(importlib.import_module(chosen.library).new_event_loop(), parser)


if __name__ == "__main__":
    main()
