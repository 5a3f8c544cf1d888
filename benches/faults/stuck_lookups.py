"""A name server that does not answer holds up nothing else: neither connections to addresses nor the exit.

A shim stands for getaddrinfo (so this needs cc) and answers names that begin with "stuck" after a minute.
"""

import queue
import tempfile
import time

import psutil
from common import ASYNCIO_LIKE, Server, below, main, stuck_resolver, wait_until


def measure(server, n):
    with (
        tempfile.TemporaryDirectory() as directory,
        Server(server, "lookups", n, environment=stuck_resolver(directory)) as child,
    ):
        threads = 0
        times = []
        for _ in range(1000):
            threads = max(threads, child.threads())
            try:
                times = child.report(0.01)["times"]
                break
            except queue.Empty:
                continue
        begun = time.monotonic()
        wait_until(lambda: child.process.status() == psutil.STATUS_ZOMBIE, 3)
        seconds = time.monotonic() - begun
        slowest = 1e3 * max(times, default=9)
        yield below("stuck lookups: slowest connect to an address", n, slowest, 10, " ms")
        yield below("stuck lookups: threads", n, threads, 33)
        yield below("stuck lookups: exit", n, seconds, 1, " s")


if __name__ == "__main__":
    main(measure, quick=600, full=600, peers=ASYNCIO_LIKE)
