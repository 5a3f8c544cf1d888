"""The OS socket under a connection, as Python's own socket class."""

import os
import socket
from typing import NoReturn


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
