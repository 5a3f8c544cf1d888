"""The OS socket under a connection, as Python's own socket class."""

import errno
import os
import socket
import sys
from typing import Any, NoReturn

_IP = (socket.AF_INET, socket.AF_INET6)


def check_unconnected(sock: Any) -> int:
    """Check a socket of the app's that is to be connected; return its family."""
    _check("sock", sock, "a TCP socket", _IP)
    try:
        sock.getpeername()
    except OSError:
        return int(sock.family)
    raise OSError(errno.EISCONN, f"sock must not be connected yet: {sock!r}")


def connected(given: Any) -> tuple[socket.socket, tuple[Any, Any] | None]:
    """Check a connection of the app's; return it, with the names of its ends if they are no IP addresses."""
    number = isinstance(given, int) and not isinstance(given, bool)
    if number and not 0 <= given < 1 << 31:
        raise ValueError(f"sock_or_fd must be the number of a descriptor, not {given!r}")
    # Of a number the kind is found out; it is not duplicated.
    sock: Any = socket.socket(fileno=given) if number else given
    try:
        _check("sock_or_fd", sock, "a TCP or Unix stream socket", (*_IP, socket.AF_UNIX))
        names = sock.getpeername(), sock.getsockname()
    except BaseException:
        give_back(given, sock)
        raise
    return sock, names if sock.family == socket.AF_UNIX else None


def give_back(given: object, sock: socket.socket) -> None:
    """Leave the descriptor to whom it belongs, where it was given as a number."""
    if sock is not given:
        sock.detach()


def _check(name: str, sock: object, wanted: str, families: tuple[int, ...]) -> None:
    ssl = sys.modules.get("ssl")
    if not isinstance(sock, socket.socket) or (ssl is not None and isinstance(sock, ssl.SSLSocket)):
        raise TypeError(f"{name} must be a plain socket.socket, not {type(sock).__name__}: {sock!r}")
    if sock.fileno() < 0:
        raise OSError(errno.EBADF, f"{name} is closed: {sock!r}")
    if sock.type != socket.SOCK_STREAM or sock.family not in families:
        raise ValueError(f"{name} must be {wanted}, not {sock!r}")
    if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise ValueError(f"{name} must not listen: {sock!r}")


class OSSocket(socket.socket):
    """A ``socket.socket`` over the connection of a ``Socket``: what ``socket_c`` returns.

    It has a descriptor of its own, a duplicate: options, addresses and the rest act on the same connection.
    It never blocks, and cannot be made to: the event loop's descriptor shares that mode. It is closed with
    the ``Socket``; closing it alone does not end the connection.
    """

    def __init__(self, descriptor: int) -> None:
        try:
            super().__init__(fileno=descriptor)
            # Said of the object; the descriptor is non-blocking already, whatever the default timeout says.
            super().settimeout(0.0)
        except BaseException:
            # The caller closes it.
            self.detach()
            raise

    def dup(self) -> socket.socket:  # type: ignore[override]
        """Return a plain ``socket.socket`` over another duplicate, which is the caller's to close."""
        return socket.socket(fileno=os.dup(self.fileno()))

    def setblocking(self, flag: object, /) -> NoReturn:
        """Raise ``ValueError``: the event loop's sockets never block."""
        raise ValueError(f"the event loop's sockets stay non-blocking: setblocking({flag!r})")

    def settimeout(self, value: object, /) -> NoReturn:
        """Raise ``ValueError``: timeouts are the ``Socket``'s (``set_timeouts``)."""
        raise ValueError(f"the event loop's sockets stay non-blocking: settimeout({value!r})")
