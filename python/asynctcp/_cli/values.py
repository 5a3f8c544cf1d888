"""What stands on the command line and in the output: addresses, ports, seconds, sizes."""

import argparse
import math
from typing import NamedTuple


class Address(NamedTuple):
    """A host and a port; its text is what the command line takes."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def listen_address(text: str) -> Address:
    """Read ``HOST:PORT``; an empty host is any address, port 0 any free port."""
    return _address(text, 0)


def target_address(text: str) -> Address:
    """Read ``HOST:PORT`` of something to connect to."""
    address = _address(text, 1)
    if not address.host:
        raise argparse.ArgumentTypeError(f"no host in {text!r}")
    return address


def _address(text: str, lowest: int) -> Address:
    host, colon, number = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif not colon or ":" in host:
        raise argparse.ArgumentTypeError(f"expected HOST:PORT or [IPV6]:PORT, not {text!r}")
    return Address(host, _number(number, lowest, 65535, "port"))


def port(text: str) -> int:
    """Read a port to connect to."""
    return _number(text, 1, 65535, "port")


def at_least_one(text: str) -> int:
    """Read a number of things."""
    return _number(text, 1, 1 << 30, "number")


def _number(text: str, lowest: int, highest: int, what: str) -> int:
    # Not int() alone, to which "1_0" and " 1" are numbers too.
    if not (text.isascii() and text.isdigit() and lowest <= int(text) <= highest):
        raise argparse.ArgumentTypeError(f"{what} must be from {lowest} to {highest}, not {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """Read a time, 0 or more."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"expected seconds, 0 or more, not {text!r}")
    return value


def size(text: str) -> int:
    """Read a number of bytes, with K or M for KiB or MiB."""
    scale = {"K": 1 << 10, "M": 1 << 20}.get(text[-1:].upper(), 1)
    return _number(text if scale == 1 else text[:-1], 1, (64 << 20) // scale, "size") * scale


def show_size(number: float) -> str:
    """Write a number of bytes to be read by people."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 100 else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"
