"""``python -m asynctcp``: small programs to try the library with."""

import argparse
import sys
import time
from collections.abc import Sequence

import asynctcp


def echo(host: str, port: int) -> int:
    """Run an echo server until Ctrl-C; return the exit status. Prints what to type, and totals at the end."""
    connections = 0
    received = 0

    def on_connect(_socket: asynctcp.Socket) -> None:
        nonlocal connections
        connections += 1

    def on_read(socket: asynctcp.Socket, data: bytes) -> None:
        nonlocal received
        received += len(data)
        socket.write(data)

    def start() -> None:
        server = asynctcp.tcp_server(host, port, on_read, connect_cb=on_connect)
        name, number = server.address[:2] if server.address else (host, port)
        print(f"echoing on {name}:{number}; try it: nc {name} {number}   (Ctrl-C ends it)", flush=True)

    begun = time.monotonic()
    try:
        with asynctcp.event_loop(catch_app_errors=True):
            # No callback, so a bind error comes out of it.
            start()
    except KeyboardInterrupt:
        pass
    except asynctcp.TcpServerBindError as error:
        print(f"cannot listen on {host}:{port}: {error.errmsg}", file=sys.stderr)
        return 1
    seconds = time.monotonic() - begun
    print(f"\n{connections} connections, {received} bytes echoed in {seconds:.1f} s")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m asynctcp", description=__doc__)
    parser.add_argument("--version", action="version", version=f"asynctcp {asynctcp.__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser(
        "echo", help="an echo server", description="Run an echo server until Ctrl-C."
    )
    command.add_argument("--host", default="127.0.0.1", help="address or name to listen on (%(default)s)")
    command.add_argument("--port", type=int, default=7000, help="port, 0 for any free one (%(default)s)")
    options = parser.parse_args(arguments)
    return echo(options.host, options.port)


if __name__ == "__main__":
    sys.exit(main())
