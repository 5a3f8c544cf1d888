"""One connection that floods does not starve another: the echo of a few bytes beside a firehose.

Of p99 and of the slowest echo the median of some runs counts: there are three busy processes, and seldom as
many cores.
"""

import multiprocessing
import socket
import statistics
import time

from common import ASYNCIO_LIKE, KIB, LOOPBACK, Server, below, main, percentile

RUNS = 5
PING = b"ping"


def flood(port):
    """Send as fast as the server reads, until ended."""
    with socket.create_connection((LOOPBACK, port)) as raw:
        piece = bytes(256 * KIB)
        while True:
            raw.sendall(piece)


def pings(child, count):
    """Return how long each echo took, in ms."""
    times = []
    with child.connect() as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(count):
            begun = time.perf_counter()
            raw.sendall(PING)
            raw.recv(64)
            times.append(1e3 * (time.perf_counter() - begun))
            time.sleep(0.001)
    return times


def measure(server, n):
    p99, slowest = [], []
    for _ in range(RUNS):
        with Server(server, "drain") as child:
            flooding = multiprocessing.get_context("fork").Process(target=flood, args=(child.port,))
            flooding.start()
            try:
                time.sleep(0.2)
                times = pings(child, n)
            finally:
                flooding.kill()
                flooding.join()
        p99.append(percentile(times, 99))
        slowest.append(max(times))
    yield below(f"ping beside a firehose: p99, median of {RUNS} runs", n, statistics.median(p99), 1, " ms")
    slow = statistics.median(slowest)
    yield below(f"ping beside a firehose: slowest, median of {RUNS} runs", n, slow, 10, " ms")


if __name__ == "__main__":
    main(measure, quick=500, full=5000, peers=ASYNCIO_LIKE)
