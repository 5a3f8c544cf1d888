"""The event loop as the app sees it.

Begin, turns and end are native (``_core.LoopCore``): a signal's handler may raise between any two
instructions of Python code, and would cut them in two.
"""

import atexit
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from asynctcp import _core
from asynctcp._core import current_event_loop
from asynctcp.typing import AppErrorHandler, Callback


def give_way() -> None:
    """Do nothing: as it enters a function, the interpreter changes threads if another is due."""


class EventLoop(_core.LoopCore):
    """An event loop; ``start_event_loop`` makes one, and so does ``event_loop()``.

    Args:
        catch_app_errors: False: an exception of a callback ends the loop and comes out of ``run``. True: it
            goes to the ``event_cb`` of the socket, server or timer concerned, that socket is closed, and the
            loop goes on. A function: it is called with the exception.
        send_errors_to_event_cb: False: with ``catch_app_errors=True`` exceptions are logged instead.
        io_threads: 0: this thread does the I/O while Python idles, a helper thread while Python is busy.
            1 to 1024: that many dedicated threads do it.
        read_limit: bytes of one socket that may wait for Python, and the most that one ``read_cb`` gets.
        memory_limit: bytes of all sockets together that may wait. At either limit reading pauses; each socket
            may always hold one read of 4 KiB.
        debug: warn of callbacks that hold the loop for more than 0.1 seconds, with their stack, and of
            sockets and servers that are open when the loop is ended, with where they were made. The
            environment variable ``ASYNCTCP_DEBUG`` switches it on for all loops.

    A loop runs once, in one thread; callbacks run in that thread. Either ``run`` drives it, or a foreign loop
    does: it watches ``fileno()`` and calls ``pump()`` whenever that is readable. Raises ``TypeError`` and
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

    def run(self, start_fn: Callback | None = None) -> None:
        """Run ``start_fn()``, then the loop until nothing is left alive or ``exit()`` was called.

        Raises what a callback raised (see ``catch_app_errors``), after everything is closed, and
        ``EventLoopError`` if a loop runs in this thread already or this one has run before.
        """
        _core._check_callback("start_fn", start_fn, True)
        self._run(start_fn)

    def exit(self) -> None:
        """End the loop: everything is closed, and after the running callback no other runs. Any thread."""
        self._exit()

    def fileno(self) -> int:
        """Return a descriptor that is readable while events wait, for a foreign loop to watch.

        The first call, like the first ``pump()``, starts the loop's I/O on threads of its own. The descriptor
        stays open as long as this object lives, so a foreign loop can stop watching it after the end. Raises
        ``EventLoopError`` if the loop runs by itself. asyncio: ``loop.add_reader(ours.fileno(), ours.pump)``.
        """
        return self._fileno()

    def pump(self, timeout: float | None = 0) -> int:
        """Dispatch what is queued, in the calling thread, so that a foreign loop can drive this one.

        Args:
            timeout: seconds to wait for something to do; 0: do not wait, None: for ever.

        Returns the number of callbacks run and events handled. The loop is the thread's current one inside
        ``pump`` only; use ``call_soon_threadsafe(setup)`` to begin. What a callback raises, ``pump`` raises
        (see ``catch_app_errors``), and the next ``pump`` goes on with what was left; only
        ``KeyboardInterrupt`` and ``SystemExit`` end the loop, and so does ``exit()``.

        Raises ``EventLoopError`` inside a loop's callback, in a thread other than the first call's, if the
        loop runs by itself, and once it has ended; ``TypeError`` and ``ValueError`` for a bad ``timeout``.
        """
        return self._pump(timeout)

    # Closes a loop that was pumped and not ended. Native: what a signal's handler raises in a finalizer is
    # lost.
    __del__: ClassVar[Callable[[_core.LoopCore], None]] = _core.LoopCore._forget


def start_event_loop(
    start_fn: Callback,
    *,
    catch_app_errors: bool | AppErrorHandler = False,
    send_errors_to_event_cb: bool = True,
) -> None:
    """Run ``start_fn()`` in a new loop of this thread; return when nothing is left alive, or at its exit.

    The loop stays alive while any of these exists: a server; a socket that is connecting, connected, or
    closed with data still to send; an armed timer; a notifier; a signal handler; a poller; an idler; a
    pending lookup. ``unref()`` exempts timers and notifiers.

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


def event_loop(
    *,
    catch_app_errors: bool | AppErrorHandler = False,
    send_errors_to_event_cb: bool = True,
) -> AbstractContextManager[EventLoop]:
    """Open a new loop for the block's calls, and run it to its end when the block ends normally.

    If the block raises, everything is closed and the exception propagates. ``catch_app_errors`` and
    ``send_errors_to_event_cb`` apply to callbacks, as in ``start_event_loop``, not to the block. Errors are
    those of ``start_event_loop``. cl-async: ``with-event-loop``.
    """
    loop = EventLoop(catch_app_errors=catch_app_errors, send_errors_to_event_cb=send_errors_to_event_cb)
    return _core.LoopBlock(loop)


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
    current_event_loop()._add_exit_callback(fn)


def with_delay(seconds: float | None = 0) -> Callable[[Callback], _core.Timer]:
    """Decorate a function without arguments to run it once after ``seconds``; its name becomes the ``Timer``.

    Errors are those of ``delay``. cl-async: ``with-delay``.
    """
    _refuse_function("with_delay", seconds)
    return lambda callback: _core.delay(callback, seconds)


def with_interval(seconds: float) -> Callable[[Callback], _core.Timer]:
    """Decorate a function without arguments to run it every ``seconds``; its name becomes the ``Timer``.

    Errors are those of ``interval``. cl-async: ``with-interval``.
    """
    _refuse_function("with_interval", seconds)
    return lambda callback: _core.interval(callback, seconds)


def _refuse_function(name: str, seconds: object) -> None:
    """Tell who wrote ``@name`` in the place of ``@name(…)``: the function would never run."""
    if callable(seconds):
        raise TypeError(f"seconds must be a number, not {seconds!r}: write @{name}(seconds)")


def stats() -> dict[str, Any]:
    """Return figures of this thread's loop.

    ``events_dispatched``, ``bytes_read`` and ``bytes_written`` are totals of this loop; ``servers``,
    ``incoming_tcp_connections``, ``outgoing_tcp_connections``, ``open_dns_queries``, ``timers``, ``pollers``,
    ``idlers``, ``queued_events`` and ``queued_bytes`` are current values. ``proxy_headers_failed`` and
    ``tls_handshakes_failed`` count connections that servers refused because of the PROXY header, and failed
    handshakes. Raises ``EventLoopError`` without a loop.
    """
    return current_event_loop().stats()


atexit.register(_core._close_at_exit)
os.register_at_fork(after_in_child=_core._forked)
