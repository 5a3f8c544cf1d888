"""Writing to a peer that is gone never kills the process, although SIGPIPE has its default disposition."""

import socket

from common import ASYNCIO_LIKE, Server, all_of, main, none_of, reset


def measure(server, n):
    with Server(server, "unprotected") as child:
        told = 0
        for number in range(n):
            try:
                raw = child.connect()
                raw.sendall(b"write to me")
            except OSError:
                break
            # Linux makes a broken pipe of a reset that follows an end of stream.
            if number % 2:
                raw.shutdown(socket.SHUT_WR)
            reset(raw)
            told += len(child.reports(1, 2))
            if child.process.poll() is not None:
                break
        status = child.process.poll()
        yield none_of("SIGPIPE: killed by it", n, status is not None)
        yield all_of("SIGPIPE: broken connections told once", n, told)


if __name__ == "__main__":
    main(measure, quick=50, full=500, peers=ASYNCIO_LIKE)
