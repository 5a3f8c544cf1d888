"""A TCP client: sends lines, and prints what comes until the peer ends the connection.

The lines are arguments, or what comes from standard input:

    python examples/tcp_client.py 127.0.0.1 7000 hello "how are you"
    python examples/tcp_client.py --crlf example.com 80 'GET / HTTP/1.0' 'Host: example.com' ''
    python examples/tcp_client.py 127.0.0.1 7000 < file

After the last line it ends its own half of the connection, as ``nc -N`` does, so that a server that answers
until then ends the other. Ctrl-C ends it before that. The idea is cl-async's ``tcp-client``.
"""

import argparse
import os
import sys
import threading

from asynctcp import Socket, SocketClosed, TcpError, event_loop, tcp_connect

PIECE = 65536  # bytes of standard input that wait to be sent
EXAMPLES = """\
examples:
  %(prog)s 127.0.0.1 7000 hello "how are you"
  %(prog)s --crlf example.com 80 'GET / HTTP/1.0' 'Host: example.com' ''
  %(prog)s 127.0.0.1 7000 < file

exit status: 0 the peer ended the connection, 1 it failed, 2 wrong arguments, 130 Ctrl-C
"""


class Client:
    """The callbacks of the connection, and how it went."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.connected = False
        self.failure: str | None = None
        self.sent = threading.Event()  # what was read last from standard input is sent

    def connect(self) -> Socket:
        return tcp_connect(
            self.options.host,
            self.options.port,
            self.on_read,
            self.on_event,
            connect_cb=self.on_connect,
            read_timeout=self.options.timeout,
            write_timeout=self.options.timeout,
        )

    def on_connect(self, socket: Socket) -> None:
        self.connected = True
        if self.options.lines:
            self.send_arguments(socket)
        else:
            socket.set_timeouts(None, self.options.timeout)  # who types may take their time
            # A daemon: what blocks in a read must not keep the process when the peer has ended.
            threading.Thread(target=self.send_input, args=(socket,), daemon=True).start()

    def send_arguments(self, socket: Socket) -> None:
        end = b"\r\n" if self.options.crlf else b"\n"
        socket.write(b"".join(os.fsencode(line) + end for line in self.options.lines))
        socket.shutdown_write()

    def send_input(self, socket: Socket) -> None:
        """Send standard input as it comes, and no faster than the peer takes it; in a thread of its own."""
        try:
            # Not sys.stdin.buffer, whose lock a thread that still reads would keep when the process ends.
            while data := os.read(sys.stdin.fileno(), PIECE):
                self.sent.clear()
                socket.write(data, write_cb=self.on_sent)
                self.sent.wait()
            socket.shutdown_write()
            socket.set_timeouts(self.options.timeout, self.options.timeout)
        except SocketClosed:
            pass  # the peer ended first, and nobody waits for this thread

    def on_sent(self, _socket: Socket) -> None:
        self.sent.set()

    def on_read(self, _socket: Socket, data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def on_event(self, condition: Exception) -> None:
        # TcpEof is the end that was waited for. After either the socket closes itself, and so the loop ends.
        if isinstance(condition, TcpError):
            what = "lost the connection" if self.connected else "cannot connect"
            self.failure = f"{what} to {self.options.host}:{self.options.port}: {condition.errmsg}"


def main() -> int:
    """Run the client until the peer ends the connection; return the exit status."""
    parser = argparse.ArgumentParser(
        description="Sends lines over TCP, and prints what comes until the peer ends the connection.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("host", help="name or address to connect to")
    parser.add_argument("port", type=int)
    parser.add_argument("lines", nargs="*", metavar="line", help="what to send; none: standard input")
    parser.add_argument(
        "--crlf", action="store_true", help="end the lines given here by CR and LF, not LF alone"
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=30,
        metavar="SECONDS",
        help="for connecting, and for a peer that says or takes nothing (%(default)s; 0: none)",
    )
    client = Client(parser.parse_args())
    try:
        with event_loop():
            try:
                client.connect()
            except ValueError as error:  # no host name, no port
                parser.error(str(error))
    except KeyboardInterrupt:
        print("\nended", file=sys.stderr)
        return 130
    except BrokenPipeError:  # who reads our output has had enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if client.failure is not None:
        print(client.failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
