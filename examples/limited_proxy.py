"""A TCP proxy that limits how fast each connection is, for trying a program on a slow network.

    python examples/limited_proxy.py --port 7000 --rate 50000 example.com 80
    curl -o page -H 'Host: example.com' http://127.0.0.1:7000/

Each direction of each connection gets ``--rate`` bytes per second. What was read is handed on at once, and
paid for by a pause in which nothing is read; then the kernel's buffers fill, and TCP slows the sender down.
So nothing is queued here. Ctrl-C ends it. ``simple_proxy.py`` is the same without the limit.
"""

import argparse
import sys
import time

from asynctcp import (
    EventLoop,
    Socket,
    TcpBufferDrained,
    TcpBufferFull,
    TcpEof,
    TcpInfo,
    TcpServerBindError,
    default_event_handler,
    delay,
    tcp_connect,
    tcp_server,
)

HIGH, LOW = 64 * 1024, 16 * 1024  # bytes one side has not taken: where reading the other pauses, and goes on
READ_AT_ONCE = 16 * 1024  # bytes: the smaller, the more even
SHORTEST_PAUSE = 0.01  # seconds: what is owed until then is paid with the next
CONNECT_TIMEOUT = 30  # seconds


class Side:
    """One socket of a pair, and why it is not read at the moment: for several reasons, maybe."""

    other: "Side"

    def __init__(self, socket: Socket, rate: float) -> None:
        self.socket = socket
        self.rate = rate
        self.paid_until = 0.0  # when all that was read will have been paid for
        self.reasons: set[str] = set()
        self.ended = False  # it has sent all that it will
        socket.data = self
        socket.set_write_buffer_limits(HIGH, LOW)

    def pause(self, reason: str) -> None:
        if not self.reasons:
            self.socket.disable(read=True)
        self.reasons.add(reason)

    def resume(self, reason: str) -> None:
        self.reasons.discard(reason)
        if not self.reasons and not self.socket.closed:
            self.socket.enable(read=True)

    def charge(self, size: int) -> None:
        """Pause for as long as ``size`` bytes take at the rate."""
        now = time.monotonic()
        self.paid_until = max(self.paid_until, now) + size / self.rate
        if self.paid_until - now >= SHORTEST_PAUSE:
            self.pause("rate")
            delay(lambda: self.resume("rate"), self.paid_until - now)


class Proxy:
    """The callbacks of all connections."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.status = 0

    def listen(self) -> None:
        """Listen, and say where: what the loop does first."""
        host, port = self.options.host, self.options.port
        try:
            server = tcp_server(
                host, port, self.on_read, self.on_event, connect_cb=self.on_client, allow_half_open=True
            )
        except TcpServerBindError as error:  # then there is nothing to do, and the loop ends
            print(f"cannot listen on {host}:{port}: {error.errmsg}", file=sys.stderr)
            self.status = 1
            return
        print(f"listening on {server.host}:{server.port}", flush=True)

    def on_client(self, socket: Socket) -> None:
        remote = tcp_connect(
            self.options.remote_host,
            self.options.remote_port,
            self.on_read,
            self.on_event,
            connect_cb=self.on_remote,
            write_timeout=CONNECT_TIMEOUT,
            allow_half_open=True,
        )
        client, far = Side(socket, self.options.rate), Side(remote, self.options.rate)
        client.other, far.other = far, client
        client.pause("connecting")  # nothing is read for a remote host that may never be reached

    def on_remote(self, socket: Socket) -> None:
        socket.set_timeouts(None, None)
        socket.data.other.resume("connecting")

    def on_read(self, socket: Socket, data: bytes) -> None:
        side: Side = socket.data
        side.other.socket.write(data)
        side.charge(len(data))

    def on_event(self, condition: Exception) -> None:
        socket = condition.socket if isinstance(condition, TcpInfo) else None
        if socket is None or socket.data is None:
            default_event_handler(condition)  # an accept that failed, or a bug in a callback
            return
        side: Side = socket.data
        match condition:
            case TcpBufferFull():
                side.other.pause("other side")
            case TcpBufferDrained():
                side.other.resume("other side")
            case TcpEof():
                on_end(side)
            case _:
                default_event_handler(condition)
                close(side)


def on_end(side: Side) -> None:
    """Hand the end on; the other direction lives until its own."""
    side.ended = True
    if side.other.ended:
        close(side)
    else:
        side.other.socket.shutdown_write()


def close(side: Side) -> None:
    """Close both; what was written is still sent."""
    for each in (side, side.other):
        each.socket.data = None
        each.socket.close()


def main() -> int:
    """Run the proxy until Ctrl-C; return the exit status."""
    parser = argparse.ArgumentParser(description="A TCP proxy that limits how fast each connection is.")
    parser.add_argument("remote_host", help="where to connect to for each client")
    parser.add_argument("remote_port", type=int)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=7000, help="port, 0 for any free one (%(default)s)")
    parser.add_argument("--rate", type=float, default=100_000, help="bytes per second (%(default)s)")
    options = parser.parse_args()
    if not options.rate > 0:
        parser.error("the rate must be more than 0")
    proxy = Proxy(options)
    try:
        # Small reads: each is handed on as one.
        EventLoop(catch_app_errors=True, read_limit=READ_AT_ONCE).run(proxy.listen)
    except KeyboardInterrupt:
        print("\nended")
    return proxy.status


if __name__ == "__main__":
    sys.exit(main())
