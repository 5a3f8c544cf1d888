"""Programs that end with something open, on asynctcp."""

import os
import signal
import sys
import threading
import time

from wire import behaviour, report

import asynctcp
from asynctcp import delay, event_loop, exit_event_loop, start_event_loop, tcp_connect, tcp_server

LOOPBACK = "127.0.0.1"
TALKERS = 20


class Oops(Exception):
    pass


def leave():
    report(leaving=time.monotonic())


def echo(socket, data):
    socket.write(data)


def talk():
    """Open a server, and connections that never fall silent."""
    server = tcp_server(LOOPBACK, 0, echo)
    for _ in range(TALKERS):
        tcp_connect(*server.address, echo, data=b"x" * 1000)


def in_daemon(start):
    """Run a loop in a daemon thread that nobody joins; return once it runs."""
    running = threading.Event()
    begin = lambda: (start(), delay(running.set, 0.02))  # noqa: E731
    threading.Thread(target=start_event_loop, args=(begin,), daemon=True).start()
    running.wait()


def traffic():
    in_daemon(talk)
    leave()


def server():
    block = event_loop()
    block.__enter__()
    talk()
    leave()


def stuck_lookup():
    def start():
        tcp_connect("stuck.test", 1, None)
        delay(exit_event_loop, 0.05)

    start_event_loop(start)
    leave()


def stuck_callback():
    in_daemon(lambda: (talk(), delay(lambda: time.sleep(60), 0.03)))
    time.sleep(0.05)
    leave()


def in_callback(end):
    def start():
        talk()
        delay(lambda: (leave(), end()), 0.02)

    start_event_loop(start)


def sys_exit():
    in_callback(lambda: sys.exit(7))


def exception():
    def end():
        raise Oops

    try:
        in_callback(end)
    except Oops:
        sys.exit(5)


def sigterm():
    in_callback(lambda: os.kill(os.getpid(), signal.SIGTERM))


def sigterm_handled():
    def start():
        talk()
        asynctcp.signal_handler(signal.SIGTERM, lambda _number: exit_event_loop())
        delay(lambda: (leave(), os.kill(os.getpid(), signal.SIGTERM)), 0.02)

    start_event_loop(start)


def sigint():
    try:
        in_callback(lambda: os.kill(os.getpid(), signal.SIGINT))
    except KeyboardInterrupt:
        sys.exit(6)


PROGRAMS = (
    traffic, server, stuck_lookup, stuck_callback, sys_exit, exception, sigterm, sigterm_handled, sigint
)  # fmt: skip

_, program, _ = behaviour({f.__name__: f for f in PROGRAMS})
program()
