"""Accepting as asyncio does it, but for what follows when descriptors run out."""

import errno
import math
import socket
from asyncio import trsock
from asyncio.log import logger
from typing import Any

#: What says that the process or the machine has no room for a connection now.
STARVED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
#: Seconds after which it is tried again. asyncio's own waits for one, and tells of it as often as the backlog
#: is long.
RETRY = 0.1
#: Seconds in which the exception handler is told once.
TELL_EVERY = 1.0


class Accepting:
    """What a loop has of it."""

    _told_of_starving = -math.inf

    _debug: bool
    _accept_connection2: Any
    _add_reader: Any
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
        for _ in range(backlog + 1):
            try:
                conn, address = sock.accept()
            except ConnectionAbortedError:
                continue
            except (BlockingIOError, InterruptedError):
                return
            except OSError as exc:
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
            context = {"context": more[2].copy()} if more[2:] else {}
            accepted = self._accept_connection2(
                protocol_factory, conn, {"peername": address}, sslcontext, server, *more[:2], **context
            )
            self.create_task(accepted, **context)

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
