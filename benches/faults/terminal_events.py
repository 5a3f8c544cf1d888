"""Each socket is told of one end and of nothing after it; nothing begins once `close` has returned.

Sockets of both sides follow scripts made at random: writes, half closes, closes, resets, timeouts,
exceptions, reading switched off and on. Then five times as many closes from callbacks of other sockets,
timers and threads, with events queued.
"""

import collections
import itertools
import random
import threading

from common import LOOPBACK, main, none_of

AT_ONCE = 100
#: Seconds after which what a script left open is closed.
LEFT_OPEN = 0.05
PATIENCE = 60.0


def ignore(_condition):
    """Take whatever a timer or the server's side is told."""


class End:
    """One socket, what it was told, and what was wrong with that."""

    def __init__(self, run, script, ours=None):
        self.run, self.script, self.ours = run, script, ours
        self.connected = self.closed_by_us = False
        self.terminal = 0
        self.wrong = []

    def check(self, what):
        if self.closed_by_us:
            self.wrong.append(f"{what} after close")
        if self.terminal:
            self.wrong.append(f"{what} after the end")
        if not self.connected and what in ("read", "write"):
            self.wrong.append(f"{what} before connect")

    def on_connect(self, ours):
        if self.connected:
            self.wrong.append("connected twice")
        self.check("connect")
        self.connected = True
        self.ours = ours
        self.step()

    def on_read(self, _socket, _data):
        self.check("read")
        self.step()

    def on_write(self, _socket):
        self.check("write")
        self.step()

    def on_event(self, condition):
        self.check(type(condition).__name__)
        self.terminal += 1
        if self.run.random.random() < 0.2 and not self.ours.closed:
            self.close()

    def step(self):
        """Take the script's next step, where the socket is open still."""
        if self.script and self.ours is not None and not self.ours.closed:
            self.script.pop()(self)

    def later(self):
        self.run.asynctcp.delay(self.step, self.run.random.choice((None, 0.001, 0.005)), event_cb=ignore)

    def finish(self):
        """Close what is open when the time is over."""
        if self.ours is not None and not self.ours.closed:
            self.close()

    def close(self, *, force=False):
        self.ours.close(force=force)
        self.closed_by_us = True

    def ended_once(self):
        """Whether it was told of one end, or none because it closed first."""
        return self.terminal == 1 or (self.closed_by_us and self.terminal == 0)


def write_little(end):
    end.ours.write(b"x" * 100)
    end.later()


def write_much(end):
    end.ours.write(b"x" * 300_000)


def half_close(end):
    end.ours.shutdown_write()
    end.later()


def close(end):
    end.close()


def force(end):
    end.close(force=True)


def time_out(end):
    end.ours.set_timeouts(0.01, 0.01)


def pause(end):
    end.ours.disable(read=True, write=True)
    end.run.asynctcp.delay(lambda: end.ours.closed or end.ours.enable(read=True, write=True), 0.005)


def fail(_end):
    raise RuntimeError("as the script says")


def wait(end):
    end.later()


STEPS = (write_little, write_little, write_much, half_close, close, force, time_out, pause, fail, wait)


class Scripts:
    """Runs pairs of ends, so many at once."""

    def __init__(self, asynctcp, count):
        self.asynctcp = asynctcp
        self.random = random.Random(0)
        self.ends = []
        self.left = count
        self.waiting = {}

    def script(self):
        return [self.random.choice(STEPS) for _ in range(self.random.randint(1, 6))]

    def start(self):
        self.asynctcp.delay(self.asynctcp.exit_event_loop, PATIENCE).unref()
        self.server = self.asynctcp.tcp_server(
            LOOPBACK,
            0,
            lambda ours, data: ours.data.on_read(ours, data),
            connect_cb=self.welcome,
        )
        self.batch()

    def welcome(self, ours):
        end = ours.data = End(self, self.script(), ours)
        self.ends.append(end)
        ours.write(b"hello", write_cb=end.on_write, event_cb=end.on_event)
        end.on_connect(ours)

    def batch(self):
        if self.left <= 0:
            self.server.close()
            return
        self.left -= AT_ONCE
        batch = [self.connect(number) for number in range(AT_ONCE // 2)]
        self.ends.extend(batch)
        self.asynctcp.delay(self.finish, LEFT_OPEN)

    def connect(self, number):
        end = End(self, self.script())
        # One of 25 finds nobody, one of 25 is closed while it connects.
        address = (LOOPBACK, 1) if number % 25 == 0 else self.server.address
        end.ours = self.asynctcp.tcp_connect(
            *address,
            end.on_read,
            end.on_event,
            connect_cb=end.on_connect,
            write_cb=end.on_write,
            data=b"hello",
        )
        if number % 25 == 1:
            end.close()
        return end

    def finish(self):
        for end in self.ends[-2 * AT_ONCE :]:
            end.finish()
        self.asynctcp.delay(self.batch, 0.01)


def scripted(asynctcp, n):
    run = Scripts(asynctcp, n)
    asynctcp.start_event_loop(run.start, catch_app_errors=True)
    wrong = [wrong for end in run.ends for wrong in end.wrong]
    for what, count in collections.Counter(wrong).items():
        print(f"{count} x {what}")
    yield none_of("scripted sockets: callbacks late or out of order", len(run.ends), len(wrong))
    bad = sum(not end.ended_once() for end in run.ends)
    yield none_of("scripted sockets: told of no end, or of two", len(run.ends), bad)


class Victim:
    """A socket with traffic, which something else closes.

    Its callbacks are C functions, so nothing comes between their start and their effect, also when a thread
    closes.
    """

    def __init__(self, asynctcp, address, connected):
        self.reads, self.writes, self.events = {}, [], []
        self.ours = asynctcp.tcp_connect(
            *address,
            self.reads.__setitem__,
            self.events.append,
            connect_cb=connected,
            write_cb=self.writes.append,
            data=b"x",
        )

    def close(self):
        if self.ours.closed:
            return False
        try:
            self.ours.close()
        except ConnectionError:
            return False
        self.reads.clear()
        self.writes.clear()
        self.events.clear()
        return True

    def late(self):
        return bool(self.reads or self.writes or self.events)


class Closes:
    """Closes sockets in batches, each batch from another kind of place."""

    KINDS = ("read", "write", "event", "timer", "thread")

    def __init__(self, asynctcp, count):
        self.asynctcp = asynctcp
        self.count = count
        self.closed = self.late = 0
        self.kinds = itertools.cycle(self.KINDS)
        self.threads = []

    def start(self):
        self.asynctcp.delay(self.asynctcp.exit_event_loop, PATIENCE).unref()
        self.server = self.asynctcp.tcp_server(LOOPBACK, 0, self.chatter, ignore)
        self.batch()

    @staticmethod
    def chatter(ours, data):
        """Answer, and go on answering, so that events are queued whenever the peer closes."""
        for _ in range(3):
            ours.write(data)

    def batch(self):
        if self.closed >= self.count:
            self.server.close()
            return
        self.connected = 0
        self.victims = [Victim(self.asynctcp, self.server.address, self.on_connect) for _ in range(AT_ONCE)]

    def on_connect(self, ours):
        ours.write(b"y")
        self.connected += 1
        if self.connected == AT_ONCE:
            getattr(self, f"close_from_{next(self.kinds)}")()

    def close_all(self, *_):
        """Close every victim here and now."""
        self.closed += sum(victim.close() for victim in self.victims)
        self.asynctcp.delay(self.judge, 0.005)

    def judge(self):
        self.late += sum(victim.late() for victim in self.victims)
        self.batch()

    def close_from_timer(self):
        self.asynctcp.delay(self.close_all, 0.001)

    def close_from_read(self):
        self.asynctcp.tcp_connect(*self.server.address, self.close_once(), ignore, data=b"x")

    def close_from_write(self):
        self.asynctcp.tcp_connect(*self.server.address, None, ignore, write_cb=self.close_once(), data=b"x")

    def close_from_event(self):
        self.asynctcp.tcp_connect(LOOPBACK, 1, None, self.close_once())

    def close_once(self):
        """Return a callback that closes all victims, and its own socket, the first time."""

        def callback(first, *_):
            ours = getattr(first, "socket", first)
            if not ours.closed:
                ours.close()
                self.close_all()

        return callback

    def close_from_thread(self):
        """Close from 4 threads, a quarter each."""
        done = []

        def close(victims):
            done.append(sum(victim.close() for victim in victims))

        threads = [threading.Thread(target=close, args=(self.victims[part::4],)) for part in range(4)]
        for thread in threads:
            thread.start()

        def look():
            if len(done) == 4:
                timer.cancel()
                for thread in threads:
                    thread.join()
                self.closed += sum(done)
                self.judge()

        timer = self.asynctcp.interval(look, 0.002)


def closes(asynctcp, n):
    run = Closes(asynctcp, n)
    asynctcp.start_event_loop(run.start)
    yield none_of("closes: callbacks that began after close returned", run.closed, run.late)
    yield none_of("closes: fewer than wanted", n, max(0, n - run.closed))


def measure(_server, n):
    import asynctcp

    yield from scripted(asynctcp, n)
    yield from closes(asynctcp, 5 * n)


if __name__ == "__main__":
    main(measure, quick=1_000, full=10_000)
