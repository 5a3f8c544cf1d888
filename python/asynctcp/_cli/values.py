"""What stands on the command line and in the output: addresses, paths, ports, seconds, sizes."""

import argparse
import math
from collections.abc import Callable
from typing import NamedTuple, NoReturn, TypeVar

_Value = TypeVar("_Value")


class Address(NamedTuple):
    """A host and a port; its text is what the command line takes."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class UnixPath(NamedTuple):
    """The path of a Unix socket; its text is what the command line takes."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


#: Where to listen, or to connect to.
Place = Address | UnixPath


def read_as(name: str, read: Callable[[str], _Value], text: str, error: Callable[[str], NoReturn]) -> _Value:
    """Read an argument that argparse could not: which one it is, the others tell."""
    try:
        return read(text)
    except argparse.ArgumentTypeError as wrong:
        error(f"argument {name}: {wrong}")


def listen_place(text: str) -> Place:
    """Read ``HOST:PORT`` or ``unix:PATH``; an empty host is any address, port 0 any free port."""
    return _unix_path(text) or _address(text, 0)


def target_place(text: str) -> Place:
    """Read ``HOST:PORT`` or ``unix:PATH`` of something to connect to."""
    if path := _unix_path(text):
        return path
    address = _address(text, 1)
    if not address.host:
        raise argparse.ArgumentTypeError(f"no host in {text!r}")
    return address


def _unix_path(text: str) -> UnixPath | None:
    if not text.startswith("unix:"):
        return None
    if text == "unix:":
        raise argparse.ArgumentTypeError("no path after unix:")
    return UnixPath(text.removeprefix("unix:"))


def _address(text: str, lowest: int) -> Address:
    host, colon, number = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif not colon or ":" in host:
        raise argparse.ArgumentTypeError(f"expected HOST:PORT, [IPV6]:PORT or unix:PATH, not {text!r}")
    return Address(host, _number(number, lowest, 65535, "port"))


def port(text: str) -> int:
    """Read a port to connect to."""
    return _number(text, 1, 65535, "port")


def at_least_one(text: str) -> int:
    """Read a number of things."""
    return _number(text, 1, 1 << 30, "number")


def days(text: str) -> int:
    """Read a number of days, a hundred years at most."""
    return _number(text, 1, 36500, "days")


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


def names(text: str) -> list[str]:
    """Read names between commas."""
    found = text.split(",")
    if "" in found:
        raise argparse.ArgumentTypeError(f"expected names between commas, not {text!r}")
    return found


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
