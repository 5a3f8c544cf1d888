"""A random mix of everything for a while: nothing is left over, and memory does not grow.

Connections from ourselves and from raw sockets; writes small and large, also from another thread; half
closes, resets, timeouts, reading and writing switched off and on, raising callbacks, garbage collections,
SIGALRM. n is in seconds.
"""

import contextlib
import ctypes
import gc
import itertools
import multiprocessing
import random
import signal
import socket
import statistics
import threading
import time
from pathlib import Path

from common import KIB, LOOPBACK, MIB, below, main, none_of, own_memory, reset, wait_until

import asynctcp
from asynctcp import TcpBufferDrained, TcpBufferFull, TcpEof

#: Connections of ours that are open at a time, and raw peers.
CONNECTIONS, RAW_PEERS = 60, 20
SIZES = (1, 100, 5_000, 70_000, 400_000)
#: Seconds between two samples of memory. What is on its way differs by megabytes from one to the next.
SAMPLE = 0.25

#: Gives the heap's free memory back to the system (glibc).
trim = getattr(ctypes.CDLL(None), "malloc_trim", id)


class Raised(Exception):
    """What callbacks raise now and then."""


class Life:
    """One connection of ours: what it does by and by, and a check of what it is told."""

    def __init__(self, soak):
        self.soak = soak
        self.over = False
        self.ours = None

    def begin(self, ours):
        """Act from now on."""
        self.ours = ours
        self.soak.began += 1
        self.soak.lives.add(self)
        self.later()

    def keywords(self):
        return {
            "event_cb": self.event,
            "write_cb": self.wrote,
            "allow_half_open": self.soak.dice.random() < 0.3,
            "read_timeout": self.soak.dice.choice((None, 0.05, 5)),
            "write_timeout": self.soak.dice.choice((None, 0.2, 5)),
        }

    def later(self):
        asynctcp.delay(self.act, self.soak.dice.expovariate(20))

    def lawful(self):
        self.soak.unlawful += self.over

    def read(self, ours, data):
        self.lawful()
        dice = self.soak.dice
        if dice.random() < 0.01:
            raise Raised
        if dice.random() < 0.3 and ours.write_buffer_size < MIB:
            safely(lambda _life, ours, _dice: ours.write(data))(self, ours, dice)

    def wrote(self, _ours):
        self.lawful()

    def event(self, condition):
        if isinstance(condition, (TcpBufferFull, TcpBufferDrained)):
            return
        self.lawful()
        # A half-open socket lives on after its peer's end, and may fail later.
        if isinstance(condition, TcpEof) and not condition.socket.closed:
            if self.soak.dice.random() < 0.5:
                self.close(force=False)
            return
        self.gone()

    def gone(self):
        self.over = True
        self.soak.lives.discard(self)

    def close(self, *, force):
        if not self.ours.closed:
            self.ours.close(force=force)
        self.gone()

    def act(self):
        if self.over:
            return
        if self.ours.closed:
            self.gone()
            return
        self.soak.dice.choice(ACTIONS)(self, self.ours, self.soak.dice)
        self.later()


def write(_life, ours, dice):
    if ours.write_buffer_size < 4 * MIB:
        ours.write(bytes(dice.choice(SIZES)))


def write_elsewhere(life, ours, _dice):
    life.soak.elsewhere.append(ours)


def switch(_life, ours, dice):
    dice.choice((ours.disable, ours.enable))(read=dice.random() < 0.5, write=dice.random() < 0.5)


def patience(_life, ours, dice):
    ours.set_timeouts(dice.choice((None, 0.02, 1)), dice.choice((None, 0.02, 1)))


def half_close(_life, ours, _dice):
    ours.shutdown_write()


def close(life, _ours, dice):
    life.close(force=dice.random() < 0.5)


def garbage(_life, _ours, dice):
    if dice.random() < 0.05:
        gc.collect()


def safely(action):
    """Let it raise what the docs say: the connection may have been broken or shut down since."""

    def act(life, ours, dice):
        try:
            action(life, ours, dice)
        except asynctcp.TcpError:
            life.soak.refused += 1

    return act


ACTIONS = [
    safely(action)
    for action in (write, write, write, write_elsewhere, switch, patience, half_close, close, garbage)
]


class RawPeers:
    """Raw sockets of another process, so that the memory of ours is the library's."""

    def __init__(self, address, over):
        self.address = address
        self.over = over

    def run(self):
        threads = [threading.Thread(target=self.one, args=(seed,)) for seed in range(RAW_PEERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def one(self, seed):
        """Connect, say something, and leave in one of several ways, again and again."""
        dice = random.Random(seed)
        while not self.over.is_set():
            with contextlib.suppress(OSError), socket.create_connection(self.address[:2], 1) as raw:
                self.talk(raw, dice)
                if dice.random() < 0.5:
                    reset(raw)
            self.over.wait(dice.random() * 0.05)

    def talk(self, raw, dice):
        """Say something, and perhaps listen or end the stream; who leaves in the middle is as welcome."""
        raw.settimeout(0.05)
        with contextlib.suppress(OSError):
            raw.sendall(bytes(dice.choice(SIZES)))
            if dice.random() < 0.5:
                raw.recv(64 * KIB)
            if dice.random() < 0.5:
                raw.shutdown(socket.SHUT_WR)
                raw.recv(64 * KIB)


class Soak:
    """The loop, its server, and the thread and the process beside it."""

    def __init__(self, seconds, seed):
        self.dice = random.Random(seed)
        self.seconds = seconds
        self.spawned = multiprocessing.get_context("spawn")
        self.over = self.spawned.Event()
        self.lives = set()
        self.elsewhere = []
        self.began = self.unlawful = self.refused = self.alarms = self.raised = 0
        self.samples = []

    def run(self):
        self.beside = []
        signal.signal(signal.SIGALRM, self.alarm)
        signal.setitimer(signal.ITIMER_REAL, 0.03, 0.03)
        try:
            asynctcp.start_event_loop(self.start, catch_app_errors=self.caught)
        finally:
            self.over.set()
            signal.setitimer(signal.ITIMER_REAL, 0)
            for each in self.beside:
                each.join()

    def alarm(self, *_):
        self.alarms += 1

    def caught(self, error):
        if not isinstance(error, Raised):
            raise error
        self.raised += 1

    def start(self):
        self.server = asynctcp.tcp_server(
            LOOPBACK, 0, self.served, self.served_end, connect_cb=self.welcome, allow_half_open=True
        )
        self.address = self.server.address
        raw_peers = RawPeers(self.address, self.over)
        self.beside = [
            threading.Thread(target=self.write_elsewhere),
            self.spawned.Process(target=raw_peers.run),
        ]
        for each in self.beside:
            each.start()
        self.began_at = time.monotonic()
        asynctcp.interval(self.refill, 0.02)
        asynctcp.interval(self.sample, SAMPLE)
        asynctcp.delay(self.end, self.seconds)

    def welcome(self, ours):
        life = Life(self)
        ours.data = life
        life.begin(ours)

    def served(self, ours, data):
        ours.data.read(ours, data)

    def served_end(self, condition):
        condition.socket.data.event(condition)

    def refill(self):
        while len(self.lives) < CONNECTIONS:
            life = Life(self)
            data = bytes(self.dice.choice(SIZES))
            life.begin(asynctcp.tcp_connect(*self.address, life.read, data=data, **life.keywords()))

    def sample(self):
        # Cycles that wait for their collection and what the heap keeps for later are no growth.
        gc.collect()
        trim(0)
        self.samples.append((time.monotonic() - self.began_at, own_memory()))

    def end(self):
        self.over.set()
        asynctcp.exit_event_loop()

    def write_elsewhere(self):
        """Write from a thread of its own."""
        while not self.over.wait(0.005):
            while self.elsewhere:
                try:
                    self.elsewhere.pop().write(bytes(1000))
                except asynctcp.TcpError:
                    self.refused += 1


def slope(samples):
    """Return by how many MiB a minute memory grows over the second half.

    The median over all pairs of samples (Theil and Sen): a heap grows in steps, and one of them is no slope.
    """
    half = samples[len(samples) // 2 :]
    pairs = itertools.combinations(half, 2)
    return 60 * statistics.median((later[1] - one[1]) / MIB / (later[0] - one[0]) for one, later in pairs)


def left_open():
    """Return the numbers of descriptors and threads of this process."""
    return tuple(sum(1 for _ in Path("/proc/self", what).iterdir()) for what in ("fd", "task"))


def measure(_server, n):
    Soak(min(n, 30), 0).run()  # what is opened once for good, and a heap that has found its size
    gc.collect()
    before = left_open()
    soak = Soak(n, 25)
    soak.run()
    gc.collect()
    wait_until(lambda: left_open() <= before, 5)
    descriptors, threads = (now - then for now, then in zip(left_open(), before, strict=True))
    happened = f"{soak.began:,} connections, {soak.raised:,} raised, {soak.alarms:,} alarms"
    yield none_of(f"soak of {n} s ({happened}): callbacks after the end", soak.began, soak.unlawful)
    yield none_of("soak: descriptors left", soak.began, descriptors)
    yield none_of("soak: threads left", soak.began, threads)
    # What is on its way at a time differs by megabytes, and hides the slope of a short run.
    if n >= 60:
        yield below("soak: memory's slope over the second half", n, slope(soak.samples), 1, " MiB/min")


if __name__ == "__main__":
    main(measure, quick=20, full=60, unit="seconds")
