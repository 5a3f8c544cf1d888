"""A port scanner: tells which TCP ports of a host answer.

    python examples/port_scanner.py localhost
    python examples/port_scanner.py 192.0.2.1 22,80,443,8000-8100 --timeout 0.5 --at-once 200

Scan only what is yours, or what you were asked to. It shows timeouts of single connections, one lookup for
all of them, and how a bounded number of connections is kept on the way.
"""

import argparse
import socket
import sys
from collections import Counter

from asynctcp import DnsError, Socket, TcpError, TcpRefused, TcpTimeout, dns_lookup, event_loop, tcp_connect

EXAMPLES = """\
examples:
  %(prog)s localhost
  %(prog)s 192.0.2.1 22,80,443,8000-8100 --timeout 0.5 --at-once 200

exit status: 0 a port is open, 1 none is or the host is not found, 2 wrong arguments, 130 Ctrl-C
"""


class Scan:
    """The callbacks of all attempts, and what these found."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.address = ""
        self.ports = iter(options.ports)
        self.found: Counter[str] = Counter()

    def start(self) -> None:
        """Look the host up once, and not for each port."""
        dns_lookup(self.options.host, self.on_address, event_cb=self.on_no_address)

    def on_address(self, address: str, _family: int) -> None:
        self.address = address
        print(f"{self.options.host} is {address}")
        for _ in range(self.options.at_once):
            self.try_next()

    def on_no_address(self, condition: Exception) -> None:
        assert isinstance(condition, DnsError)  # nothing else comes to the event callback of a lookup
        print(f"{self.options.host} is not found: {condition.errmsg}", file=sys.stderr)

    def try_next(self) -> None:
        """Try the next port, if there is one: each attempt that ends begins another."""
        port = next(self.ports, None)
        if port is None:
            return
        # Either timeout bounds the attempt.
        attempt = tcp_connect(
            self.address,
            port,
            None,
            self.on_event,
            connect_cb=self.on_open,
            read_timeout=self.options.timeout,
        )
        attempt.data = port

    def on_open(self, attempt: Socket) -> None:
        port: int = attempt.data
        attempt.close(force=True)
        print(f"{port:<6}{service(port)}", flush=True)
        self.count("open")

    def on_event(self, condition: Exception) -> None:
        match condition:
            case TcpRefused():
                self.count("closed")
            case TcpTimeout():
                self.count("without an answer")
            case TcpError():
                self.count(condition.errmsg)  # no route, too many open files, …

    def count(self, what: str) -> None:
        self.found[what] += 1
        self.try_next()


def service(port: int) -> str:
    try:
        return socket.getservbyport(port, "tcp")
    except OSError:
        return ""


def port_ranges(text: str) -> list[int]:
    """Read ``22,80,8000-8100``."""
    ports: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        ports.update(range(int(first), int(last or first) + 1))
    if not ports or min(ports) < 1 or max(ports) > 65535:
        raise ValueError
    return sorted(ports)


def main() -> int:
    """Scan; return the exit status."""
    parser = argparse.ArgumentParser(
        description="Tells which TCP ports of a host answer.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("host", help="a name or an address")
    parser.add_argument(
        "ports", nargs="?", type=port_ranges, default="1-1024", help="as 22,8000-8100 (%(default)s)"
    )
    parser.add_argument(
        "--timeout", type=float, default=1, metavar="SECONDS", help="for each port (%(default)s)"
    )
    parser.add_argument("--at-once", type=int, default=100, metavar="N", help="attempts (%(default)s)")
    options = parser.parse_args()
    scan = Scan(options)
    try:
        with event_loop():
            scan.start()
    except ValueError as error:  # nothing that could be a name, no time
        parser.error(str(error))
    except KeyboardInterrupt:
        print("\nended", file=sys.stderr)
        return 130
    if scan.found:
        print(", ".join(f"{number} {what}" for what, number in sorted(scan.found.items())))
    return 0 if scan.found["open"] else 1


if __name__ == "__main__":
    sys.exit(main())
