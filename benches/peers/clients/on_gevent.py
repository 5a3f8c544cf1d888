"""Ping-pong on gevent."""

from socket import IPPROTO_TCP, TCP_NODELAY

import gevent
from common import options
from gevent.socket import create_connection

chosen = options()
MESSAGE = b"x" * chosen.size


def play():
    socket = create_connection(("127.0.0.1", chosen.port))
    socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    while True:
        socket.sendall(MESSAGE)
        missing = len(MESSAGE)
        while missing:
            data = socket.recv(missing)
            if not data:
                raise ConnectionError("the server closed")
            missing -= len(data)


gevent.joinall([gevent.spawn(play) for _ in range(chosen.conns)], raise_error=True)
