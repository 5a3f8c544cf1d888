"""A transport whose descriptor sends a file meanwhile."""

import socket
from contextlib import suppress
from contextvars import Context, copy_context
from typing import Any


class Lent:
    """A block in which a transport's descriptor is also that of whoever sends the file.

    If the transport ends in it, the descriptor is shut down, and closed only behind the block: who sends
    learns of it, and waits under no number that is another connection's by then.
    """

    def __init__(self, loop: Any, transport: Any) -> None:
        self._loop = loop
        self._transport = transport
        self._sock: socket.socket = transport._sock
        self._ended: tuple[BaseException | None, Context] | None = None

    def __enter__(self) -> socket.socket:
        self._loop._lend(self._transport, is_lent=True)
        self._transport._call_connection_lost = self._lose
        return self._sock

    def __exit__(self, *_: object) -> None:
        transport = self._transport
        del transport._call_connection_lost
        self._loop._lend(transport, is_lent=False)
        if self._ended is not None:
            exc, context = self._ended
            self._loop.call_soon(transport._call_connection_lost, exc, context=context)

    def _lose(self, exc: BaseException | None) -> None:
        """Call later what tells the protocol and closes the socket, which calls this in its place."""
        if "_call_connection_lost" not in vars(self._transport):
            # The block was left since this was asked for.
            self._transport._call_connection_lost(exc)
            return
        self._ended = exc, copy_context()
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
