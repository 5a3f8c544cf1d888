"""The echo server on gevent: a greenlet for each connection."""

from socket import IPPROTO_TCP, TCP_NODELAY

from common import BACKLOG, options, ready, work
from gevent.server import StreamServer

chosen = options()
ROUNDS = chosen.work
CHUNK = 64 * 1024


def echo(socket, _address):
    socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    try:
        while data := socket.recv(CHUNK):
            if ROUNDS:
                work(ROUNDS)
            socket.sendall(data)
    except ConnectionError:
        pass


server = StreamServer(("127.0.0.1", 0), echo, backlog=BACKLOG)
server.start()
ready(server.server_port)
server.serve_forever()
