"""asyncio's event loop with a native half.

What a message, a call or a timer passes through is native (``_core.NativeLoop``); the rest is asyncio's own
Unix loop, inherited. Its names with an underscore that are used here are the same from CPython 3.11 to 3.15;
``tests/aio/test_aio_*.py`` and CPython's own tests of asyncio hold that.
"""

import asyncio
import contextlib
import os
import socket
import threading
from asyncio import base_events, events, futures, sslproto
from asyncio.log import logger
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, Self, TypeVar, Unpack, cast

from asynctcp import _core, _handlers
from asynctcp._loop import EventLoop
from asynctcp._tls import TlsConfig
from asynctcp.aio import _datagram, _handles, _tls, _transport
from asynctcp.aio._accepting import Accepting
from asynctcp.aio._connecting import OWN_LOOP, Connecting
from asynctcp.aio._hosting import Hosting
from asynctcp.aio._lent import Lent
from asynctcp.aio._options import LoopOptions
from asynctcp.aio._server import Server
from asynctcp.aio._written import Behind
from asynctcp.conditions import TcpAppError

T = TypeVar("T")


class _NoSelector:
    """Stands where asyncio's loop has a selector: descriptors are watched natively.

    The loop closes it, and asyncio's own transports ask it what they wait for, when they are printed.
    """

    def get_key(self, fileobj: Any) -> Any:
        """Say that it knows nothing of a descriptor."""
        raise KeyError(fileobj)

    def close(self) -> None:
        """Do nothing."""


class Loop(_core.NativeLoop, Hosting, Accepting, Behind, Connecting, OWN_LOOP):  # type: ignore[misc]
    """An asyncio event loop; ``new_event_loop`` makes one.

    Every method of asyncio's Unix loop works as documented there, with its debug mode.

    Args:
        options: keywords of ``asynctcp.EventLoop`` for this library's sockets in it (``tcp``), but
            ``catch_app_errors``: ``read_limit``, ``memory_limit``, ``io_threads``, …

    Raises ``TypeError`` and ``ValueError`` for bad ones.
    """

    def __new__(cls, *_: object, **options: Unpack[LoopOptions]) -> Self:
        """Refuse bad options before there is a loop that would have to be closed."""
        if options and cls is Loop:
            EventLoop(catch_app_errors=True, **options)
        return _core.NativeLoop.__new__(cls)

    def __init__(self, **options: Unpack[LoopOptions]) -> None:
        self._options = options
        self._making = threading.RLock()
        self._lingering: set[Any] = set()
        OWN_LOOP.__init__(self, _NoSelector())  # type: ignore[arg-type]

    @property
    def tcp(self) -> EventLoop:
        """The ``asynctcp.EventLoop`` in which this library's functions work here; made when asked for.

        Exceptions of its callbacks go to the socket's ``event_cb``, else to this loop's exception handler.
        """
        return self._make_callbacks() if self._callbacks is None else self._callbacks

    def run_forever(self) -> None:
        """Run until ``stop()``, as ``asyncio.AbstractEventLoop.run_forever``."""
        self._check_running()
        if self._has_callbacks():
            self.tcp._enter()
        try:
            OWN_LOOP.run_forever(self)
        finally:
            if self._callbacks is not None and not self.is_running():
                self._callbacks._leave()

    def _check_running(self) -> None:
        OWN_LOOP._check_running(self)  # type: ignore[attr-defined]
        if self._is_inside_callbacks():
            raise RuntimeError("Cannot run the event loop while another loop is running")

    def close(self) -> None:
        """Close it, as ``asyncio.AbstractEventLoop.close``. Raises ``RuntimeError`` while it runs."""
        try:
            if not self.is_running():
                self._end_callbacks()
        finally:
            self._close()

    def _close(self) -> None:
        if not self.is_running():
            for connection in list(self._lingering):
                connection.close()
        OWN_LOOP.close(self)
        self._let_go()

    # What asyncio's code calls, here over the native queue.

    def _add_callback(self, handle: asyncio.Handle) -> None:
        self._push(handle)

    def _write_to_self(self) -> None:
        self._wake()

    def _callback_failed(self, called: Any, exception: BaseException) -> None:
        # A transport is called by the turn without a handle; asyncio's exception handlers expect one.
        handle: Any = called
        if not isinstance(called, asyncio.Handle):
            handle = events.Handle(called._on_ready, (), self, None)
        call = _handles.source(handle._callback, handle._args)
        self.call_exception_handler(
            {"message": f"Exception in callback {call}", "exception": exception, "handle": handle}
        )

    # Connections.

    def _make_socket_transport(
        self,
        sock: Any,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        *,
        extra: dict[str, Any] | None = None,
        server: Any = None,
        context: Context | None = None,
    ) -> Any:
        # From CPython 3.15 on, context is that of all calls of the protocol.
        if type(sock) is not socket.socket:
            # Its own recv() and send() are to be called.
            more: dict[str, Any] = {} if context is None else {"context": context}
            made: Any = OWN_LOOP._make_socket_transport(  # type: ignore[attr-defined]
                self, sock, protocol, waiter, extra=extra, server=server, **more
            )
            return made
        try:
            connection_made = protocol.connection_made
        except AttributeError:
            # What a factory returned is no protocol: nobody would close what it is for.
            sock.close()
            raise
        base_events._set_nodelay(sock)  # type: ignore[attr-defined]
        transport = _transport.Transport(self, sock, protocol, extra, server, context)
        if server is not None:
            transport._attach(server)
        self._begin(transport, connection_made, waiter, context)
        return transport

    def _make_datagram_transport(
        self,
        sock: Any,
        protocol: asyncio.DatagramProtocol,
        address: Any = None,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> Any:
        if type(sock) is not socket.socket or sock.family not in _datagram.FAMILIES:
            made: Any = OWN_LOOP._make_datagram_transport(  # type: ignore[attr-defined]
                self, sock, protocol, address, waiter, extra
            )
            return made
        self._ensure_fd_no_transport(sock)
        extra = _transport.extra_of(self, sock, extra)
        transport = _datagram.DatagramTransport(self, sock, protocol, extra, address)
        self._begin(transport, protocol.connection_made, waiter)
        return transport

    def _begin(
        self,
        transport: Any,
        connection_made: Callable[[Any], object],
        waiter: asyncio.Future[None] | None,
        context: Context | None = None,
    ) -> None:
        self._adopt(transport)
        self.call_soon(connection_made, transport, context=context)
        # Nothing is received before connection_made() was called, and only then the waiter is told.
        self.call_soon(transport._start_reading, context=context)
        if waiter is not None:
            settle = futures._set_result_unless_cancelled  # type: ignore[attr-defined]
            self.call_soon(settle, waiter, None, context=context)

    def _make_ssl_transport(
        self,
        rawsock: Any,
        protocol: asyncio.BaseProtocol,
        sslcontext: Any,
        waiter: Any = None,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        extra: dict[str, Any] | None = None,
        server: Any = None,
        context: Context | None = None,
        **timeouts: Any,
    ) -> Any:
        if _tls.is_replaced() and not isinstance(sslcontext, TlsConfig):
            asyncios = sslproto.SSLProtocol(
                self, protocol, sslcontext, waiter, server_side, server_hostname, **timeouts
            )
            self._make_socket_transport(rawsock, asyncios, extra=extra, server=server, context=context)
            return asyncios._app_transport
        secured = _tls.secure(
            self,
            protocol,
            sslcontext,
            waiter,
            server_side=server_side,
            server_hostname=server_hostname,
            peername=rawsock.getpeername,
            **timeouts,
        )
        below: Any = secured
        self._make_socket_transport(rawsock, below, extra=extra, server=server, context=context)
        return secured

    def _ensure_fd_no_transport(self, fd: Any) -> None:
        transport = self._transport_of(fd)
        if transport is not None and not transport.is_closing():
            raise RuntimeError(f"File descriptor {fd!r} is used by transport {transport!r}")
        OWN_LOOP._ensure_fd_no_transport(self, fd)  # type: ignore[attr-defined]

    async def start_tls(
        self,
        transport: Any,
        protocol: Any,
        sslcontext: Any,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        **timeouts: Any,
    ) -> Any:
        """Upgrade a connection, as ``asyncio.AbstractEventLoop.start_tls``; also by a ``TlsConfig``."""
        if not _tls.is_native(transport, sslcontext):
            upgrade = OWN_LOOP.start_tls(
                self,
                transport,
                protocol,
                sslcontext,
                server_side=server_side,
                server_hostname=server_hostname,
                **timeouts,
            )
            return await upgrade
        return await _tls.upgrade(
            self,
            transport,
            protocol,
            sslcontext,
            server_side=server_side,
            server_hostname=server_hostname,
            **timeouts,
        )

    async def create_server(
        self, protocol_factory: Any, *args: Any, start_serving: bool = True, **kwargs: Any
    ) -> Server:
        """Listen, as ``asyncio.AbstractEventLoop.create_server``."""
        made = OWN_LOOP.create_server(
            self, protocol_factory, *args, start_serving=False, **_tls.server_options(kwargs)
        )
        return await self._start_server(await made, start_serving=start_serving)

    async def create_unix_server(
        self, protocol_factory: Any, *args: Any, start_serving: bool = True, **kwargs: Any
    ) -> Server:
        """Listen, as ``asyncio.AbstractEventLoop.create_unix_server``."""
        made = OWN_LOOP.create_unix_server(
            self, protocol_factory, *args, start_serving=False, **_tls.server_options(kwargs)
        )
        return await self._start_server(await made, start_serving=start_serving)

    async def _start_server(self, server: Any, *, start_serving: bool) -> Server:
        # asyncio's code makes the object; it has no slots, so it can be given a class of Python.
        server.__class__ = Server
        if start_serving:
            await server.start_serving()
        made: Server = server
        return made

    async def _sendfile_native(self, transp: Any, file: Any, offset: int, count: int | None) -> int:
        reads = transp.is_reading()
        transp.pause_reading()
        waiter = transp._make_empty_waiter()
        try:
            await waiter
            if transp.is_closing():
                raise RuntimeError("Transport is closing")
            with Lent(self, transp) as sock:
                sent: int = await self.sock_sendfile(sock, file, offset, count, fallback=False)
            return sent
        finally:
            transp._reset_empty_waiter()
            if reads:
                transp.resume_reading()

    if hasattr(events, "_ThreadSafeHandle"):  # pragma: no cover - from CPython 3.14 on

        def call_soon_threadsafe(  # type: ignore[override]
            self, callback: Any, *args: Any, context: Context | None = None
        ) -> Any:
            """Call it in the next turn; any thread may call this, and the handle's ``cancel()``."""
            self._check_closed()
            if self._debug:
                self._check_callback(callback, "call_soon_threadsafe")  # type: ignore[attr-defined]
            handle = events._ThreadSafeHandle(callback, args, self, context)  # type: ignore[attr-defined]
            _leave_out_frames(handle, 2)
            self._push(handle)
            self._wake()
            return handle

    # Debug mode: asyncio's own handles, which remember where they were made.

    def _debug_handle(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None = None
    ) -> asyncio.Handle:
        handle = events.Handle(callback, args, self, context)
        _leave_out_frames(handle, 1)
        return handle

    def _debug_call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        self._check_thread()  # type: ignore[attr-defined]
        return self._call_checked("call_soon", callback, args, context)

    def _debug_call_soon_threadsafe(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        return self._call_checked("call_soon_threadsafe", callback, args, context)

    def _call_checked(
        self, name: str, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None
    ) -> asyncio.Handle:
        self._check_callback(callback, name)  # type: ignore[attr-defined]
        handle = events.Handle(callback, args, self, context)
        _leave_out_frames(handle, 2)
        self._push(handle)
        return handle

    def _debug_call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self._call_at_checked(self.time() + delay, callback, args, context)

    def _debug_call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self._call_at_checked(when, callback, args, context)

    def _call_at_checked(
        self, when: float, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None
    ) -> asyncio.TimerHandle:
        self._check_thread()  # type: ignore[attr-defined]
        # asyncio's call_later() is a call_at(), and says so.
        self._check_callback(callback, "call_at")  # type: ignore[attr-defined]
        timer = events.TimerHandle(when, callback, args, self, context)
        _leave_out_frames(timer, 2)
        timer._scheduled = True  # type: ignore[attr-defined]
        self._push_timer(when, timer)
        return timer

    def _warn_of_slow(self, handle: asyncio.Handle, took: float) -> None:
        logger.warning("Executing %s took %.3f seconds", _describe(handle), took)


def _describe(handle: asyncio.Handle) -> str:
    task = getattr(handle._callback, "__self__", None)  # type: ignore[attr-defined]
    return repr(task) if isinstance(task, asyncio.Task) else str(handle)


def _leave_out_frames(handle: asyncio.Handle, count: int) -> None:
    """Where it was made is the app's line, not this file's."""
    traceback: list[Any] = handle._source_traceback or []  # type: ignore[attr-defined]
    del traceback[-count:]


def new_event_loop(**options: Unpack[LoopOptions]) -> Loop:
    """Return a new loop, for ``asyncio.Runner(loop_factory=asynctcp.aio.new_event_loop)`` and its like.

    ``options`` and errors are those of ``Loop``.
    """
    return Loop(**options)


def run(main: Coroutine[Any, Any, T], *, debug: bool | None = None) -> T:
    """Run a coroutine in a new loop and return what it returns, as ``asyncio.run``.

    Args:
        main: a coroutine.
        debug: asyncio's debug mode; None: as ``PYTHONASYNCIODEBUG`` and ``-X dev`` say.

    Before it returns it sends what was written to this library's sockets before they were closed, for as
    long as their peers take it.

    Raises what the coroutine raises, and what ``asyncio.run`` does: ``RuntimeError`` inside of a loop that
    runs, of asyncio's kind or of this library's.
    """
    if asyncio._get_running_loop() is not None or _core.NativeLoop._is_inside_callbacks():
        raise RuntimeError("asynctcp.aio.run() cannot be called from a running event loop")
    with asyncio.Runner(debug=debug, loop_factory=new_event_loop) as runner:
        try:
            result = runner.run(main)
        except (TypeError, ValueError) as error:
            if callable(main):
                error.add_note("call the function: asynctcp.aio.run(main()), not asynctcp.aio.run(main)")
            raise
        callbacks = cast("Loop", runner.get_loop())._callbacks
        if callbacks is not None and callbacks._lingers():
            # Who stops the loop now does not want it sent.
            with contextlib.suppress(RuntimeError):
                runner.run(_send_rest(callbacks))
        return result


#: How often a loop that ends looks whether all is sent, in seconds.
_LOOK_EVERY = 0.002


async def _send_rest(callbacks: EventLoop) -> None:
    while callbacks._lingers():  # noqa: ASYNC110 - nobody is told of such an end
        await asyncio.sleep(_LOOK_EVERY)


def _before_fork() -> None:
    """Send what was written: or the child, which has it too, would send it again.

    And end the thread that sends late: CPython 3.12 and newer warn of a fork with threads.
    """
    running = asyncio._get_running_loop()
    if isinstance(running, Loop):
        running._send_written()
        running._end_late_sender()


os.register_at_fork(before=_before_fork)


def _enter_callbacks() -> None:
    """A function of this library's wants the thread's loop: that of the asyncio loop that runs."""
    running = asyncio._get_running_loop()
    if isinstance(running, Loop):
        running.tcp._enter()


def _tell_handler(error: BaseException) -> bool:
    """Tell the running loop's exception handler of an exception that no ``event_cb`` takes."""
    running = asyncio._get_running_loop()
    if not isinstance(running, Loop):
        return False
    cause = error.__cause__ if isinstance(error, TcpAppError) else None
    running.call_exception_handler({"message": str(error), "exception": cause or error})
    return True


_core._set_loop_finder(_enter_callbacks)
_handlers.tell_elsewhere = _tell_handler
