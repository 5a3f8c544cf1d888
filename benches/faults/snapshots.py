"""What is sent is what was written, although the buffer changes right after the call.

bytearrays, arrays and views of them, written before there is a connection, while the peer does not read (so
that most waits in our process), and while it does.
"""

import array
import random
import socket
import threading

from common import LOOPBACK, main, none_of

import asynctcp

SIZES = (1, 100, 4_000, 70_000, 300_000)


def buffer(dice):
    """Return a random buffer that can change, and how to change it."""
    content = dice.randbytes(dice.choice(SIZES))
    kind = dice.randrange(4)
    if kind == 0:
        data = bytearray(content)
        return data, lambda: data.__setitem__(slice(None), bytes(len(data)))
    if kind == 1:
        data = bytearray(content)
        return memoryview(data), lambda: data.__setitem__(slice(None), bytes(len(data)))
    if kind == 2:
        data = array.array("I", content[: len(content) // 4 * 4] or bytes(4))
        return data, lambda: data.__setitem__(slice(None), array.array("I", bytes(4 * len(data))))
    data = bytearray(content)
    return data, lambda: (data.reverse(), data.clear())


def write_all(peer, n, dice, read):
    """Write ``n`` buffers to ``peer``, each changed at once; return what should have been sent.

    ``read`` is set when half of them are written.
    """
    wanted = bytearray()
    left = n

    def write(ours):
        nonlocal left
        for _ in range(min(left, dice.randrange(1, 20))):
            data, change = buffer(dice)
            wanted.extend(memoryview(data).cast("B"))
            ours.write(data)
            change()
            left -= 1

    def more(ours):
        write(ours)
        if left <= n / 2:
            read.set()
        if left:
            asynctcp.delay(lambda: more(ours))
        else:
            ours.close()

    def start():
        # The first are written before there is a connection.
        ours = asynctcp.tcp_connect(*peer, None, connect_cb=more)
        write(ours)

    asynctcp.start_event_loop(start)
    return wanted


def read_all(listener, got, begin):
    with listener.accept()[0] as raw:
        begin.wait()
        while piece := raw.recv(1 << 20):
            got.extend(piece)


def measure(_server, n):
    got = bytearray()
    with socket.create_server((LOOPBACK, 0)) as listener:
        begin = threading.Event()
        reader = threading.Thread(target=read_all, args=(listener, got, begin))
        reader.start()
        wanted = write_all(listener.getsockname(), n, random.Random(19), begin)
        reader.join()
    differing = abs(len(got) - len(wanted))
    if got != wanted:
        differing += sum(one != other for one, other in zip(got, wanted, strict=False))
    yield none_of("buffers changed after the write: differing bytes", n, differing)


if __name__ == "__main__":
    main(measure, quick=200, full=2000)
