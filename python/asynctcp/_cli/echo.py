"""``echo``: a server that sends back what comes."""

import argparse
import sys
import time
from typing import Unpack

import asynctcp
from asynctcp._cli import pace, proxied
from asynctcp._cli.values import Address

HELP = "an echo server"
DESCRIPTION = "Run an echo server until Ctrl-C; print what to type to try it, and totals at the end."
EPILOG = """\
examples:
  %(prog)s
  %(prog)s --host :: --port 7000
  %(prog)s --port 0
  %(prog)s --proxy-protocol require

exit status: 0 Ctrl-C, 1 it cannot listen, 2 wrong arguments
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("--host", default="127.0.0.1", help="address or name to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=7000, help="port, 0 for any free one (%(default)s)")
    proxied.add_arguments(parser)


class Echo:
    """The callbacks of the server, and what it counts."""

    def __init__(self) -> None:
        self.connections = 0
        self.received = 0

    def on_connect(self, socket: asynctcp.Socket) -> None:
        """Count the connection."""
        self.connections += 1
        pace.limit(socket)

    def on_read(self, socket: asynctcp.Socket, data: bytes) -> None:
        """Send back what came."""
        self.received += len(data)
        socket.write(data)

    def on_event(self, condition: Exception) -> None:
        """Read no more from who takes no more."""
        socket = condition.socket if isinstance(condition, asynctcp.TcpInfo) else None
        if socket is None or not pace.heed(condition, socket):
            asynctcp.default_event_handler(condition)

    def listen(self, host: str, port: int, **keywords: Unpack[proxied.ProxyOptions]) -> asynctcp.TcpServer:
        """Open the server. Raises ``TcpServerBindError``."""
        return asynctcp.tcp_server(
            host, port, self.on_read, event_cb=self.on_event, connect_cb=self.on_connect, **keywords
        )


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C; return the exit status."""
    server = Echo()
    begun = time.monotonic()
    try:
        with asynctcp.event_loop(catch_app_errors=True):
            listening = server.listen(options.host, options.port, **proxied.server_options(options))
            name, number = listening.host, listening.port
            print(f"echoing on {name}:{number}; try it: nc {name} {number}   (Ctrl-C ends it)", flush=True)
    except KeyboardInterrupt:
        pass
    except asynctcp.TcpServerBindError as error:
        address = Address(options.host, options.port)
        print(f"cannot listen on {address}: {error.errmsg}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    seconds = time.monotonic() - begun
    print(f"\n{server.connections} connections, {server.received} bytes echoed in {seconds:.1f} s")
    return 0
