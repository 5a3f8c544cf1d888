"""Ping-pong on asynctcp."""

from common import options

import asynctcp

chosen = options()
MESSAGE = b"x" * chosen.size


def on_connect(socket):
    socket.data = 0
    socket.write(MESSAGE)


def on_read(socket, data):
    socket.data += len(data)
    if socket.data == len(MESSAGE):
        on_connect(socket)


def main():
    for _ in range(chosen.conns):
        asynctcp.tcp_connect("127.0.0.1", chosen.port, on_read, connect_cb=on_connect)


asynctcp.start_event_loop(main)
