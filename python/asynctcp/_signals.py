"""Signal handlers that run in the loop, between callbacks."""

import threading

from asynctcp._core import _check_callback, _clear_signals, _free_signal, _handle_signal, current_event_loop
from asynctcp._loop import EventLoop
from asynctcp.conditions import EventLoopError
from asynctcp.typing import EventCallback, SignalCallback


def signal_handler(signum: int, callback: SignalCallback, *, event_cb: EventCallback | None = None) -> None:
    """Run ``callback(signum)`` in the loop each time the signal arrives, until it is freed or the loop ends.

    Args:
        signum: a signal's number, such as ``signal.SIGTERM``.
        callback: runs between other callbacks, never inside one.
        event_cb: where an exception of the callback goes with ``catch_app_errors=True``.

    The handler keeps the loop alive; the previous handler is put back afterwards. Both callbacks run in the
    loop's thread. Raises ``EventLoopError`` without a loop and outside of the main thread, ``TypeError``,
    ``ValueError`` and ``OSError`` as ``signal.signal``. cl-async: ``signal-handler``.
    """
    _check_callback("callback", callback)
    _check_callback("event_cb", event_cb, True)
    _handle_signal(_main_loop(), signum, callback, event_cb)


def free_signal_handler(signum: int) -> None:
    """Put back the handler that ``signum`` had before; does nothing if the loop does not handle it.

    Raises ``EventLoopError`` without a loop and outside of the main thread. cl-async:
    ``free-signal-handler``.
    """
    _free_signal(_main_loop(), signum)


def clear_signal_handlers() -> None:
    """Free all signal handlers of this loop. Errors are those of ``free_signal_handler``.

    cl-async: ``clear-signal-handlers``.
    """
    _clear_signals(_main_loop())


def _main_loop() -> EventLoop:
    loop = current_event_loop()
    if threading.current_thread() is not threading.main_thread():
        raise EventLoopError("signals can be handled in the main thread only")
    return loop
