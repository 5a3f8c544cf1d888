"""The command line of the servers: ``--work N`` rounds of a loop a request, ``--beside`` a busy thread."""

import argparse
import threading

BACKLOG = 1024


def work(rounds):
    """Stand for an application's Python: some microseconds of bytecode."""
    for _ in range(rounds):
        pass


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--loop", default="asyncio", help="of those with asyncio's interface")
    parser.add_argument("--work", type=int, default=0)
    parser.add_argument("--beside", action="store_true")
    parser.add_argument("--io-threads", type=int, default=0)
    parser.add_argument("--spin", type=int, default=0, help="µs of busy polling before it sleeps")
    chosen = parser.parse_args()
    if chosen.beside:
        threading.Thread(target=compute, daemon=True).start()
    return chosen


def compute():
    """Want the interpreter all the time."""
    while True:
        work(10_000)


def ready(port):
    """Say that the server listens."""
    print(port, flush=True)
