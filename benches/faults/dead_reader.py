"""A peer that does not read costs the write buffer's limit, and nothing once its connection is closed.

A writer that stops at `TcpBufferFull` and goes on at `TcpBufferDrained` (limits 8 and 4 MiB) has 1 GiB for
a peer that reads nothing and is closed, and for one that reads it all after a while. Then 256 MiB are
queued without limits, and dropped.
"""

import time
import zlib

from common import ASYNCIO_LIKE, MIB, Peak, Server, all_of, below, main, noise, none_of, wait_until

HIGH, LOW = 8 * MIB, 4 * MIB
DEAD = 1.0
QUEUED = 256
PEERS = (*ASYNCIO_LIKE, "twisted")


def abort(child):
    """Have the first connection dropped, and wait for the word of it."""
    with child.connect() as other:
        other.sendall(b"x")
        while "aborted" not in child.report():
            pass


def obedient(server, n):
    with Server(server, "obedient", n, HIGH, LOW) as child:
        before = child.memory()
        with Peak(child.memory) as peak, child.connect():
            time.sleep(DEAD)
            abort(child)
        yield below("dead reader, writer that heeds the limits: memory", n, peak.growth / MIB, 16, " MiB")
        wait_until(lambda: child.memory() - before < 4 * MIB, 1)
        yield below(
            "dead reader: memory kept 1 s after close", n, (child.memory() - before) / MIB, 16, " MiB"
        )
    with (
        Server(server, "obedient", n, HIGH, LOW) as child,
        Peak(child.memory) as peak,
        child.connect() as raw,
    ):
        time.sleep(DEAD / 4)
        size = crc = 0
        while size < n * MIB:
            piece = raw.recv(MIB)
            if not piece:
                break
            size += len(piece)
            crc = zlib.crc32(piece, crc)
    yield below("slow start of the reader, the same writer: memory", n, peak.growth / MIB, 16, " MiB")
    yield all_of("the same: MiB that arrived", n, size // MIB)
    yield none_of("the same: wrong checksum", n, crc != checksum(n))


def checksum(blocks):
    block = noise(MIB)
    value = 0
    for _ in range(blocks):
        value = zlib.crc32(block, value)
    return value


def unlimited(server, mebibytes):
    with Server(server, "flood", mebibytes * 16) as child:
        before = child.memory()
        with child.connect():
            child.report()
            abort(child)
            wait_until(lambda: child.memory() - before < 8 * MIB, 1)
            yield below(
                "queued without limits: memory kept 1 s after force",
                mebibytes,
                (child.memory() - before) / MIB,
                16,
                " MiB",
            )


def measure(server, n):
    if server != "twisted":
        yield from obedient(server, n)
    yield from unlimited(server, QUEUED)


if __name__ == "__main__":
    main(measure, quick=128, full=1024, peers=PEERS)
