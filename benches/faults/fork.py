"""After `os.fork` beside a running loop the peers see their ends, and the child is told or starts afresh.

A peer sees its connection end although the child holds a copy of it; in the child all that belongs to the
parent's loop raises at once, and a loop of its own works; the parent goes on.
"""

import time

from common import OURS, PEERS, Server, all_of, below, main, none_of

PATIENCE = 1.0


def seconds_to_eof(server):
    """Return how long a peer waits for the end of a connection closed while a child sleeps, or None."""
    with Server(server, "forker") as child, child.connect(PATIENCE) as raw:
        raw.sendall(b"x")
        begun = time.monotonic()
        try:
            raw.recv(1)
        except TimeoutError:
            return None
        return time.monotonic() - begun


def measure(server, n):
    ends = [seconds_to_eof(server) for _ in range(n)]
    seen = [seconds for seconds in ends if seconds is not None]
    yield none_of(f"fork: peers that saw no end within {PATIENCE:g} s", n, n - len(seen))
    if seen:
        yield below("fork: the peer's end, slowest", n, 1000 * max(seen), 50, " ms")
    if server != OURS:
        return

    with Server(server, "fork_and_use") as child, child.connect() as raw:
        told = []
        alive = 0
        for _ in range(n):
            raw.sendall(b"fork")
            told += child.reports(1)
            raw.sendall(b"ping")
            alive += raw.recv(16) == b"ping"
    yield all_of("fork: children that ended", n, len(told))
    yield none_of("fork: inherited loop used without an error", n, sum(report["accepted"] for report in told))
    slowest = max((report["seconds"] for report in told), default=PATIENCE)
    yield below("fork: error in the child, slowest", n, 1000 * slowest, 10, " ms")
    yield all_of("fork: echoes of the child's own loop", 200 * n, sum(report["echoes"] for report in told))
    yield all_of("fork: echoes of the parent afterwards", n, alive)


if __name__ == "__main__":
    main(measure, quick=3, full=20, peers=PEERS)
