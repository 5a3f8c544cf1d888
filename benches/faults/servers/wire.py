"""How a server tells what happened: JSON objects on standard output, a line each."""

import ctypes
import faulthandler
import json
import random
import signal
import sys

#: prctl(2): this signal when the parent has ended, so that no server outlives a script that was killed.
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

# Whoever waits in vain asks with this where the threads are.
faulthandler.register(signal.SIGUSR2, all_threads=True)


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
