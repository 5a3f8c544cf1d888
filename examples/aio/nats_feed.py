"""Hands the messages of a NATS subject to all who connect, a line each, in one thread.

    pip install nats-py
    python examples/aio/nats_feed.py --nats nats://localhost:4222 --subject news
    nc 127.0.0.1 7000

nats-py is asyncio's, the clients are callback sockets of this library in the same loop. A client that does
not take what it is sent is put out: it costs no memory and holds up nobody. SIGTERM and Ctrl-C end it; what
was written to the clients before is still sent.
"""

import argparse
import asyncio
import signal
import sys

import nats
from nats.aio.msg import Msg

from asynctcp import (
    Socket,
    TcpBufferFull,
    TcpServerBindError,
    aio,
    default_event_handler,
    tcp_server,
)

HIGH, LOW = 1 << 20, 1 << 18  # bytes that a client has not taken: at the first it is put out


class Feed:
    """The clients, and their callbacks."""

    def __init__(self) -> None:
        self.clients: set[Socket] = set()
        self.left = asyncio.Event()  # the last of them has

    async def publish(self, message: Msg) -> None:
        for client in list(self.clients):
            client.write(message.data + b"\n")

    def on_connect(self, socket: Socket) -> None:
        socket.set_write_buffer_limits(HIGH, LOW)
        self.clients.add(socket)

    def on_read(self, socket: Socket, data: bytes) -> None:
        """Drop what a client says."""

    def on_event(self, condition: Exception) -> None:
        if isinstance(condition, TcpBufferFull) and condition.socket is not None:
            condition.socket.close(force=True)
        else:
            default_event_handler(condition)

    def on_close(self, socket: Socket, _reason: object) -> None:
        self.clients.discard(socket)
        if not self.clients:
            self.left.set()


async def serve(options: argparse.Namespace) -> None:
    """Serve until a signal ends it."""
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    feed = Feed()
    listening = tcp_server(
        options.host,
        options.port,
        feed.on_read,
        feed.on_event,
        connect_cb=feed.on_connect,
        close_cb=feed.on_close,
    )
    source = await nats.connect(options.nats)
    await source.subscribe(options.subject, cb=feed.publish)
    await source.flush()
    print(f"listening on {listening.host}:{listening.port}", flush=True)
    await ending.wait()
    await source.drain()  # messages that have come are handed on
    listening.close()
    feed.left.clear()
    for client in feed.clients:
        client.close()
    if feed.clients:
        await feed.left.wait()


def main() -> int:
    """Run it until a signal ends it; return the exit status."""
    parser = argparse.ArgumentParser(description="Hands on the messages of a NATS subject.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=7000, help="port, 0 for any free one (%(default)s)")
    parser.add_argument("--nats", default="nats://localhost:4222", help="server (%(default)s)")
    parser.add_argument("--subject", default="news", help="what to subscribe to (%(default)s)")
    options = parser.parse_args()
    try:
        aio.run(serve(options))
    except TcpServerBindError as error:
        print(f"cannot listen on {options.host}:{options.port}: {error.errmsg}", file=sys.stderr)
        return 1
    print("ended")
    return 0


if __name__ == "__main__":
    sys.exit(main())
