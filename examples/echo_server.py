"""An echo server: what a client sends comes back to it.

Run it, and talk to it from another terminal:

    python examples/echo_server.py --port 7000
    nc 127.0.0.1 7000

Ctrl-C ends it.
"""

import argparse
import sys

from asynctcp import Socket, TcpServerBindError, event_loop, tcp_server


def echo(socket: Socket, data: bytes) -> None:
    """Send back what came: the server's read callback."""
    socket.write(data)


def serve(host: str, port: int) -> None:
    """Listen, and say where."""
    server = tcp_server(host, port, echo)
    print(f"listening on {server.host}:{server.port}", flush=True)


def main() -> int:
    """Run the server until Ctrl-C; return the exit status."""
    parser = argparse.ArgumentParser(description="An echo server.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=7000, help="port, 0 for any free one (%(default)s)")
    options = parser.parse_args()
    try:
        # catch_app_errors: a bug that one client meets in a callback ends that connection, not the server.
        with event_loop(catch_app_errors=True):
            serve(options.host, options.port)
    except KeyboardInterrupt:
        print("\nended")
    except TcpServerBindError as error:
        print(f"cannot listen on {options.host}:{options.port}: {error.errmsg}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
