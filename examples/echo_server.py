"""An echo server: what a client sends comes back to it.

Run it, and talk to it from another terminal:

    python examples/echo_server.py --port 7000
    nc 127.0.0.1 7000

Ctrl-C ends it.
"""

import argparse
import sys

from _shared import run, server_parser
from asynctcp import Socket, tcp_server


def echo(socket: Socket, data: bytes) -> None:
    """Send back what came: the server's read callback."""
    socket.write(data)


def serve(options: argparse.Namespace) -> None:
    """Listen, and say where."""
    server = tcp_server(options.host, options.port, echo)
    print(f"listening on {server.host}:{server.port}", flush=True)


if __name__ == "__main__":
    parser = server_parser("An echo server.", port=7000)
    sys.exit(run(serve, parser))
