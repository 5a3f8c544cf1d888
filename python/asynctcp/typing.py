"""Names for annotations: what each callback is called with, and what the calls take.

An app imports them where it annotates its own functions; nothing here is needed to run one::

    from asynctcp.typing import ReadCallback

    def serve(port: int, on_read: ReadCallback) -> None: ...

All callbacks run in the loop's thread, and what they return is ignored.
"""

import os
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypedDict

from asynctcp import _plain_types
from asynctcp._core import Poller, ProxyHeader, Socket
from asynctcp._stream import AsyncIOStream

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    from typing_extensions import Buffer

    from asynctcp._tls import TlsConfig

__all__ = [
    "Address",
    "AnyReadCallback",
    "AppErrorHandler",
    "Callback",
    "CloseCallback",
    "ConnectCallback",
    "ConnectOptions",
    "Data",
    "DnsCallback",
    "EventCallback",
    "FilePath",
    "HasFileno",
    "Network",
    "Pem",
    "PipePath",
    "PollCallback",
    "ProxyTls",
    "ReadCallback",
    "ReverseDnsCallback",
    "Seconds",
    "ServerOptions",
    "SignalCallback",
    "SocketOptions",
    "StreamReadCallback",
    "WriteCallback",
]

#: ``read_cb(socket, data)``, when bytes were received.
ReadCallback: TypeAlias = Callable[[Socket, bytes], object]
#: ``read_cb(socket, stream)``, when the stream has more to read. With ``stream=True``, if not
#: ``dont_drain_read_buffer`` says otherwise.
StreamReadCallback: TypeAlias = Callable[[Socket, AsyncIOStream], object]
#: A ``read_cb`` that takes both, where the type checker cannot know whether ``stream`` is set.
AnyReadCallback: TypeAlias = Callable[[Socket, bytes | AsyncIOStream], object]
#: ``connect_cb(socket)``, when the connection is established.
ConnectCallback: TypeAlias = Callable[[Socket], object]
#: ``write_cb(socket)``, when all that was written so far has been handed to the kernel.
WriteCallback: TypeAlias = Callable[[Socket], object]
#: ``event_cb(condition)`` with an ``EventInfo``. The argument is ``Any``, so that a function annotated with
#: what it expects fits.
EventCallback: TypeAlias = Callable[[Any], object]
#: ``close_cb(socket, reason)``, once, after its end. ``reason`` is None, a ``TcpInfo`` or an
#: ``EventLoopError``; it is ``Any``, so that a function annotated with what it expects fits.
CloseCallback: TypeAlias = Callable[[Socket, Any], object]
#: ``callback()`` of timers, notifiers and idlers, ``start_fn()``, and the exit callbacks.
Callback: TypeAlias = Callable[[], object]
#: ``callback(address, family)`` of ``dns_lookup``; ``family`` is ``AF_INET`` or ``AF_INET6``.
DnsCallback: TypeAlias = Callable[[str, int], object]
#: ``callback(host, service)`` of ``reverse_dns_lookup``.
ReverseDnsCallback: TypeAlias = Callable[[str, str], object]
#: ``callback(signum)`` of ``signal_handler``.
SignalCallback: TypeAlias = Callable[[int], object]
#: ``callback(poller, word)`` of ``poll``.
PollCallback: TypeAlias = Callable[[Poller, Literal["readable", "writable"]], object]
#: A function for ``catch_app_errors=``, called with what a callback raised.
AppErrorHandler: TypeAlias = Callable[[BaseException], object]

if TYPE_CHECKING:
    #: What can be written, bytes-like and C-contiguous, or text, which is sent as UTF-8.
    Data: TypeAlias = Buffer | str
    #: A network of addresses, as ``ipaddress.ip_network`` reads it.
    Network: TypeAlias = str | IPv4Network | IPv6Network
else:
    # Python 3.11 has no Buffer; this is for whoever looks at annotations at run time.
    Data = bytes | bytearray | memoryview | str
    Network = str
#: What ``setsockopt`` takes, each as (level, name, value), in a list or tuple.
SocketOptions: TypeAlias = Sequence[tuple[int, int, int | bytes]]
#: A time in seconds; None stands for none.
Seconds: TypeAlias = float | None
#: As ``getsockname()`` gives it, host and port, for IPv6 also flow label and scope.
Address: TypeAlias = _plain_types.Address
#: A path, as ``open`` takes it.
FilePath: TypeAlias = _plain_types.FilePath
#: Certificates, keys or revocation lists (RFC 7468).
Pem: TypeAlias = _plain_types.Pem
#: A Unix socket's name, which is a path, or ``"\0name"`` in Linux's abstract namespace.
PipePath: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]


class HasFileno(Protocol):
    """What has a descriptor: a socket, a pipe's end, a process's output."""

    def fileno(self) -> int:
        """Return its number."""


class ConnectOptions(TypedDict, total=False):
    """The keywords of ``tcp_connect`` and ``init_tcp_socket`` that do not change the type of the result.

    Not among them: ``stream`` and ``dont_drain_read_buffer``. For a function that
    hands them on: ``def dial(**options: Unpack[ConnectOptions])``.
    """

    data: Data | None
    connect_cb: ConnectCallback | None
    write_cb: WriteCallback | None
    read_timeout: Seconds
    write_timeout: Seconds
    allow_half_open: bool
    local_address: tuple[str, int] | None
    family: int
    sock: socket.socket | None
    socket_options: SocketOptions | None
    send_proxy: ProxyHeader | None
    tls: "TlsConfig | bool | None"
    close_cb: CloseCallback | None
    max_line: int | None


class ProxyTls(TypedDict):
    """What ``socket.proxy.tls`` says of the TLS between a client and the balancer that ends it."""

    #: Such as ``TLSv1.3``.
    version: str | None
    #: The common name of the client's certificate.
    cn: str | None
    #: The cipher suite.
    cipher: str | None
    #: Whether the client showed a certificate that the balancer verified.
    verified: bool


class ServerOptions(TypedDict, total=False):
    """The keywords of ``tcp_server`` that do not change the type of its callbacks.

    Not among them: ``stream`` and ``dont_drain_read_buffer``. For a function that
    hands them on: ``def serve(**options: Unpack[ServerOptions])``.
    """

    connect_cb: ConnectCallback | None
    backlog: int
    reuse_port: bool
    fd: int | None
    read_timeout: Seconds
    write_timeout: Seconds
    allow_half_open: bool
    max_connections: int | None
    family: int
    socket_options: SocketOptions | None
    proxy_protocol: Literal["require", "accept"] | None
    proxy_from: Iterable[Network] | None
    proxy_timeout: Seconds
    tls: "TlsConfig | None"
    max_handshakes: int
    close_cb: CloseCallback | None
    max_line: int | None
