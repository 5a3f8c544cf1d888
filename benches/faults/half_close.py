"""A client that has sent its end of stream still gets the whole reply, and then the server's end."""

import socket

from common import ASYNCIO_LIKE, Server, all_of, main

REPLY = 10_000_000


def whole(raw):
    """Return whether the reply came whole, followed by an end of stream."""
    raw.sendall(b"request")
    raw.shutdown(socket.SHUT_WR)
    raw.settimeout(10)
    total = 0
    try:
        while piece := raw.recv(1 << 20):
            total += len(piece)
    except OSError:
        return False
    return total == REPLY


def measure(server, n):
    with Server(server, "answer_at_end", REPLY) as child:
        count = 0
        for _ in range(n):
            with child.connect() as raw:
                count += whole(raw)
                # A server that never ends the connection costs the whole wait each time.
                if not count:
                    break
        yield all_of("half close: 10 MB replies whole", n, count)


if __name__ == "__main__":
    main(measure, quick=10, full=100, peers=ASYNCIO_LIKE)
