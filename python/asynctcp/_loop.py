"""The event loop: while the core has a turn, take it.

The native half (``_core.LoopCore``) waits for events, calls the callbacks and sends what they wrote; this
half begins and ends it, and looks after what must be put back whatever happens: the signal wake-up
descriptor and the exit callbacks.
"""

import atexit
import os
import signal
import socket
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from asynctcp import _core
from asynctcp._handlers import log_app_error
from asynctcp.conditions import EventLoopError
from asynctcp.typing import AppErrorHandler, Callback

if TYPE_CHECKING:
    from asynctcp._debug import Watchdog
    from asynctcp._signals import SignalHandlers

_current = threading.local()
# Loops that are open, of all threads, for the interpreter's exit and for forked children.
_open_loops: "weakref.WeakSet[EventLoop]" = weakref.WeakSet()
# Seconds that the interpreter's exit waits for loops in daemon threads: half of the second that it may take.
_EXIT_PATIENCE = 0.5


def give_way() -> None:
    """Do nothing: as it enters a function, the interpreter changes threads if another is due."""


class _SignalWakeup:
    """Python's wake-up descriptor while a loop runs in the main thread: a signal ends the loop's wait."""

    def __init__(self) -> None:
        self._previous: int | None = None

    def open(self, core: _core.LoopCore) -> None:
        """Have Python wake the loop, if this is the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)
        core._watch_signals(self._read.fileno())
        self._previous = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)

    def close(self) -> None:
        """Put the descriptor of before back."""
        if self._previous is None:
            return
        signal.set_wakeup_fd(self._previous)
        self._previous = None
        self._read.close()
        self._write.close()


class EventLoop(_core.LoopCore):
    """An event loop; ``start_event_loop`` makes one, and so does ``event_loop()``.

    Args:
        catch_app_errors: False: an exception of a callback ends the loop and comes out of ``run``. True: it
            goes to the ``event_cb`` of the socket, server or timer concerned, that socket is closed, and the
            loop goes on. A function: it is called with the exception.
        send_errors_to_event_cb: False: with ``catch_app_errors=True`` exceptions are logged instead.
        io_threads: 0: this thread does the I/O while Python idles, a helper thread while Python is busy.
            More, up to 1024: so many threads of their own do it.
        read_limit: bytes of one socket that may wait for Python, and the most that one ``read_cb`` gets.
        memory_limit: bytes of all sockets together. At a limit reading pauses; each socket may always hold
            one read of 4 KiB.
        debug: warn of callbacks that hold the loop for more than 0.1 seconds, with their stack, and of
            sockets and servers that are open when the loop is ended, with where they were made. The
            environment variable ``ASYNCTCP_DEBUG`` switches it on for all loops.

    A loop runs once, in one thread; callbacks run in that thread. Either ``run`` drives it, or a foreign loop
    does: that watches ``fileno()`` and calls ``pump()`` whenever it is readable. Raises ``TypeError`` and
    ``ValueError`` for bad arguments.
    """

    def __init__(
        self,
        *,
        catch_app_errors: bool | AppErrorHandler = False,
        send_errors_to_event_cb: bool = True,
        io_threads: int = 0,
        read_limit: int = 262144,
        memory_limit: int = 67108864,
        debug: bool = False,
    ) -> None:
        # The native half was made with them.
        del catch_app_errors, send_errors_to_event_cb, io_threads, read_limit, memory_limit, debug
        self._exit_callbacks: list[Callback] = []
        self._signals: SignalHandlers | None = None
        self._wakeup = _SignalWakeup()
        self._closed = threading.Event()
        self._thread: int | None = None
        self._is_foreign = False
        self._watchdog: Watchdog | None = None

    def run(self, start_fn: Callback | None = None) -> None:
        """Run ``start_fn()``, then the loop until nothing is left alive or ``exit()`` was called.

        Raises what a callback raised (see ``catch_app_errors``), after everything is closed, and
        ``EventLoopError`` if a loop runs in this thread already or this one has run before.
        """
        _core._check_callback("start_fn", start_fn, True)
        self._open()
        try:
            if start_fn is not None:
                self._call(start_fn)
            self._drain()
        finally:
            self._close()

    def exit(self) -> None:
        """End the loop: everything is closed, and after the running callback no other runs. Any thread."""
        try:
            if getattr(_current, "loop", None) is self:
                # This closes them now; elsewhere the loop's end does.
                self._warn_of_open()
        finally:
            self._exit()
            # A foreign loop may never pump again; inside of a turn, the turn's end closes.
            if self._is_foreign and getattr(_current, "loop", None) is not self and self._is_own_thread():
                self._close_foreign()

    def fileno(self) -> int:
        """Return the descriptor that is readable when events wait, for a foreign loop to watch.

        The first call, like the first ``pump()``, starts the loop's I/O on threads of its own. The descriptor
        stays open as long as this object, so that a foreign loop can stop watching it after the end. Raises
        ``EventLoopError`` if the loop runs by itself. asyncio: ``loop.add_reader(ours.fileno(), ours.pump)``.
        """
        self._open_foreign()
        return self._fileno()

    def pump(self, timeout: float | None = 0) -> int:
        """Dispatch what is queued, in the calling thread, so that a foreign loop can drive this one.

        Args:
            timeout: seconds to wait for something to do; 0: do not wait, None: for ever.

        Returns the number of callbacks run and events handled. The loop is the thread's current one inside
        ``pump`` only; use ``call_soon_threadsafe(setup)`` to begin. An exception of a callback comes out
        (see ``catch_app_errors``), and the next ``pump`` goes on with what was left; only
        ``KeyboardInterrupt`` and ``SystemExit`` end the loop, and so does ``exit()``.

        Raises ``EventLoopError`` inside of a loop's callback, in another thread than the first call's, if the
        loop runs by itself, and once it has ended; ``TypeError`` and ``ValueError`` for a bad ``timeout``.
        """
        self._open_foreign()
        if not self._is_own_thread():
            raise EventLoopError("this event loop is pumped in another thread")
        before = getattr(_current, "loop", None)
        if before is not None:
            raise EventLoopError("pump() cannot be called inside of a running event loop")
        self._thread = threading.get_ident()
        _current.loop = self
        try:
            return self._pump(timeout)
        except (KeyboardInterrupt, SystemExit):
            self._exit()
            raise
        finally:
            _current.loop = None
            if self._is_exiting():
                self._close_foreign()

    def _close_foreign(self) -> None:
        if not self._has_ended():
            self._close()

    def __del__(self) -> None:
        """Close a loop that was pumped and not ended."""
        # Not asked of the set: the collector empties it before it calls this.
        if getattr(self, "_is_foreign", False) and self._is_open():
            warnings.warn(
                f"pumped and not ended by exit(): {self!r}", ResourceWarning, source=self, stacklevel=1
            )
            self._close()

    def _is_own_thread(self) -> bool:
        return self._thread in (None, threading.get_ident())

    def _open_foreign(self) -> None:
        if not self._is_foreign:
            self._begin(True)
            self._is_foreign = True
            _open_loops.add(self)
            self._watch()

    def _open(self) -> None:
        self._begin(False)
        self._thread = threading.get_ident()
        _open_loops.add(self)
        _current.loop = self
        try:
            self._watch()
            self._wakeup.open(self)
        except BaseException:
            self._close()
            raise

    def _watch(self) -> None:
        if self._is_debug():
            from asynctcp._debug import Watchdog  # noqa: PLC0415 - only here, to cost nothing otherwise

            self._watchdog = Watchdog(self)

    def _warn_of_open(self) -> None:
        if self._is_debug():
            from asynctcp._debug import warn_of_open  # noqa: PLC0415 - as in _watch

            warn_of_open(self)

    def _close(self) -> None:
        try:
            signals, self._signals = self._signals, None
            if signals is not None:
                signals.clear()
            try:
                self._warn_of_open()
            finally:
                self._end()
        finally:
            if self._watchdog is not None:
                self._watchdog.stop()
            if not self._is_foreign:
                _current.loop = None
            _open_loops.discard(self)
            self._wakeup.close()
            try:
                self._run_close_callbacks()
            finally:
                try:
                    self._run_exit_callbacks()
                finally:
                    self._closed.set()

    def _run_exit_callbacks(self) -> None:
        for callback in self._exit_callbacks:
            try:
                callback()
            except Exception as error:  # noqa: BLE001 - any error of the app's
                # The loop's own exception, if there is one, must not be lost, nor the callbacks that follow.
                log_app_error(error)


def start_event_loop(
    start_fn: Callback,
    *,
    catch_app_errors: bool | AppErrorHandler = False,
    send_errors_to_event_cb: bool = True,
) -> None:
    """Run ``start_fn()`` in a new loop of this thread; return when nothing is left alive, or at its exit.

    Alive are servers, sockets that connect or are connected, closing sockets that still send, and timers.

    Args:
        start_fn: a callable without arguments, the loop's first callback.
        catch_app_errors: False: an exception of a callback ends the loop and comes out of this call, after
            all is closed. True: it goes to the ``event_cb`` concerned, and the loop goes on; servers set
            this. A function: it is called with the exception. ``KeyboardInterrupt`` and ``SystemExit``
            always end it, and with True so does an exception of ``start_fn``.
        send_errors_to_event_cb: False: such exceptions are logged instead.

    Raises ``EventLoopError`` if a loop runs in this thread already. cl-async: ``start-event-loop``.
    """
    given: object = start_fn
    if given is None or hasattr(given, "__await__"):
        raise TypeError(
            f"start_fn must be callable, not {type(given).__name__}: pass the function itself, "
            "start_event_loop(main), not start_event_loop(main()); for coroutines use asynctcp.aio"
        )
    _core._check_callback("start_fn", start_fn)
    EventLoop(catch_app_errors=catch_app_errors, send_errors_to_event_cb=send_errors_to_event_cb).run(
        start_fn
    )


@contextmanager
def event_loop(
    *,
    catch_app_errors: bool | AppErrorHandler = False,
    send_errors_to_event_cb: bool = True,
) -> Iterator[EventLoop]:
    """Open a new loop for the block's calls, and run it to its end when the block ends normally.

    If the block raises, everything is closed and the exception goes on. ``catch_app_errors`` and
    ``send_errors_to_event_cb`` are about callbacks, as in ``start_event_loop``; the block is none. Errors are
    those of ``start_event_loop``. cl-async: ``with-event-loop``.
    """
    loop = EventLoop(catch_app_errors=catch_app_errors, send_errors_to_event_cb=send_errors_to_event_cb)
    loop._open()
    try:
        yield loop
        loop._drain()
    finally:
        loop._close()


def current_event_loop() -> EventLoop:
    """Return the loop of this thread. Raises ``EventLoopError`` if there is none."""
    loop = getattr(_current, "loop", None)
    if loop is None:
        raise EventLoopError(
            "no event loop runs in this thread: call it in a function that start_event_loop() runs, and pass "
            "that itself: start_event_loop(main), not start_event_loop(main())"
        )
    return loop  # type: ignore[no-any-return]


def exit_event_loop() -> None:
    """End this thread's loop: every server, socket and timer is closed at once.

    Data not yet sent is dropped. After the running callback no other runs but the exit callbacks, and
    ``start_event_loop`` returns. Raises ``EventLoopError`` without a loop. cl-async: ``exit-event-loop``.
    """
    current_event_loop().exit()


def add_event_loop_exit_callback(fn: Callback) -> None:
    """Run ``fn()`` in this thread when its loop ends, however it ends, in the order in which they were added.

    Raises ``EventLoopError`` without a loop. cl-async: ``add-event-loop-exit-callback``.
    """
    _core._check_callback("fn", fn)
    current_event_loop()._exit_callbacks.append(fn)


def with_delay(seconds: float | None = 0) -> Callable[[Callback], _core.Timer]:
    """Decorate a function without arguments to run it once after ``seconds``; its name becomes the ``Timer``.

    Errors are those of ``delay``. cl-async: ``with-delay``.
    """
    return lambda callback: _core.delay(callback, seconds)


def with_interval(seconds: float) -> Callable[[Callback], _core.Timer]:
    """Decorate a function without arguments to run it every ``seconds``; its name becomes the ``Timer``.

    Errors are those of ``interval``. cl-async: ``with-interval``.
    """
    return lambda callback: _core.interval(callback, seconds)


def stats() -> dict[str, Any]:
    """Return figures of this thread's loop.

    ``events_dispatched``, ``bytes_read`` and ``bytes_written`` are totals of this loop; ``servers``,
    ``incoming_tcp_connections``, ``outgoing_tcp_connections``, ``open_dns_queries``, ``timers``,
    ``queued_events`` and ``queued_bytes`` are what is now. Raises ``EventLoopError`` without a loop.
    """
    return current_event_loop().stats()


def _close_at_exit() -> None:
    """Close what is still open when the interpreter exits; wait for no callback that does not end."""
    deadline = time.monotonic() + _EXIT_PATIENCE
    loops = list(_open_loops)
    for loop in loops:
        figures = loop.stats()
        sockets = figures["incoming_tcp_connections"] + figures["outgoing_tcp_connections"]
        if sockets:
            warnings.warn(f"{sockets} sockets open at exit: {loop!r}", ResourceWarning, stacklevel=1)
        if loop._is_own_thread():
            loop._close()
        else:
            loop._exit()
    for loop in loops:
        loop._closed.wait(max(0, deadline - time.monotonic()))


def _forget_in_child() -> None:
    """In a forked child: the parent's loops are not ours, and its wake-up descriptor is not either."""
    _core._forked()
    _current.loop = None
    for loop in list(_open_loops):
        loop._exit_callbacks.clear()
        # Its lock may have been held by its thread, which this process has not.
        loop._watchdog = None
        # Whichever thread's loop it was: a signal of the child must not wake the parent.
        loop._wakeup.close()
    _open_loops.clear()


atexit.register(_close_at_exit)
os.register_at_fork(after_in_child=_forget_in_child)
