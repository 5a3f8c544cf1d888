"""This library's sockets as streams to await: the names of anyio's streams, over sockets with callbacks."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self, Unpack

from asynctcp import _core
from asynctcp._tls import TlsConfig, TlsInfo
from asynctcp.aio._options import ConnectOptions, ConnectUnixOptions
from asynctcp.conditions import (
    EventInfo,
    SocketClosed,
    TcpBufferDrained,
    TcpBufferFull,
    TcpEof,
    TcpInfo,
)
from asynctcp.typing import Address, PipePath

#: Bytes that wait to be sent: above, `send` waits until the kernel has them.
HIGH_WATER = 64 * 1024
#: Bytes received that nobody has asked for: above, the socket is not read.
READ_LIMIT = 256 * 1024

#: What is no end of the connection.
NEWS = (TcpBufferFull, TcpBufferDrained)


class Stream:
    """A connected socket to await; ``connect`` and ``serve`` make it.

    Conditions (``asynctcp.TcpReset``, …) are raised by the call that waits. One task may receive while others
    send. ``socket`` is the callback socket below; ``async with`` closes it.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket: _core.Socket
        self._pieces: deque[bytes] = deque()
        #: Bytes of the first piece that were given already.
        self._given = 0
        self._size = 0
        self._is_paused = False
        self._told: EventInfo | None = None
        self._receiver: asyncio.Future[None] | None = None
        #: Bytes that were sent, at most: of text and wide items fewer are counted.
        self._written = 0
        #: Who waits, and of how many bytes the kernel must have all for it; in that order.
        self._senders: dict[asyncio.Future[None], int] = {}
        self._connected: asyncio.Future[None] = self._loop.create_future()
        self._closed: asyncio.Future[None] = self._loop.create_future()

    async def send(self, data: bytes | bytearray | memoryview) -> None:
        """Send ``data``; return at once below the high-water mark (64 KiB), else when the kernel has it.

        Args:
            data: bytes, bytearray or memoryview.

        Raises what ended the connection, ``asynctcp.SocketClosed`` if this side did.
        """
        sock = self.socket
        if sock.closed:
            raise self._reason()
        if sock.write_buffer_size + len(data) <= HIGH_WATER:
            sock.write(data)
            self._written += len(data)
            if self._senders:
                # While some go on sending, the buffer may never be empty.
                self._on_written(sock)
            return
        sock.write(data, write_cb=self._on_written)
        self._written += len(data)
        sent: asyncio.Future[None] = self._loop.create_future()
        self._senders[sent] = self._written
        try:
            await sent
        finally:
            self._senders.pop(sent, None)

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Return what has come, at least one byte; wait until there is some.

        Args:
            max_bytes: int, 1 or more: the most that is returned.

        Raises ``asynctcp.TcpEof`` at the end, ``asynctcp.TcpTimeout`` after the read timeout, and what else
        ended the connection.
        """
        if max_bytes < 1:
            raise ValueError(f"max_bytes must be 1 or more, not {max_bytes}")
        while not self._pieces:
            self._raise_what_was_told()
            if self._receiver is not None:
                raise RuntimeError("another task is receiving from this stream already")
            self._receiver = self._loop.create_future()
            try:
                await self._receiver
            finally:
                self._receiver = None
        return self._take(max_bytes)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """Return the next piece; end where the peer did."""
        try:
            return await self.receive()
        except TcpEof:
            raise StopAsyncIteration from None

    async def send_eof(self) -> None:
        """End the sending side once all is sent; receiving goes on. Raises as ``send``."""
        if self.socket.closed:
            raise self._reason()
        self.socket.shutdown_write()

    async def aclose(self) -> None:
        """Close it once all is sent, and wait until it is closed. Does nothing if it is closed."""
        self.socket.close()
        await asyncio.shield(self._closed)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        await self.aclose()

    @property
    def socket(self) -> _core.Socket:
        """The callback socket below; its callbacks are the stream's."""
        return self._socket

    @property
    def peername(self) -> Address | str | None:
        """The peer's address, as ``asynctcp.Socket.peername``."""
        return self.socket.peername

    @property
    def tls(self) -> TlsInfo | None:
        """What TLS has agreed on; None without TLS."""
        return self.socket.tls

    def __repr__(self) -> str:
        return f"<asynctcp.aio.Stream {self._socket!r}>"

    # What the socket says.

    def _on_connect(self, _: _core.Socket) -> None:
        _settle(self._connected)

    def _on_read(self, sock: _core.Socket, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)
        if self._size > READ_LIMIT and not self._is_paused:
            self._is_paused = True
            sock.disable(read=True)
        _settle(self._receiver)

    def _on_written(self, sock: _core.Socket) -> None:
        """Wake those of whose bytes none waits any more."""
        sent = self._written - sock.write_buffer_size
        for waiter, until in self._senders.items():
            if until > sent:
                break
            _settle(waiter)

    def _on_event(self, condition: EventInfo) -> None:
        if isinstance(condition, NEWS):
            return
        self._told = condition
        _settle(self._receiver)

    def _on_close(self, _: _core.Socket, reason: BaseException | None) -> None:
        error = reason if isinstance(reason, Exception) else SocketClosed()
        for waiter in (self._connected, *self._senders):
            if not waiter.done():
                waiter.set_exception(error)
        _settle(self._receiver)
        _settle(self._closed)

    def _take(self, max_bytes: int) -> bytes:
        piece = self._pieces[0][self._given : self._given + max_bytes]
        self._given += len(piece)
        if self._given == len(self._pieces[0]):
            self._pieces.popleft()
            self._given = 0
        self._size -= len(piece)
        if self._is_paused and self._size <= READ_LIMIT // 4:
            self._is_paused = False
            with contextlib.suppress(SocketClosed):
                self.socket.enable(read=True)
        return piece

    def _raise_what_was_told(self) -> None:
        if self._told is not None:
            raise self._told.with_traceback(None)
        if self.socket.closed:
            raise self._reason()

    def _reason(self) -> Exception:
        reason = self.socket.close_reason
        return reason if isinstance(reason, TcpInfo) else SocketClosed()


def _settle(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


#: What a stream says itself of its socket.
_OWN = {
    "read_cb",
    "event_cb",
    "connect_cb",
    "write_cb",
    "close_cb",
    "allow_half_open",
    "stream",
    "dont_drain_read_buffer",
}


def check_options(options: Iterable[str], framing: None) -> None:
    """Raise ``TypeError`` for what is no option of a stream's."""
    if framing is not None:
        raise TypeError(f"framing must be None, not {type(framing).__name__}: there is no framing yet")
    for name in options:
        if name in _OWN:
            raise TypeError(f"{name} is no option here: a stream has its own, and its sockets are half open")


async def connect(
    host: str,
    port: int,
    *,
    tls: TlsConfig | bool | None = None,
    framing: None = None,
    **options: Unpack[ConnectOptions],
) -> Stream:
    """Connect and return the stream.

    Args:
        host: str, a name or an address.
        port: int.
        tls: a ``TlsConfig``; True: with the system's trust; None: plain.
        framing: None: there is no framing yet.
        options: other keywords of ``asynctcp.tcp_connect`` but its callbacks and ``stream``: ``family``,
            … It is always open for writing after the peer's end.

    Raises the condition that a failed attempt ends with (``asynctcp.TcpRefused``, ``DnsError``, ``TlsError``,
    …), ``EventLoopError`` outside of a loop of ``asynctcp.aio``.
    """
    check_options(options, framing)
    return await _connect(lambda *args, **more: _core.tcp_connect(host, port, *args, **more), tls, options)


async def connect_unix(
    path: PipePath,
    *,
    tls: TlsConfig | bool | None = None,
    framing: None = None,
    **options: Unpack[ConnectUnixOptions],
) -> Stream:
    """Connect to a Unix socket; as ``connect``, with the keywords of ``asynctcp.pipe_connect``."""
    check_options(options, framing)
    return await _connect(lambda *args, **more: _core.pipe_connect(path, *args, **more), tls, options)


async def _connect(
    begin: Callable[..., _core.Socket],
    tls: TlsConfig | bool | None,
    options: ConnectOptions | ConnectUnixOptions,
) -> Stream:
    stream = Stream()
    stream._socket = begin(
        stream._on_read,
        stream._on_event,
        connect_cb=stream._on_connect,
        close_cb=stream._on_close,
        allow_half_open=True,
        tls=tls,
        **options,
    )
    try:
        await stream._connected
    except asyncio.CancelledError:
        stream.socket.close(force=True)
        raise
    return stream
