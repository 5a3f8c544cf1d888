"""Nothing is left of connections that are over, however they ended.

A third ends by FIN, by RST and by the server's timeout, each after an echo. Memory is compared with what it
was after a warm-up of a tenth as many.
"""

import collections
import contextlib
import socket
import time

from common import LOOPBACK, MIB, PEERS, Server, below, main, none_of, reset, wait_until

TIMEOUT = 0.3
#: Connections that wait for the server's timeout at the same time, at most.
WAITING = 1000
#: Failures after which the rest is not tried.
ENOUGH = 10
#: One source address has too few ports for so many connections in so short a time.
SOURCES = [f"127.0.1.{number}" for number in range(1, 100)]


def connect(child, number):
    raw = socket.create_connection((LOOPBACK, child.port), 2, (SOURCES[number % len(SOURCES)], 0))
    raw.sendall(b"x")
    if raw.recv(1) != b"x":
        raise AssertionError("no echo")
    return raw


def wait_for_end(raw):
    """Wait until the server ends it."""
    with contextlib.suppress(ConnectionError):
        raw.recv(1)
    raw.close()


def connections(child, count):
    """Make so many, a third of each kind; return how many had no echo or did not end."""
    failed = 0
    waiting = collections.deque()
    for number in range(count):
        try:
            raw = connect(child, number)
            if number % 3 == 0:
                raw.close()
            elif number % 3 == 1:
                reset(raw)
            else:
                waiting.append(raw)
            if len(waiting) > WAITING:
                wait_for_end(waiting.popleft())
        except (OSError, AssertionError):
            failed += 1
            if failed > ENOUGH:
                break
    while waiting and failed <= ENOUGH:
        try:
            wait_for_end(waiting.popleft())
        except OSError:
            failed += 1
    return failed


def measure(server, n):
    with Server(server, "impatient", TIMEOUT) as child:
        connections(child, 100)
        time.sleep(2 * TIMEOUT)
        descriptors, threads = child.descriptors(), child.threads()
        failed = connections(child, n // 10)
        time.sleep(2 * TIMEOUT)
        memory = child.memory()
        failed += connections(child, n)
        wait_until(lambda: child.descriptors() <= descriptors, 5)
        yield none_of("leak: connections without echo or end", n, failed)
        yield below("leak: memory", n, (child.memory() - memory) / MIB, 5, " MiB")
        yield none_of("leak: descriptors", n, max(0, child.descriptors() - descriptors))
        yield none_of("leak: threads", n, max(0, child.threads() - threads))


if __name__ == "__main__":
    main(measure, quick=10_000, full=200_000, peers=PEERS)
