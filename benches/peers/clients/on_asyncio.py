"""Ping-pong on the loops with asyncio's interface."""

import asyncio
import importlib

from common import options

chosen = options()
MESSAGE = b"x" * chosen.size


class Player(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.serve()

    def serve(self):
        self.received = 0
        self.transport.write(MESSAGE)

    def data_received(self, data):
        self.received += len(data)
        if self.received == len(MESSAGE):
            self.serve()


async def main():
    loop = asyncio.get_running_loop()
    for _ in range(chosen.conns):
        await loop.create_connection(Player, "127.0.0.1", chosen.port)
    await loop.create_future()


loop = importlib.import_module(chosen.loop).new_event_loop()
asyncio.set_event_loop(loop)
loop.run_until_complete(main())
