"""What a loop in debug mode tells: callbacks that hold it, and what was left open, with where it was made.

Nothing here is imported or runs otherwise. ``docs/how-to/debugging.md`` is the user's page of it.
"""

import sys
import threading
import time
import traceback
import warnings
import weakref
from typing import TYPE_CHECKING

from asynctcp._core import Socket, TcpServer
from asynctcp._handlers import logger

if TYPE_CHECKING:
    from asynctcp._loop import EventLoop

#: Seconds that a callback may take before it is warned of.
SLOW = 0.1
#: Looks at the loop in that time: a warning comes at most one of them late.
_LOOKS = 4

#: Where what is still there was made.
_origins: "weakref.WeakKeyDictionary[Socket | TcpServer, str]" = weakref.WeakKeyDictionary()


def remember(made: Socket | TcpServer) -> None:
    """Keep the stack of the call that made it. The native side calls this, in debug mode only."""
    _origins[made] = "".join(traceback.format_stack(sys._getframe(1)))


def warn_of_open(loop: "EventLoop") -> None:
    """Issue a ``ResourceWarning`` for each socket and server that is open now, when the loop is ended."""
    for left in loop._open_objects():
        # A closed server is there until its accept loop has ended.
        if left.closed:
            continue
        warnings.warn(f"unclosed {left!r}{_origin(left)}", ResourceWarning, stacklevel=1, source=left)


def _origin(left: Socket | TcpServer) -> str:
    server = left.server if isinstance(left, Socket) else None
    stack = _origins.get(left if server is None else server)
    if stack is None:
        # The garbage collector has found the loop, and has cleared what is weak first.
        return ""
    made = "made" if server is None else f"accepted by {server!r}, made"
    return f", {made} at (most recent call last):\n{stack}"


class Watchdog:
    """A thread that looks whether one callback holds the loop, and logs its stack while it does.

    It sees the loop's beat: a number that changes when a callback begins and when it ends, odd in between.
    """

    def __init__(self, loop: "EventLoop") -> None:
        # A loop that is pumped and forgotten must be found by its finalizer.
        self._loop = weakref.ref(loop)
        threading.Thread(target=self._run, name="asynctcp-watchdog", daemon=True).start()

    def _run(self) -> None:
        seen, since, warned = 0, time.monotonic(), False
        while True:
            time.sleep(SLOW / _LOOKS)
            loop = self._loop()
            if loop is None or loop._has_ended():
                return
            beat, now = loop._beat(), time.monotonic()
            if beat != seen:
                seen, since, warned = beat, now, False
            elif beat % 2 and not warned and now - since >= SLOW:
                warned = True
                self._warn(loop, now - since)
            # Not kept while this thread sleeps.
            del loop

    def _warn(self, loop: "EventLoop", seconds: float) -> None:
        frame = sys._current_frames().get(loop._thread)
        stack = "".join(traceback.format_stack(frame)) if frame is not None else "  (no Python code)\n"
        del frame
        logger.warning(
            "a callback holds the event loop for %.0f ms, at (most recent call last):\n%s",
            seconds * 1000,
            stack,
        )
