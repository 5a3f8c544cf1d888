"""A callback that raises harms its own socket only: among as many sound sockets none is disturbed.

Each raising socket is told of once, with the exception, and closed.
"""

import queue

from common import OURS, PEERS, Server, all_of, allow_many_files, main, none_of

ROUNDS = 3


def echo_right(raw, message):
    """Whether ``message`` comes back whole."""
    try:
        raw.sendall(message)
        got = b""
        while len(got) < len(message):
            piece = raw.recv(4096)
            if not piece:
                return False
            got += piece
    except OSError:
        return False
    return got == message


def ended(raw):
    try:
        return raw.recv(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def measure(server, n):
    allow_many_files()
    with Server(server, "raising") as child:
        sound = [child.connect() for _ in range(n)]
        bad = [child.connect() for _ in range(n)]
        disturbed = sum(not echo_right(raw, b"before %d" % number) for number, raw in enumerate(sound))
        for number, (good, raising) in enumerate(zip(sound, bad, strict=True)):
            raising.sendall(b"raise")
            disturbed += not echo_right(good, b"beside %d" % number)
        open_still = 0
        for raw in bad:
            raw.settimeout(2 if not open_still else 0.01)
            open_still += not ended(raw)
        disturbed += sum(not echo_right(raw, b"after %d" % number) for number, raw in enumerate(sound))
        reports = [report["error"] for report in child.reports(n, 2)]
        extra = 0
        try:
            child.report(0.1)
            extra = 1
        except queue.Empty:
            pass
    yield none_of("raising callbacks: echoes of sound sockets disturbed", ROUNDS * n, disturbed)
    yield none_of("raising callbacks: sockets left open", n, open_still)
    if server == OURS:
        yield all_of("raising callbacks: told with their exception", n, reports.count("RuntimeError"))
        yield none_of("raising callbacks: told more than once", n, extra)


if __name__ == "__main__":
    main(measure, quick=200, full=1000, peers=PEERS)
