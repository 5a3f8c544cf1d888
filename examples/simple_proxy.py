"""A TCP proxy: what comes to a local port goes to a remote host, and the answers come back.

Run it before a server of yours, and use its port instead of the server's:

    python examples/simple_proxy.py --port 7000 example.com 80
    curl -v -H 'Host: example.com' http://127.0.0.1:7000/

Ctrl-C ends it. Each client gets a connection of its own to the remote host; ``socket.data`` pairs the two.
The slower side sets the pace: while it has much to take, the other one is not read from, so that the proxy's
memory stays small however much goes through it. The idea is cl-async's ``simple-proxy``.
"""

import argparse
import sys
from dataclasses import dataclass

from _shared import run, server_parser
from asynctcp import (
    Socket,
    TcpAppError,
    TcpBufferDrained,
    TcpBufferFull,
    TcpEof,
    TcpError,
    TcpInfo,
    default_event_handler,
    disable_socket,
    enable_socket,
    interval,
    set_socket_timeouts,
    stats,
    tcp_connect,
    tcp_server,
)

HIGH, LOW = 256 * 1024, 64 * 1024  # bytes one side has not taken: where reading the other pauses, and goes on
CONNECT_TIMEOUT = 30  # seconds
HALF_OPEN_TIMEOUT = 300  # seconds of silence, after one side said its last, until the other is given up
STATS_EVERY = 2  # seconds


@dataclass(slots=True)
class Pair:
    """What a socket has as its ``data``: the socket at the other end of the proxy."""

    other: Socket
    ended: bool = False  # this side has sent all that it will


class Proxy:
    """The callbacks of all connections, and where they lead."""

    def __init__(self, remote_host: str, remote_port: int) -> None:
        self.remote = (remote_host, remote_port)
        self.accepted = 0

    def client_connected(self, client: Socket) -> None:
        self.accepted += 1
        remote = tcp_connect(
            *self.remote,
            forward,
            self.on_event,
            connect_cb=remote_connected,
            write_timeout=CONNECT_TIMEOUT,
            allow_half_open=True,
        )
        client.data, remote.data = Pair(remote), Pair(client)
        for socket in (client, remote):
            socket.set_write_buffer_limits(HIGH, LOW)
        # Nothing is read for a remote host that may never be reached.
        disable_socket(client, read=True)

    def on_event(self, condition: Exception) -> None:
        """Do what a condition of one socket asks of the other."""
        if not isinstance(condition, TcpInfo) or condition.socket is None or condition.socket.data is None:
            default_event_handler(condition)  # nothing that concerns a pair
            return
        pair: Pair = condition.socket.data
        match condition:
            case TcpBufferFull():
                disable_socket(pair.other, read=True)
            case TcpBufferDrained():
                enable_socket(pair.other, read=True)
            case TcpEof():
                end_of_stream(condition.socket)
            case TcpError():
                print(f"{type(condition).__name__}: {condition}", file=sys.stderr)
                unpair(condition.socket)
            case TcpAppError():
                default_event_handler(condition)  # a bug in a callback
                unpair(condition.socket)

    def print_stats(self) -> None:
        now = stats()
        print(
            f"{self.accepted} accepted, {now['incoming_tcp_connections']} incoming,"
            f" {now['outgoing_tcp_connections']} outgoing,"
            f" {now['bytes_read']} bytes read, {now['bytes_written']} bytes written",
            flush=True,
        )


def remote_connected(remote: Socket) -> None:
    set_socket_timeouts(remote, None, None)  # from now on the two sides may be as slow as they like
    enable_socket(remote.data.other, read=True)


def forward(socket: Socket, data: bytes) -> None:
    """Hand on what came: the read callback of both sides."""
    socket.data.other.write(data)


def end_of_stream(socket: Socket) -> None:
    """Tell the other side that nothing more will come; it may still have something to say."""
    pair: Pair = socket.data
    other = pair.other
    pair.ended = True
    if other.data.ended:
        unpair(socket)
        return
    other.shutdown_write()  # after what it has not taken yet
    set_socket_timeouts(other, HALF_OPEN_TIMEOUT, None)


def unpair(socket: Socket) -> None:
    """Close both sides; what was written is still sent."""
    other = socket.data.other
    for each in (socket, other):
        each.data = None
        if not each.closed:
            each.close()


def serve(options: argparse.Namespace) -> None:
    """Listen, and say where."""
    proxy = Proxy(options.remote_host, options.remote_port)
    server = tcp_server(
        options.host,
        options.port,
        forward,
        proxy.on_event,
        connect_cb=proxy.client_connected,
        allow_half_open=True,
    )
    interval(proxy.print_stats, STATS_EVERY)
    print(f"listening on {server.host}:{server.port}", flush=True)


if __name__ == "__main__":
    parser = server_parser("A TCP proxy.", port=7000)
    parser.add_argument("remote_host", help="where to connect to for each client")
    parser.add_argument("remote_port", type=int)
    sys.exit(run(serve, parser))
