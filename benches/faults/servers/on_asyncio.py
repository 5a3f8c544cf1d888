"""The behaviours on asyncio, and on the loops with its interface: uvloop, rloop."""

import asyncio
import importlib
import os
import time
import zlib

from wire import behaviour, report


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)

    def pause_writing(self):
        self.transport.pause_reading()

    def resume_writing(self):
        self.transport.resume_reading()


class Impatient(Echo):
    timeout = 0.0

    def connection_made(self, transport):
        super().connection_made(transport)
        self.patience = loop.call_later(self.timeout, transport.abort)

    def data_received(self, data):
        self.patience.cancel()
        self.patience = loop.call_later(self.timeout, self.transport.abort)
        super().data_received(data)

    def connection_lost(self, _error):
        self.patience.cancel()


class Sleepy(asyncio.Protocol):
    nap, left, total, crc = 0.0, 0.0, 0, 0

    def data_received(self, data):
        if Sleepy.left:
            Sleepy.left -= 1
            time.sleep(Sleepy.nap)
        Sleepy.total += len(data)
        Sleepy.crc = zlib.crc32(data, Sleepy.crc)

    def connection_lost(self, _error):
        report(bytes=Sleepy.total, crc=Sleepy.crc)


class Late(asyncio.Protocol):
    pause = 0.0

    def connection_made(self, transport):
        self.total = 0
        self.end = "eof"
        self.port = transport.get_extra_info("peername")[1]
        transport.pause_reading()
        loop.call_later(self.pause, transport.resume_reading)

    def data_received(self, data):
        self.total += len(data)

    def connection_lost(self, error):
        report(
            bytes=self.total,
            end="TcpReset" if isinstance(error, ConnectionResetError) else "eof",
            peer=self.port,
        )


class Raising(Echo):
    def data_received(self, data):
        if data.startswith(b"raise"):
            raise RuntimeError("as the data says")
        super().data_received(data)

    def connection_lost(self, error):
        if error:
            report(error=type(error).__name__)


class Flood(asyncio.Protocol):
    first = None
    pieces = 0

    def connection_made(self, transport):
        if Flood.first is None:
            Flood.first = transport
            for _ in range(self.pieces):
                transport.write(bytes(64 << 10))
            report(queued=True)

    def data_received(self, _data):
        Flood.first.abort()
        Flood.first = 0
        report(aborted=True)


class Forker(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, _data):
        if not os.fork():
            time.sleep(60)
            os._exit(0)
        self.transport.close()


def echo():
    return Echo


def impatient(timeout):
    Impatient.timeout = timeout
    return Impatient


def sleepy(nap, naps):
    Sleepy.nap, Sleepy.left = nap, naps
    return Sleepy


def late(pause):
    Late.pause = pause
    return Late


def raising():
    return Raising


def flood(pieces):
    Flood.pieces = int(pieces)
    return Flood


def forker():
    return Forker


def interrupted(spin):
    def compute():
        until = time.perf_counter() + spin
        while time.perf_counter() < until:
            pass
        loop.call_soon(compute)

    if spin:
        compute()
    return Echo


BEHAVIOURS = {f.__name__: f for f in (echo, impatient, sleepy, late, raising, flood, forker, interrupted)}

name, choose, arguments = behaviour(BEHAVIOURS)
loop = importlib.import_module(name).new_event_loop()
asyncio.set_event_loop(loop)
server = loop.run_until_complete(loop.create_server(choose(*arguments), "127.0.0.1", 0, backlog=256))
report(port=server.sockets[0].getsockname()[1])
try:
    loop.run_forever()
except KeyboardInterrupt:
    report(at=time.monotonic())
