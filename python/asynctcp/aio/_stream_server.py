"""Servers whose connections are streams to await."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, Unpack

from asynctcp import _core
from asynctcp._tls import TlsConfig
from asynctcp.aio._options import ServeOptions, ServeUnixOptions
from asynctcp.aio._stream import Stream, check_options
from asynctcp.conditions import EventInfo
from asynctcp.typing import Address, PipePath

Handler = Callable[[Stream], Awaitable[object]]


class StreamServer:
    """A server whose connections are streams; ``serve`` makes it. ``async with`` ends in ``drain(0)``."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        # Nothing more comes of the server below.
        self._is_over = asyncio.Event()
        self._refuses = False
        self._server: _core.TcpServer

    @property
    def server(self) -> _core.TcpServer:
        """The callback server below, with ``addresses`` and ``reload_tls``."""
        return self._server

    @property
    def host(self) -> str:
        """The address that it listens on, or the path."""
        return self.server.host

    @property
    def port(self) -> int:
        """The port that it listens on; 0 for a path."""
        return self.server.port

    @property
    def addresses(self) -> list[Address | str]:
        """All addresses that it listens on, kept after closing; as ``asynctcp.TcpServer.addresses``."""
        return self.server.addresses

    @property
    def sockets(self) -> list[_core.Socket]:
        """Its connections' sockets that are open now, as ``asynctcp.TcpServer.sockets``.

        An ``asyncio.Server``'s ``sockets`` are those that listen; here ``addresses`` says where it listens.
        """
        return self.server.sockets

    def is_serving(self) -> bool:
        """Return whether it accepts connections."""
        return not self.server.closed

    def close(self) -> None:
        """Stop accepting; the connections go on. Closing it again does nothing."""
        self.server.close()

    async def wait_closed(self) -> None:
        """Wait until it is closed, and all handlers have returned.

        Also those of connections that were accepted and whose PROXY header or TLS handshake was to come.
        """
        await self._is_over.wait()
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def drain(self, timeout: float) -> bool:  # noqa: ASYNC109 - the name that asyncio has for it
        """Stop accepting, and wait until the handlers have returned.

        Also those of connections that were accepted and whose PROXY header or TLS handshake was to come.

        Args:
            timeout: seconds, int or float; handlers that still run then are cancelled and awaited, and
                connections that are not ready for one are reset.

        Returns whether all returned by themselves.
        """
        self.close()
        try:
            async with asyncio.timeout(timeout):
                await self.wait_closed()
        except TimeoutError:
            pass
        else:
            return True
        self._refuses = True
        is_late = bool(self._tasks) or self.server._unknown() > 0
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks))
        return not is_late

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        await self.drain(0)

    def __repr__(self) -> str:
        return f"<asynctcp.aio.StreamServer {self._server!r}>"

    def _on_connect(self, sock: _core.Socket) -> None:
        if self._refuses:
            sock.close(force=True)
            return
        stream = Stream()
        stream._socket = sock
        stream._on_connect(sock)
        sock.set_callbacks(read_cb=stream._on_read, event_cb=stream._on_event, close_cb=stream._on_close)
        task = self._loop.create_task(self._serve(stream))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # One that is cancelled before its first step does nothing by itself.
        task.add_done_callback(lambda _: sock.close())

    def _handled(self, stream: Stream) -> Awaitable[object]:
        handled = self._handler(stream)
        if not inspect.isawaitable(handled):
            raise TypeError(f"the handler must be an async def; {self._handler!r} returned {handled!r}")
        return handled

    async def _serve(self, stream: Stream) -> None:
        try:
            await self._handled(stream)
        except EventInfo:
            # How a connection ends is no fault of the handler's that did not care.
            pass
        except Exception as error:  # noqa: BLE001 - whatever it is, the loop's handler is told
            context = {"message": f"the handler of {stream!r} raised", "exception": error}
            self._loop.call_exception_handler(context)
            stream.socket.close(force=True)
        finally:
            stream.socket.close()


def _ignore(*_: object) -> None:
    """Stand for what a connection's stream puts its own in the place of."""


async def serve(
    handler: Handler,
    host: str,
    port: int,
    *,
    tls: TlsConfig | None = None,
    framing: None = None,
    **options: Unpack[ServeOptions],
) -> StreamServer:
    """Listen, and run ``handler(stream)`` in a task for each connection, which is closed when that returns.

    Args:
        handler: an ``async def`` with a ``Stream`` as its argument, not a call of one. A condition that it
            lets pass ends it; any other exception goes to the loop's exception handler, and the connection is
            reset.
        host: str, an address or a name.
        port: int; 0: any, see ``StreamServer.port``.
        tls: a ``TlsConfig``; None: plain.
        framing: None: there is no framing yet.
        options: other keywords of ``asynctcp.tcp_server``, as in ``connect``: ``backlog``, …

    Raises ``asynctcp.TcpServerBindError``, and ``EventLoopError`` outside of a loop of ``asynctcp.aio``.
    """
    check_options(options, framing)
    return _serve(lambda *args, **more: _core.tcp_server(host, port, *args, **more), handler, tls, options)


async def serve_unix(
    handler: Handler,
    path: PipePath,
    *,
    tls: TlsConfig | None = None,
    framing: None = None,
    **options: Unpack[ServeUnixOptions],
) -> StreamServer:
    """Listen on a Unix socket; as ``serve``, with the keywords of ``asynctcp.pipe_server``."""
    check_options(options, framing)
    return _serve(lambda *args, **more: _core.pipe_server(path, *args, **more), handler, tls, options)


def _serve(
    begin: Callable[..., _core.TcpServer],
    handler: Handler,
    tls: TlsConfig | None,
    options: ServeOptions | ServeUnixOptions,
) -> StreamServer:
    if not callable(handler):
        raise TypeError(f"handler must be an async def, not {type(handler).__name__}: {handler!r}")
    made = StreamServer(handler)
    made._server = begin(_ignore, connect_cb=made._on_connect, allow_half_open=True, tls=tls, **options)
    made._server._when_ended(made._is_over.set)
    return made
