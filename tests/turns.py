"""A program whose turns are all of one kind: ``python turns.py kind rounds``, for ``test_syscall_budget.py``.

It tells a tracer how far it is by asking for a file that is not there, and prints its server's port.
"""

import asyncio
import contextlib
import os
import select
import socket
import sys
import threading
import time

import asynctcp
import asynctcp.aio

MARK = "/mark of the turns"
#: Rounds between two marks.
PART = 10
#: Rounds ahead of those that count: what is done once is done then.
WARM_UP = 50
#: Connections of a batch: Python must not be busy with it for so long that the helper takes over.
BATCH = 8


class Rounds:
    def __init__(self, count):
        self.count = count
        self.left = count + WARM_UP

    def go_on(self):
        """Whether another is to come; after the last one the loop ends."""
        if self.left <= self.count and self.left % PART == 0:
            os.access(MARK, os.F_OK)
        if self.left == 0:
            asynctcp.exit_event_loop()
        self.left -= 1
        return self.left >= 0


def serve(read_cb, **keywords):
    """Listen, and print where."""
    server = asynctcp.tcp_server("127.0.0.1", 0, read_cb, **keywords)
    print(server.port, flush=True)
    return server


def echo(rounds, **keywords):
    serve(lambda ours, data: rounds.go_on() and ours.write(data), **keywords)


def echo_with_timeouts(rounds):
    echo(rounds, read_timeout=60, write_timeout=60)


def three_writes(rounds):
    """One message is answered by three."""
    serve(lambda ours, data: rounds.go_on() and [ours.write(data) for _ in range(3)])


def batch(rounds):
    """Messages of several connections at once are echoed; the peers are here, with half of the calls."""
    peers, heard = [], []

    def read(ours, data):
        ours.write(data)
        heard.append(ours)
        if len(heard) % BATCH == 0 and rounds.go_on():
            asynctcp.delay(send_all)  # when the echoes are sent

    def send_all():
        for peer in peers:
            if heard:
                peer.recv(1)
            peer.send(b"x")

    server = asynctcp.tcp_server("127.0.0.1", 0, read)
    peers += [socket.create_connection(server.address) for _ in range(BATCH)]
    asynctcp.delay(send_all)


def idle(_rounds):
    """Nothing happens between two messages."""

    def read(ours, data):
        os.access(MARK, os.F_OK)
        ours.write(data)
        if data == b"end":
            ours.close()
            server.close()

    server = serve(read)


def timer(rounds):
    """A timer each turn."""
    beat = asynctcp.interval(lambda: rounds.go_on() or beat.cancel(), 0.001)


def next_turn(rounds):
    """Each callback asks for another in the next turn."""

    def again():
        if rounds.go_on():
            asynctcp.delay(again)

    asynctcp.delay(again)


def post(rounds):
    """Another thread posts a call while the loop waits."""
    loop = asynctcp.current_event_loop()
    asynctcp.make_notifier(int)  # keeps the loop alive

    def post_all():
        for _ in range(rounds.left + 1):
            loop.call_soon_threadsafe(rounds.go_on)
            time.sleep(0.001)  # the loop waits again

    asynctcp.delay(threading.Thread(target=post_all, daemon=True).start)


def poller(rounds):
    """A descriptor that is always ready."""
    asynctcp.poll(os.eventfd(1), lambda *_: rounds.go_on())


KINDS = {
    kind.__name__: kind
    for kind in (echo, echo_with_timeouts, three_writes, batch, idle, timer, next_turn, post, poller)
}


def pump(rounds):
    """Echo in a loop that a foreign one drives."""
    loop = asynctcp.EventLoop()
    loop.call_soon_threadsafe(echo, rounds)
    while rounds.left >= 0:
        select.select([loop.fileno()], [], [])
        loop.pump()


def hosted(rounds):
    """Echo in an asyncio loop of ours."""

    async def main():
        echo(rounds)
        await asyncio.Event().wait()

    with contextlib.suppress(RuntimeError):  # it was stopped before main() was done
        asynctcp.aio.run(main())


def main():
    kind, rounds = sys.argv[1], Rounds(int(sys.argv[2]))
    if kind in ("pump", "hosted"):
        {"pump": pump, "hosted": hosted}[kind](rounds)
    else:
        asynctcp.start_event_loop(lambda: KINDS[kind](rounds))


if __name__ == "__main__":
    main()
