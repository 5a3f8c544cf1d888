"""A server of aiohttp: aiohttp_app.py LOOP."""

import socket

from aiohttp import web

import _app


async def slow(request):
    return web.Response(text=await _app.released(request.query["file"]))


async def say_end(_):
    print("ended", flush=True)


app = web.Application()
app.router.add_get("/slow", slow)
app.on_cleanup.append(say_end)
listening = socket.create_server(("127.0.0.1", 0))
_app.say_address(listening)
web.run_app(app, sock=listening, loop=_app.factory()(), print=None)
