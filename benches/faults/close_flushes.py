"""What was written before a close arrives whole.

Servers that write 64 KiB and close at once; then replies of 4 MB to a slow reader whose own bytes nobody
reads: closing a descriptor with unread input resets the connection, and that destroys the reply (RFC 9293,
3.10.4).
"""

import time

from common import ASYNCIO_LIKE, KIB, Server, main, none_of

SMALL, REPLY = 64 * KIB, 4_000_000
#: The server writes after so many seconds, when the client's bytes are there.
PAUSE = 0.02
#: A slow reader takes so much at a time, with a pause after each MiB or so.
PIECE, NAP, PIECES = 64 * KIB, 0.01, 16


def received(raw, *, slowly=False):
    """Return how many bytes come until the end."""
    total = number = 0
    try:
        while piece := raw.recv(PIECE):
            total += len(piece)
            number += 1
            if slowly and number % PIECES == 0:
                time.sleep(NAP)
    except ConnectionError:
        pass
    return total


def measure(server, n):
    with Server(server, "farewell", SMALL, 0) as child:
        cut = 0
        for _ in range(n):
            with child.connect() as raw:
                cut += received(raw) != SMALL
        yield none_of("close: 64 KiB written before it and cut", n, cut)

    replies = max(5, n // 50)
    with Server(server, "farewell", REPLY, PAUSE) as child:
        cut = 0
        for _ in range(replies):
            with child.connect() as raw:
                raw.sendall(bytes(SMALL))
                cut += received(raw, slowly=True) != REPLY
        yield none_of("close: 4 MB replies cut, the client's bytes unread", replies, cut)


if __name__ == "__main__":
    main(measure, quick=500, full=10_000, peers=ASYNCIO_LIKE)
