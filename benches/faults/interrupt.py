"""Ctrl-C comes out of the loop as `KeyboardInterrupt` at once: idle, computing, and under traffic.

Each run is a process of its own; the time is from `kill` to the line after the loop.
"""

import contextlib
import os
import queue
import signal
import threading
import time

from common import PEERS, Server, all_of, below, main, percentile

#: Seconds that each turn of a busy loop computes.
SPIN = 0.002
TALKERS = 8
#: Milliseconds, and those on a machine with more work than cores.
LIMIT = 20.0
LIMIT_UNDER_LOAD = 100.0


def talk(raw):
    """Keep an echo going until the server ends."""
    with contextlib.suppress(OSError), raw:
        while True:
            raw.sendall(b"x" * 1024)
            if not raw.recv(4096):
                return


def seconds_to_interrupt(server, spin, talkers, pause):
    """Return how long SIGINT takes, or None if nothing came of it."""
    with Server(server, "interrupted", spin) as child:
        for _ in range(talkers):
            threading.Thread(target=talk, args=(child.connect(),), daemon=True).start()
        time.sleep(pause)
        begun = time.monotonic()
        child.process.send_signal(signal.SIGINT)
        try:
            return float(child.report(5)["at"]) - begun
        except queue.Empty:
            return None


def measure(server, n):
    # A process that cannot get a core is late whatever it does.
    limit = LIMIT if os.getloadavg()[0] <= os.cpu_count() else LIMIT_UNDER_LOAD
    for name, spin, talkers in (("idle", 0, 0), ("callbacks compute", SPIN, 0), ("traffic", 0, TALKERS)):
        times = [seconds_to_interrupt(server, spin, talkers, 0.02 + 0.0001 * number) for number in range(n)]
        came = [1000 * seconds for seconds in times if seconds is not None]
        yield all_of(f"Ctrl-C, {name}: came out", n, len(came))
        if came:
            middle = percentile(came, 50)
            yield below(f"Ctrl-C, {name}: median", n, middle, LIMIT, " ms")
            yield below(f"Ctrl-C, {name}: slowest", n, max(came), limit, " ms")


if __name__ == "__main__":
    main(measure, quick=10, full=100, peers=PEERS)
