"""Any callback may do anything: each of 5 callbacks takes each of 8 actions.

None is called while another runs, a bystander has its echo in every pair, the actions raise only what they
may, and the loop ends. One action is a garbage collection with finalizers that close sockets.
"""

import gc
import sys

from common import LOOPBACK, all_of, main, none_of

CALLBACKS = ("connect_cb", "read_cb", "write_cb", "event_cb", "timer")
PATIENCE = 5.0


class Closer:
    """Closes a socket when it is collected, with a cycle around it so that it takes a collection."""

    def __init__(self, socket):
        self.socket = socket
        self.itself = self

    def __del__(self):
        if not self.socket.closed:
            self.socket.close()


class Pair:
    """One callback that takes one action, beside a bystander."""

    def __init__(self, asynctcp, callback, action):
        self.asynctcp, self.callback, self.action = asynctcp, callback, action
        self.running = False
        self.nested = 0
        self.acted = False
        self.echoed = False
        self.errors = []
        self.others = []

    def run(self):
        try:
            self.asynctcp.start_event_loop(self.start, catch_app_errors=self.errors.append)
        except BaseException as error:  # noqa: BLE001 (it is what the figure is about)
            self.errors.append(error)
        return self

    def guard(self, callback):
        def guarded(*arguments):
            self.nested += self.running
            self.running = True
            try:
                callback(*arguments)
            finally:
                self.running = False

        return guarded

    def start(self):
        asynctcp = self.asynctcp
        asynctcp.delay(self.expire, PATIENCE).unref()
        self.server = asynctcp.tcp_server(
            LOOPBACK, 0, self.guard(lambda ours, data: ours.write(data)), self.guard(lambda _condition: None)
        )
        self.others = [asynctcp.tcp_connect(*self.server.address, None, self.guard(print)) for _ in range(3)]
        self.bystander = asynctcp.tcp_connect(
            *self.server.address, self.guard(self.bystander_read), data=b"beside"
        )
        if self.callback == "event_cb":
            asynctcp.tcp_connect(LOOPBACK, self.free_port(), None, self.guard(lambda c: self.act(c.socket)))
            return
        names = {
            "connect_cb": {"connect_cb": self.guard(self.act)},
            "write_cb": {"write_cb": self.guard(self.act)},
            "timer": {"connect_cb": lambda ours: asynctcp.delay(self.guard(lambda: self.act(ours)))},
        }
        read = self.guard(lambda ours, _data: self.act(ours)) if self.callback == "read_cb" else None
        asynctcp.tcp_connect(
            *self.server.address,
            read,
            self.guard(lambda _condition: None),
            data=b"x",
            **names.get(self.callback, {}),
        )

    def free_port(self):
        import socket

        with socket.create_server((LOOPBACK, 0)) as listener:
            return listener.getsockname()[1]

    def expire(self):
        self.errors.append(TimeoutError("the loop did not end"))
        self.asynctcp.exit_event_loop()

    def act(self, ours):
        if self.acted:
            return
        self.acted = True
        self.action(self, ours)
        # What the action made has a few turns to be called wrongly; then all ends.
        self.asynctcp.delay(lambda: self.end(ours), 0.02)

    def bystander_read(self, ours, _data):
        self.echoed = True
        ours.write(b"")

    def end(self, ours):
        if not self.echoed:
            self.asynctcp.delay(lambda: self.end(ours), 0.01)
            return
        for each in (ours, self.bystander, *self.others):
            if not each.closed:
                each.close()
        self.server.close()


def write(_pair, ours):
    ours.write(b"again", write_cb=lambda _socket: None)


def close(_pair, ours):
    ours.close()


def force(_pair, ours):
    ours.close(force=True)


def connect(pair, _ours):
    pair.others.append(pair.asynctcp.tcp_connect(*pair.server.address, None, pair.guard(print), data=b"y"))


def close_another(pair, _ours):
    pair.others.pop().close()
    pair.server.close()


def disable_and_enable(_pair, ours):
    ours.disable(read=True, write=True)
    ours.set_timeouts(5, 5)
    ours.enable(read=True, write=True)


def start_a_loop(pair, _ours):
    try:
        pair.asynctcp.start_event_loop(pair.expire)
    except pair.asynctcp.EventLoopError:
        return
    pair.errors.append(AssertionError("a loop within a loop"))


def collect(pair, _ours):
    while pair.others:
        Closer(pair.others.pop())
    gc.collect()


ACTIONS = (write, close, force, connect, close_another, disable_and_enable, start_a_loop, collect)


def measure(_server, _n):
    import asynctcp

    pairs = [Pair(asynctcp, callback, action).run() for callback in CALLBACKS for action in ACTIONS]
    n = len(pairs)
    for pair in pairs:
        for error in pair.errors:
            print(f"{pair.callback}, {pair.action.__name__}: {error!r}", file=sys.stderr)
    yield all_of("re-entrancy: pairs that took their action", n, sum(pair.acted for pair in pairs))
    yield none_of("re-entrancy: callbacks called inside another", n, sum(pair.nested for pair in pairs))
    yield none_of(
        "re-entrancy: pairs with an error, or whose loop did not end", n, sum(bool(p.errors) for p in pairs)
    )
    yield all_of("re-entrancy: bystanders that had their echo", n, sum(pair.echoed for pair in pairs))


if __name__ == "__main__":
    main(measure, quick=40, full=40)
