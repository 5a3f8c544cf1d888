"""The conditions: everything that is told about a socket, a server or a lookup apart from data.

A condition is an exception. Most are not raised but handed to an ``event_cb``; the few that a call raises say
so below. ``except`` and ``isinstance`` see through to Python's own classes: a ``TcpTimeout`` is a
``TimeoutError``, and every ``TcpError`` is an ``OSError`` with ``errno`` and ``strerror``::

    Exception
    ├── EventInfo                      something happened
    │   ├── EventError                 something went wrong: errcode, errmsg
    │   │   └── TcpError               (also TcpInfo, OSError)
    │   │       ├── TcpTimeout         (also TimeoutError)
    │   │       ├── TcpRefused         (also ConnectionRefusedError)
    │   │       ├── TcpReset           (also ConnectionResetError)
    │   │       ├── TcpAborted         (also ConnectionAbortedError)
    │   │       ├── TcpBrokenPipe      (also BrokenPipeError)
    │   │       ├── TcpAcceptError     listener, server
    │   │       ├── TcpServerBindError address, port
    │   │       ├── ProxyError         reason
    │   │       ├── SocketClosed
    │   │       ├── TlsError           reason, alert
    │   │       │   └── TlsCertificateError  verify_message
    │   │       └── DnsError           (also socket.gaierror) host
    │   └── TcpInfo                    about one socket: socket, peer
    │       ├── TcpEof
    │       ├── TcpBufferFull
    │       ├── TcpBufferDrained
    │       ├── TcpAppError        what a callback of the app raised: callback, function
    │       └── TcpError               (see above)
    ├── RuntimeError
    │   └── EventLoopError
    └── ValueError
        ├── LineTooLong
        └── TlsConfigError

"Closing condition" in the texts below means: the ``event_cb`` is called while the socket is still open, at
most once in the socket's life, and the socket is closed when the ``event_cb`` returns.

Conditions can be pickled and copied. Sockets, servers and listeners stay behind, since they belong to a
process and a loop: in the copy these attributes are ``None``. ``peer`` still tells which connection it was.
"""

from __future__ import annotations

import errno
import functools
import os
from socket import gaierror
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asynctcp._core import Socket, TcpServer
    from asynctcp._plain_types import Address

__all__ = [
    "DnsError",
    "EventError",
    "EventInfo",
    "EventLoopError",
    "LineTooLong",
    "ProxyError",
    "SocketClosed",
    "TcpAborted",
    "TcpAcceptError",
    "TcpAppError",
    "TcpBrokenPipe",
    "TcpBufferDrained",
    "TcpBufferFull",
    "TcpEof",
    "TcpError",
    "TcpInfo",
    "TcpRefused",
    "TcpReset",
    "TcpServerBindError",
    "TcpTimeout",
    "TlsCertificateError",
    "TlsConfigError",
    "TlsError",
    "condition_from_errno",
]


class EventInfo(Exception):
    """Something happened: the base of all that an ``event_cb`` is given by asynctcp itself.

    Never instantiated itself. With ``catch_app_errors=True`` an exception of the app's comes as a
    ``TcpAppError``. Carries nothing.
    """

    def _state(self) -> dict[str, Any]:
        """All that a copy of this condition keeps, by attribute name."""
        return dict(vars(self))

    def __reduce__(self) -> tuple[Any, ...]:
        # Not BaseException's way, which calls the class with `args`: these do not hold every constructor
        # argument (the host of a DnsError), and attributes would take the socket along.
        return _restore, (type(self), self.args), self._state()


def _restore(cls: type[EventInfo], args: tuple[object, ...]) -> EventInfo:
    """The first half of unpickling and copying; the attributes are set afterwards from ``_state()``."""
    condition = cls.__new__(cls)
    condition.args = args
    return condition


class EventError(EventInfo):
    """Something went wrong: the base of all errors that reach an ``event_cb``.

    asynctcp never instantiates it itself; an app may derive its own errors from it. Carries ``errcode`` (the
    system's number; an ``EAI_`` code in a ``DnsError``) and ``errmsg`` (its text), which are also
    ``errno`` and ``strerror``, and ``args`` is the pair of them, as in an ``OSError``.
    """

    errcode: int
    errmsg: str
    # Typed as in OSError, which shares a subclass with this one; never None here. In a TcpError these two are
    # OSError's own fields, so that its C side sees the number too.
    errno: int | None
    strerror: str | None

    def __init__(self, errcode: int, errmsg: str) -> None:
        Exception.__init__(self, errcode, errmsg)
        self.errcode = self.errno = errcode
        self.errmsg = self.strerror = errmsg

    def __str__(self) -> str:
        return f"[Errno {self.errcode}] {self.errmsg}"

    def _state(self) -> dict[str, Any]:
        # Named, since OSError's fields are not among the vars().
        return {**super()._state(), "errno": self.errno, "strerror": self.strerror}


class TcpInfo(EventInfo):
    """Something happened on a socket: the base of all that concerns one socket.

    Never instantiated itself. Carries ``socket`` (None where none exists, and in a copy) and ``peer``, the
    address of the other end as text, such as ``127.0.0.1:80`` (host and port where no connection came about),
    or None where there is no other end.
    """

    socket: Socket | None = None
    peer: str | None = None

    _summary = "TCP event"

    def __init__(self, socket: Socket | None = None) -> None:
        Exception.__init__(self)  # without arguments: `args` would hold the socket
        self.socket = socket

    def _peer_suffix(self) -> str:
        return f" (peer {self.peer})" if self.peer else ""

    def __str__(self) -> str:
        return self._summary + self._peer_suffix()

    def __repr__(self) -> str:
        shown = super().__repr__()
        if self.peer is None:
            return shown
        return f"{shown[:-1]}{', ' if self.args else ''}peer={self.peer!r})"

    def _state(self) -> dict[str, Any]:
        return {name: value for name, value in super()._state().items() if name != "socket"}


class TcpError(EventError, TcpInfo, OSError):
    """A connection failed in a way that has no class of its own below (host unreachable, for example).

    A closing condition of its socket. Also raised where a socket is connected twice, which leaves the
    socket as it is. Carries ``errcode``, ``errmsg``, ``socket`` and ``peer``.

    ``attempts`` tells of a connection that did not come about: ``(address, errno, text)`` for each address
    that was tried, in that order, the address as ``getpeername()`` would give it; one that had not answered
    when the time was over has ``ETIMEDOUT``. The condition itself is that of the most telling attempt:
    refused before unreachable before timed out, and last what made no sense from here. Empty otherwise.
    """

    attempts: tuple[tuple[Address, int, str], ...] = ()

    def __init__(self, errcode: int, errmsg: str, socket: Socket | None = None) -> None:
        EventError.__init__(self, errcode, errmsg)
        self.socket = socket

    def __str__(self) -> str:
        told = super().__str__() + self._peer_suffix()
        if len(self.attempts) < 2:
            return told
        return told + ": " + "; ".join(f"{address[0]}: {text}" for address, _, text in self.attempts)


class TcpEof(TcpInfo):
    """The peer has sent all it will send; comes once, after all data.

    A closing condition: what was written before and during the ``event_cb`` is still sent. With
    ``allow_half_open=True`` the socket instead stays open for writing until ``close_socket``. Carries
    ``socket`` and ``peer``.
    """

    _summary = "end of stream"


class TcpTimeout(TcpError, TimeoutError):
    """Nothing came, or nothing could be sent, for as long as the timeout allows; or connecting took too long.

    A closing condition. Comes from asynctcp's own timeouts and from the system's (``ETIMEDOUT``). Carries
    ``errcode`` (``ETIMEDOUT``), ``errmsg`` (which says what took too long), ``socket`` and ``peer``.
    """


class TcpRefused(TcpError, ConnectionRefusedError):
    """Nobody listens at the address that was to be connected to (``ECONNREFUSED``).

    A closing condition of a socket that was never connected. Carries ``errcode``, ``errmsg``, ``socket`` and
    ``peer``.
    """


class TcpReset(TcpError, ConnectionResetError):
    """The peer broke the connection off (``ECONNRESET``); what had not arrived yet is lost.

    A closing condition; comes after the data that was received before it. Carries ``errcode``, ``errmsg``,
    ``socket`` and ``peer``.
    """


class TcpAborted(TcpError, ConnectionAbortedError):
    """The connection was broken off by this side's system or on the way (``ECONNABORTED``).

    A closing condition. Carries ``errcode``, ``errmsg``, ``socket`` and ``peer``.
    """


class TcpBrokenPipe(TcpError, BrokenPipeError):
    """Data was to be sent where nothing can be sent any more (``EPIPE``, ``ESHUTDOWN``).

    A closing condition where the peer takes no more data. Also raised by a write after ``shutdown_write()``,
    the socket staying open for reading. Carries ``errcode``, ``errmsg``, ``socket`` and ``peer``.
    """


class TcpAcceptError(TcpError):
    """A server could not accept a connection; no descriptor may be left (``EMFILE``), for example.

    Goes to the server's ``event_cb``, at most once a second for the same cause. No socket exists, so
    ``socket`` is None, and nothing is closed: the server goes on accepting when it can. Carries ``errcode``,
    ``errmsg``, ``listener`` (what was listening) and ``server`` (the ``TcpServer``); both are None in a copy.
    """

    listener: object = None
    server: TcpServer | None = None

    def __init__(
        self, errcode: int, errmsg: str, listener: object = None, server: TcpServer | None = None
    ) -> None:
        super().__init__(errcode, errmsg)
        self.listener = listener
        self.server = server

    def _state(self) -> dict[str, Any]:
        return {name: value for name, value in super()._state().items() if name not in ("listener", "server")}


class TcpServerBindError(TcpError):
    """A server could not listen at the address asked for; raised by ``tcp_server``.

    No socket and no server exist. Carries ``errcode`` (``EMFILE`` where the process has no descriptor left,
    an ``EAI_`` code where a name was not found), ``errmsg``, and ``address``, ``port`` and ``fd`` as they
    were given to ``tcp_server`` (an address of None or ``""`` is any address). From ``pipe_server``
    ``address`` is the path and ``port`` None.
    """

    address: str | bytes | os.PathLike[str] | None
    port: int | None
    fd: int | None

    def __init__(
        self,
        errcode: int,
        errmsg: str,
        address: str | bytes | os.PathLike[str] | None,
        port: int | None,
        fd: int | None = None,
    ) -> None:
        super().__init__(errcode, errmsg)
        self.address = address
        self.port = port
        self.fd = fd

    def __str__(self) -> str:
        if self.fd is not None:  # its message tells which
            return super().__str__()
        if self.port is None:
            return f"{super().__str__()} (path {os.fsdecode(self.address or '')})"
        host = str(self.address or "*")
        return f"{super().__str__()} (address {f'[{host}]' if ':' in host else host}:{self.port})"


class ProxyError(TcpError):
    """A server has refused a connection because of its PROXY header, or for want of one.

    Goes to the server's ``event_cb``, at most ten a second; ``stats()["proxy_headers_failed"]`` counts all.
    The connection was reset before any callback knew of it, so ``socket`` is None; a connection that ends
    without a byte is not reported. Carries ``errcode``, ``errmsg``, ``peer`` (where it came from) and
    ``reason``: ``"untrusted"`` (headers from there are not believed), ``"header-timeout"``,
    ``"no-header"``, ``"malformed"``, ``"bad-checksum"``, ``"truncated"`` (it ended within the header) or
    ``"crowded"`` (more than 256 headers of more than 4 KiB are incomplete).
    """

    reason: str

    def __init__(self, errcode: int, errmsg: str, reason: str) -> None:
        super().__init__(errcode, errmsg)
        self.reason = reason


class SocketClosed(TcpError):
    """An operation was asked of a closed socket; raised by the call.

    The socket was closed before, and stays so. Carries ``errcode`` (``EBADF``), ``errmsg``, ``socket`` and
    ``peer``.
    """

    def __init__(
        self, errcode: int = errno.EBADF, errmsg: str = "socket is closed", socket: Socket | None = None
    ) -> None:
        super().__init__(errcode, errmsg, socket)


class DnsError(TcpError, gaierror):
    """A name could not be looked up, or an address has no name.

    Goes to the ``event_cb`` of the lookup, where no socket exists, or of the socket that was to be connected,
    whose closing condition it is. Carries ``errcode`` (one of ``socket.EAI_*``, not an errno), ``errmsg``,
    ``host`` (what was looked up) and ``socket``.
    """

    host: str

    def __init__(self, errcode: int, errmsg: str, host: str, socket: Socket | None = None) -> None:
        super().__init__(errcode, errmsg, socket)
        self.host = host

    def __str__(self) -> str:
        # Not the peer, which would be the host once more.
        return f"{EventError.__str__(self)} (host {self.host})"


class TlsError(TcpError):
    """A TLS handshake or session failed.

    A closing condition of its socket. Where a server's connection failed before it had a socket, it goes to
    the server's ``event_cb`` with ``socket`` None and ``peer`` set, at most ten times a second. Carries
    ``errcode`` (``EPROTO``), ``errmsg``, ``socket``, ``peer``; ``reason``, one word: ``"protocol-version"``,
    ``"truncated"`` (an end without close_notify), ``"handshake-timeout"``, ``"no-application-protocol"``,
    ``"bad-record"``, ``"not-tls"``, ``"certificate-refused"`` (by the peer), ``"certificate-required"``, …;
    and ``alert``, the name (IANA's, RFC 8446, 6) of the alert that was sent or received, or None.
    """

    reason: str
    alert: str | None

    def __init__(
        self,
        errcode: int,
        errmsg: str,
        socket: Socket | None = None,
        reason: str = "",
        alert: str | None = None,
    ) -> None:
        super().__init__(errcode, errmsg, socket)
        self.reason = reason
        self.alert = alert

    def __str__(self) -> str:
        return f"{self.reason}: {self.errmsg}{self._peer_suffix()}"


class TlsCertificateError(TlsError):
    """The peer's certificate was refused.

    As a ``TlsError``, whose ``reason`` is ``"expired"``, ``"not-yet-valid"``, ``"unknown-issuer"``,
    ``"self-signed"``, ``"wrong-name"``, ``"revoked"``, ``"bad-signature"`` or ``"bad-usage"``. Also carries
    ``verify_message``, which says exactly what was found.
    """

    @property
    def verify_message(self) -> str:
        """What was found, in words."""
        return self.errmsg.removeprefix("the peer's certificate was refused: ")


class TlsConfigError(ValueError):
    """A ``TlsConfig`` cannot be made of what it was given; raised by the call.

    Carries its message only, which names the file or the argument.
    """


class TcpBufferFull(TcpInfo):
    """After a flush more than ``high`` bytes were left to be sent; only with ``set_write_buffer_limits``.

    The socket is open and keeps what is written to it; an app that goes on writing spends memory. Carries
    ``socket`` and ``peer``.
    """

    _summary = "write buffer is full"


class TcpBufferDrained(TcpInfo):
    """After a ``TcpBufferFull`` the bytes left to be sent fell to ``low``: time to write on.

    The socket is open. Carries ``socket`` and ``peer``.
    """

    _summary = "write buffer has drained"


class TcpAppError(TcpInfo):
    """A callback of the app raised an exception, which is the ``__cause__`` of this one.

    With ``catch_app_errors=True`` it goes to the ``event_cb``, or to the log where there is none, and the
    ``close_cb`` of that socket gets it as its reason. A closing condition, if it was a socket's callback.
    Carries ``socket`` (None if it was not a socket's callback, and in a copy), ``peer``, ``callback``
    (``"read_cb"``, for example; for a callback that is no keyword of a socket, the function that took it:
    ``"delay"``, ``"interval"``, ``"poll"``, ``"dns_lookup"``), and ``function``, the name of the app's
    function with its module, or None.
    """

    def __init__(self, callback: str, function: object = None, socket: Socket | None = None) -> None:
        super().__init__(socket)
        self.callback = callback
        self.function: str | None = None if function is None else name_of(function)
        # What the cause said: a copy has none.
        self._said = "an exception"

    def _state(self) -> dict[str, Any]:
        return {**super()._state(), "_said": self._what()}

    def __str__(self) -> str:
        name = self.callback if self.function is None else f"{self.callback} {self.function}"
        return f"{name} raised {self._what()}{self._peer_suffix()}"

    def _what(self) -> str:
        return self._said if self.__cause__ is None else _told(self.__cause__)


def _told(error: BaseException) -> str:
    """Name an exception, with the first line of what it says."""
    said = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def name_of(function: object) -> str:
    """Name a callable with its module, as messages do: ``app.Room.on_read``."""
    while isinstance(function, functools.partial):
        function = function.func
    # Whatever the app made of its attributes: this is for a message.
    name = getattr(function, "__qualname__", None)
    if not isinstance(name, str):
        function, name = type(function), type(function).__qualname__
    module = getattr(function, "__module__", None)
    return f"{module}.{name}" if isinstance(module, str) else name


class EventLoopError(RuntimeError):
    """A loop is missing, runs where none may, or belongs to another thread or process.

    Raised by the call. Also the reason that a ``close_cb`` gets if the loop's end closed the socket.
    Carries its message only.
    """


class LineTooLong(ValueError):
    """A line is longer than allowed; raised by ``AsyncIOStream.readline`` and by iterating.

    Socket and stream stay as they are, with the line in the stream's buffer. Carries ``limit`` (bytes) and
    ``partial``, as much of the line's beginning as has come (bytes, at most 1 MiB more than the limit).
    """

    partial: bytes
    limit: int

    def __init__(self, partial: bytes, limit: int) -> None:
        super().__init__(f"line of more than {limit} bytes")
        self.partial = partial
        self.limit = limit

    def __reduce__(self) -> tuple[Any, ...]:
        # Not BaseException's way, which calls the class with `args`: that is the text.
        return type(self), (self.partial, self.limit)


_CLASS_OF_ERRNO: dict[int, type[TcpError]] = {
    errno.ETIMEDOUT: TcpTimeout,
    errno.ECONNREFUSED: TcpRefused,
    errno.ECONNRESET: TcpReset,
    errno.ECONNABORTED: TcpAborted,
    errno.EPIPE: TcpBrokenPipe,
    errno.ESHUTDOWN: TcpBrokenPipe,
}


def condition_from_errno(
    errcode: int, errmsg: str, socket: Socket | None = None, peer: str | None = None
) -> TcpError:
    """Make the condition for an error number of the system.

    ``errcode`` is an errno, never an ``EAI_`` code. One without a class of its own becomes a plain
    ``TcpError`` with the number intact. ``errmsg``, ``socket`` and ``peer`` are carried over as they are.
    """
    condition = _CLASS_OF_ERRNO.get(errcode, TcpError)(errcode, errmsg, socket)
    condition.peer = peer
    return condition


def event_errcode(condition: EventError) -> int:
    """The ``errcode`` of an error condition."""
    return condition.errcode


def event_errmsg(condition: EventError) -> str:
    """The ``errmsg`` of an error condition."""
    return condition.errmsg


def tcp_socket(condition: TcpInfo) -> Socket | None:
    """The ``socket`` that a condition is about, None where there is none."""
    return condition.socket


def tcp_accept_error_listener(condition: TcpAcceptError) -> object:
    """What was listening when accepting failed: the ``listener`` of the condition."""
    return condition.listener


def tcp_accept_error_server(condition: TcpAcceptError) -> TcpServer | None:
    """The server whose accepting failed: the ``server`` of the condition."""
    return condition.server
