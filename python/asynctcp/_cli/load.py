"""The load of ``bench``: clients that send a message, wait until it has come back, and send the next."""

import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import asynctcp

CONNECT_AT_ONCE = 64  # attempts at a time: the server's backlog is bounded
CONNECT_TIMEOUT = 10  # seconds
PATIENCE = 10  # seconds for the last answers
SHIFTS = 251  # a prime: so many different messages follow each other


@dataclass(slots=True)
class Tally:
    """What came of it."""

    opened: int = 0
    failed: int = 0  # connections that could not be made, were lost, or got a wrong answer
    first_failure: str = ""
    messages: int = 0
    seconds: float = 0.0  # from the first message to the last answer
    cpu: float = 0.0  # seconds of this process's CPU time in them
    microseconds: Counter[int] = field(default_factory=Counter)  # round trips by how long they took

    def percentile(self, share: float) -> int:
        """Return the microseconds in which ``share`` (0 to 1) of the answers came, 0 if there were none."""
        wanted = share * self.microseconds.total()
        for duration, count in sorted(self.microseconds.items()):
            wanted -= count
            if wanted <= 0:
                return duration
        return 0


class Client:
    """One connection, and the message that is on its way."""

    __slots__ = ("begun", "came", "message", "shift", "socket")

    def __init__(self, socket: asynctcp.Socket, shift: int) -> None:
        self.socket = socket
        self.shift = shift % SHIFTS
        self.message = b""
        self.came = 0  # how much of it has come back
        self.begun = 0.0


class Load:
    """The callbacks of all clients."""

    def __init__(self, port: int, connections: int, size: int, seconds: float) -> None:
        self.port = port
        self.connections = connections
        self.size = size
        self.seconds = max(seconds, 0.001)
        # Each message is a piece of it: what belongs to another connection or message is told by its bytes.
        self.pool = os.urandom(size + SHIFTS)
        self.clients: list[Client] = []
        self.tried = 0
        self.unsettled = connections  # neither made nor failed
        self.tally = Tally()
        self.begun = 0.0
        self.begun_cpu = 0.0
        self.ending = False

    def run(self, on_progress: Callable[[float, Tally], None]) -> Tally:
        """Do it all; ``on_progress(share of the time, figures so far)`` is called a few times a second."""
        with asynctcp.event_loop():
            asynctcp.interval(lambda: on_progress(self.share(), self.tally), 0.2).unref()
            for _ in range(min(CONNECT_AT_ONCE, self.connections)):
                self.connect()
        on_progress(1.0, self.tally)
        return self.tally

    def share(self) -> float:
        """Return how much of the time has gone, 0 to 1."""
        return min((time.perf_counter() - self.begun) / self.seconds, 1.0) if self.begun else 0.0

    def connect(self) -> None:
        """Open the next connection, if there is one to open."""
        if self.tried == self.connections:
            return
        self.tried += 1
        asynctcp.tcp_connect(
            "127.0.0.1",
            self.port,
            self.on_read,
            self.on_event,
            connect_cb=self.on_connect,
            read_timeout=CONNECT_TIMEOUT,
        )

    def on_connect(self, socket: asynctcp.Socket) -> None:
        """Go on with the next; all begin to send when all are there."""
        socket.set_timeouts(None, None)
        socket.data = Client(socket, self.tried)
        self.clients.append(socket.data)
        self.tally.opened += 1
        self.settle()

    def settle(self) -> None:
        """Begin, when each connection is made or has failed."""
        self.connect()
        self.unsettled -= 1
        if not self.unsettled:
            self.begun, self.begun_cpu = time.perf_counter(), time.process_time()
            asynctcp.delay(self.end, self.seconds).unref()
            for client in self.clients:
                if not client.socket.closed:
                    self.send(client)

    def send(self, client: Client) -> None:
        """Send the next message."""
        client.shift = shift = (client.shift + 1) % SHIFTS
        client.message = self.pool[shift : shift + self.size]
        client.came = 0
        client.begun = time.perf_counter()
        client.socket.write(client.message)

    def on_read(self, socket: asynctcp.Socket, data: bytes) -> None:
        """Compare what came with what was sent."""
        client: Client = socket.data
        if not client.message.startswith(data, client.came):
            self.fail("what came back is not what was sent")
            socket.close(force=True)
            return
        client.came += len(data)
        if client.came == self.size:
            now = time.perf_counter()
            self.count(now, now - client.begun)
            if self.ending:
                socket.close()
            else:
                self.send(client)

    def count(self, now: float, duration: float) -> None:
        """Write down an answer that came whole."""
        tally = self.tally
        tally.messages += 1
        tally.microseconds[int(duration * 1e6)] += 1
        tally.seconds = now - self.begun
        if self.ending:
            tally.cpu = time.process_time() - self.begun_cpu

    def on_event(self, condition: asynctcp.TcpInfo) -> None:
        """Note what happens to a connection: whatever it is, it is not as it should be."""
        reason = condition.errmsg if isinstance(condition, asynctcp.TcpError) else "the server ended it"
        self.fail(reason)
        if condition.socket is not None and condition.socket.data is None:  # it was never made
            self.settle()

    def fail(self, reason: str) -> None:
        """Write down a connection that failed."""
        self.tally.failed += 1
        self.tally.first_failure = self.tally.first_failure or reason

    def end(self) -> None:
        """Send nothing more; wait for the last answers, but not for ever."""
        self.ending = True
        asynctcp.delay(self.give_up, PATIENCE).unref()

    def give_up(self) -> None:
        """Count what got no answer."""
        for client in self.clients:
            if not client.socket.closed:
                self.fail(f"no answer within {PATIENCE} seconds")
        asynctcp.exit_event_loop()
