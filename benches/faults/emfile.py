"""No client is lost for want of descriptors: a server with 64 of them, and 200 clients.

While it is starved it must not spin, must not drop who waits, and must tell of it once a second at most;
when the clients that it serves go, the others are served at once.
"""

import socket
import time

from common import PEERS, Server, below, main, none_of, wait_until

FILES = 64
STARVED = 5.0


def served(clients):
    """Return those of ``clients`` that have got their echo."""
    found = []
    for raw in clients:
        try:
            if raw.recv(16):
                found.append(raw)
        except (BlockingIOError, ConnectionError):
            continue
    return found


def lost(clients):
    """Count those whose connection was ended."""
    count = 0
    for raw in clients:
        try:
            count += raw.recv(16, socket.MSG_PEEK) == b""
        except BlockingIOError:
            continue
        except ConnectionError:
            count += 1
    return count


def measure(server, n):
    with Server(server, "echo") as child:
        child.allow_files(FILES)
        waiting = []
        for number in range(n):
            raw = child.connect()
            raw.sendall(b"%d" % number)
            raw.setblocking(False)
            waiting.append(raw)
        time.sleep(1)
        first = served(waiting)
        waiting = [raw for raw in waiting if raw not in first]

        begun, before = time.monotonic(), child.cpu()
        logged = child.log_size()
        time.sleep(STARVED)
        seconds = time.monotonic() - begun
        yield below("EMFILE: CPU while starved", n, 100 * (child.cpu() - before) / seconds, 2, " %")
        gone = lost(waiting)
        yield none_of("EMFILE: waiting clients lost", n, gone)
        told = len(child.reports(1000, 0.1))
        yield below("EMFILE: events told in a second", n, told / (1 + seconds), 1.01)
        yield below("EMFILE: log written", n, (child.log_size() - logged) / 1024 / seconds, 1, " KiB/s")

        for raw in first:
            raw.close()
        begun = time.monotonic()
        left = set(waiting)

        def all_served():
            for raw in served(left):
                left.discard(raw)
                raw.close()
            return not left

        wait_until(all_served, 3)
        seconds = time.monotonic() - begun
        yield none_of("EMFILE: not served 3 s after release", n, len(left))
        yield below("EMFILE: all served after release within", n, seconds, 0.5, " s")
        for raw in waiting:
            raw.close()


if __name__ == "__main__":
    main(measure, quick=200, full=200, peers=PEERS)
