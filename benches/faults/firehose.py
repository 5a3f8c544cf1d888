"""Memory is bounded while Python is slower than the network, and TCP slows the senders down.

1 GiB goes to a callback that sleeps 50 ms in each of its first 60 calls, and arrives whole, also over TLS;
then 1,000 senders offer all that is taken to a loop that stands still for 5 seconds.
"""

import selectors
import ssl
import threading
import time
import zlib

from common import (
    LOOPBACK,
    MIB,
    OURS,
    PEERS,
    Certified,
    Peak,
    Row,
    Server,
    all_of,
    allow_many_files,
    below,
    main,
    noise,
    none_of,
)

NAP, NAPS = 0.05, 60
BLOCK = noise(MIB)
STALL = 5.0
SETTLE = 2.0


def send(raw, blocks):
    for _ in range(blocks):
        raw.sendall(BLOCK)
    if isinstance(raw, ssl.SSLSocket):
        # A ticket that was not read would make a reset of the close, and what is on the way would be lost.
        raw = raw.unwrap()
    raw.close()


def checksum(blocks):
    value = 0
    for _ in range(blocks):
        value = zlib.crc32(BLOCK, value)
    return value


def secured(n):
    """The same over TLS."""
    with (
        Certified() as certified,
        Server(OURS, "sleepy_secured", NAP, NAPS, environment=certified.environment) as child,
        Peak(child.memory) as peak,
    ):
        context = ssl.create_default_context(cadata=certified.trusted)
        sender = threading.Thread(
            target=send, args=(context.wrap_socket(child.connect(300), server_hostname=LOOPBACK), n)
        )
        sender.start()
        sender.join()
        told = child.report(60)
    yield below("firehose over TLS into a sleeping callback: memory", n, peak.growth / MIB, 24, " MiB")
    yield all_of("firehose over TLS: MiB that came", n, told["bytes"] // MIB)
    yield none_of("firehose over TLS: wrong checksum", n, told["crc"] != checksum(n))


def one(server, n):
    with Server(server, "sleepy", NAP, NAPS) as child, Peak(child.memory) as peak:
        raw = child.connect(300)
        begun = time.monotonic()
        sender = threading.Thread(target=send, args=(raw, n))
        sender.start()
        sender.join()
        seconds = time.monotonic() - begun
        told = child.report(60)
    yield below("firehose into a sleeping callback: memory", n, peak.growth / MIB, 16, " MiB")
    yield all_of("firehose: MiB that came", n, told["bytes"] // MIB)
    yield none_of("firehose: wrong checksum", n, told["crc"] != checksum(n))
    slow = NAP * NAPS * 0.9
    yield Row("firehose: sender slowed down", n, f"{seconds:.3g} s", f">= {slow:g} s", seconds >= slow)


def offer(links, seconds):
    """Send on all of ``links`` as much as is taken, for so long; return the bytes taken."""
    taken = 0
    with selectors.DefaultSelector() as selector:
        for raw in links:
            raw.setblocking(False)
            selector.register(raw, selectors.EVENT_WRITE)
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                try:
                    taken += key.fileobj.send(BLOCK[: 256 << 10])
                except BlockingIOError:
                    continue
    return taken


def many(server, connections):
    with Server(server, "sleepy", STALL, 1) as child:
        links = [child.connect() for _ in range(connections)]
        time.sleep(0.2)
        with Peak(child.memory) as peak:
            offer(links, STALL + SETTLE)
        for raw in links:
            raw.close()
        told = child.reports(connections)
    yield below(
        f"{connections:,} firehoses, loop stalled {STALL:g} s: memory",
        connections,
        peak.growth / MIB,
        76.8,
        " MiB",
    )
    yield all_of(f"{connections:,} firehoses: ends told", connections, len(told))


def measure(server, n):
    allow_many_files()
    yield from one(server, n)
    if server == OURS:
        yield from secured(n)
    yield from many(server, 1000 if n >= 1024 else 200)


if __name__ == "__main__":
    main(measure, quick=256, full=1024, peers=PEERS)
