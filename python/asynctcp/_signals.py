"""Signal handlers that run in the loop, between callbacks."""

import signal
import threading
from types import FrameType
from typing import Any

from asynctcp._core import _check_callback
from asynctcp._loop import EventLoop, current_event_loop
from asynctcp.conditions import EventLoopError
from asynctcp.typing import EventCallback, SignalCallback


class SignalHandlers:
    """The signal handlers of one loop, and what they replaced."""

    def __init__(self, loop: EventLoop) -> None:
        self._loop = loop
        self._previous: dict[int, Any] = {}

    def set(
        self,
        signum: int,
        callback: SignalCallback,
        event_cb: EventCallback | None,
    ) -> None:
        """Handle ``signum`` in the loop; an earlier handler of the loop for it is replaced."""

        def arrived(number: int, _frame: FrameType | None) -> None:
            # Runs between two instructions of whatever the main thread does: the loop calls the app later.
            self._loop._post(callback, event_cb, number)

        previous = signal.signal(signum, arrived)
        if signum not in self._previous:
            self._previous[signum] = previous
            self._loop._hold(True)

    def free(self, signum: int) -> None:
        """Put the handler of before back; nothing to do if there is none of the loop's."""
        if signum not in self._previous:
            return
        previous = self._previous.pop(signum)
        # None: it was not set from Python and cannot be put back.
        signal.signal(signum, signal.SIG_DFL if previous is None else previous)
        self._loop._hold(False)

    def clear(self) -> None:
        """Free all."""
        for signum in list(self._previous):
            self.free(signum)


def signal_handler(signum: int, callback: SignalCallback, *, event_cb: EventCallback | None = None) -> None:
    """Run ``callback(signum)`` in the loop each time the signal arrives, until it is freed or the loop ends.

    Args:
        signum: a signal's number, ``signal.SIGTERM`` for one.
        callback: runs between other callbacks, never inside one.
        event_cb: where an exception of the callback goes with ``catch_app_errors=True``.

    The handler keeps the loop alive; the one of before is put back afterwards. Both callbacks run in the
    loop's thread. Raises ``EventLoopError`` without a loop and outside of the main thread, ``TypeError``,
    ``ValueError`` and ``OSError`` as ``signal.signal``. cl-async: ``signal-handler``.
    """
    _check_callback("callback", callback)
    _check_callback("event_cb", event_cb, True)
    _handlers().set(signum, callback, event_cb)


def free_signal_handler(signum: int) -> None:
    """Put the handler of before ``signum``'s back; nothing happens if the loop handles no such signal.

    Raises ``EventLoopError`` without a loop and outside of the main thread. cl-async:
    ``free-signal-handler``.
    """
    _handlers().free(signum)


def clear_signal_handlers() -> None:
    """Free all signal handlers of this loop. Errors are those of ``free_signal_handler``.

    cl-async: ``clear-signal-handlers``.
    """
    _handlers().clear()


def _handlers() -> SignalHandlers:
    loop = current_event_loop()
    if threading.current_thread() is not threading.main_thread():
        raise EventLoopError("signals can be handled in the main thread only")
    if loop._signals is None:
        loop._signals = SignalHandlers(loop)
    return loop._signals
