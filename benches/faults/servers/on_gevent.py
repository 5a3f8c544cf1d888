"""The behaviours on gevent."""

import os
import time
import zlib

import gevent
from gevent.server import StreamServer
from wire import behaviour, report


def echo():
    def handle(socket, _address):
        try:
            while data := socket.recv(64 * 1024):
                socket.sendall(data)
        except ConnectionError:
            pass

    return handle


def impatient(timeout):
    def handle(socket, _address):
        socket.settimeout(timeout)
        try:
            while data := socket.recv(64 * 1024):
                socket.sendall(data)
        except OSError:
            pass

    return handle


def sleepy(nap, naps):
    left = naps
    total = crc = 0

    def handle(socket, _address):
        nonlocal left, total, crc
        while data := socket.recv(256 * 1024):
            if left:
                left -= 1
                time.sleep(nap)
            total += len(data)
            crc = zlib.crc32(data, crc)
        report(bytes=total, crc=crc)

    return handle


def late(pause):
    def handle(socket, address):
        gevent.sleep(pause)
        total = 0
        end = "eof"
        try:
            while data := socket.recv(64 * 1024):
                total += len(data)
        except ConnectionResetError:
            end = "TcpReset"
        report(bytes=total, end=end, peer=address[1])

    return handle


def raising():
    def handle(socket, _address):
        while data := socket.recv(64 * 1024):
            if data.startswith(b"raise"):
                report(error="RuntimeError")
                raise RuntimeError("as the data says")
            socket.sendall(data)

    return handle


def forker():
    def handle(socket, _address):
        socket.recv(1)
        if not os.fork():
            time.sleep(60)
            os._exit(0)
        # The server closes it.

    return handle


def interrupted(spin):
    def compute():
        while True:
            until = time.perf_counter() + spin
            while time.perf_counter() < until:
                pass
            gevent.sleep(0)

    if spin:
        gevent.spawn(compute)
    return echo()


BEHAVIOURS = {f.__name__: f for f in (echo, impatient, sleepy, late, raising, forker, interrupted)}

_, choose, arguments = behaviour(BEHAVIOURS)
server = StreamServer(("127.0.0.1", 0), choose(*arguments), backlog=256)
server.start()
report(port=server.server_port)
try:
    server.serve_forever()
except KeyboardInterrupt:
    report(at=time.monotonic())
