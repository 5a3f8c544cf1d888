"""What the figures share: the command line, a server in a child, what a process uses, and the result line.

A figure is a script of this directory: ``measure(server, n)`` yields rows, and `main` does the rest.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import queue
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

HERE = Path(__file__).parent
LOOPBACK = "127.0.0.1"
KIB, MIB = 1 << 10, 1 << 20
#: Seconds after which anything that a figure waits for has failed.
DEADLINE = 30.0

OURS = "asynctcp"
#: What the table says where a server has nothing like it.
NOTHING = "\N{EN DASH}"
#: Our other face: asyncio's protocols on our loop.
OURS_AIO = "asynctcp-aio"
#: What shares one server file.
ASYNCIO_LIKE = (OURS_AIO, "asyncio", "uvloop", "rloop")
PEERS = (*ASYNCIO_LIKE, "gevent", "twisted")


# --- rows and the command line ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One line of the table. ``ok`` None: this server has nothing like it."""

    name: str
    n: int
    figure: str
    limit: str
    ok: bool | None
    server: str = OURS

    def __str__(self) -> str:
        ok = {True: "ok", False: "FAILS", None: NOTHING}[self.ok]
        return f"{self.name} | {self.n:,} | {self.figure} | {self.limit} | {ok}"


def below(name: str, n: int, value: float, limit: float, unit: str = "") -> Row:
    """Return the row of a figure that has to be smaller than ``limit``."""
    return Row(name, n, f"{value:.3g}{unit}", f"< {limit:g}{unit}", value < limit)


def none_of(name: str, n: int, count: int) -> Row:
    """Return the row of something that must not happen, not once in ``n``."""
    return Row(name, n, f"{count:,}", "0", count == 0)


def all_of(name: str, n: int, count: int) -> Row:
    """Return the row of something that has to happen each of ``n`` times."""
    return Row(name, n, f"{count:,} of {n:,}", "all", count == n)


def main(
    measure: Callable[[str, int], Iterable[Row]],
    *,
    quick: int,
    full: int,
    peers: Sequence[str] = (),
    unit: str | None = None,
) -> None:
    """Run a figure by the command line: print its rows, and exit with 1 if one falls short.

    ``quick`` and ``full`` are the two scales' ``n``; ``peers`` the servers it can be asked of, but ours;
    ``unit`` another name for ``--n``.
    """
    # A shell's background job ignores it, and so would the children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    script = sys.modules["__main__"]
    parser = argparse.ArgumentParser(
        description=script.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--server", default=OURS, choices=(OURS, *PEERS), help="whom to measure (%(default)s)"
    )
    parser.add_argument(
        "--scale", default="full", choices=("quick", "full"), help=f"n = {quick:,} or {full:,}"
    )
    names = ["--n", f"--{unit}"] if unit else ["--n"]
    parser.add_argument(*names, dest="n", type=int, help="another n")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="append the rows to FILE, a JSON object a line"
    )
    options = parser.parse_args()
    n = options.n or (quick if options.scale == "quick" else full)
    if options.server != OURS and options.server not in peers:
        rows: Iterable[Row] = [Row(Path(sys.argv[0]).stem, n, NOTHING, NOTHING, None)]
    else:
        rows = measure(options.server, n)
    short = False
    for row in rows:
        short |= row.ok is False
        print(row, flush=True)
        if options.json:
            with options.json.open("a") as file:
                print(json.dumps({**asdict(row), "server": options.server}), file=file)
    sys.exit(short)


# --- servers in a child process -----------------------------------------------------------------------------


class Server:
    """A server of ``servers/`` in a child process, which does what ``behaviour`` names.

    It writes JSON objects, a line each: first its port, then what the behaviour has to tell (`report`).
    """

    def __init__(
        self, server: str, behaviour: str, *arguments: object, environment: dict[str, str] | None = None
    ):
        family = "asyncio" if server in ASYNCIO_LIKE else server
        script = HERE / "servers" / f"on_{family}.py"
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by __exit__)
        self.process = psutil.Popen(
            [sys.executable, script, server, behaviour, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        self._reports: queue.SimpleQueue[dict[str, object]] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()
        try:
            self.port = int(str(self.report()["port"]))
        except queue.Empty:
            log = self.log()
            self.__exit__()
            raise RuntimeError(f"{server} does not start: {log[-2000:]}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.process.children(recursive=True) if self.process.is_running() else []:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        with contextlib.suppress(psutil.NoSuchProcess):
            self.process.kill()
        self.process.wait()
        self._log.close()

    def _read(self) -> None:
        for line in self.process.stdout:
            self._reports.put(json.loads(line))

    def report(self, timeout: float = DEADLINE) -> dict[str, object]:
        """Return the next thing that the server tells. Raises ``queue.Empty`` when it tells nothing."""
        return self._reports.get(timeout=timeout)

    def reports(self, count: int, timeout: float = DEADLINE) -> list[dict[str, object]]:
        """Return up to ``count`` of them, as many as come within ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        found = []
        with contextlib.suppress(queue.Empty):
            while len(found) < count:
                found.append(self.report(max(0, deadline - time.monotonic())))
        return found

    def log(self) -> str:
        """Return what it wrote to standard error."""
        self._log.seek(0)
        return self._log.read()

    def log_size(self) -> int:
        """Return how many bytes that is."""
        return os.fstat(self._log.fileno()).st_size

    def connect(self, timeout: float = DEADLINE) -> socket.socket:
        """Return a blocking connection to it."""
        return socket.create_connection((LOOPBACK, self.port), timeout)

    def memory(self) -> int:
        """Return its resident memory now, in bytes."""
        return int(self.process.memory_info().rss)

    def descriptors(self) -> int:
        return int(self.process.num_fds())

    def threads(self) -> int:
        return int(self.process.num_threads())

    def cpu(self) -> float:
        """Return the seconds of CPU that it has taken, user and system."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def allow_files(self, count: int) -> None:
        """Set its limit of open descriptors."""
        self.process.rlimit(psutil.RLIMIT_NOFILE, (count, self.process.rlimit(psutil.RLIMIT_NOFILE)[1]))


class Peak:
    """The most memory that a server has while the block runs, beyond what it had before, in bytes."""

    def __init__(self, memory: Callable[[], int]):
        self._memory = memory
        self._over = threading.Event()

    def __enter__(self) -> Self:
        self.before = self.highest = self._memory()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.005):
            self.highest = max(self.highest, self._memory())

    @property
    def growth(self) -> int:
        return self.highest - self.before


# --- small things -------------------------------------------------------------------------------------------


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that ``percent`` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def wait_until(condition: Callable[[], object], timeout: float = DEADLINE, step: float = 0.002) -> bool:
    """Wait until ``condition()`` holds; return whether it did within ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(step)
    return True


def reset(raw: socket.socket) -> None:
    """Close with an RST."""
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()


def own_memory() -> int:
    """Return this process's resident memory, in bytes."""
    return int(psutil.Process().memory_info().rss)


def noise(size: int, seed: int = 0) -> bytes:
    """Return bytes that are the same in each run."""
    return random.Random(seed).randbytes(size)


def allow_many_files() -> None:
    """Raise this process's limit of open descriptors as far as it goes; servers inherit it."""
    me = psutil.Process()
    hard = me.rlimit(psutil.RLIMIT_NOFILE)[1]
    me.rlimit(psutil.RLIMIT_NOFILE, (hard, hard))


class Certified:
    """A certificate for loopback, in a file while the block runs."""

    def __init__(self) -> None:
        import trustme

        ca = trustme.CA()
        self._pem = ca.issue_cert("localhost", LOOPBACK).private_key_and_cert_chain_pem
        #: Of who issued it.
        self.trusted = ca.cert_pem.bytes().decode()
        self._opened = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self.environment = {"CERTIFICATE": self._opened.enter_context(self._pem.tempfile())}
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()


STUCK_RESOLVER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>
/* As by a name server that is down: names that begin with "stuck" are answered after a minute. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **result) {
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (node && strncmp(node, "stuck", 5) == 0) { sleep(60); return EAI_AGAIN; }
    return real(node, service, hints, result);
}
"""


def stuck_resolver(directory: str) -> dict[str, str]:
    """Return an environment in which looking up a name that begins with "stuck" takes a minute. Needs cc."""
    source, library = Path(directory, "stuck.c"), Path(directory, "stuck.so")
    source.write_text(STUCK_RESOLVER)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return {"LD_PRELOAD": str(library)}
