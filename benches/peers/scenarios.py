"""What is measured."""

from dataclasses import dataclass

#: As the tables have them.
TRANSPORTS = {"tcp": "TCP", "tls": "TLS 1.3", "unix": "Unix sockets"}


@dataclass(frozen=True)
class Scenario:
    """One load.

    ``command`` is loadgen's; with "answer" the subject is a client. ``pin``: "one" (subject and load
    share a CPU) or "two" (one each). ``work_us``: microseconds of Python that each request costs besides.
    ``beside``: a thread of the subject's process computes all the time. ``transport``: "tcp", "unix", or
    "tls" with a certificate of this ``key``; ``resume``: with sessions of earlier connections. Paced loads
    have a ``rate``, in requests a second, or a ``share`` of the baseline's highest.
    """

    name: str
    title: str
    command: str
    conns: int
    size: int = 64
    depth: int = 1
    unit: str = "requests/s"
    pin: str | None = None
    work_us: int = 0
    beside: bool = False
    transport: str = "tcp"
    key: str = "ec"
    resume: bool = False
    rate: float | None = None
    share: float | None = None
    quick: bool = False

    @property
    def named(self) -> str:
        """The title, where it stands among those of other transports."""
        return self.title if self.transport == "tcp" else f"{TRANSPORTS[self.transport]}: {self.title}"

    @property
    def is_client(self) -> bool:
        return self.command == "answer"

    @property
    def is_idle(self) -> bool:
        return self.command == "idle"

    @property
    def is_closed_loop(self) -> bool:
        """It is done as fast as the subject can: there is a rate to compare."""
        return not self.is_idle and not self.is_paced

    @property
    def is_paced(self) -> bool:
        return self.command == "paced"

    def load(self) -> list[str]:
        """Return loadgen's arguments, but those that only a run knows."""
        arguments = [self.command, "--conns", str(self.conns), "--size", str(self.size)]
        if self.depth > 1:
            arguments += ["--depth", str(self.depth)]
        if self.resume:
            arguments.append("--resume")
        return arguments


#: The highest rate of the baseline here is what shares refer to; it has to come before the paced ones.
REFERENCE = "100x1k"

#: The table.
MAIN = (
    Scenario("1x64-one", "1 connection, 64 B, one CPU", "pingpong", 1, pin="one", quick=True),
    Scenario("1x64-two", "1 connection, 64 B, two CPUs", "pingpong", 1, pin="two"),
    Scenario("100x1k", "100 connections, 1 KiB", "pingpong", 100, 1024, quick=True),
    Scenario("1000x64", "1,000 connections, 64 B", "pingpong", 1000),
    Scenario("pipe", "10 connections, 64 B, 16 in flight", "pingpong", 10, depth=16, quick=True),
    Scenario("10x64k", "10 connections, 64 KiB", "pingpong", 10, 65536, quick=True),
    Scenario("bulk", "4 connections, full duplex", "bulk", 4, unit="MB/s"),
    Scenario("connect", "connect, 64 B, close; 50 at a time", "connect", 50, unit="visits/s", quick=True),
    Scenario("client-1x64", "client, 1 connection, 64 B, one CPU", "answer", 1, pin="one"),
    Scenario("client-100x1k", "client, 100 connections, 1 KiB", "answer", 100, 1024, quick=True),
    Scenario("work-3", "100 connections, 1 KiB, 3 µs of Python", "pingpong", 100, 1024, work_us=3),
    Scenario(
        "work-20", "100 connections, 1 KiB, 20 µs of Python", "pingpong", 100, 1024, work_us=20, quick=True
    ),
    Scenario("beside", "100 connections, 1 KiB, beside a busy thread", "pingpong", 100, 1024, beside=True),
    Scenario(
        "open", "100 connections, 1 KiB, at 70 % of uvloop's rate", "paced", 100, 1024, share=0.7, quick=True
    ),
    Scenario("quiet", "50 connections, 50 messages/s in all", "paced", 50, rate=50),
    Scenario("idle", "10,000 idle connections", "idle", 10_000, unit="KiB each", quick=True),
)

#: The same over TLS 1.3, and over Unix sockets.
TLS = (
    Scenario("tls-1x64", "1 connection, 64 B, one CPU", "pingpong", 1, pin="one", transport="tls"),
    Scenario("tls-100x1k", "100 connections, 1 KiB", "pingpong", 100, 1024, transport="tls", quick=True),
    Scenario("tls-10x64k", "10 connections, 64 KiB", "pingpong", 10, 65536, transport="tls"),
    Scenario("tls-bulk", "4 connections, full duplex", "bulk", 4, unit="MB/s", transport="tls"),
    Scenario(
        "tls-connect-ec",
        "connect, 64 B, close; ECDSA P-256; 50 at a time",
        "connect",
        50,
        unit="visits/s",
        transport="tls",
        quick=True,
    ),
    Scenario(
        "tls-connect-rsa",
        "the same; RSA 2048",
        "connect",
        50,
        unit="visits/s",
        transport="tls",
        key="rsa",
    ),
    Scenario(
        "tls-connect-resumed",
        "the same; resumed",
        "connect",
        50,
        unit="visits/s",
        transport="tls",
        resume=True,
    ),
    Scenario("tls-idle", "2,000 idle connections, TLS", "idle", 2_000, unit="KiB each", transport="tls"),
)
UNIX = (
    Scenario("unix-1x64", "1 connection, 64 B, one CPU", "pingpong", 1, pin="one", transport="unix"),
    Scenario("unix-100x1k", "100 connections, 1 KiB", "pingpong", 100, 1024, transport="unix", quick=True),
    Scenario("unix-pipe", "10 connections, 64 B, 16 in flight", "pingpong", 10, depth=16, transport="unix"),
    Scenario("unix-10x64k", "10 connections, 64 KiB", "pingpong", 10, 65536, transport="unix"),
)

#: Further points of the plots.
SWEEPS = (
    Scenario("1x1k", "1 connection, 1 KiB", "pingpong", 1, 1024),
    Scenario("10x1k", "10 connections, 1 KiB", "pingpong", 10, 1024),
    Scenario("1000x1k", "1,000 connections, 1 KiB", "pingpong", 1000, 1024),
    Scenario("10x64", "10 connections, 64 B", "pingpong", 10, 64),
    Scenario("10x4k", "10 connections, 4 KiB", "pingpong", 10, 4096),
    Scenario("10x16k", "10 connections, 16 KiB", "pingpong", 10, 16384),
    Scenario("10x256k", "10 connections, 256 KiB", "pingpong", 10, 262144),
    Scenario("work-10", "100 connections, 1 KiB, 10 µs of Python", "pingpong", 100, 1024, work_us=10),
)

SCENARIOS = {scenario.name: scenario for scenario in (*MAIN, *SWEEPS, *TLS, *UNIX)}

#: x of a plot -> scenario.
BY_CONNECTIONS = {1: "1x1k", 10: "10x1k", 100: "100x1k", 1000: "1000x1k"}
BY_SIZE = {64: "10x64", 1024: "10x1k", 4096: "10x4k", 16384: "10x16k", 65536: "10x64k", 262144: "10x256k"}
BY_WORK = {0: "100x1k", 3: "work-3", 10: "work-10", 20: "work-20"}
