"""The native side: sockets, servers, timers, and the half of the event loop that waits and dispatches."""

import socket
from asyncio import AbstractEventLoop, BaseProtocol, BaseTransport, Future, Handle, Task, TimerHandle
from collections.abc import Callable, Coroutine, Iterable
from contextvars import Context
from os import PathLike
from types import GenericAlias
from typing import Any, Generic, Literal, Self, final, overload

from typing_extensions import Buffer, TypeVar, disjoint_base

from asynctcp._loop import EventLoop
from asynctcp._proxy import ProxyInfo
from asynctcp._stream import AsyncIOStream
from asynctcp._tls import TlsConfig, TlsInfo
from asynctcp.conditions import EventLoopError, TcpInfo
from asynctcp.typing import (
    Address,
    AnyReadCallback,
    AppErrorHandler,
    Callback,
    CloseCallback,
    ConnectCallback,
    Data,
    DnsCallback,
    EventCallback,
    HasFileno,
    Network,
    PipePath,
    PollCallback,
    ReadCallback,
    ReverseDnsCallback,
    Seconds,
    SignalCallback,
    SocketOptions,
    StreamReadCallback,
    WriteCallback,
)

__all__ = [
    "DatagramTransport",
    "Idler",
    "LoopBlock",
    "LoopCore",
    "NativeLoop",
    "Notifier",
    "Poller",
    "ProxyHeader",
    "Reservation",
    "Socket",
    "StreamProtocol",
    "StreamReader",
    "StreamTransport",
    "StreamWriter",
    "TcpServer",
    "Timer",
    "TlsTransport",
    "_TlsContext",
    "__version__",
    "_check_callback",
    "_clear_signals",
    "_close_at_exit",
    "_forked",
    "_free_signal",
    "_handle_signal",
    "_poll",
    "_set_loop_finder",
    "_tls_client",
    "_tls_server",
    "adopt_tcp_socket",
    "close_socket",
    "close_tcp_server",
    "connect_pipe_socket",
    "connect_tcp_socket",
    "current_event_loop",
    "delay",
    "disable_socket",
    "dns_lookup",
    "enable_socket",
    "free_idler",
    "free_poller",
    "idle",
    "init_pipe_socket",
    "init_tcp_socket",
    "interval",
    "pipe_connect",
    "pipe_server",
    "remove_interval",
    "reverse_dns_lookup",
    "set_default_event_handler",
    "set_socket_timeouts",
    "socket_c",
    "socket_closed_p",
    "socket_data",
    "tcp_connect",
    "tcp_server",
    "write_socket_data",
]

__version__: str

# What the app keeps in `data`; who does not say need not.
_Data = TypeVar("_Data", default=Any)
_Either = TypeVar("_Either", Socket, AsyncIOStream)

@disjoint_base
class LoopCore:
    def __new__(
        cls,
        *,
        catch_app_errors: bool | AppErrorHandler = False,
        send_errors_to_event_cb: bool = True,
        io_threads: int = 0,
        read_limit: int = 262144,
        memory_limit: int = 67108864,
        debug: bool = False,
    ) -> Self: ...
    def call_soon_threadsafe(self, fn: Callable[..., object], *args: object) -> None: ...
    def set_busy_poll(self, seconds: float | None) -> None: ...
    def stats(self) -> dict[str, Any]: ...
    def _run(self, start_fn: Callback | None) -> None: ...
    def _fileno(self) -> int: ...
    def _pump(self, timeout: float | None) -> int: ...
    def _exit(self) -> None: ...
    def _enter(self) -> None: ...
    def _give_to(self, thread: int) -> None: ...
    def _leave(self) -> None: ...
    def _forget(self) -> None: ...
    def _add_exit_callback(self, fn: Callback) -> None: ...
    @property
    def _thread(self) -> int: ...
    def _has_ended(self) -> bool: ...
    def _beat(self) -> int: ...
    def _is_parents(self) -> bool: ...
    def _lingers(self) -> bool: ...
    def _open_objects(self) -> list[Socket | TcpServer]: ...

@disjoint_base
class NativeLoop:
    """What ``asynctcp.aio.Loop`` inherits: calls, timers and descriptors of an asyncio loop. Linux only."""

    def __new__(cls, *args: object, **kwargs: object) -> Self: ...
    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Handle:
        """Call it in the next turn."""

    def call_soon_threadsafe(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Handle:
        """Like call_soon(), from any thread."""

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> TimerHandle:
        """Call it in so many seconds."""

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> TimerHandle:
        """Call it at that time of the loop's clock."""

    def time(self) -> float:
        """The loop's clock, in seconds."""

    def create_task(self, coro: Coroutine[Any, Any, Any], **kwargs: Any) -> Task[Any]:
        """Run a coroutine in a task."""

    def create_future(self) -> Future[Any]:
        """A new future of the loop's."""

    def get_debug(self) -> bool:
        """Whether asyncio's debug mode is on."""

    def stop(self) -> None:
        """Stop running after this turn."""

    _stopping: bool
    _closed: bool
    _debug: bool
    def _run_once(self) -> None: ...
    def _let_go(self) -> None: ...
    def _push(self, handle: Handle) -> None: ...
    def _send_written(self) -> None: ...
    def _end_late_sender(self) -> None: ...
    @staticmethod
    def _is_inside_callbacks() -> bool: ...
    def _push_timer(self, when: float, handle: TimerHandle) -> None: ...
    def _waiting(self) -> tuple[int, int]: ...
    def _timer_handle_cancelled(self, handle: TimerHandle) -> None: ...
    def _wake(self) -> None: ...
    def _add_reader(
        self, fd: object, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> Handle: ...
    def _add_writer(
        self, fd: object, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> Handle: ...
    def _remove_reader(self, fd: object) -> bool: ...
    def _remove_writer(self, fd: object) -> bool: ...
    def _host(self, callbacks: LoopCore) -> None: ...
    def _drive(self, callbacks: LoopCore | None) -> None: ...
    def _adopt(self, transport: StreamTransport | DatagramTransport) -> None: ...
    def _lend(self, transport: StreamTransport, is_lent: bool) -> None: ...
    def _served_by(self, server: object) -> list[StreamTransport]: ...
    def _transport_of(self, fd: object) -> StreamTransport | DatagramTransport | None: ...

@disjoint_base
class DatagramTransport:
    """What ``asynctcp.aio.DatagramTransport`` inherits: a UDP or Unix socket of an asyncio protocol."""

    def __new__(
        cls,
        event_loop: NativeLoop,
        socket: socket.socket,
        protocol: BaseProtocol,
        extra: dict[str, Any],
        address: object,
    ) -> Self: ...
    def sendto(self, data: bytes | bytearray | memoryview, addr: Any = None) -> None:
        """Send ``data`` to ``addr``, or to the peer. It leaves when the running callback returns."""

    def close(self) -> None:
        """Close it when all is sent."""

    def abort(self) -> None:
        """Close it at once."""

    def is_closing(self) -> bool:
        """Whether it is closing or closed."""

    def is_reading(self) -> bool:
        """Whether what comes goes to the protocol."""

    def pause_reading(self) -> None:
        """Nothing goes to the protocol until ``resume_reading()``."""

    def resume_reading(self) -> None:
        """What comes goes to the protocol again."""

    def get_write_buffer_size(self) -> int:
        """Bytes that wait to be sent, as asyncio counts them."""

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """The low and the high-water mark, in bytes."""

    def set_write_buffer_limits(self, high: float | None = None, low: float | None = None) -> None:
        """The protocol is told to pause writing above ``high`` bytes, and to go on below ``low``."""

    def set_protocol(self, protocol: BaseProtocol) -> None:
        """From now on ``protocol`` is called."""

    def get_protocol(self) -> BaseProtocol:
        """The protocol."""

    @property
    def _extra(self) -> dict[str, Any] | None: ...
    @property
    def _protocol(self) -> BaseProtocol | None: ...
    @property
    def _loop(self) -> Any: ...
    @property
    def _sock(self) -> socket.socket | None: ...
    @property
    def _sock_fd(self) -> int: ...
    @property
    def _address(self) -> Any: ...
    @property
    def _conn_lost(self) -> int: ...
    def _registered(self) -> tuple[bool, bool]: ...
    def _unsent(self) -> int: ...
    def _start_reading(self) -> None: ...
    def _on_ready(self) -> None: ...
    def _force_close(self, exc: BaseException | None = None) -> None: ...
    def _call_connection_lost(self, exc: BaseException | None = None) -> None: ...

@disjoint_base
class StreamTransport:
    """What ``asynctcp.aio.Transport`` inherits: one connection of an asyncio protocol."""

    def __new__(
        cls,
        event_loop: NativeLoop,
        socket: socket.socket,
        protocol: BaseProtocol,
        extra: dict[str, Any] | None,
        server: object,
        context: Context | None = None,
    ) -> Self: ...
    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send ``data``. It leaves when the running callback returns."""

    def writelines(self, list_of_data: Iterable[Buffer]) -> None:
        """Send each of them."""

    def write_eof(self) -> None:
        """End the sending side when all is sent."""

    def can_write_eof(self) -> bool:
        """True."""

    def close(self) -> None:
        """Close it when all is sent."""

    def abort(self) -> None:
        """Close it at once."""

    def is_closing(self) -> bool:
        """Whether it is closing or closed."""

    def is_reading(self) -> bool:
        """Whether what comes goes to the protocol."""

    def pause_reading(self) -> None:
        """Nothing goes to the protocol until ``resume_reading()``."""

    def resume_reading(self) -> None:
        """What comes goes to the protocol again."""

    def get_write_buffer_size(self) -> int:
        """Bytes that wait to be sent."""

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """The low and the high-water mark, in bytes."""

    def set_write_buffer_limits(self, high: float | None = None, low: float | None = None) -> None:
        """The protocol is told to pause writing above ``high`` bytes, and to go on below ``low``."""

    def set_protocol(self, protocol: BaseProtocol) -> None:
        """From now on ``protocol`` is called."""

    def get_protocol(self) -> BaseProtocol:
        """The protocol."""

    @property
    def _extra(self) -> dict[str, Any]: ...
    @property
    def _protocol(self) -> BaseProtocol | None: ...
    @property
    def _loop(self) -> Any: ...
    @property
    def _sock(self) -> socket.socket | None: ...
    @property
    def _sock_fd(self) -> int: ...
    @property
    def _paused(self) -> bool: ...
    @property
    def _closing(self) -> bool: ...
    @property
    def _eof(self) -> bool: ...
    @property
    def _conn_lost(self) -> int: ...
    def _start_reading(self) -> None: ...
    def _on_ready(self) -> None: ...
    def _force_close(self, exc: BaseException | None = None) -> None: ...
    def _call_connection_lost(self, exc: BaseException | None = None) -> None: ...
    def _collected(self) -> Any: ...
    def _take_server(self) -> Any: ...
    def _registered(self) -> tuple[bool, bool]: ...
    def _unsent(self) -> int: ...
    def _make_empty_waiter(self) -> Future[None]: ...
    def _reset_empty_waiter(self) -> None: ...

@disjoint_base
class TlsTransport:
    """What ``asynctcp.aio``'s transports over TLS inherit: one connection of an asyncio protocol."""

    def __new__(
        cls,
        event_loop: NativeLoop,
        protocol: BaseProtocol,
        waiter: Future[None] | None,
        engine: tuple[Any, ...],
        is_made: bool,
        limits: tuple[float | None, float],
        extra: dict[str, Any],
    ) -> Self: ...
    def connection_made(self, transport: object) -> None:
        """The transport below is there: the handshake begins."""

    def data_received(self, data: bytes) -> None:
        """The transport below has received them."""

    def eof_received(self) -> bool:
        """The transport below has received the end."""

    def connection_lost(self, exc: BaseException | None) -> None:
        """The transport below is lost."""

    def pause_writing(self) -> None:
        """The transport below has enough."""

    def resume_writing(self) -> None:
        """The transport below takes more."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send ``data``. It leaves when the running callback returns."""

    def writelines(self, list_of_data: Iterable[Buffer]) -> None:
        """Send each of them."""

    def can_write_eof(self) -> bool:
        """False: TLS has no end of one side as asyncio has it."""

    def close(self) -> None:
        """Close it when all is sent, with a close_notify."""

    def abort(self) -> None:
        """Close it at once."""

    def is_closing(self) -> bool:
        """Whether it is closing or closed."""

    def is_reading(self) -> bool:
        """Whether what comes goes to the protocol."""

    def pause_reading(self) -> None:
        """Nothing goes to the protocol until ``resume_reading()``."""

    def resume_reading(self) -> None:
        """What comes goes to the protocol again."""

    def get_write_buffer_size(self) -> int:
        """Bytes that wait to be sealed, or for the transport below."""

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """The low and the high-water mark, in bytes."""

    def set_write_buffer_limits(self, high: float | None = None, low: float | None = None) -> None:
        """The protocol is told to pause writing at ``high`` bytes, and to go on at ``low``."""

    def get_read_buffer_size(self) -> int:
        """Bytes that have come and were not yet processed."""

    def get_read_buffer_limits(self) -> tuple[int, int]:
        """The low and the high-water mark, in bytes."""

    def set_read_buffer_limits(self, high: float | None = None, low: float | None = None) -> None:
        """While the protocol reads nothing, receiving pauses at ``high`` bytes and goes on at ``low``."""

    def set_protocol(self, protocol: BaseProtocol) -> None:
        """From now on ``protocol`` is called."""

    def get_protocol(self) -> BaseProtocol:
        """The protocol."""

    @property
    def _app_protocol(self) -> BaseProtocol | None: ...
    @property
    def _protocol_paused(self) -> bool: ...
    @property
    def _loop(self) -> Any: ...
    @property
    def _transport(self) -> Any: ...
    @property
    def _extra(self) -> dict[str, Any] | None: ...
    @property
    def _is_closed(self) -> bool: ...
    @property
    def _sslobj(self) -> Any: ...
    @property
    def _handshake_limit(self) -> float | None: ...
    @property
    def _phase(self) -> str: ...
    def _info(self) -> TlsInfo | None: ...
    def _feed(self, data: bytes) -> None: ...
    def _test__append_write_backlog(self, data: bytes) -> None: ...
    def _feed_unread(self, reader: StreamReader) -> None: ...
    def _step(self) -> None: ...
    def _force_close(self, exc: BaseException | None = None) -> None: ...
    def _send_before(self) -> None: ...

@final
class StreamReader:
    """The receiving end of a connection, as ``asyncio.StreamReader``.

    A read that finds enough is over without a Python frame or a turn of the loop. ``open_connection`` and
    ``start_server`` make it.

    Args:
        limit: bytes, int, 1 or more: a line and its like may be so long; the transport pauses while more than
            twice so many wait.
        loop: the event loop; None: the running one.
    """

    def __new__(cls, limit: int = 65536, loop: AbstractEventLoop | None = None) -> Self: ...
    def read(self, n: int = -1) -> Coroutine[Any, Any, bytes]:
        """Return at most ``n`` bytes, at least one before the end; without ``n``, all until the end."""

    def readexactly(self, n: int) -> Coroutine[Any, Any, bytes]:
        """Return ``n`` bytes. Raises ``asyncio.IncompleteReadError`` where the end comes before."""

    def readline(self) -> Coroutine[Any, Any, bytes]:
        """Return what comes up to and with a newline; at the end, what there is.

        Raises ``ValueError`` for a line longer than the limit, which is thrown away as far as it has come.
        """

    def readuntil(self, separator: bytes | tuple[bytes, ...] | None = None) -> Coroutine[Any, Any, bytes]:
        """Return what comes up to and with ``separator``; of several, the one that ends first (CPython 3.13).

        Args:
            separator: bytes, one or more, or a tuple of them; None: a newline.

        Raises ``asyncio.IncompleteReadError`` where the end comes before, ``asyncio.LimitOverrunError`` where
        more than the limit comes before; that stays to be read.
        """

    def at_eof(self) -> bool:
        """Whether the end has come and all before it was read."""

    def exception(self) -> BaseException | None:
        """What reads raise, or None."""

    def set_exception(self, exc: BaseException) -> None:
        """Have reads raise ``exc``."""

    def set_transport(self, transport: BaseTransport) -> None:
        """What comes is read from ``transport``, which is paused while more than twice the limit waits."""

    def feed_data(self, data: bytes | bytearray | memoryview) -> None:
        """``data`` has come."""

    def feed_eof(self) -> None:
        """The end has come."""

    def __aiter__(self) -> Self: ...
    def __anext__(self) -> Coroutine[Any, Any, bytes]:
        """Return the next line; end where nothing more comes."""

@disjoint_base
class StreamWriter:
    """What ``asynctcp.aio.StreamWriter`` inherits: the sending end of a connection."""

    def __new__(
        cls,
        transport: Any,
        protocol: StreamProtocol,
        reader: StreamReader | None,
        loop: AbstractEventLoop,
    ) -> Self: ...
    @property
    def transport(self) -> Any:
        """The transport."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send ``data``. It leaves when the running task waits for something."""

    def writelines(self, data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send each of them."""

    def drain(self) -> Coroutine[Any, Any, None]:
        """Wait until little enough waits to be sent; mostly returns at once.

        Raises what the connection was lost by, ``ConnectionResetError`` where this side has closed it.
        """

    def write_eof(self) -> None:
        """End the sending side when all is sent."""

    def can_write_eof(self) -> bool:
        """Whether the sending side can end alone: not over TLS."""

    def close(self) -> None:
        """Close the connection when all is sent."""

    def is_closing(self) -> bool:
        """Whether it is closing or closed."""

    @property
    def write_buffer_size(self) -> int:
        """Bytes that wait to be sent."""

    @property
    def _protocol(self) -> StreamProtocol: ...
    @property
    def _reader(self) -> StreamReader | None: ...
    def _set_transport(self, transport: Any) -> None: ...

@disjoint_base
class StreamProtocol:
    """What the protocol of ``asynctcp.aio``'s streams inherits."""

    def __new__(cls, reader: StreamReader, loop: AbstractEventLoop) -> Self: ...
    def data_received(self, data: bytes) -> None: ...
    def eof_received(self) -> bool: ...
    def connection_lost(self, exc: Exception | None) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    @property
    def _reader(self) -> StreamReader: ...
    @property
    def _loop(self) -> Any: ...
    def _attach(self, transport: Any, over_tls: bool) -> None: ...
    def _closed(self) -> Future[None]: ...

@final
class Reservation:
    def grow(self, count: int) -> None: ...
    def shrink(self, count: int) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...

@final
class LoopBlock:
    def __new__(cls, event_loop: EventLoop) -> Self: ...
    def __enter__(self) -> EventLoop: ...
    def __exit__(self, kind: object, _value: object, _traceback: object, /) -> None: ...

@final
class Notifier:
    def __new__(cls, loop: LoopCore, callback: Callback, event_cb: EventCallback | None = None) -> Self: ...
    def trigger(self) -> bool: ...
    def free(self) -> None: ...
    @property
    def freed(self) -> bool: ...
    def ref(self) -> None: ...
    def unref(self) -> None: ...

@final
class Poller:
    def free(self) -> None: ...
    @property
    def freed(self) -> bool: ...
    @property
    def closed(self) -> bool: ...
    @property
    def fd(self) -> int: ...
    @property
    def poll_for(self) -> tuple[Literal["readable", "writable"], ...]: ...
    @property
    def timeout(self) -> float | None: ...
    @property
    def callback(self) -> PollCallback | None: ...
    @property
    def event_cb(self) -> EventCallback | None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: object, _value: object, _traceback: object, /) -> None: ...

@final
class Idler:
    def free(self) -> None: ...
    @property
    def freed(self) -> bool: ...
    @property
    def closed(self) -> bool: ...
    @property
    def callback(self) -> Callback | None: ...
    @property
    def event_cb(self) -> EventCallback | None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: object, _value: object, _traceback: object, /) -> None: ...

@final
class ProxyHeader:
    def __new__(
        cls,
        source: Address | str | bytes | PathLike[str] | None,
        destination: Address | str | bytes | PathLike[str] | None,
        *,
        version: Literal[1, 2] = 2,
        tlvs: dict[int, Data] = {},
    ) -> Self: ...
    @classmethod
    def of(cls, socket: Socket | AsyncIOStream, *, version: Literal[1, 2] = 2) -> Self: ...
    @property
    def source(self) -> Address | str | None: ...
    @property
    def destination(self) -> Address | str | None: ...
    @property
    def version(self) -> int: ...
    @property
    def tlvs(self) -> dict[int, bytes]: ...
    def __bytes__(self) -> bytes: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Socket(Generic[_Data]):
    def __class_getitem__(cls, key: Any) -> GenericAlias: ...
    @property
    def closed(self) -> bool: ...
    @property
    def data(self) -> _Data: ...
    @data.setter
    def data(self, value: _Data) -> None: ...
    @property
    def server(self) -> TcpServer | None: ...
    @property
    def peername(self) -> Address | str | None: ...
    @property
    def sockname(self) -> Address | str | None: ...
    @property
    def transport_peername(self) -> Address | str | None: ...
    @property
    def proxy(self) -> ProxyInfo | None: ...
    @property
    def stream(self) -> AsyncIOStream | None: ...
    @property
    def c(self) -> socket.socket | None: ...
    def _attach(self, stream: AsyncIOStream) -> None: ...
    def _reserve(self) -> Reservation: ...
    def _line_limit(self) -> tuple[int, bool]: ...
    def _write_counted(self, data: Data) -> int: ...
    @property
    def bytes_read(self) -> int: ...
    @property
    def bytes_written(self) -> int: ...
    @property
    def write_buffer_size(self) -> int: ...
    def write(
        self,
        data: Data,
        *,
        read_cb: ReadCallback | StreamReadCallback | None = None,
        write_cb: WriteCallback | None = None,
        event_cb: EventCallback | None = None,
        start: int | None = None,
        end: int | None = None,
    ) -> None: ...
    def close(self, force: bool = False) -> None: ...
    @property
    def close_reason(self) -> TcpInfo | EventLoopError | None: ...
    def set_callbacks(
        self,
        *,
        read_cb: ReadCallback | StreamReadCallback | None = ...,
        write_cb: WriteCallback | None = ...,
        event_cb: EventCallback | None = ...,
        connect_cb: ConnectCallback | None = ...,
        close_cb: CloseCallback | None = ...,
    ) -> None: ...
    @property
    def peercred(self) -> tuple[int, int, int] | None: ...
    @property
    def tls(self) -> TlsInfo | None: ...
    def start_tls(
        self,
        config: TlsConfig,
        *,
        server_side: bool | None = None,
        server_name: str | None = None,
        connect_cb: ConnectCallback | None = None,
    ) -> None: ...
    def detach(self) -> tuple[socket.socket, bytes]: ...
    def set_write_buffer_limits(self, high: int, low: int) -> None: ...
    def disable(self, *, read: bool = False, write: bool = False) -> None: ...
    def enable(self, *, read: bool = False, write: bool = False) -> None: ...
    def set_timeouts(self, read_sec: Seconds, write_sec: Seconds) -> None: ...
    def shutdown_write(self) -> None: ...
    def fileno(self) -> int: ...
    def set_nodelay(self, on: bool = True) -> None: ...
    def set_keepalive(
        self, on: bool, *, idle: int | None = None, interval: int | None = None, count: int | None = None
    ) -> None: ...

@final
class TcpServer:
    @property
    def closed(self) -> bool: ...
    @property
    def address(self) -> Address | str: ...
    @property
    def addresses(self) -> list[Address | str]: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def connections(self) -> int: ...
    @property
    def sockets(self) -> list[Socket]: ...
    def reload_tls(self, config: TlsConfig) -> None: ...
    def _unknown(self) -> int: ...
    def _when_ended(self, fn: Callback) -> None: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: object, _value: object, _traceback: object, /) -> None: ...

@final
class _TlsContext:
    @property
    def role(self) -> Literal["client", "server"]: ...
    @property
    def server_name(self) -> str | None: ...
    @property
    def handshake_limit(self) -> float | None: ...
    @property
    def expired(self) -> bool: ...

@final
class Timer:
    @property
    def cancelled(self) -> bool: ...
    def cancel(self) -> None: ...
    # The native slot takes any arguments and refuses them itself.
    def __call__(self, /, *args: Any, **kwargs: Any) -> None: ...
    def ref(self) -> None: ...
    def unref(self) -> None: ...

# What `read_cb` is called with follows from two of the keywords, and so there are five of each. To unpack
# `ConnectOptions` would be shorter, but stubtest takes that for keywords that the native functions lack.
@overload
def tcp_connect(
    host: str,
    port: int,
    read_cb: ReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    data: Data | None = None,
    stream: Literal[False] = False,
    connect_cb: ConnectCallback | None = None,
    write_cb: WriteCallback | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    dont_drain_read_buffer: Literal[False] | None = None,
    allow_half_open: bool = False,
    local_address: tuple[str, int] | None = None,
    family: int = 0,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
    sock: socket.socket | None = None,
    socket_options: SocketOptions | None = None,
    send_proxy: ProxyHeader | None = None,
    tls: TlsConfig | bool | None = None,
) -> Socket: ...
@overload
def tcp_connect(
    host: str,
    port: int,
    read_cb: StreamReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    data: Data | None = None,
    stream: Literal[True],
    connect_cb: ConnectCallback | None = None,
    write_cb: WriteCallback | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    dont_drain_read_buffer: Literal[True] | None = None,
    allow_half_open: bool = False,
    local_address: tuple[str, int] | None = None,
    family: int = 0,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
    sock: socket.socket | None = None,
    socket_options: SocketOptions | None = None,
    send_proxy: ProxyHeader | None = None,
    tls: TlsConfig | bool | None = None,
) -> AsyncIOStream: ...
@overload
def tcp_connect(
    host: str,
    port: int,
    read_cb: ReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    data: Data | None = None,
    stream: Literal[True],
    connect_cb: ConnectCallback | None = None,
    write_cb: WriteCallback | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    dont_drain_read_buffer: Literal[False],
    allow_half_open: bool = False,
    local_address: tuple[str, int] | None = None,
    family: int = 0,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
    sock: socket.socket | None = None,
    socket_options: SocketOptions | None = None,
    send_proxy: ProxyHeader | None = None,
    tls: TlsConfig | bool | None = None,
) -> AsyncIOStream: ...
@overload
def tcp_connect(
    host: str,
    port: int,
    read_cb: StreamReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    data: Data | None = None,
    stream: Literal[False] = False,
    connect_cb: ConnectCallback | None = None,
    write_cb: WriteCallback | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    dont_drain_read_buffer: Literal[True],
    allow_half_open: bool = False,
    local_address: tuple[str, int] | None = None,
    family: int = 0,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
    sock: socket.socket | None = None,
    socket_options: SocketOptions | None = None,
    send_proxy: ProxyHeader | None = None,
    tls: TlsConfig | bool | None = None,
) -> Socket: ...
@overload
def tcp_connect(
    host: str,
    port: int,
    read_cb: AnyReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    data: Data | None = None,
    stream: bool = False,
    connect_cb: ConnectCallback | None = None,
    write_cb: WriteCallback | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    dont_drain_read_buffer: bool | None = None,
    allow_half_open: bool = False,
    local_address: tuple[str, int] | None = None,
    family: int = 0,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
    sock: socket.socket | None = None,
    socket_options: SocketOptions | None = None,
    send_proxy: ProxyHeader | None = None,
    tls: TlsConfig | bool | None = None,
) -> Socket | AsyncIOStream: ...
@overload
def init_tcp_socket(
    read_cb: ReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    data: Data | None = None,
    stream: Literal[False] = False,
    connect_cb: ConnectCallback | None = None,
    write_cb: WriteCallback | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    dont_drain_read_buffer: Literal[False] | None = None,
    allow_half_open: bool = False,
    local_address: tuple[str, int] | None = None,
    family: int = 0,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
    sock: socket.socket | None = None,
    socket_options: SocketOptions | None = None,
    send_proxy: ProxyHeader | None = None,
    tls: TlsConfig | bool | None = None,
) -> Socket: ...
@overload
def init_tcp_socket(
    read_cb: StreamReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    data: Data | None = None,
    stream: Literal[True],
    connect_cb: ConnectCallback | None = None,
    write_cb: WriteCallback | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    dont_drain_read_buffer: Literal[True] | None = None,
    allow_half_open: bool = False,
    local_address: tuple[str, int] | None = None,
    family: int = 0,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
    sock: socket.socket | None = None,
    socket_options: SocketOptions | None = None,
    send_proxy: ProxyHeader | None = None,
    tls: TlsConfig | bool | None = None,
) -> AsyncIOStream: ...
@overload
def init_tcp_socket(
    read_cb: ReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    data: Data | None = None,
    stream: Literal[True],
    connect_cb: ConnectCallback | None = None,
    write_cb: WriteCallback | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    dont_drain_read_buffer: Literal[False],
    allow_half_open: bool = False,
    local_address: tuple[str, int] | None = None,
    family: int = 0,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
    sock: socket.socket | None = None,
    socket_options: SocketOptions | None = None,
    send_proxy: ProxyHeader | None = None,
    tls: TlsConfig | bool | None = None,
) -> AsyncIOStream: ...
@overload
def init_tcp_socket(
    read_cb: StreamReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    data: Data | None = None,
    stream: Literal[False] = False,
    connect_cb: ConnectCallback | None = None,
    write_cb: WriteCallback | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    dont_drain_read_buffer: Literal[True],
    allow_half_open: bool = False,
    local_address: tuple[str, int] | None = None,
    family: int = 0,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
    sock: socket.socket | None = None,
    socket_options: SocketOptions | None = None,
    send_proxy: ProxyHeader | None = None,
    tls: TlsConfig | bool | None = None,
) -> Socket: ...
@overload
def init_tcp_socket(
    read_cb: AnyReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    data: Data | None = None,
    stream: bool = False,
    connect_cb: ConnectCallback | None = None,
    write_cb: WriteCallback | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    dont_drain_read_buffer: bool | None = None,
    allow_half_open: bool = False,
    local_address: tuple[str, int] | None = None,
    family: int = 0,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
    sock: socket.socket | None = None,
    socket_options: SocketOptions | None = None,
    send_proxy: ProxyHeader | None = None,
    tls: TlsConfig | bool | None = None,
) -> Socket | AsyncIOStream: ...
@overload
def adopt_tcp_socket(
    sock_or_fd: socket.socket | int,
    read_cb: ReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    data: Data | None = None,
    stream: Literal[False] = False,
    connect_cb: ConnectCallback | None = None,
    write_cb: WriteCallback | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    dont_drain_read_buffer: Literal[False] | None = None,
    allow_half_open: bool = False,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
) -> Socket: ...
@overload
def adopt_tcp_socket(
    sock_or_fd: socket.socket | int,
    read_cb: StreamReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    data: Data | None = None,
    stream: Literal[True],
    connect_cb: ConnectCallback | None = None,
    write_cb: WriteCallback | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    dont_drain_read_buffer: Literal[True] | None = None,
    allow_half_open: bool = False,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
) -> AsyncIOStream: ...
@overload
def adopt_tcp_socket(
    sock_or_fd: socket.socket | int,
    read_cb: ReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    data: Data | None = None,
    stream: Literal[True],
    connect_cb: ConnectCallback | None = None,
    write_cb: WriteCallback | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    dont_drain_read_buffer: Literal[False],
    allow_half_open: bool = False,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
) -> AsyncIOStream: ...
@overload
def adopt_tcp_socket(
    sock_or_fd: socket.socket | int,
    read_cb: StreamReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    data: Data | None = None,
    stream: Literal[False] = False,
    connect_cb: ConnectCallback | None = None,
    write_cb: WriteCallback | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    dont_drain_read_buffer: Literal[True],
    allow_half_open: bool = False,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
) -> Socket: ...
@overload
def adopt_tcp_socket(
    sock_or_fd: socket.socket | int,
    read_cb: AnyReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    data: Data | None = None,
    stream: bool = False,
    connect_cb: ConnectCallback | None = None,
    write_cb: WriteCallback | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    dont_drain_read_buffer: bool | None = None,
    allow_half_open: bool = False,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
) -> Socket | AsyncIOStream: ...
def connect_tcp_socket(
    socket_or_stream: _Either, host: str, port: int, *, event_cb: EventCallback | None = None
) -> _Either: ...
def _tls_client(said: dict[str, Any], verify: bool, server_name: str | None) -> _TlsContext: ...
def _tls_server(
    said: dict[str, Any], client_certs: str, names: list[tuple[str, _TlsContext]]
) -> _TlsContext: ...
@overload
def tcp_server(
    bind_address: str | None,
    port: int,
    read_cb: ReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    connect_cb: ConnectCallback | None = None,
    backlog: int = -1,
    stream: Literal[False] = False,
    dont_drain_read_buffer: Literal[False] | None = None,
    reuse_port: bool = False,
    fd: int | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    allow_half_open: bool = False,
    max_connections: int | None = None,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
    family: int = 0,
    socket_options: SocketOptions | None = None,
    proxy_protocol: Literal["require", "accept"] | None = None,
    proxy_from: Iterable[Network] | None = None,
    proxy_timeout: Seconds = 5,
    tls: TlsConfig | None = None,
    max_handshakes: int = 1024,
) -> TcpServer: ...
@overload
def tcp_server(
    bind_address: str | None,
    port: int,
    read_cb: StreamReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    connect_cb: ConnectCallback | None = None,
    backlog: int = -1,
    stream: Literal[True],
    dont_drain_read_buffer: Literal[True] | None = None,
    reuse_port: bool = False,
    fd: int | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    allow_half_open: bool = False,
    max_connections: int | None = None,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
    family: int = 0,
    socket_options: SocketOptions | None = None,
    proxy_protocol: Literal["require", "accept"] | None = None,
    proxy_from: Iterable[Network] | None = None,
    proxy_timeout: Seconds = 5,
    tls: TlsConfig | None = None,
    max_handshakes: int = 1024,
) -> TcpServer: ...
@overload
def tcp_server(
    bind_address: str | None,
    port: int,
    read_cb: ReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    connect_cb: ConnectCallback | None = None,
    backlog: int = -1,
    stream: Literal[True],
    dont_drain_read_buffer: Literal[False],
    reuse_port: bool = False,
    fd: int | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    allow_half_open: bool = False,
    max_connections: int | None = None,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
    family: int = 0,
    socket_options: SocketOptions | None = None,
    proxy_protocol: Literal["require", "accept"] | None = None,
    proxy_from: Iterable[Network] | None = None,
    proxy_timeout: Seconds = 5,
    tls: TlsConfig | None = None,
    max_handshakes: int = 1024,
) -> TcpServer: ...
@overload
def tcp_server(
    bind_address: str | None,
    port: int,
    read_cb: StreamReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    connect_cb: ConnectCallback | None = None,
    backlog: int = -1,
    stream: Literal[False] = False,
    dont_drain_read_buffer: Literal[True],
    reuse_port: bool = False,
    fd: int | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    allow_half_open: bool = False,
    max_connections: int | None = None,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
    family: int = 0,
    socket_options: SocketOptions | None = None,
    proxy_protocol: Literal["require", "accept"] | None = None,
    proxy_from: Iterable[Network] | None = None,
    proxy_timeout: Seconds = 5,
    tls: TlsConfig | None = None,
    max_handshakes: int = 1024,
) -> TcpServer: ...
@overload
def tcp_server(
    bind_address: str | None,
    port: int,
    read_cb: AnyReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    connect_cb: ConnectCallback | None = None,
    backlog: int = -1,
    stream: bool = False,
    dont_drain_read_buffer: bool | None = None,
    reuse_port: bool = False,
    fd: int | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    allow_half_open: bool = False,
    max_connections: int | None = None,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
    family: int = 0,
    socket_options: SocketOptions | None = None,
    proxy_protocol: Literal["require", "accept"] | None = None,
    proxy_from: Iterable[Network] | None = None,
    proxy_timeout: Seconds = 5,
    tls: TlsConfig | None = None,
    max_handshakes: int = 1024,
) -> TcpServer: ...
@overload
def pipe_connect(
    path: PipePath,
    read_cb: ReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    data: Data | None = None,
    stream: Literal[False] = False,
    connect_cb: ConnectCallback | None = None,
    write_cb: WriteCallback | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    dont_drain_read_buffer: Literal[False] | None = None,
    allow_half_open: bool = False,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
    socket_options: SocketOptions | None = None,
    send_proxy: ProxyHeader | None = None,
    tls: TlsConfig | bool | None = None,
) -> Socket: ...
@overload
def pipe_connect(
    path: PipePath,
    read_cb: StreamReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    data: Data | None = None,
    stream: Literal[True],
    connect_cb: ConnectCallback | None = None,
    write_cb: WriteCallback | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    dont_drain_read_buffer: Literal[True] | None = None,
    allow_half_open: bool = False,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
    socket_options: SocketOptions | None = None,
    send_proxy: ProxyHeader | None = None,
    tls: TlsConfig | bool | None = None,
) -> AsyncIOStream: ...
@overload
def pipe_connect(
    path: PipePath,
    read_cb: ReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    data: Data | None = None,
    stream: Literal[True],
    connect_cb: ConnectCallback | None = None,
    write_cb: WriteCallback | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    dont_drain_read_buffer: Literal[False],
    allow_half_open: bool = False,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
    socket_options: SocketOptions | None = None,
    send_proxy: ProxyHeader | None = None,
    tls: TlsConfig | bool | None = None,
) -> AsyncIOStream: ...
@overload
def pipe_connect(
    path: PipePath,
    read_cb: StreamReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    data: Data | None = None,
    stream: Literal[False] = False,
    connect_cb: ConnectCallback | None = None,
    write_cb: WriteCallback | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    dont_drain_read_buffer: Literal[True],
    allow_half_open: bool = False,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
    socket_options: SocketOptions | None = None,
    send_proxy: ProxyHeader | None = None,
    tls: TlsConfig | bool | None = None,
) -> Socket: ...
@overload
def pipe_connect(
    path: PipePath,
    read_cb: AnyReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    data: Data | None = None,
    stream: bool = False,
    connect_cb: ConnectCallback | None = None,
    write_cb: WriteCallback | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    dont_drain_read_buffer: bool | None = None,
    allow_half_open: bool = False,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
    socket_options: SocketOptions | None = None,
    send_proxy: ProxyHeader | None = None,
    tls: TlsConfig | bool | None = None,
) -> Socket | AsyncIOStream: ...
@overload
def init_pipe_socket(
    read_cb: ReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    data: Data | None = None,
    stream: Literal[False] = False,
    connect_cb: ConnectCallback | None = None,
    write_cb: WriteCallback | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    dont_drain_read_buffer: Literal[False] | None = None,
    allow_half_open: bool = False,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
    socket_options: SocketOptions | None = None,
    send_proxy: ProxyHeader | None = None,
    tls: TlsConfig | bool | None = None,
) -> Socket: ...
@overload
def init_pipe_socket(
    read_cb: StreamReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    data: Data | None = None,
    stream: Literal[True],
    connect_cb: ConnectCallback | None = None,
    write_cb: WriteCallback | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    dont_drain_read_buffer: Literal[True] | None = None,
    allow_half_open: bool = False,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
    socket_options: SocketOptions | None = None,
    send_proxy: ProxyHeader | None = None,
    tls: TlsConfig | bool | None = None,
) -> AsyncIOStream: ...
@overload
def init_pipe_socket(
    read_cb: ReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    data: Data | None = None,
    stream: Literal[True],
    connect_cb: ConnectCallback | None = None,
    write_cb: WriteCallback | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    dont_drain_read_buffer: Literal[False],
    allow_half_open: bool = False,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
    socket_options: SocketOptions | None = None,
    send_proxy: ProxyHeader | None = None,
    tls: TlsConfig | bool | None = None,
) -> AsyncIOStream: ...
@overload
def init_pipe_socket(
    read_cb: StreamReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    data: Data | None = None,
    stream: Literal[False] = False,
    connect_cb: ConnectCallback | None = None,
    write_cb: WriteCallback | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    dont_drain_read_buffer: Literal[True],
    allow_half_open: bool = False,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
    socket_options: SocketOptions | None = None,
    send_proxy: ProxyHeader | None = None,
    tls: TlsConfig | bool | None = None,
) -> Socket: ...
@overload
def init_pipe_socket(
    read_cb: AnyReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    data: Data | None = None,
    stream: bool = False,
    connect_cb: ConnectCallback | None = None,
    write_cb: WriteCallback | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    dont_drain_read_buffer: bool | None = None,
    allow_half_open: bool = False,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
    socket_options: SocketOptions | None = None,
    send_proxy: ProxyHeader | None = None,
    tls: TlsConfig | bool | None = None,
) -> Socket | AsyncIOStream: ...
def connect_pipe_socket(
    socket_or_stream: _Either, path: PipePath, *, event_cb: EventCallback | None = None
) -> _Either: ...
@overload
def pipe_server(
    path: PipePath,
    read_cb: ReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    mode: int = 0o600,
    unlink: bool = True,
    connect_cb: ConnectCallback | None = None,
    backlog: int = -1,
    stream: Literal[False] = False,
    dont_drain_read_buffer: Literal[False] | None = None,
    fd: int | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    allow_half_open: bool = False,
    max_connections: int | None = None,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
    socket_options: SocketOptions | None = None,
    proxy_protocol: Literal["require", "accept"] | None = None,
    proxy_from: Iterable[Network] | None = None,
    proxy_timeout: Seconds = 5,
    tls: TlsConfig | None = None,
    max_handshakes: int = 1024,
) -> TcpServer: ...
@overload
def pipe_server(
    path: PipePath,
    read_cb: StreamReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    mode: int = 0o600,
    unlink: bool = True,
    connect_cb: ConnectCallback | None = None,
    backlog: int = -1,
    stream: Literal[True],
    dont_drain_read_buffer: Literal[True] | None = None,
    fd: int | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    allow_half_open: bool = False,
    max_connections: int | None = None,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
    socket_options: SocketOptions | None = None,
    proxy_protocol: Literal["require", "accept"] | None = None,
    proxy_from: Iterable[Network] | None = None,
    proxy_timeout: Seconds = 5,
    tls: TlsConfig | None = None,
    max_handshakes: int = 1024,
) -> TcpServer: ...
@overload
def pipe_server(
    path: PipePath,
    read_cb: ReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    mode: int = 0o600,
    unlink: bool = True,
    connect_cb: ConnectCallback | None = None,
    backlog: int = -1,
    stream: Literal[True],
    dont_drain_read_buffer: Literal[False],
    fd: int | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    allow_half_open: bool = False,
    max_connections: int | None = None,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
    socket_options: SocketOptions | None = None,
    proxy_protocol: Literal["require", "accept"] | None = None,
    proxy_from: Iterable[Network] | None = None,
    proxy_timeout: Seconds = 5,
    tls: TlsConfig | None = None,
    max_handshakes: int = 1024,
) -> TcpServer: ...
@overload
def pipe_server(
    path: PipePath,
    read_cb: StreamReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    mode: int = 0o600,
    unlink: bool = True,
    connect_cb: ConnectCallback | None = None,
    backlog: int = -1,
    stream: Literal[False] = False,
    dont_drain_read_buffer: Literal[True],
    fd: int | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    allow_half_open: bool = False,
    max_connections: int | None = None,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
    socket_options: SocketOptions | None = None,
    proxy_protocol: Literal["require", "accept"] | None = None,
    proxy_from: Iterable[Network] | None = None,
    proxy_timeout: Seconds = 5,
    tls: TlsConfig | None = None,
    max_handshakes: int = 1024,
) -> TcpServer: ...
@overload
def pipe_server(
    path: PipePath,
    read_cb: AnyReadCallback | None,
    event_cb: EventCallback | None = None,
    *,
    mode: int = 0o600,
    unlink: bool = True,
    connect_cb: ConnectCallback | None = None,
    backlog: int = -1,
    stream: bool = False,
    dont_drain_read_buffer: bool | None = None,
    fd: int | None = None,
    read_timeout: Seconds = -1,
    write_timeout: Seconds = -1,
    allow_half_open: bool = False,
    max_connections: int | None = None,
    close_cb: CloseCallback | None = None,
    max_line: int | None = 65536,
    socket_options: SocketOptions | None = None,
    proxy_protocol: Literal["require", "accept"] | None = None,
    proxy_from: Iterable[Network] | None = None,
    proxy_timeout: Seconds = 5,
    tls: TlsConfig | None = None,
    max_handshakes: int = 1024,
) -> TcpServer: ...
def write_socket_data(
    socket_or_stream: Socket | AsyncIOStream,
    data: Data,
    *,
    read_cb: ReadCallback | StreamReadCallback | None = None,
    write_cb: WriteCallback | None = None,
    event_cb: EventCallback | None = None,
    start: int | None = None,
    end: int | None = None,
) -> None: ...
def close_socket(socket: Socket | AsyncIOStream, *, force: bool = False) -> None: ...
def socket_closed_p(socket: Socket | AsyncIOStream) -> bool: ...
def socket_c(socket: Socket | AsyncIOStream) -> socket.socket | None: ...
def socket_data(socket: Socket | AsyncIOStream) -> Any: ...
def enable_socket(socket: Socket | AsyncIOStream, *, read: bool = False, write: bool = False) -> None: ...
def disable_socket(socket: Socket | AsyncIOStream, *, read: bool = False, write: bool = False) -> None: ...
def set_socket_timeouts(socket: Socket | AsyncIOStream, read_sec: Seconds, write_sec: Seconds) -> None: ...
def close_tcp_server(server: TcpServer) -> None: ...
def delay(
    callback: Callback, time: float | None = None, *, event_cb: EventCallback | None = None
) -> Timer: ...
def interval(callback: Callback, time: float, *, event_cb: EventCallback | None = None) -> Timer: ...
def dns_lookup(
    host: str,
    callback: DnsCallback,
    *,
    event_cb: EventCallback | None = None,
    family: int = 0,
) -> None: ...
def reverse_dns_lookup(
    address: str,
    callback: ReverseDnsCallback,
    *,
    port: int = 0,
    event_cb: EventCallback | None = None,
) -> None: ...
def free_poller(poller: Poller) -> None: ...
def idle(callback: Callback, *, event_cb: EventCallback | None = None) -> Idler: ...
def free_idler(idler: Idler) -> None: ...
def remove_interval(timer: Timer) -> None: ...
def _poll(
    fd: int | HasFileno,
    callback: PollCallback,
    poll_for: Iterable[Literal["readable", "writable"]],
    timeout: Seconds,
    event_cb: EventCallback | None,
) -> Poller: ...
def _check_callback(name: str, value: object, optional: bool = False) -> None: ...
def _set_loop_finder(fn: Callable[[], object]) -> None: ...
def _forked() -> None: ...
def _close_at_exit() -> None: ...
def _handle_signal(
    event_loop: LoopCore, signum: int, callback: SignalCallback, event_cb: EventCallback | None
) -> None: ...
def _free_signal(event_loop: LoopCore, signum: int) -> None: ...
def _clear_signals(event_loop: LoopCore) -> None: ...
def current_event_loop() -> EventLoop: ...
def set_default_event_handler(fn: EventCallback | None) -> None: ...
