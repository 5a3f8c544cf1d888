"""A proxy that speaks TLS to clients, and plain text to a server of this machine over a Unix socket.

    asynctcp echo --unix /tmp/app.sock
    python examples/tls_proxy.py server.pem server.key /tmp/app.sock --port 8443
    asynctcp connect --tls --ca ca.pem localhost 8443

Ctrl-C ends it. The slower side sets the pace, and an end of stream goes through: over TLS that is a
close_notify. ``simple_proxy.py`` has the same pairs of sockets over TCP.
"""

import argparse
import sys

from _shared import run, server_parser
from asynctcp import (
    Socket,
    TcpBufferDrained,
    TcpBufferFull,
    TcpEof,
    TcpInfo,
    TlsConfig,
    default_event_handler,
    pipe_connect,
    tcp_server,
)

HIGH, LOW = 256 * 1024, 64 * 1024  # bytes one side has not taken: where reading the other pauses, and goes on


class Side:
    """What a socket has as its ``data``: the other socket of its pair."""

    def __init__(self, other: Socket["Side | None"]) -> None:
        self.other = other
        self.ended = False  # it has sent all that it will


def forward(socket: Socket[Side], data: bytes) -> None:
    """Hand on what came: the read callback of both sides."""
    socket.data.other.write(data)


def on_event(condition: Exception) -> None:
    """Do what a condition of one socket asks of the other."""
    socket = condition.socket if isinstance(condition, TcpInfo) else None
    if socket is None or socket.data is None:
        default_event_handler(condition)  # a handshake that failed, or a bug in a callback
        return
    side: Side = socket.data
    match condition:
        case TcpBufferFull():
            side.other.disable(read=True)
        case TcpBufferDrained():
            side.other.enable(read=True)
        case TcpEof() if side.other.data is not None and not side.other.data.ended:
            side.ended = True
            side.other.shutdown_write()  # after what it has not taken yet
        case _:
            if not isinstance(condition, TcpEof):
                default_event_handler(condition)
            for each in (socket, side.other):
                each.data = None
                each.close()  # what was written is still sent


def serve(options: argparse.Namespace) -> None:
    """Listen, and say where."""

    def on_client(client: Socket) -> None:
        server = pipe_connect(options.path, forward, on_event, allow_half_open=True)
        client.data, server.data = Side(server), Side(client)
        for each in (client, server):
            each.set_write_buffer_limits(HIGH, LOW)

    listening = tcp_server(
        options.host,
        options.port,
        forward,
        on_event,
        connect_cb=on_client,
        allow_half_open=True,
        tls=TlsConfig.server(options.cert, options.key),
    )
    print(f"listening on {listening.host}:{listening.port}", flush=True)


if __name__ == "__main__":
    parser = server_parser("A proxy that speaks TLS for a server with a Unix socket.", port=8443)
    parser.add_argument("cert", help="file with the certificate and those above it")
    parser.add_argument("key", help="file with its key")
    parser.add_argument("path", help="the server's Unix socket")
    sys.exit(run(serve, parser))
