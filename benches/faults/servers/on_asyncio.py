"""The behaviours on asyncio, and on the loops with its interface: ours (``asynctcp-aio``), uvloop, rloop."""

import asyncio
import contextlib
import importlib
import os
import signal
import time
import zlib

from wire import behaviour, copied, noise, report

#: How many connections are tried beside stuck lookups.
CONNECTS = 100
#: Seconds in which a client's end or reset arrives.
PATIENCE = 0.01
tasks: list[asyncio.Task] = []


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
        report(aborted=True)


class Obedient(asyncio.Protocol):
    first = None
    left, high, low = 0, 0, 0
    full = False
    block = noise(1 << 20)

    def connection_made(self, transport):
        if Obedient.first is None:
            Obedient.first = transport
            transport.set_write_buffer_limits(self.high, self.low)
            self.write()

    def write(self):
        if Obedient.left and not self.full and Obedient.first:
            Obedient.left -= 1
            Obedient.first.write(copied(self.block))
            loop.call_soon(self.write)

    def pause_writing(self):
        self.full = True

    def resume_writing(self):
        self.full = False
        self.write()

    def data_received(self, _data):
        Obedient.first.abort()
        Obedient.left = 0
        report(aborted=True)


class Forker(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, _data):
        if not os.fork():
            time.sleep(60)
            os._exit(0)
        self.transport.close()


class Farewell(asyncio.Protocol):
    size, pause = 0, 0.0

    def connection_made(self, transport):
        self.transport = transport
        if self.pause:
            transport.pause_reading()
            loop.call_later(self.pause, self.leave)
        else:
            self.leave()

    def leave(self):
        self.transport.write(bytes(self.size))
        self.transport.close()


class AnswerAtEnd(asyncio.Protocol):
    size = 0

    def connection_made(self, transport):
        self.transport = transport

    def eof_received(self):
        self.transport.write(bytes(self.size))
        self.transport.close()
        return True


class Unprotected(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, _data):
        time.sleep(PATIENCE)
        for size in (1000, 100_000, 100_000):
            self.transport.write(bytes(size))

    def connection_lost(self, error):
        report(error=type(error).__name__)


class Drain(Echo):
    def data_received(self, data):
        if len(data) <= 64:
            self.transport.write(data)


class Blocked(Echo):
    left = 0.0

    def data_received(self, data):
        if Blocked.left:
            report(blocked=True)
            time.sleep(Blocked.left)
            Blocked.left = 0
        super().data_received(data)


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


def obedient(mebibytes, high, low):
    Obedient.left, Obedient.high, Obedient.low = int(mebibytes), int(high), int(low)
    return Obedient


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


def farewell(size, pause):
    Farewell.size, Farewell.pause = int(size), pause
    return Farewell


def answer_at_end(size):
    AnswerAtEnd.size = int(size)
    return AnswerAtEnd


def unprotected():
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    return Unprotected


def lookups(count):
    async def connects():
        times = []
        await asyncio.sleep(0.5)
        for _ in range(CONNECTS):
            begun = time.perf_counter()
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            times.append(time.perf_counter() - begun)
            writer.close()
        report(times=times)
        loop.stop()

    async def lookup(number):
        with contextlib.suppress(OSError):
            await asyncio.open_connection(f"stuck{number}.invalid", 80)

    tasks.extend(loop.create_task(lookup(number)) for number in range(int(count)))
    tasks.append(loop.create_task(connects()))
    return Echo


def drain():
    return Drain


def blocked(seconds):
    Blocked.left = seconds
    return Blocked


BEHAVIOURS = {
    f.__name__: f
    for f in (
        echo,
        impatient,
        sleepy,
        late,
        raising,
        flood,
        obedient,
        forker,
        interrupted,
        farewell,
        answer_at_end,
        unprotected,
        lookups,
        drain,
        blocked,
    )
}

name, choose, arguments = behaviour(BEHAVIOURS)
loop = importlib.import_module(name.replace("-", ".")).new_event_loop()
asyncio.set_event_loop(loop)
server = loop.run_until_complete(loop.create_server(choose(*arguments), "127.0.0.1", 0, backlog=256))
report(port=server.sockets[0].getsockname()[1])
try:
    loop.run_forever()
except KeyboardInterrupt:
    report(at=time.monotonic())
