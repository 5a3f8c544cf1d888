"""A write timeout ends a connection that takes nothing, in time, and never one that takes little.

The timeout is 1 s, counted from when a reader's kernel acknowledged the last byte. Dead readers read nothing;
slow ones 64 KiB each 0.5 s, for 10 s. Their kernels have little room: segments on loopback are so large that
one with more tells of what was read only every second or two, and nobody can know of it before.
"""

import socket
import time

from common import KIB, LOOPBACK, MIB, Server, below, main, none_of

TIMEOUT, LATE = 1.0, 0.1
SIZE = 8 * MIB
ROOM = 16 * KIB
PIECE, EVERY, TIMES = 64 * KIB, 0.5, 20


def connect(child):
    """Return a connection whose kernel takes little."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
    raw.connect((LOOPBACK, child.port))
    raw.settimeout(10)
    return raw


def read_exactly(raw, size):
    """Read so much; return whether it came."""
    left = size
    try:
        while left and (piece := raw.recv(left)):
            left -= len(piece)
    except OSError:
        return False
    return left == 0


def ended(readers):
    """Let them read slowly; count those that did not get all the time what they wanted."""
    lost = set()
    begun = time.monotonic()
    for number in range(TIMES):
        lost.update(raw for raw in readers if not read_exactly(raw, PIECE))
        time.sleep(max(0, begun + (number + 1) * EVERY - time.monotonic()))
    return len(lost)


def measure(server, n):
    with Server(server, "patient", SIZE, TIMEOUT) as child:
        readers = [connect(child) for _ in range(n)]
        told = child.reports(n, 2 * TIMEOUT + 1)
        told = [report for report in told if report["end"] == "TcpTimeout"]
        yield none_of("write timeout: dead readers not given up", n, n - len(told))
        # The server looks now and then when the last byte was acknowledged: between two looks it was.
        early = sum(report["most"] < TIMEOUT for report in told)
        yield none_of("write timeout: given up before 1 s", n, early)
        latest = max((report["least"] for report in told), default=9)
        yield below("write timeout: latest end of a dead reader", n, latest, TIMEOUT + LATE, " s")
        for raw in readers:
            raw.close()

    with Server(server, "patient", SIZE, TIMEOUT) as child:
        readers = [connect(child) for _ in range(n)]
        yield none_of("write timeout: slow readers given up", n, ended(readers))
        for raw in readers:
            raw.close()


if __name__ == "__main__":
    main(measure, quick=5, full=30)
