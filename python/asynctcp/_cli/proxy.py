"""``proxy``: each client that comes gets a connection of its own to the target."""

import argparse
import sys
import time
from dataclasses import dataclass, field

import asynctcp
from asynctcp._cli import pace, place, proxied, secured
from asynctcp._cli.live import Live
from asynctcp._cli.values import (
    Place,
    UnixPath,
    at_least_one,
    listen_place,
    read_as,
    seconds,
    show_size,
    target_place,
)

HELP = "a proxy with live statistics"
DESCRIPTION = """\
Accept connections on LISTEN and hand each on to TARGET, both ways, until Ctrl-C. The slower side sets the
pace, the end of one direction goes through and leaves the other, and an error of one side closes both.
LISTEN is HOST:PORT, [IPV6]:PORT or :PORT (any address), where port 0 is any free one, or unix:PATH;
so is TARGET, with a host and a port. With --tls clients speak TLS, with --target-tls TARGET does.
"""
EPILOG = """\
examples:
  %(prog)s 127.0.0.1:8000 example.com:80
  %(prog)s :6380 localhost:6379 --max-connections 100
  %(prog)s :443 127.0.0.1:8443 --send-proxy 2
  %(prog)s '[::1]:0' '[2001:db8::1]:443' --every 10 >> proxy.log
  %(prog)s :443 unix:/run/app.sock --tls --cert server.pem --key server.key
  %(prog)s --unix /tmp/web.sock example.org:443 --target-tls

exit status: 130 Ctrl-C, which is how it ends, 1 it cannot listen, or nobody reads its output,
2 wrong arguments
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument(
        "places",
        nargs="*",
        metavar="LISTEN TARGET",
        help="where clients connect to, and where they are led to",
    )
    parser.add_argument(
        "--unix", metavar="PATH", help="listen on a Unix socket, which is made: in place of LISTEN"
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=30,
        metavar="SECONDS",
        help="give up connecting to TARGET after so long (%(default)s; 0: never)",
    )
    parser.add_argument(
        "--linger",
        type=seconds,
        default=300,
        metavar="SECONDS",
        help="close both sides when one has ended and the other is silent so long (%(default)s; 0: never)",
    )
    parser.add_argument(
        "--max-connections",
        type=at_least_one,
        metavar="N",
        help="clients at a time; more have to wait (no limit)",
    )
    parser.add_argument(
        "--every",
        type=seconds,
        default=1,
        metavar="SECONDS",
        help="between statistics (%(default)s; 0: none); off a terminal only those that differ are printed",
    )
    parser.add_argument(
        "--send-proxy",
        type=int,
        choices=(1, 2),
        help="tell TARGET first whom each connection serves, by a PROXY header of that version",
    )
    proxied.add_arguments(parser)
    secured.add_server_arguments(parser)
    secured.add_target_arguments(parser)


def ends_of(options: argparse.Namespace) -> tuple[Place, Place]:
    """Return where to listen, and the target. Exits with status 2 if these are not said."""
    places = options.places if options.unix is None else [str(UnixPath(options.unix)), *options.places]
    if len(places) < 2:
        missing = "TARGET" if places else "LISTEN, TARGET"
        options.error(f"the following arguments are required: {missing}")
    if len(places) > 2:
        options.error(f"unrecognized arguments: {' '.join(places[2:])} (--unix stands in place of LISTEN)")
    return (
        read_as("LISTEN", listen_place, places[0], options.error),
        read_as("TARGET", target_place, places[1], options.error),
    )


@dataclass(slots=True)
class Flow:
    """What went one way."""

    total: int = 0
    told: int = 0  # what the total was at the last statistics

    def tell(self, elapsed: float) -> str:
        """Write rate and total."""
        rate = (self.total - self.told) / elapsed
        self.told = self.total
        return f"{show_size(rate)}/s ({show_size(self.total)})"


@dataclass(slots=True)
class End:
    """What a socket has as its ``data``: the other socket of its pair, and where its bytes are counted."""

    other: asynctcp.Socket
    flow: Flow
    ended: bool = False  # it has sent all that it will


@dataclass(slots=True)
class Proxy:
    """The callbacks of all connections, and what they count."""

    options: argparse.Namespace
    live: Live
    listen_at: Place
    target: Place
    tls: asynctcp.TlsConfig | None = None  # towards clients
    target_tls: asynctcp.TlsConfig | None = None
    accepted: int = 0
    open: int = 0
    failed: int = 0
    up: Flow = field(default_factory=Flow)  # to the target
    down: Flow = field(default_factory=Flow)  # to the clients
    told_at: float = field(default_factory=time.monotonic)

    def listen(self) -> asynctcp.TcpServer:
        """Open the server. Raises ``TcpServerBindError``, and ``ValueError`` for what is no host name."""
        return place.listen(
            self.listen_at,
            forward,
            self.on_event,
            self.on_client,
            allow_half_open=True,
            max_connections=self.options.max_connections,
            tls=self.tls,
            **proxied.server_options(self.options),
        )

    def on_client(self, client: asynctcp.Socket) -> None:
        """Connect a client to the target."""
        version = self.options.send_proxy
        target = place.connect(
            self.target,
            forward,
            self.on_event,
            on_target,
            read_timeout=self.options.timeout,
            write_timeout=self.options.timeout,
            allow_half_open=True,
            send_proxy=version and asynctcp.ProxyHeader.of(client, version=version),
            tls=self.target_tls,
        )
        self.accepted += 1
        self.open += 1
        client.data, target.data = End(target, self.up), End(client, self.down)
        for socket in (client, target):
            pace.limit(socket)
        # Nothing is read for a target that may never be reached.
        client.disable(read=True)

    def on_event(self, condition: Exception) -> None:
        """Do what a condition of one socket asks of the other."""
        socket = condition.socket if isinstance(condition, asynctcp.TcpInfo) else None
        if socket is None or socket.data is None:
            asynctcp.default_event_handler(condition)
            return
        end: End = socket.data
        if isinstance(condition, asynctcp.TcpEof):
            self.on_end(socket)
        elif not pace.heed(condition, end.other):
            self.failed += 1
            asynctcp.default_event_handler(condition)
            self.unpair(socket)

    def on_end(self, socket: asynctcp.Socket) -> None:
        """Tell the other side that nothing more will come; it may still have something to say."""
        end: End = socket.data
        end.ended = True
        if end.other.data.ended:
            self.unpair(socket)
        else:
            end.other.shutdown_write()  # after what it has not taken yet
            end.other.set_timeouts(self.options.linger, None)

    def unpair(self, socket: asynctcp.Socket) -> None:
        """Close both sides; what was written is still sent."""
        self.open -= 1
        for each in (socket, socket.data.other):
            each.data = None
            each.close()

    def tell(self) -> None:
        """Show the statistics."""
        now = time.monotonic()
        elapsed, self.told_at = max(now - self.told_at, 0.001), now
        self.live.show(
            f"{self.open} open, {self.accepted} accepted, {self.failed} failed;"
            f" to target {self.up.tell(elapsed)}, to clients {self.down.tell(elapsed)}"
        )


def on_target(target: asynctcp.Socket) -> None:
    """Begin to read the client: the target is there."""
    target.set_timeouts(None, None)  # from now on the two sides may be as slow as they like
    target.data.other.enable(read=True)


def forward(socket: asynctcp.Socket, data: bytes) -> None:
    """Hand on what came: the read callback of both sides."""
    end: End = socket.data
    end.flow.total += len(data)
    end.other.write(data)


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C, which comes out; return the exit status. Raises ``BrokenPipeError``."""
    listen_at, target = ends_of(options)
    live = Live(sys.stdout)
    try:
        tls, target_tls = secured.server_config(options), secured.target_config(options)
        proxy = Proxy(options, live, listen_at, target, tls, target_tls)
        with asynctcp.event_loop(catch_app_errors=True):
            at = place.listening_at(proxy.listen(), listen_at)
            print(f"listening on {at} for {target}   (Ctrl-C ends it)", flush=True)
            if options.every:
                asynctcp.interval(proxy.tell, options.every)
    except asynctcp.TcpServerBindError as error:
        print(f"cannot listen on {listen_at}: {error.errmsg}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        live.close()
    raise BrokenPipeError  # by itself the loop ends only when nobody reads the statistics any more
