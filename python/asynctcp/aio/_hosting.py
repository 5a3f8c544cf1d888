"""The loop of callbacks in an asyncio loop: made when it is asked for, ended with that."""

import threading
from typing import Any

from asynctcp._loop import EventLoop
from asynctcp.aio._options import LoopOptions


class Hosting:
    """Mixin of ``Loop``: its loop of callbacks."""

    _callbacks: EventLoop | None = None
    _options: LoopOptions
    _making: threading.RLock
    _thread_id: int | None

    _add_reader: Any
    _check_closed: Any
    _drive: Any
    _host: Any
    _remove_reader: Any
    _wake: Any
    get_debug: Any
    stop: Any

    def _make_callbacks(self) -> EventLoop:
        # Several threads may ask at once, and this lets others run.
        with self._making:
            if self._callbacks is None:
                self._check_closed()
                # asyncio's debug mode tells of slow steps, this one of slow callbacks.
                options: LoopOptions = {"debug": self.get_debug(), **self._options}
                core = EventLoop(catch_app_errors=True, **options)
                if self._has_threads():
                    self._add_reader(core.fileno(), core.pump)
                else:
                    self._host(core)
                core._add_exit_callback(self._callbacks_ended)
                self._callbacks = core
                self._drive(core)
                self._begin_callbacks(core)
            return self._callbacks

    def _begin_callbacks(self, core: EventLoop) -> None:
        """Have it be the loop of the thread in which this one runs, if any does."""
        thread = self._thread_id
        if thread == threading.get_ident():
            core._enter()
        elif thread is not None:
            core._give_to(thread)
            # It may sleep, where the new one cannot wake it.
            self._wake()

    def _has_callbacks(self) -> bool:
        """Whether there is a loop of callbacks in it that is not the parent's of a forked child."""
        return self._callbacks is not None and not self._callbacks._is_parents()

    def _end_callbacks(self) -> None:
        """End it in this thread, whichever has run it: this loop does not run any more."""
        if self._has_callbacks() and (core := self._callbacks) is not None:
            core._give_to(threading.get_ident())
            core.exit()

    def _callbacks_ended(self) -> None:
        """``exit_event_loop()`` was called, or this loop is closed."""
        self._drive(None)
        core: Any = self._callbacks
        self._callbacks = None
        if self._has_threads():
            self._remove_reader(core.fileno())
        core._leave()
        self.stop()

    def _has_threads(self) -> bool:
        return bool(self._options.get("io_threads"))
