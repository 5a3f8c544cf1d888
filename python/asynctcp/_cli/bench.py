"""``bench``: an echo server in a process of its own, load from this one, and what was measured."""

import argparse
import subprocess
import sys
from collections.abc import Iterator

from asynctcp._cli.load import Load, Tally
from asynctcp._cli.screen import Row, make_screen
from asynctcp._cli.values import at_least_one, seconds, show_size, size

HELP = "a server and load on it, in one go"
DESCRIPTION = """\
Start an echo server in a child process, open connections to it over loopback, and have each send a message,
wait until it has come back, compare it, and send the next. Both ends are Python over asynctcp, one thread
each, so the load generator is part of the limit: the table tells how busy each of the two was.
"""
EPILOG = """\
examples:
  %(prog)s
  %(prog)s --connections 1 --size 1
  %(prog)s --connections 500 --size 64K --seconds 10
  %(prog)s --plain > result.txt

exit status: 0 all that came back was right, 1 a connection or an answer was not, 2 wrong arguments,
130 Ctrl-C
"""

SERVER = "from asynctcp._cli.bench_server import serve; serve()"
START = 20  # seconds for the server to start, and to end


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument(
        "--connections", type=at_least_one, default=50, metavar="N", help="at a time (%(default)s)"
    )
    parser.add_argument(
        "--size",
        type=size,
        default=64,
        help="bytes of a message, at most 64M; K and M are KiB and MiB (%(default)s)",
    )
    parser.add_argument("--seconds", type=seconds, default=5, help="how long to send (%(default)s)")
    parser.add_argument("--plain", action="store_true", help="plain text, although rich is installed")


class Server:
    """The server's process."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,  # a terminal's Ctrl-C is for us: we end the server
        )

    def port(self) -> int:
        """Return where it listens, 0 if it has failed."""
        lines = self.process.stdout
        return int((lines and lines.readline()) or 0)

    def stop(self) -> float:
        """End it; return the seconds of CPU time that it took to serve."""
        try:
            told, _ = self.process.communicate(timeout=START)
        except subprocess.TimeoutExpired:
            self.process.kill()
            told, _ = self.process.communicate()
        return float(told or 0)


def rows(tally: Tally, size: int, server_cpu: float) -> Iterator[Row]:
    """Write what was measured, as a table."""
    elapsed = tally.seconds or 1.0
    yield "connections", str(tally.opened)
    yield "message", show_size(size)
    yield "seconds", f"{tally.seconds:.2f}"
    yield "messages there and back", f"{tally.messages}"
    yield "messages per second", f"{tally.messages / elapsed:,.0f}"
    yield "bytes per second, each way", f"{show_size(tally.messages * size / elapsed)}/s"
    yield "round trip: median", show_time(tally.percentile(0.5))
    yield "round trip: 99 %", show_time(tally.percentile(0.99))
    yield "round trip: 99.9 %", show_time(tally.percentile(0.999))
    yield "round trip: longest", show_time(tally.percentile(1))
    yield "failed", f"{tally.failed}"
    yield "load generator busy", f"{tally.cpu / elapsed:.0%} of a processor"
    yield "server busy", f"{server_cpu / elapsed:.0%} of a processor"


def show_time(microseconds: int) -> str:
    """Write a duration."""
    return f"{microseconds} us" if microseconds < 1000 else f"{microseconds / 1000:.1f} ms"


def caveat(tally: Tally, server_cpu: float) -> str:
    """Say what the figures are worth."""
    busier = "load generator" if tally.cpu >= server_cpu else "server"
    return (
        "The load generator is Python in one thread too, and part of the limit: here the busier of the two"
        f" was the {busier}.\nFigures of a native load generator, beside other libraries: docs/performance.md"
    )


def run(options: argparse.Namespace) -> int:
    """Measure, and print the table; return the exit status."""
    screen = make_screen(plain=options.plain)
    server = Server()
    server_cpu = 0.0
    try:
        port = server.port()
        if not port:
            print("the server did not start", file=sys.stderr)
            return 1
        load = Load(port, options.connections, options.size, options.seconds)
        tally = load.run(lambda share, so_far: screen.progress(share, f"{so_far.messages} messages"))
    finally:
        screen.end_progress()
        server_cpu = server.stop()
    screen.table("asynctcp bench: echo over loopback", list(rows(tally, options.size, server_cpu)))
    print(caveat(tally, server_cpu))
    if tally.failed:
        print(
            f"{tally.failed} of {options.connections} connections failed: {tally.first_failure}",
            file=sys.stderr,
        )
    return 1 if tally.failed else 0
