"""The echo server on asynctcp, as its README has it."""

from common import BACKLOG, options, ready, work

import asynctcp

chosen = options()
ROUNDS = chosen.work
tls = chosen.pem and asynctcp.TlsConfig.server(cert_file=chosen.pem, key_file=chosen.pem)


def on_read(socket, data):
    socket.write(data)


def on_read_working(socket, data):
    work(ROUNDS)
    socket.write(data)


def main():
    read_cb = on_read_working if ROUNDS else on_read
    if chosen.path:
        asynctcp.pipe_server(chosen.path, read_cb, backlog=BACKLOG)
        ready(chosen.path)
    else:
        server = asynctcp.tcp_server("127.0.0.1", 0, read_cb, backlog=BACKLOG, tls=tls)
        ready(server.port)


loop = asynctcp.EventLoop(catch_app_errors=True, io_threads=chosen.io_threads)
loop.set_busy_poll(chosen.spin / 1e6)
loop.run(main)
