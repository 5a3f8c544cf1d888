"""``echo``: a server that sends back what comes."""

import argparse
import shlex
import sys
import time
from pathlib import Path
from typing import Unpack

import asynctcp
from asynctcp._cli import pace, place, proxied, secured
from asynctcp._cli.values import Address, Place, UnixPath

HELP = "an echo server"
DESCRIPTION = "Run an echo server until Ctrl-C; print what to type to try it, and totals at the end."
EPILOG = """\
examples:
  %(prog)s
  %(prog)s --host :: --port 7000
  %(prog)s --port 0
  %(prog)s --proxy-protocol require
  %(prog)s --tls --cert server.pem --key server.key --alpn h2,http/1.1
  %(prog)s --unix /tmp/echo.sock

exit status: 0 Ctrl-C, 1 it cannot listen, 2 wrong arguments
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("--host", default="127.0.0.1", help="address or name to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=7000, help="port, 0 for any free one (%(default)s)")
    parser.add_argument(
        "--unix", metavar="PATH", help="listen on a Unix socket, which is made, and not on a port"
    )
    proxied.add_arguments(parser)
    secured.add_server_arguments(parser)


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

    def listen(self, where: Place, **keywords: Unpack[place.ListenOptions]) -> asynctcp.TcpServer:
        """Open the server. Raises ``TcpServerBindError``."""
        return place.listen(where, self.on_read, self.on_event, self.on_connect, **keywords)


def try_it(options: argparse.Namespace, where: Place) -> str:
    """Return what to type to talk to the server at ``where``."""
    to = ["--unix", where.path] if isinstance(where, UnixPath) else [where.host, str(where.port)]
    if not options.tls and options.proxy_protocol is None:
        return shlex.join(["nc", *(["-U", where.path] if isinstance(where, UnixPath) else to)])
    command = [*options.program.split(), "connect"]
    if options.proxy_protocol is not None:
        command += ["--send-proxy", "2"]
    if options.tls:
        command.append("--tls")
        authority = Path(options.cert).with_name("ca.pem")  # where `asynctcp certificate` puts it
        if authority.exists():
            command += ["--ca", str(authority)]
        if options.ca is not None:
            command += ["--cert", "FILE"]
        if isinstance(where, UnixPath):
            command += ["--server-name", "NAME"]
    return shlex.join([*command, *to])


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C; return the exit status."""
    server = Echo()
    begun = time.monotonic()
    where: Place = Address(options.host, options.port) if options.unix is None else UnixPath(options.unix)
    try:
        tls = secured.server_config(options)
        with asynctcp.event_loop(catch_app_errors=True):
            listening = server.listen(where, tls=tls, **proxied.server_options(options))
            at = place.listening_at(listening, where)
            print(f"echoing on {at}; try it: {try_it(options, at)}   (Ctrl-C ends it)", flush=True)
    except KeyboardInterrupt:
        pass
    except asynctcp.TcpServerBindError as error:
        print(f"cannot listen on {where}: {error.errmsg}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    seconds = time.monotonic() - begun
    print(f"\n{server.connections} connections, {server.received} bytes echoed in {seconds:.1f} s")
    return 0
