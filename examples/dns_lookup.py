"""Looks up several names at once: the address of a name, and the name of an address.

    python examples/dns_lookup.py localhost example.com 127.0.0.1
    python examples/dns_lookup.py -6 example.com

Each answer is a line, printed when it comes. The idea is cl-async's ``dns-lookup``.
"""

import argparse
import ipaddress
import socket
import sys
from functools import partial

from asynctcp import DnsError, dns_lookup, event_loop, reverse_dns_lookup

EXAMPLES = """\
examples:
  %(prog)s localhost example.com 127.0.0.1
  %(prog)s -6 example.com

exit status: 0 each one was found, 1 one was not, 2 wrong arguments, 130 Ctrl-C
"""


class Lookups:
    """The callbacks of all lookups, and how many of these failed."""

    def __init__(self, family: int) -> None:
        self.family = family
        self.failed = 0

    def start(self, subject: str) -> None:
        """Look up what ``subject`` is not: the address of a name, the name of an address."""
        found, event = partial(self.on_found, subject), partial(self.on_event, subject)
        try:
            if is_address(subject):
                reverse_dns_lookup(subject, found, event_cb=event)
            else:
                dns_lookup(subject, found, event_cb=event, family=self.family)
        except ValueError as error:  # nothing that could be a name; the others are still looked up
            self.fail(subject, str(error))

    def on_found(self, subject: str, answer: str, _family_or_service: int | str) -> None:
        print(f"{subject}: {answer}", flush=True)

    def on_event(self, subject: str, condition: Exception) -> None:
        assert isinstance(condition, DnsError)  # nothing else comes to the event callback of a lookup
        self.fail(subject, condition.errmsg)

    def fail(self, subject: str, reason: str) -> None:
        self.failed += 1
        print(f"{subject}: not found: {reason}", file=sys.stderr, flush=True)


def is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def main() -> int:
    """Look everything up; return the exit status."""
    parser = argparse.ArgumentParser(
        description="Looks up several names and addresses at once.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="+", metavar="name", help="a name, or an address whose name is wanted")
    family = parser.add_mutually_exclusive_group()
    for version, number in ((4, socket.AF_INET), (6, socket.AF_INET6)):
        what = f"IPv{version} addresses only"
        family.add_argument(f"-{version}", dest="family", action="store_const", const=number, help=what)
    options = parser.parse_args()
    lookups = Lookups(options.family or socket.AF_UNSPEC)
    try:
        with event_loop():
            for name in options.names:
                lookups.start(name)
    except KeyboardInterrupt:
        print("\nended", file=sys.stderr)
        return 130
    return 1 if lookups.failed else 0


if __name__ == "__main__":
    sys.exit(main())
