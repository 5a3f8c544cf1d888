"""A server that is replaced by its next version while clients come and go, and refuses none of them.

Run it, change this file, and tell it to restart:

    python examples/graceful_restart.py --port 7000
    kill -HUP <the number that it printed>

The old process starts the new one and lets it have the listening socket: the same one, so that clients in
its queue are lost by neither. Once the new one says that it accepts, the old one stops accepting, goes on
serving who is connected, and ends with the last of them. If the new one does not come up, the old one goes
on.

(Two processes that each listen with ``reuse_port`` do not have this: each has a queue of its own, and what
waits in it is reset when its process stops listening.)

Each line gets an answer that begins with the number of the process. Ctrl-C ends it.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import threading
from functools import partial

from asynctcp import (
    Socket,
    add_event_loop_exit_callback,
    clear_signal_handlers,
    current_event_loop,
    delay,
    event_loop,
    exit_event_loop,
    signal_handler,
    tcp_server,
)

READY = b"ready\n"


class Service:
    """The server of one process, and how it makes way for the next."""

    def __init__(self, options: argparse.Namespace, listener: socket.socket) -> None:
        self.options = options
        self.listener = listener
        self.loop = current_event_loop()
        self.next: subprocess.Popen[bytes] | None = None
        self.server = tcp_server(None, 0, on_read, fd=listener.fileno())
        signal_handler(signal.SIGHUP, self.restart)

    # The old process ---------------------------------------------------------------------------------------

    def restart(self, _signum: int) -> None:
        """Start the next version, with the socket and the writing end of a pipe."""
        if self.next is not None:
            return
        read, write = os.pipe()
        handed = (self.listener.fileno(), write)
        command = [sys.executable, *sys.argv[:1], "--fd", str(handed[0]), "--ready", str(handed[1])]
        self.next = subprocess.Popen([*command, "--grace", str(self.options.grace)], pass_fds=handed)
        os.close(write)
        threading.Thread(target=self.wait_for_next, args=(read,), daemon=True).start()

    def wait_for_next(self, read: int) -> None:
        """Read what the next version has to say: a word, or the end of the pipe if it has failed."""
        with open(read, "rb") as pipe:
            word = pipe.read(len(READY))
        self.loop.call_soon_threadsafe(self.retire if word == READY else self.go_on)

    def go_on(self) -> None:
        assert self.next is not None
        self.next.kill()  # in case that it lives, and only does not accept
        print(f"{os.getpid()} goes on: the next version failed with {self.next.wait()}", flush=True)
        self.next = None

    def retire(self) -> None:
        """Accept no more. With the last connection the loop ends, and so does the process."""
        print(f"{os.getpid()} retires with {self.server.connections} connections", flush=True)
        self.server.close()
        clear_signal_handlers()
        delay(exit_event_loop, self.options.grace).unref()  # who stays longer is put out


# The new process -------------------------------------------------------------------------------------------


def announce(ready: int) -> None:
    """Tell the old process that this one accepts."""
    os.write(ready, READY)
    os.close(ready)


def listen(options: argparse.Namespace) -> socket.socket:
    """Open the listening socket, or take over that of the old process."""
    if options.fd is not None:
        return socket.socket(fileno=options.fd)
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    return socket.create_server((options.host, options.port), family=family, backlog=4096)


def on_read(connection: Socket, data: bytes) -> None:
    """Answer: what a service is for. Lines that come in pieces are not put together here."""
    connection.write(f"{os.getpid()}: ".encode() + data)


def serve(options: argparse.Namespace, listener: socket.socket) -> None:
    """Serve, and say where."""
    service = Service(options, listener)
    print(f"listening on {service.server.host}:{service.server.port} as {os.getpid()}", flush=True)
    if options.ready is not None:
        announce(options.ready)
    add_event_loop_exit_callback(partial(print, f"{os.getpid()} has ended", flush=True))


def main() -> int:
    """Run the server until Ctrl-C or until it was replaced; return the exit status."""
    parser = argparse.ArgumentParser(description="A server that is replaced without refusing a client.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=7000, help="port, 0 for any free one (%(default)s)")
    parser.add_argument(
        "--grace",
        type=float,
        default=30,
        metavar="SECONDS",
        help="for connections of a process that was replaced (%(default)s)",
    )
    parser.add_argument("--fd", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--ready", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    try:
        with listen(options) as listener, event_loop(catch_app_errors=True):
            serve(options, listener)
    except KeyboardInterrupt:
        print("\nended")
    except OSError as error:
        print(f"cannot listen on {options.host}:{options.port}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
