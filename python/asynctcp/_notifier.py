"""Notifiers: other threads wake the loop and have a callback run in it."""

import threading

from asynctcp._core import _check_callback
from asynctcp._loop import EventLoop, current_event_loop
from asynctcp.typing import Callback, EventCallback


class Notifier:
    """Runs a callback in the loop's thread when any thread triggers it; made by ``make_notifier``.

    It keeps the loop alive until it is freed or unref'd.
    """

    def __init__(
        self,
        loop: EventLoop,
        callback: Callback,
        event_cb: EventCallback | None,
    ) -> None:
        if not isinstance(loop, EventLoop):
            raise TypeError(f"loop must be an EventLoop, not {type(loop).__name__}: {loop!r}")
        self._loop = loop
        self._callback: Callback | None = callback
        self._event_cb = event_cb
        self._pending = False
        self._held = False
        # Triggering threads and the loop's meet here; nothing of the app's runs under it.
        self._lock = threading.Lock()
        self.ref()

    def trigger(self) -> bool:
        """Have the callback run in the loop, soon; triggers that come before it ran are one.

        Returns False, without effect, after the notifier was freed or its loop has ended. Callable from any
        thread. cl-async: ``trigger-notifier``.
        """
        with self._lock:
            if self._callback is None or self._loop._has_ended():
                return False
            if self._pending:
                return True
            self._pending = True
        self._loop._post(self._run, self._event_cb)
        return True

    def _run(self) -> None:
        with self._lock:
            self._pending = False
            callback = self._callback
        if callback is not None:
            callback()

    def free(self) -> None:
        """Let go of the callback: no trigger has an effect any more. Twice does nothing. Any thread."""
        with self._lock:
            callback, self._callback = self._callback, None
        del callback
        self.unref()

    @property
    def freed(self) -> bool:
        """Whether it was freed."""
        return self._callback is None

    def ref(self) -> None:
        """Keep the loop alive again (the default)."""
        self._hold(on=True)

    def unref(self) -> None:
        """Let the loop end although the notifier is not freed."""
        self._hold(on=False)

    def _hold(self, *, on: bool) -> None:
        with self._lock:
            changed = self._held != on
            self._held = on
        if changed:
            self._loop._hold(on)

    def __repr__(self) -> str:
        """Tell whether it was freed."""
        return f"<asynctcp.Notifier {'freed' if self.freed else 'ready'}>"


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
