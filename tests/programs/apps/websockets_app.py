"""A server of websockets that finishes what it is asked when it is to end: websockets_app.py LOOP."""

import asyncio
import signal

from websockets.asyncio.server import serve

import _app


async def answer(connection):
    async for file in connection:
        await connection.send(await _app.released(file))
        await connection.close()


async def main():
    async with serve(answer, "127.0.0.1", 0) as server:
        _app.say_address(server.sockets[0])
        asyncio.get_running_loop().add_signal_handler(
            signal.SIGTERM, lambda: server.close(close_connections=False)
        )
        await server.wait_closed()
    print("ended", flush=True)


_app.run(main)
