"""Who is measured: how its server and its client are started, and how it is drawn."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
#: Where `make bench` has built the load and the raw limits.
BUILT = HERE.parents[1] / "target" / "loadgen" / "release"
LOADGEN = BUILT / "loadgen"

OURS = "asynctcp"
#: The same sockets below asyncio's interface.
AIO = "asynctcp.aio"
BASELINE = "uvloop"

#: glibc told not to give freed memory back, which asynctcp does by itself. Loops that allocate 256 KiB for
#: each read cost up to three times as much where the heap's top happens to be given back each time: that is
#: a matter of what else was imported, and nothing to compare with. Over TLS that goes for all that use
#: Python's ssl, so there everybody gets it.
KEEP_HEAP = {"MALLOC_TRIM_THRESHOLD_": "67108864", "MALLOC_MMAP_THRESHOLD_": "33554432"}


@dataclass(frozen=True)
class Place:
    """Where a server listens: a free port, with TLS if it has a ``pem``, or a Unix socket's ``path``."""

    path: str | None = None
    pem: str | None = None

    @property
    def transport(self) -> str:
        return "unix" if self.path else "tls" if self.pem else "tcp"

    def options(self) -> list[str]:
        """Return a server's."""
        path = ["--path", self.path] if self.path else []
        return [*path, *(["--pem", self.pem] if self.pem else [])]

    def load(self, said: str) -> list[str]:
        """Return loadgen's, where the server ``said`` that it listens."""
        where = ["--path", self.path] if self.path else ["--port", said]
        return [*where, *(["--certificate", self.pem] if self.pem else [])]


@dataclass(frozen=True)
class Subject:
    """``script``: its file in servers/ and clients/; else ``server`` and ``client`` are whole commands."""

    name: str
    colour: str
    script: str | None = None
    arguments: tuple[str, ...] = ()
    server: tuple[str, ...] | None = None
    client: tuple[str, ...] | None = None
    environment: dict[str, str] = field(default_factory=dict)
    server_only: bool = False
    transports: tuple[str, ...] = ("tcp",)

    @property
    def is_limit(self) -> bool:
        """No Python: what no library can beat by much."""
        return self.script is None

    def environment_of(self, place: Place) -> dict[str, str]:
        """Return what its server's environment has besides."""
        return {**self.environment, **(KEEP_HEAP if place.transport == "tls" else {})}

    def server_command(self, rounds: int, place: Place, *, beside: bool) -> list[str] | None:
        """``rounds`` of Python work for each request; None: it has no such server."""
        if place.transport not in self.transports:
            return None
        if self.script is None:
            path = [place.path] if place.path else []
            return None if rounds or beside or self.server is None else [*self.server, *path]
        options = ["--work", str(rounds), *(["--beside"] if beside else []), *place.options()]
        return [sys.executable, str(HERE / "servers" / self.script), *self.arguments, *options]

    def client_command(self, port: int, conns: int, size: int) -> list[str] | None:
        """None: it has no client."""
        options = ["--port", str(port), "--conns", str(conns), "--size", str(size)]
        if self.script is None:
            return None if self.client is None else [*self.client, *options]
        if self.server_only or "tcp" not in self.transports:
            return None
        return [sys.executable, str(HERE / "clients" / self.script), *self.arguments, *options]


EVERYWHERE = ("tcp", "unix", "tls")


def asyncio_like(
    loop: str,
    colour: str,
    *,
    suffix: str = "",
    keep_heap: bool,
    transports: tuple[str, ...] = EVERYWHERE,
) -> Subject:
    environment = KEEP_HEAP if keep_heap else {}
    return Subject(
        loop + suffix,
        colour,
        "on_asyncio.py",
        ("--loop", loop),
        environment=environment,
        transports=transports,
    )


def varied(suffix: str, colour: str, *arguments: str) -> Subject:
    """Our server with an option of the loop."""
    return Subject(f"{OURS}-{suffix}", colour, "on_asynctcp.py", arguments, server_only=True)


#: As long as nobody ends it: the measured window is the answering side's.
ENDLESS = ("--seconds", "3600")

SUBJECTS = {
    subject.name: subject
    for subject in (
        Subject(OURS, "#d62728", "on_asynctcp.py", transports=EVERYWHERE),
        asyncio_like(AIO, "#ff7f0e", keep_heap=False),
        asyncio_like("uvloop", "#1f77b4", keep_heap=False),
        asyncio_like("aiofastnet", "#bcbd22", keep_heap=False, transports=("tls",)),
        asyncio_like("rloop", "#17a2b8", keep_heap=True, transports=("tcp",)),
        asyncio_like("asyncio", "#2ca02c", keep_heap=True),
        Subject("gevent", "#9467bd", "on_gevent.py"),
        Subject("twisted", "#8c564b", "on_twisted.py"),
        Subject(
            "epoll",
            "#000000",
            server=(str(BUILT / "epoll_echo"),),
            client=(str(LOADGEN), "pingpong", *ENDLESS),
            transports=("tcp", "unix"),
        ),
        Subject("tokio", "#7f7f7f", server=(str(BUILT / "tokio_echo"),)),
    )
}
#: Measured when asked for.
VARIANTS = {
    subject.name: subject
    for subject in (
        varied("io1", "#ff9896", "--io-threads", "1"),
        varied("io2", "#e377c2", "--io-threads", "2"),
        varied("spin", "#f7b6d2", "--spin", "100"),
        asyncio_like("uvloop", "#aec7e8", suffix="-keepheap", keep_heap=True),
        asyncio_like("rloop", "#9edae5", suffix="-plain", keep_heap=False),
        asyncio_like("asyncio", "#98df8a", suffix="-plain", keep_heap=False),
    )
}
ALL = {**SUBJECTS, **VARIANTS}
