"""asyncio's streams with a native reader and writer: what is done once a connection."""

import asyncio
import functools
import ssl
import warnings
from collections.abc import Awaitable, Callable
from typing import Any, Self

from asynctcp import _core
from asynctcp._core import StreamReader
from asynctcp._tls import TlsConfig, TlsInfo
from asynctcp.aio._transport import Transport

#: Bytes: a line and its like may be so long, and twice so much is read ahead; asyncio's own.
DEFAULT_LIMIT = 64 * 1024

ConnectedCb = Callable[[StreamReader, "StreamWriter"], Awaitable[None] | None]
Tls = TlsConfig | ssl.SSLContext | bool


class StreamWriter(_core.StreamWriter):
    """The sending end of a connection, as ``asyncio.StreamWriter``.

    Beyond that: ``write_buffer_size`` (int, bytes) and ``tls``.
    """

    _protocol: "StreamProtocol"

    @property
    def tls(self) -> TlsInfo | None:
        """What was agreed on by a ``TlsConfig``; None without TLS, and with an ``ssl.SSLContext``."""
        info: TlsInfo | None = self.get_extra_info("tls")
        return info

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the transport knows: ``"peername"``, ``"ssl_object"``, …; else ``default``."""
        return self.transport.get_extra_info(name, default)

    async def wait_closed(self) -> None:
        """Wait until the connection is closed. Raises the error that ended it."""
        await asyncio.shield(self._protocol._closed())

    async def start_tls(
        self,
        sslcontext: ssl.SSLContext | TlsConfig,
        *,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> None:
        """Go on over TLS, as ``asyncio.StreamWriter.start_tls``; earlier writes are sent in the clear.

        Args:
            sslcontext: an ``ssl.SSLContext`` or a ``TlsConfig``.
            server_hostname: str, the name that the server's certificate is to have.
            ssl_handshake_timeout: seconds, int or float.
            ssl_shutdown_timeout: seconds, int or float.

        Raises what ``loop.start_tls`` raises.
        """
        protocol = self._protocol
        await self.drain()
        transport = await protocol._loop.start_tls(
            self.transport,
            protocol,
            sslcontext,
            server_side=protocol._connected_cb is not None,
            server_hostname=server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )
        self._set_transport(transport)
        protocol._use(transport)

    def __repr__(self) -> str:
        words = [f"transport={self.transport!r}"]
        if self._reader is not None:
            words.append(f"reader={self._reader!r}")
        return f"<StreamWriter {' '.join(words)}>"

    def __del__(self) -> None:
        if self.is_closing():
            return
        if self._protocol._loop.is_closed():
            warnings.warn("loop is closed", ResourceWarning, stacklevel=2, source=self)
            return
        self.close()
        warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=2, source=self)


class StreamProtocol(_core.StreamProtocol):
    """What the transport calls, as ``asyncio.StreamReaderProtocol``; native where it is called often."""

    __slots__ = ("_connected_cb", "_task", "_transport")

    def __new__(
        cls, reader: StreamReader, loop: asyncio.AbstractEventLoop, connected_cb: ConnectedCb | None
    ) -> Self:
        """Make it over a reader; ``connected_cb`` is a server's."""
        made = super().__new__(cls, reader, loop)
        made._connected_cb = connected_cb
        made._task = None
        made._transport = None
        return made

    _connected_cb: ConnectedCb | None
    _task: asyncio.Task[None] | None
    _transport: Any

    def _use(self, transport: Any) -> None:
        self._transport = transport
        # Not asked for where there can be none: what it knows is made when somebody asks.
        self._attach(transport, type(transport) is not Transport and _is_over_tls(transport))

    def connection_made(self, transport: Any) -> None:
        """Make the writer of an accepted connection, and call or run what a program does with it."""
        self._use(transport)
        if self._connected_cb is None:
            return
        writer = StreamWriter(transport, self, self._reader, self._loop)
        made = self._connected_cb(self._reader, writer)
        if asyncio.iscoroutine(made):
            self._task = self._loop.create_task(made)
            self._task.add_done_callback(functools.partial(_report, transport))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell reader and writer."""
        super().connection_lost(exc)
        self._task = self._transport = None


def _is_over_tls(transport: Any) -> bool:
    return any(transport.get_extra_info(name) is not None for name in ("sslcontext", "tls"))


def _report(transport: Any, task: asyncio.Task[None]) -> None:
    """End the connection of a task that was cancelled or has failed."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        task.get_loop().call_exception_handler(
            {
                "message": "Unhandled exception in client_connected_cb",
                "exception": error,
                "transport": transport,
            }
        )
    if error is not None or task.cancelled():
        transport.close()


async def open_connection(
    host: str | None = None,
    port: int | str | None = None,
    *,
    limit: int = DEFAULT_LIMIT,
    tls: Tls | None = None,
    **options: Any,
) -> tuple[StreamReader, StreamWriter]:
    """Connect, as ``asyncio.open_connection``.

    Args:
        host: str, a name or an address.
        port: int.
        limit: bytes that a line may have; reading pauses while twice so many wait.
        tls: a ``TlsConfig``, an ``ssl.SSLContext``, or True: ``TlsConfig.client()``.
        options: other keywords of ``loop.create_connection``: ``ssl``, ``server_hostname``, ``local_addr``, …

    Raises what ``loop.create_connection`` raises, ``ValueError`` for a limit of 0.
    """
    made = _Connection(limit)
    return made.streams(
        await made.loop.create_connection(made.protocol, host, port, **made.ssl(tls, options))
    )


async def open_unix_connection(
    path: str | bytes | None = None, *, limit: int = DEFAULT_LIMIT, tls: Tls | None = None, **options: Any
) -> tuple[StreamReader, StreamWriter]:
    """Connect to a Unix socket, as ``asyncio.open_unix_connection``; else as ``open_connection``."""
    made = _Connection(limit)
    return made.streams(await made.loop.create_unix_connection(made.protocol, path, **made.ssl(tls, options)))


class _Connection:
    """A connection that is made: its reader, which its protocol feeds."""

    def __init__(self, limit: int) -> None:
        self.loop: Any = asyncio.get_running_loop()
        self._reader = StreamReader(limit, self.loop)
        self._protocol = StreamProtocol(self._reader, self.loop, None)

    def protocol(self) -> Any:
        return self._protocol

    def ssl(self, tls: Tls | None, options: dict[str, Any]) -> dict[str, Any]:
        if tls is True and isinstance(self.loop, _core.NativeLoop):
            tls = TlsConfig.client()
        return _ssl(tls, options)

    def streams(self, made: tuple[Any, Any]) -> tuple[StreamReader, StreamWriter]:
        return self._reader, StreamWriter(made[0], self._protocol, self._reader, self.loop)


async def start_server(
    client_connected_cb: ConnectedCb,
    host: str | None = None,
    port: int | str | None = None,
    *,
    limit: int = DEFAULT_LIMIT,
    tls: Tls | None = None,
    **options: Any,
) -> Any:
    """Listen, as ``asyncio.start_server``; ``client_connected_cb(reader, writer)`` has each connection.

    Args:
        client_connected_cb: a function or an ``async def``, which runs in a task of its own; its error goes
            to the loop's exception handler and closes the connection.
        host: str, an address or a name; None: all interfaces.
        port: int; 0: any.
        limit: bytes that a line may have; reading pauses while twice so many wait.
        tls: a ``TlsConfig`` or an ``ssl.SSLContext``; the same as ``ssl``.
        options: other keywords of ``loop.create_server``: ``ssl``, ``backlog``, ``reuse_port``, …

    Returns what ``loop.create_server`` does, in a loop of this library a ``Server``; raises what it raises.
    """
    loop, factory = _served(client_connected_cb, limit)
    return await loop.create_server(factory, host, port, **_ssl(tls, options))


async def start_unix_server(
    client_connected_cb: ConnectedCb,
    path: str | bytes | None = None,
    *,
    limit: int = DEFAULT_LIMIT,
    tls: Tls | None = None,
    **options: Any,
) -> Any:
    """Listen on a Unix socket, as ``asyncio.start_unix_server``; else as ``start_server``."""
    loop, factory = _served(client_connected_cb, limit)
    return await loop.create_unix_server(factory, path, **_ssl(tls, options))


def _served(connected_cb: ConnectedCb, limit: int) -> tuple[Any, Callable[[], StreamProtocol]]:
    loop = asyncio.get_running_loop()
    StreamReader(limit, loop)  # A bad limit is told here, not for each connection.
    return loop, lambda: StreamProtocol(StreamReader(limit, loop), loop, connected_cb)


def _ssl(tls: Tls | None, options: dict[str, Any]) -> dict[str, Any]:
    """What asyncio calls ``ssl``."""
    if tls is None:
        return options
    if options.get("ssl") is not None:
        raise TypeError("ssl and tls exclude each other")
    return {**options, "ssl": tls}
