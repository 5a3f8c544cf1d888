"""A server of aiohttp with a websocket, on this library's event loop.

    pip install aiohttp
    python examples/aio/aiohttp_server.py --port 8080
    curl http://127.0.0.1:8080/hello/world

SIGTERM and Ctrl-C end it once the requests on their way are answered.
"""

import argparse

from aiohttp import web

from asynctcp import aio


async def hello(request: web.Request) -> web.Response:
    return web.json_response({"hello": request.match_info["name"]})


async def shout(request: web.Request) -> web.WebSocketResponse:
    """Send each message back in capitals."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(message.data.upper())
    return socket


def main() -> None:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(description="A server of aiohttp on asynctcp's event loop.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="port, 0 for any free one (%(default)s)")
    options = parser.parse_args()
    app = web.Application()
    app.add_routes([web.get("/hello/{name}", hello), web.get("/shout", shout)])
    web.run_app(app, host=options.host, port=options.port, loop=aio.new_event_loop())


if __name__ == "__main__":
    main()
