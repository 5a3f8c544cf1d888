"""Programs that end with something open, on asyncio and the loops with its interface."""

import asyncio
import importlib
import os
import signal
import sys
import threading
import time

from wire import behaviour, report

LOOPBACK = "127.0.0.1"
TALKERS = 20


class Oops(Exception):
    pass


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class Talker(Echo):
    def connection_made(self, transport):
        super().connection_made(transport)
        transport.write(b"x" * 1000)


def leave():
    report(leaving=time.monotonic())


def new_loop():
    loop = importlib.import_module(name.replace("-", ".")).new_event_loop()
    asyncio.set_event_loop(loop)
    return loop


async def talk():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, LOOPBACK, 0)
    for _ in range(TALKERS):
        await loop.create_connection(Talker, *server.sockets[0].getsockname())
    return server


def in_daemon(*, stuck):
    running = threading.Event()

    def body():
        loop = new_loop()
        kept = loop.run_until_complete(talk())  # noqa: F841
        loop.call_later(0.02, running.set)
        if stuck:
            loop.call_later(0.03, time.sleep, 60)
        loop.run_forever()

    threading.Thread(target=body, daemon=True).start()
    running.wait()


def traffic():
    in_daemon(stuck=False)
    leave()


def server():
    global kept  # noqa: PLW0603 (it must be open at the end)
    kept = new_loop().run_until_complete(talk())
    leave()


def stuck_lookup():
    loop = new_loop()
    lookup = loop.create_task(loop.create_connection(Echo, "stuck.test", 1))  # noqa: F841
    loop.call_later(0.05, loop.stop)
    loop.run_forever()
    leave()


def stuck_callback():
    in_daemon(stuck=True)
    time.sleep(0.05)
    leave()


def in_callback(end):
    loop = new_loop()
    kept = loop.run_until_complete(talk())  # noqa: F841
    loop.call_later(0.02, lambda: (leave(), end()))
    loop.run_forever()


def sys_exit():
    in_callback(lambda: sys.exit(7))


def sigterm():
    in_callback(lambda: os.kill(os.getpid(), signal.SIGTERM))


def sigterm_handled():
    loop = new_loop()
    kept = loop.run_until_complete(talk())  # noqa: F841
    loop.add_signal_handler(signal.SIGTERM, loop.stop)
    loop.call_later(0.02, lambda: (leave(), os.kill(os.getpid(), signal.SIGTERM)))
    loop.run_forever()


def sigint():
    try:
        in_callback(lambda: os.kill(os.getpid(), signal.SIGINT))
    except KeyboardInterrupt:
        sys.exit(6)


PROGRAMS = (traffic, server, stuck_lookup, stuck_callback, sys_exit, sigterm, sigterm_handled, sigint)

name, program, _ = behaviour({f.__name__: f for f in PROGRAMS})
program()
