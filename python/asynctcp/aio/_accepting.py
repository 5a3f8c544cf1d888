"""Accepting: a transport at once for each plain connection, where asyncio makes a task for it.

And what follows when descriptors run out.
"""

import errno
import math
import socket
from asyncio import trsock
from asyncio.log import logger
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any

#: What says that the process or the machine has no room for a connection now.
STARVED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
#: Seconds after which it is tried again. asyncio's own waits for one, and tells of it as often as the backlog
#: is long.
RETRY = 0.1
#: Seconds in which the exception handler is told once.
TELL_EVERY = 1.0


class Accepting:
    """Mixin of ``Loop``: accepting connections."""

    _told_of_starving = -math.inf

    _debug: bool
    _accept_connection2: Any
    _make_socket_transport: Any
    _remove_reader: Any
    _start_serving: Any
    call_exception_handler: Any
    call_later: Any
    create_task: Any
    time: Any

    def _accept_connection(
        self,
        protocol_factory: Any,
        sock: socket.socket,
        sslcontext: Any = None,
        server: Any = None,
        backlog: int = 100,
        *more: Any,
    ) -> None:
        # more: two timeouts, and from CPython 3.15 on the context.
        context: Context | None = more[2] if more[2:] else None
        is_plain = sslcontext is None and type(sock) is socket.socket and not self._debug
        accept = _plainly(sock) if is_plain else sock.accept
        # At most one more than the backlog: other work is to have its turn.
        for _ in range(backlog + 1):
            try:
                conn, address = accept()
            except ConnectionAbortedError:
                continue
            except (BlockingIOError, InterruptedError):
                return
            except OSError as exc:
                # The server was closed by what the last connection called.
                if sock.fileno() < 0:
                    return
                if exc.errno not in STARVED:
                    raise
                self._tell_of_starving(sock, exc)
                self._remove_reader(sock.fileno())
                again = (protocol_factory, sock, sslcontext, server, backlog, *more)
                self.call_later(RETRY, self._serve_again, *again)
                return
            if self._debug:
                logger.debug("%r got a new connection from %r: %r", server, address, conn)
            conn.setblocking(False)
            # As that of a task: what a factory sets in it, the next connection's does not see.
            inside = copy_context() if context is None else context.copy()
            # From CPython 3.15 on that of all calls of this connection.
            own = {} if context is None else {"context": inside}
            extra = {"peername": address}
            if is_plain:
                inside.run(self._serve, protocol_factory, conn, extra=extra, server=server, **own)
                continue
            accepted = self._accept_connection2(
                protocol_factory, conn, extra, sslcontext, server, *more[:2], **own
            )
            self.create_task(accepted, **own)

    def _serve(
        self,
        protocol_factory: Callable[[], Any],
        connection: socket.socket,
        **options: Any,
    ) -> None:
        try:
            self._make_socket_transport(connection, protocol_factory(), **options)
        except (SystemExit, KeyboardInterrupt):
            connection.close()
            raise
        except BaseException:  # noqa: BLE001 - as asyncio has it, which tells of it in debug mode only
            connection.close()

    def _serve_again(self, protocol_factory: Any, sock: socket.socket, *more: Any) -> None:
        """Try again, unless the server was closed meanwhile."""
        if sock.fileno() >= 0:
            self._start_serving(protocol_factory, sock, *more)

    def _tell_of_starving(self, sock: socket.socket, exc: OSError) -> None:
        if self.time() - self._told_of_starving < TELL_EVERY:
            return
        self._told_of_starving = self.time()
        self.call_exception_handler(
            {
                "message": "socket.accept() out of system resource",
                "exception": exc,
                "socket": trsock.TransportSocket(sock),
            }
        )


def _plainly(listener: socket.socket) -> Callable[[], tuple[socket.socket, Any]]:
    """``listener.accept``, but for its asking each time of which kind the listener is."""
    kind = (int(listener.family), int(listener.type), listener.proto)

    def accept() -> tuple[socket.socket, Any]:
        number, address = listener._accept()  # type: ignore[attr-defined]
        return socket.socket(*kind, fileno=number), address

    return accept
