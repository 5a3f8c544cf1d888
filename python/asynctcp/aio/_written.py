"""What goes behind what transports have written in the same step, which leaves at its end.

On asyncio's own loop that has left already when a program sends by the same connection in another way.
"""

import asyncio
import socket
import weakref
from asyncio import trsock
from typing import Any

#: Where asyncio's class keeps the socket.
_SLOT: Any = trsock.TransportSocket._sock  # type: ignore[attr-defined]


class TransportSocket(trsock.TransportSocket):
    """A transport's socket as programs get it: what was written goes before whatever they do with it."""

    __slots__ = ("_loop",)

    def __init__(self, sock: socket.socket, loop: Any) -> None:
        _SLOT.__set__(self, sock)
        # A program that keeps it keeps no closed loop.
        self._loop: Any = None if loop is None else weakref.ref(loop)

    @property
    def _sock(self) -> Any:
        """The socket; each method of asyncio's class asks for it."""
        # Another thread may ask, too: it sends nothing, for the protocol could be told of that.
        running: Any = asyncio._get_running_loop()
        if running is not None and self._loop is not None and running is self._loop():
            running._send_written()
        return _SLOT.__get__(self)


class Behind:
    """Mixin of ``Loop``: what sends by a socket that may be a transport's duplicate, or gives one away."""

    _send_written: Any

    async def sock_sendall(self, sock: Any, data: Any) -> None:
        """Send all, as ``asyncio.AbstractEventLoop.sock_sendall``."""
        self._send_written()
        await super().sock_sendall(sock, data)  # type: ignore[misc]

    async def sock_sendto(self, sock: Any, data: Any, address: Any) -> int:
        """Send a datagram, as ``asyncio.AbstractEventLoop.sock_sendto``."""
        self._send_written()
        sent: int = await super().sock_sendto(sock, data, address)  # type: ignore[misc]
        return sent

    async def sock_sendfile(self, sock: Any, file: Any, *args: Any, **kwargs: Any) -> int:
        """Send a file, as ``asyncio.AbstractEventLoop.sock_sendfile``."""
        self._send_written()
        sent: int = await super().sock_sendfile(sock, file, *args, **kwargs)  # type: ignore[misc]
        return sent

    async def _make_subprocess_transport(self, *args: Any, **kwargs: Any) -> Any:
        # The child may have got a connection.
        self._send_written()
        return await super()._make_subprocess_transport(*args, **kwargs)  # type: ignore[misc]
