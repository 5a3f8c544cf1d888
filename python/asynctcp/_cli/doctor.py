"""``doctor``: what is installed, which limits the system sets, and what to change for many connections."""

import argparse
import json
import os
import platform
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import asynctcp

HELP = "versions and limits of this system, and what to change"
DESCRIPTION = """\
Show versions, try a connection over loopback, and compare the limits that matter to a server of many
connections with values that suffice for thousands. Changes nothing and needs no root. What a system does not
tell is said to be unknown.
"""
EPILOG = """\
examples:
  %(prog)s
  %(prog)s || echo 'something to change'
  %(prog)s --json | jq -r '.findings[] | select(.advice).advice'

exit status: 0 all is well, 1 there is something to change, 2 wrong arguments
"""

SYSCTL = Path("/proc/sys")
FILES = 4096  # descriptors: one for each connection, two in a proxy
BACKLOG = 1024  # connections that wait to be accepted: a burst of new clients
PORTS = 16384  # connections from one address to one server

PERMANENT = "for good: the same, as NAME = VALUE, in /etc/sysctl.d/"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("--json", action="store_true", help="the report as one JSON object, for programs")


class Finding(NamedTuple):
    """A line of the report; ``advice`` is empty where nothing is to be changed."""

    name: str
    value: str
    advice: str = ""


def versions() -> Iterator[Finding]:
    """What is installed."""
    yield Finding("asynctcp", asynctcp.__version__)
    yield Finding("Python", f"{platform.python_version()} ({platform.python_implementation()})")
    yield Finding("kernel", f"{platform.system()} {platform.release()} ({platform.machine()})")
    yield Finding("processors", str(os.cpu_count()))
    yield Finding("rich", "installed" if find_spec("rich") else "not installed (for colours: asynctcp[cli])")


def loopback() -> Finding:
    """Whether bytes come back from an echo server of our own."""
    came = bytearray()
    problems: list[Exception] = []

    def on_read(socket: asynctcp.Socket, data: bytes) -> None:
        came.extend(data)
        socket.close()
        server.close()

    def on_event(condition: Exception) -> None:
        problems.append(condition)
        server.close()

    try:
        with asynctcp.event_loop():
            server = asynctcp.tcp_server(
                "127.0.0.1", 0, lambda socket, data: socket.write(data), lambda _: None
            )
            port = server.port
            asynctcp.tcp_connect("127.0.0.1", port, on_read, on_event, data=b"hello", read_timeout=5)
    except OSError as error:
        problems.append(error)
    if came == b"hello":
        return Finding("loopback", "works")
    return Finding("loopback", f"fails: {problems}", "look at the interface lo, and at what filters packets")


def files() -> Finding:
    """How many descriptors a process may have."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    name, value = "RLIMIT_NOFILE", f"{limit(soft)} (at most {limit(hard)})"
    if soft == resource.RLIM_INFINITY or soft >= FILES:
        return Finding(name, value)
    if hard == resource.RLIM_INFINITY or hard >= FILES:
        wanted = hard if FILES <= hard < 65536 else 65536
        return Finding(name, value, f"ulimit -n {wanted}   (systemd: LimitNOFILE={wanted})")
    return Finding(name, value, "nofile in /etc/security/limits.conf   (systemd: LimitNOFILE=65536)")


def limit(number: int) -> str:
    """Write a limit."""
    import resource

    return "unlimited" if number == resource.RLIM_INFINITY else str(number)


def sysctl(name: str) -> list[int] | None:
    """Return the numbers of a kernel setting, or None where it cannot be read."""
    try:
        return [int(word) for word in (SYSCTL / name.replace(".", "/")).read_text().split()]
    except (OSError, ValueError):
        return None


def at_least(name: str, least: int) -> Finding:
    """Compare a kernel setting that is one number."""
    numbers = sysctl(name)
    if not numbers:
        return Finding(name, "unknown")
    advice = "" if numbers[0] >= least else f"sysctl -w {name}=4096   ({PERMANENT})"
    return Finding(name, str(numbers[0]), advice)


def ports() -> Finding:
    """How many connections one address may make to one server."""
    name = "net.ipv4.ip_local_port_range"
    numbers = sysctl(name)
    if numbers is None or len(numbers) != 2:
        return Finding(name, "unknown")
    first, last = numbers
    count = last - first + 1
    advice = "" if count >= PORTS else f"sysctl -w {name}='32768 60999'   ({PERMANENT})"
    return Finding(name, f"{first} to {last}: {count} connections to one server", advice)


def findings() -> Iterator[Finding]:
    """All of the report."""
    yield from versions()
    yield loopback()
    yield files()
    yield at_least("net.core.somaxconn", BACKLOG)
    yield at_least("net.ipv4.tcp_max_syn_backlog", BACKLOG)
    yield ports()


def run(options: argparse.Namespace) -> int:
    """Print the report; return 1 if there is something to change."""
    return print_json() if options.json else print_lines()


def print_json() -> int:
    """Print ``{"findings": [{"name": …, "value": …, "advice": null or …}, …], "to_change": …}``."""
    found = list(findings())
    to_change = sum(bool(finding.advice) for finding in found)
    listed = [{**finding._asdict(), "advice": finding.advice or None} for finding in found]
    print(json.dumps({"findings": listed, "to_change": to_change}, indent=2))
    return 1 if to_change else 0


def print_lines() -> int:
    """Print a line for each finding, and one for what is to be done."""
    to_change = 0
    for finding in findings():
        print(f"{'change' if finding.advice else 'ok':<7} {finding.name:<28} {finding.value}")
        if finding.advice:
            to_change += 1
            print(f"{'':<7} {'':<28} {finding.advice}")
    print()
    print(f"{to_change} to change for thousands of connections" if to_change else "nothing to change")
    return 1 if to_change else 0
