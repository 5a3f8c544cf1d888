"""The echo server on the loops with asyncio's interface: a Protocol, their fastest form."""

import asyncio
import importlib

from common import BACKLOG, options, ready, tls_context, work

chosen = options()
ROUNDS = chosen.work


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)

    def pause_writing(self):
        self.transport.pause_reading()

    def resume_writing(self):
        self.transport.resume_reading()


class WorkingEcho(Echo):
    def data_received(self, data):
        work(ROUNDS)
        self.transport.write(data)


async def main():
    protocol = WorkingEcho if ROUNDS else Echo
    loop = asyncio.get_running_loop()
    if chosen.path:
        await loop.create_unix_server(protocol, chosen.path, backlog=BACKLOG)
        ready(chosen.path)
    else:
        server = await loop.create_server(
            protocol, "127.0.0.1", 0, backlog=BACKLOG, ssl=tls_context(chosen.pem)
        )
        ready(server.sockets[0].getsockname()[1])
    await loop.create_future()


def new_event_loop():
    if chosen.loop == "aiofastnet":
        import aiofastnet
        import uvloop

        return aiofastnet.patch_loop(uvloop.new_event_loop())
    return importlib.import_module(chosen.loop).new_event_loop()


loop = new_event_loop()
asyncio.set_event_loop(loop)
loop.run_until_complete(main())
