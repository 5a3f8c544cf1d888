"""How a server tells what happened: JSON objects on standard output, a line each."""

import json
import random
import sys


def report(**what: object) -> None:
    """Tell the script that started us."""
    print(json.dumps(what), flush=True)


def behaviour(table: dict) -> tuple:
    """Return what the command line names: the server's name, the behaviour, and its arguments as numbers."""
    server, name, *arguments = sys.argv[1:]
    return server, table[name], [float(argument) for argument in arguments]


def noise(size: int) -> bytes:
    """Return bytes that are the same in each run."""
    return random.Random(0).randbytes(size)


def copied(data: bytes) -> bytes:
    """Return another object with the same bytes: one that is queued twice would cost its memory once."""
    return bytes(memoryview(data))
