"""Notifiers: other threads wake the loop and have a callback run in it."""

from asynctcp._core import Notifier, _check_callback, current_event_loop
from asynctcp.typing import Callback, EventCallback


def make_notifier(callback: Callback, *, event_cb: EventCallback | None = None) -> Notifier:
    """Make a ``Notifier`` of this thread's loop.

    Args:
        callback: a callable without arguments; runs in the loop's thread after a trigger.
        event_cb: where an exception of the callback goes with ``catch_app_errors=True``.

    Raises ``EventLoopError`` without a loop, ``TypeError``. cl-async: ``make-notifier``.
    """
    _check_callback("callback", callback)
    _check_callback("event_cb", event_cb, True)
    return Notifier(current_event_loop(), callback, event_cb)


def trigger_notifier(notifier: Notifier) -> bool:
    """``notifier.trigger()``, from any thread. cl-async: ``trigger-notifier``."""
    return _checked(notifier).trigger()


def free_notifier(notifier: Notifier) -> None:
    """``notifier.free()``. cl-async: ``free-notifier``."""
    _checked(notifier).free()


def _checked(notifier: Notifier) -> Notifier:
    if not isinstance(notifier, Notifier):
        raise TypeError(f"notifier must be a Notifier, not {type(notifier).__name__}: {notifier!r}")
    return notifier
