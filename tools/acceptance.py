#!/usr/bin/env python3
"""Run the examples at full size against real peers, print figures, and end with 1 if one falls short.

    .venv/bin/python tools/acceptance.py                 all runs, some four minutes on two cores
    .venv/bin/python tools/acceptance.py wrk redis       some of them
    .venv/bin/python tools/acceptance.py --list

It needs wrk, redis, nginx and curl, and runs with the interpreter that asynctcp is installed for. All peers
are started here, on free ports of 127.0.0.1 and in a temporary directory, and ended again.
"""

import argparse
import os
import platform
import random
import resource
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import asynctcp

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import peers

MIB = peers.MIB
GIB = 1 << 30
LARGEST_ECHO = 64 * 1024


class Shortfall(Exception):
    """A figure is not what it has to be."""


def check(ok, text):
    """Print a figure, or end the run with it."""
    if not ok:
        raise Shortfall(text)
    print(f"    {text}", flush=True)


def require(programs):
    """End the run if one is not installed."""
    if missing := [program for program in programs if peers.find(program) is None]:
        raise Shortfall(f"not installed: {', '.join(missing)}")


def run_wrk():
    """Http_hello answers 100,000 requests over 100 connections, all of them right."""
    with peers.Example("http_hello") as server:
        url = "http://{}:{}/".format(*server.address)
        requests = 0
        while requests < 100_000:
            count, errors, speed = peers.wrk(url, 100, 5)
            check(not errors and count, f"{count} requests, {errors} errors, {speed:.0f} a second")
            requests += count


def run_redis():
    """Redis-benchmark -n 100000 -c 50 -P 16 goes through the proxy without an error."""
    with ExitStack() as stack:
        address = stack.enter_context(peers.redis(stack.enter_context(tempfile.TemporaryDirectory())))
        with peers.Example("simple_proxy", *map(str, address)) as proxy:
            tests = "ping_mbulk,set,get,incr,lpush,rpop,sadd,hset,zadd,lrange_100,mset"
            speeds = peers.redis_benchmark(proxy.address, 100_000, tests, timeout=300)
            commands, errors = peers.redis_counts(address)
            for test, speed in speeds.items():
                check(speed > 0, f"{speed:9.0f} a second  {test}")
            enough = commands >= 100_000 * len(speeds)
            check(enough and not errors, f"{commands} commands reached redis, {errors} errors")


def fetch(*options):
    with tempfile.TemporaryDirectory() as directory:
        expected = peers.make_file(Path(directory, "file"), GIB)
        with peers.nginx(directory) as address, peers.Example("simple_proxy", *map(str, address)) as proxy:
            url = "http://{}:{}/file".format(*proxy.address)
            begun = time.monotonic()
            got = peers.hash_of(url, *options, timeout=300)
            seconds = time.monotonic() - begun
            check(got == expected, f"1 GiB with the right SHA-256 in {seconds:.1f} s")
            peak = proxy.memory() / MIB
            check(peak < 64, f"peak memory of the proxy {peak:.1f} MiB, to be under 64")


def run_file():
    """1 GiB from nginx to curl through the proxy, as fast as it goes."""
    fetch()


def run_slow_file():
    """1 GiB from nginx through the proxy to a curl that takes 20 MiB a second."""
    fetch("--limit-rate", "20M")


class Client:
    """One connection of `run_connections`: sends a random piece, checks what comes back, sends the next."""

    block = random.Random(0).randbytes(MIB)

    def __init__(self, seed, echoes):
        self.random = random.Random(seed)
        self.left = echoes
        self.at = self.end = 0

    def send(self, socket):
        size = self.random.randint(1, LARGEST_ECHO)
        self.at = self.random.randrange(MIB - size)
        self.end = self.at + size
        self.left -= 1
        socket.write(self.block[self.at : self.end])

    def receive(self, socket, data):
        """Check what came; return whether that was all of the last echo."""
        if self.at + len(data) > self.end or not self.block.startswith(data, self.at):
            raise Shortfall(f"{len(data)} wrong bytes came back, {self.left} echoes from the end")
        self.at += len(data)
        if self.at == self.end:
            if not self.left:
                return True
            self.send(socket)
        return False


class Crowd:
    """All clients: connect, wait for one another, echo, wait for one another, close."""

    def __init__(self, address, size, echoes):
        self.address, self.size, self.echoes = address, size, echoes
        self.sockets = []
        self.done = 0
        self.most = 0  # what the server has open at the peak

    def start(self):
        asynctcp.delay(self.expire, 600).unref()
        for _ in range(min(200, self.size)):  # so many handshakes at a time
            self.connect_one()

    def connect_one(self):
        asynctcp.tcp_connect(*self.address, self.on_read, self.on_event, connect_cb=self.on_connect)

    def on_connect(self, socket):
        socket.data = Client(len(self.sockets), self.echoes)
        self.sockets.append(socket)
        if len(self.sockets) + 200 <= self.size:
            self.connect_one()
        if len(self.sockets) == self.size:
            self.begun = time.monotonic()
            for each in self.sockets:
                each.data.send(each)

    def on_read(self, socket, data):
        if socket.data.receive(socket, data):
            self.done += 1
            if self.done == self.size:
                self.seconds = time.monotonic() - self.begun
                self.at_peak()
                for each in self.sockets:
                    each.close()

    def at_peak(self):
        """Run while all are connected."""

    def on_event(self, condition):
        raise Shortfall(f"a client got {type(condition).__name__}: {condition}")

    def expire(self):
        raise Shortfall(f"after 600 s {len(self.sockets)} are connected and {self.done} are done")


def raise_limit(wanted):
    """Allow as many open files as there may be; return how many connections that is enough for."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted + 100 if hard == resource.RLIM_INFINITY else min(hard, wanted + 100)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return min(wanted, limit - 100)


def run_connections(size=5000, echoes=100):
    """5,000 connections at once, each with 100 echoes of 1 byte to 64 KiB, and nothing left afterwards."""
    possible = raise_limit(size)
    if possible < size:
        print(f"    the hard limit of open files leaves room for {possible} connections of {size}")
    with peers.Example("echo_server") as server:
        before = server.descriptors(), server.threads()
        crowd = Crowd(server.address, possible, echoes)
        crowd.at_peak = lambda: check(
            server.descriptors() >= before[0] + possible,
            f"{server.descriptors()} descriptors open in the server",
        )
        asynctcp.start_event_loop(crowd.start)
        sent = sum(socket.bytes_written for socket in crowd.sockets)
        received = sum(socket.bytes_read for socket in crowd.sockets)
        check(
            sent == received, f"{possible} connections, {possible * echoes} echoes, {sent} bytes, all right"
        )
        rate, speed = possible * echoes / crowd.seconds, sent / MIB / crowd.seconds
        check(
            True,
            f"{crowd.seconds:.1f} s, {rate:.0f} echoes, {speed:.0f} MiB a second",
        )
        deadline = time.monotonic() + 10
        while (server.descriptors(), server.threads()) != before and time.monotonic() < deadline:
            time.sleep(0.01)
        after = server.descriptors(), server.threads()
        check(
            after == before,
            "server's descriptors and threads before {}, {}; after {}, {}".format(*before, *after),
        )
        check(
            True,
            f"server's memory: peak {server.memory() / MIB:.0f} MiB, now {server.memory('VmRSS') / MIB:.0f}",
        )
        check(server.interrupt() == 0, "the server ends with status 0")


RUNS = {
    "wrk": (run_wrk, ["wrk"]),
    "redis": (run_redis, ["redis-server", "redis-benchmark"]),
    "file": (run_file, ["nginx", "curl"]),
    "slow-file": (run_slow_file, ["nginx", "curl"]),
    "connections": (run_connections, []),
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="*", metavar="run", help="names of runs; none: all")
    parser.add_argument("--list", action="store_true", help="list the runs")
    options = parser.parse_args()
    if options.list:
        print("\n".join(f"{name:12} {function.__doc__}" for name, (function, _) in RUNS.items()))
        return 0
    if unknown := set(options.runs) - set(RUNS):
        parser.error(f"no such run: {', '.join(sorted(unknown))}")
    print(f"asynctcp {asynctcp.__version__}, Python {platform.python_version()}, {os.cpu_count()} cores")
    failed = []
    for name in options.runs or RUNS:
        function, programs = RUNS[name]
        print(f"{name}: {function.__doc__}", flush=True)
        try:
            require(programs)
            function()
        except (Shortfall, AssertionError) as error:
            print(f"    FAILED: {error}", flush=True)
            failed.append(name)
    print(f"failed: {', '.join(failed)}" if failed else "all well")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
