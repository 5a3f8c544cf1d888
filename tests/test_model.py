"""The law of callbacks, by a state machine that acts on both ends of a connection and checks what is told.

Hypothesis invents the actions: ours (write, close, disable and enable, half close) and the peer's (send, end,
reset).
They are the same ones each time, unless ``ASYNCTCP_MODEL_RUNS`` sets how many sequences it tries.
"""

from __future__ import annotations

import os
import socket

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import asynctcp
from asynctcp import EventLoop, EventLoopError, TcpEof, TcpError, tcp_connect
from helpers import LOOPBACK, reset, wait_until

RUNS = int(os.environ.get("ASYNCTCP_MODEL_RUNS", "25"))
#: Turns in which what has happened on loopback is surely told.
SETTLE = 3


class Connection(RuleBasedStateMachine):
    """One connection, what was done to it, and what it told."""

    def __init__(self):
        super().__init__()
        self.told = []
        self.wanted = bytearray()  # what the peer sent
        self.received = bytearray()  # what read_cb was given
        self.written = bytearray()  # what was given to write
        self.arrived = bytearray()  # what the peer got
        self.owed = False  # a write_cb is due
        self.writes = self.flushes = 0
        self.closed_by_us = self.aborted = self.failed = False
        self.peer_ended = self.peer_reset = self.shut = False
        self.over = False  # the loop was ended
        self.vague = False  # the peer may have been done before it reset
        # What may be done next must not depend on what the system said, or no sequence could be repeated.
        self.peer_left = self.peer_gone = False
        self.reading = self.writing = True
        self.late = 0

    @initialize(half_open=st.booleans())
    def connect(self, half_open):
        """Make a loop that we drive, and the connection."""
        self.half_open = half_open
        self.loop = EventLoop()
        self.listener = socket.create_server((LOOPBACK, 0))
        self.loop.call_soon_threadsafe(self._begin)
        self.loop.pump()
        self.peer = self.listener.accept()[0]
        self.peer.setblocking(False)
        self._until(lambda: "connect" in self.told)

    def _begin(self):
        self.ours = tcp_connect(
            *self.listener.getsockname(),
            self._read,
            self._event,
            connect_cb=lambda _: self._tell("connect"),
            write_cb=self._flushed,
            allow_half_open=self.half_open,
            close_cb=self._closed,
        )

    # --- what is told ---------------------------------------------------------------------------------------

    def _tell(self, what):
        self.late += self.closed_by_us or self.failed or "closed" in self.told
        self.told.append(what)

    def _read(self, _ours, data):
        self._tell("read")
        assert self.reading, "read_cb while reading is disabled"
        assert "eof" not in self.told, "data after the end of the stream"
        self.received += data
        assert self.wanted.startswith(self.received), "other bytes than were sent"

    def _flushed(self, _ours):
        self._tell("write")
        self.flushes += 1
        assert self.flushes <= self.writes, "more write_cb than writes"
        assert self.writing, "write_cb while writing is disabled"
        self.owed = False

    def _event(self, condition):
        if isinstance(condition, TcpEof):
            self._tell("eof")
            assert self.peer_ended
            assert self.reading
            assert self.received == self.wanted, "the end before the data"
            self.failed = not self.half_open
        else:
            self._tell("error")
            assert isinstance(condition, TcpError)
            assert self.peer_reset or self.peer_ended, f"out of nothing: {condition}"
            self.failed = True
        assert condition.socket is self.ours

    def _closed(self, ours, reason):
        assert ours is self.ours
        assert ours.closed
        self.told.append("closed")
        if self.closed_by_us:
            assert reason is None or self.failed
        elif self.over:
            assert isinstance(reason, EventLoopError)
        else:
            assert isinstance(reason, TcpEof if self.told[-2] == "eof" else TcpError)

    # --- turns ----------------------------------------------------------------------------------------------

    def _turn(self):
        self.loop.pump(0.001)
        try:
            while piece := self.peer.recv(1 << 20):
                self.arrived += piece
        except (BlockingIOError, ConnectionError, OSError):
            pass
        assert self.written.startswith(self.arrived), "other bytes than were written"

    def _until(self, condition):
        def look():
            self._turn()
            return condition()

        wait_until(look)

    @rule()
    def some_turns(self):
        for _ in range(SETTLE):
            self._turn()

    # --- what we do -----------------------------------------------------------------------------------------

    def _act(self, action, *arguments, **keywords):
        """Do it; return whether the socket let us."""
        over = self.ours.closed
        try:
            getattr(self.ours, action)(*arguments, **keywords)
        except asynctcp.SocketClosed:
            assert over, "open, and yet it said closed"
            return False
        assert not over, f"{action} of a closed socket"
        return True

    @rule(size=st.sampled_from([0, 1, 1000, 100_000, 1_000_000]))
    def write(self, size):
        data = os.urandom(min(size, 16)) * (size // 16 + 1) if size else b""
        data = data[:size]
        try:
            accepted = self._act("write", data)
        except asynctcp.TcpBrokenPipe:
            assert self.shut or self.peer_reset or self.peer_ended
            return
        if accepted:
            self.written += data
            self.writes += 1
            self.owed = True

    @rule(force=st.booleans())
    def close(self, force):
        over = self.ours.closed
        self.ours.close(force=force)
        if not over:
            self.closed_by_us, self.aborted = True, force

    @rule(on=st.booleans())
    def switch_reading(self, on):
        if self._act("enable" if on else "disable", read=True):
            self.reading = on

    @rule(on=st.booleans())
    def switch_writing(self, on):
        if self._act("enable" if on else "disable", write=True):
            self.writing = on

    @rule()
    def half_close(self):
        if self._act("shutdown_write"):
            self.shut = True

    # --- what the peer does ---------------------------------------------------------------------------------

    @precondition(lambda self: not self.peer_left)
    @rule(size=st.sampled_from([1, 1000, 50_000]))
    def peer_sends(self, size):
        data = os.urandom(size)
        try:
            sent = self.peer.send(data)
        except (BlockingIOError, ConnectionError):
            return
        self.wanted += data[:sent]

    @precondition(lambda self: not self.peer_left)
    @rule()
    def peer_ends(self):
        self.peer_left = True
        try:
            self.peer.shutdown(socket.SHUT_WR)
        except OSError:
            return
        self.peer_ended = True

    @precondition(lambda self: not self.peer_gone)
    @rule()
    def peer_resets(self):
        reset(self.peer)
        # Where both ends of the stream have arrived, there is no connection left that could be reset.
        self.vague = self.peer_ended and self.shut
        self.peer_reset = self.peer_left = self.peer_gone = True

    # --- the law --------------------------------------------------------------------------------------------

    @invariant()
    def law_holds(self):
        if "connect" not in self.told:
            return
        assert self.late == 0, f"told after the end: {self.told}"
        assert self.told.index("connect") == 0
        assert self.told.count("eof") <= 1
        assert self.told.count("error") <= 1
        if self.told.count("error"):
            assert self.told[-1] == "error" or self.told[-2:] == ["error", "closed"]
        assert self.told.count("closed") <= 1

    def teardown(self):
        if not hasattr(self, "ours"):
            return
        try:
            self._end()
        finally:
            self.peer.close()
            self.listener.close()
            self.over = True
            self.loop.exit()
            # The machine may be kept, and the loop keeps its descriptor as long as it is kept.
            del self.loop, self.ours

    def _end(self):
        """Let everything flow, and look whether all of it has arrived, or an end was told."""
        if not self.ours.closed:
            self.reading = self.writing = True
            self.ours.enable(read=True, write=True)
            if self.vague:
                self.some_turns()
            elif self.peer_reset or (self.peer_ended and not self.half_open):
                self._until(lambda: self.failed)
            else:
                self._until(lambda: self.received == self.wanted and not self.owed)
                if self.peer_ended:
                    self._until(lambda: "eof" in self.told)
        graceful = not (self.aborted or self.peer_reset or "error" in self.told)
        if graceful:
            self._until(lambda: self.arrived == self.written)
        if self.ours.closed:
            self._until(lambda: "closed" in self.told)
        self.law_holds()


Connection.TestCase.settings = settings(
    max_examples=RUNS,
    stateful_step_count=50,
    deadline=None,
    derandomize="ASYNCTCP_MODEL_RUNS" not in os.environ,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
TestConnection = Connection.TestCase
