"""The app of `asgi.py` by hypercorn, on a port of its own choice: hypercorn_app.py LOOP."""

import socket

from hypercorn.asyncio import serve
from hypercorn.config import Config

import _app
from asgi import app

listening = socket.create_server(("127.0.0.1", 0))
_app.say_address(listening)
config = Config()
config.bind = [f"fd://{listening.detach()}"]
config.graceful_timeout = 10
_app.run(serve, app, config)
