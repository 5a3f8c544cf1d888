"""What a peer sent before its FIN or RST is delivered, and then its end is told.

Each connection sends 100,000 bytes while the server does not read yet, and ends as soon as the server's
kernel has them.
"""

import fcntl
import struct
import termios

from common import OURS, PEERS, Server, main, none_of, reset, wait_until

SIZE = 100_000
AT_ONCE = 20
PAUSE = 0.1


def acknowledged(raw):
    """Whether the other end's kernel has all that was sent; only then an RST takes nothing back."""
    return struct.unpack("i", fcntl.ioctl(raw.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0] == 0


def send_and_end(child, count, by_reset):
    """Return the ports of so many connections that sent all and ended."""
    links = [child.connect() for _ in range(count)]
    ports = [raw.getsockname()[1] for raw in links]
    for raw in links:
        raw.sendall(bytes(SIZE))
    for raw in links:
        wait_until(lambda raw=raw: acknowledged(raw))
        if by_reset:
            reset(raw)
        else:
            raw.close()
    return ports


def measure(server, n):
    for by_reset, expected in ((False, "eof"), (True, "TcpReset")):
        short = untold = wrong = 0
        with Server(server, "late", PAUSE) as child:
            for done in range(0, n, AT_ONCE):
                ports = send_and_end(child, min(AT_ONCE, n - done), by_reset)
                told = {report["peer"]: report for report in child.reports(len(ports), 3)}
                for port in ports:
                    report = told.get(port)
                    untold += report is None
                    short += report is not None and report["bytes"] != SIZE
                    wrong += report is not None and report["end"] != expected
                if untold >= AT_ONCE:
                    break
        name = "RST" if by_reset else "FIN"
        yield none_of(f"bytes before {name}: connections that lost some", n, short)
        yield none_of(f"bytes before {name}: end not told within 3 s", n, untold)
        if by_reset or server == OURS:
            yield none_of(f"bytes before {name}: told as something else", n, wrong)


if __name__ == "__main__":
    main(measure, quick=100, full=1000, peers=PEERS)
