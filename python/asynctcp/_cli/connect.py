"""``connect``: standard input to a peer, and what the peer says to standard output.

Both are read and written by threads of their own: either may block, and neither may hold up the loop. What
waits between them and the socket is bounded.
"""

import argparse
import contextlib
import os
import queue
import select
import sys
import threading

import asynctcp
from asynctcp._cli import pace, place, secured, tls_words
from asynctcp._cli.values import Address, Place, UnixPath, port, read_as, seconds, target_place

HELP = "talk to a server, as nc does"
DESCRIPTION = """\
Send standard input to a server, and print what comes from it. The end of the input ends our half of the
connection (as nc -N does); the command ends when the peer ends its own, and what was read until then is sent.
HOST PORT may also be HOST:PORT, [IPV6]:PORT or unix:PATH.
"""
EPILOG = """\
examples:
  %(prog)s 127.0.0.1 7000
  printf 'PING\\r\\nQUIT\\r\\n' | %(prog)s localhost 6379
  %(prog)s --crlf --verbose example.com 80
  %(prog)s --timeout 5 --idle 60 10.0.0.1 7000 < request > answer
  %(prog)s --tls --alpn h2,http/1.1 example.org:443 < /dev/null
  %(prog)s --tls --ca ca.pem --cert client.pem --key client.key localhost 7000
  %(prog)s --unix /run/app.sock

exit status: 0 the peer ended the connection, 1 it could not be made or was lost, or the output is gone,
2 wrong arguments, 130 Ctrl-C
"""

PIECE = 64 * 1024  # most bytes of standard input that are read at a time


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument(
        "places", nargs="*", metavar="HOST PORT", help="name or address to connect to, and port"
    )
    parser.add_argument("--unix", metavar="PATH", help="connect to a Unix socket, and to no HOST")
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=30,
        metavar="SECONDS",
        help="give up connecting after so long (%(default)s; 0: never)",
    )
    parser.add_argument(
        "--idle",
        type=seconds,
        default=0,
        metavar="SECONDS",
        help="end, with status 1, when the peer says nothing, or takes nothing, for so long (0: never)",
    )
    parser.add_argument("--crlf", action="store_true", help="send CR and LF for each LF of the input")
    parser.add_argument("-v", "--verbose", action="store_true", help="say on standard error who answered")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing there of TLS that went well")
    parser.add_argument(
        "--send-proxy",
        type=int,
        choices=(1, 2),
        help="begin with a PROXY header of that version, as the health check of a balancer does",
    )
    secured.add_client_arguments(parser)


def peer_of(options: argparse.Namespace) -> Place:
    """Return whom to connect to. Exits with status 2 if that is not said."""
    places: list[str] = options.places
    if options.unix is not None:
        if places:
            options.error("--unix stands in place of HOST PORT")
        return UnixPath(options.unix)
    if len(places) == 1 and ":" in places[0]:
        return read_as("HOST PORT", target_place, places[0], options.error)
    if len(places) < 2:
        options.error(f"the following arguments are required: {'PORT' if places else 'HOST PORT'}")
    if len(places) > 2:
        options.error(f"unrecognized arguments: {' '.join(places[2:])}")
    return Address(places[0], read_as("PORT", port, places[1], options.error))


class Input(threading.Thread):
    """Sends a descriptor's bytes, and no faster than the socket takes them."""

    def __init__(self, socket: asynctcp.Socket, descriptor: int | None, *, crlf: bool) -> None:
        # A daemon: what blocks in a read must not keep the process when the peer has ended.
        super().__init__(daemon=True)
        self.socket = socket
        self.descriptor = descriptor
        self.crlf = crlf
        self.taken = threading.Event()  # some of what waited was taken

    def run(self) -> None:
        """Send all; then end our half of the connection."""
        # The peer may end first: then the socket is closed, and the process is about to end.
        with contextlib.suppress(asynctcp.SocketClosed):
            last = b""
            while data := self.read():
                self.socket.write(with_crlf(data, last) if self.crlf else data, write_cb=self.on_taken)
                last = data
                while self.socket.write_buffer_size > pace.HIGH:
                    # More is told after it: by the write callback, or by TcpBufferDrained.
                    self.taken.wait()
                    self.taken.clear()
            self.socket.shutdown_write()

    def read(self) -> bytes:
        """Read some; ``b""`` when there is no more."""
        try:
            return b"" if self.descriptor is None else read_some(self.descriptor)
        except OSError as error:
            print(f"cannot read standard input: {error.strerror}", file=sys.stderr)
            return b""

    def on_taken(self, _socket: asynctcp.Socket) -> None:
        """Go on reading."""
        self.taken.set()


class Output(threading.Thread):
    """Writes to a descriptor; while much waits to be written, the socket is not read."""

    def __init__(self, descriptor: int | None) -> None:
        super().__init__(daemon=True)
        self.descriptor = descriptor
        self.failure: OSError | None = None
        self.loop = asynctcp.current_event_loop()
        self.pieces: queue.SimpleQueue[tuple[asynctcp.Socket, bytes] | None] = queue.SimpleQueue()
        self.lock = threading.Lock()  # guards the two below, and that reading goes on and off in their order
        self.waiting = 0
        self.paused = False

    def put(self, socket: asynctcp.Socket, data: bytes) -> None:
        """Have ``data`` written: the socket's read callback."""
        self.pieces.put((socket, data))
        with self.lock:
            self.waiting += len(data)
            if self.waiting > pace.HIGH and not self.paused:
                self.paused = True
                socket.disable(read=True)

    def finish(self) -> None:
        """Wait until all is written. Raises the ``OSError`` that kept it from that."""
        self.pieces.put(None)
        self.join()
        if self.failure is not None:
            raise self.failure

    def run(self) -> None:
        """Write piece after piece."""
        while (piece := self.pieces.get()) is not None:
            socket, data = piece
            try:
                if self.descriptor is not None:
                    write_all(self.descriptor, data)
            except OSError as error:
                self.failure = error
                self.loop.exit()
                return
            with contextlib.suppress(asynctcp.SocketClosed), self.lock:
                self.waiting -= len(data)
                if self.paused and self.waiting <= pace.LOW:
                    self.paused = False
                    socket.enable(read=True)


def read_some(descriptor: int) -> bytes:
    """Read what is there, or wait for it; ``b""`` at the end. Raises ``OSError``."""
    while True:
        try:
            return os.read(descriptor, PIECE)
        except BlockingIOError:  # who shares the descriptor with us has made it so
            select.select([descriptor], [], [])


def write_all(descriptor: int, data: bytes) -> None:
    """Write ``data``, however long it takes. Raises ``OSError``."""
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:
            select.select([], [descriptor], [])


def with_crlf(data: bytes, last: bytes) -> bytes:
    r"""Return ``data``, which follows ``last``, with ``\r\n`` for each ``\n`` that has no ``\r`` yet."""
    lines = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return lines[1:] if last.endswith(b"\r") and data.startswith(b"\n") else lines


class Talk:
    """The callbacks of the connection, and how it went."""

    def __init__(self, options: argparse.Namespace, peer: Place, tls: asynctcp.TlsConfig | None) -> None:
        self.options = options
        self.peer = peer
        self.tls = tls
        self.input: Input | None = None
        self.output = Output(None if sys.stdout is None else sys.stdout.fileno())
        self.failure: str | None = None

    def begin(self) -> None:
        """Connect. Raises ``ValueError`` for what is no host name."""
        version = self.options.send_proxy
        place.connect(
            self.peer,
            self.output.put,
            self.on_event,
            self.on_connect,
            read_timeout=self.options.timeout,
            write_timeout=self.options.timeout,
            send_proxy=version and asynctcp.ProxyHeader(None, None, version=version),
            tls=self.tls,
        )
        self.output.start()

    def on_connect(self, socket: asynctcp.Socket) -> None:
        """Begin to send."""
        if self.options.verbose:
            print("connected to", name_of(socket, self.peer), file=sys.stderr)
        if socket.tls is not None and not self.options.quiet:
            print(tls_words.describe(socket.tls, is_verified=not self.options.insecure), file=sys.stderr)
        socket.set_timeouts(self.options.idle, self.options.idle)
        pace.limit(socket)
        descriptor = None if sys.stdin is None else sys.stdin.fileno()
        self.input = Input(socket, descriptor, crlf=self.options.crlf)
        self.input.start()

    def on_event(self, condition: Exception) -> None:
        """Go on sending, or remember what went wrong."""
        if isinstance(condition, asynctcp.TcpBufferDrained) and self.input is not None:
            self.input.taken.set()
        elif isinstance(condition, asynctcp.TcpError):
            what = "cannot connect" if self.input is None else "lost the connection"
            self.failure = f"{what} to {self.peer}: {reason_of(condition)}"
        # Else it is TcpEof, the end that was waited for, or TcpBufferFull, which the input sees by itself.


def reason_of(error: asynctcp.TcpError) -> str:
    """Why it failed."""
    return tls_words.explain(error) if isinstance(error, asynctcp.TlsError) else error.errmsg


def name_of(socket: asynctcp.Socket, peer: Place) -> Place:
    """Who answered; ``peer`` is who was asked for."""
    name = socket.peername
    return Address(*name[:2]) if isinstance(name, tuple) else peer


def run(options: argparse.Namespace) -> int:
    """Talk until the peer ends the connection; return the exit status. Raises ``BrokenPipeError``."""
    peer = peer_of(options)
    try:
        tls = secured.client_config(options)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    with asynctcp.event_loop():
        talk = Talk(options, peer, tls)
        try:
            talk.begin()
        except ValueError as error:
            print(error, file=sys.stderr)
            return 2
    try:
        talk.output.finish()
    except BrokenPipeError:
        raise
    except OSError as error:
        print(f"cannot write standard output: {error.strerror}", file=sys.stderr)
        return 1
    if talk.failure is not None:
        print(talk.failure, file=sys.stderr)
        return 1
    return 0
