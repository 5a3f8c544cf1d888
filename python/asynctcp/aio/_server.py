"""Servers: asyncio's own, with what CPython 3.13 has in them on every version, and how they end."""

import asyncio
import weakref
from asyncio import base_events
from typing import Any

from asynctcp import _core

#: From CPython 3.13 on asyncio's servers know which transports they serve: they are told.
KNOWS_CLIENTS = hasattr(base_events.Server, "close_clients")

#: Seconds in which the connections of a server that is cancelled may send what was written to them.
LAST_WORDS = 1.0


class Server(base_events.Server):
    """What ``loop.create_server`` returns: ``asyncio.Server`` as it is in CPython 3.13, and ``drain``.

    Whoever cancels ``serve_forever()``, as Ctrl-C does, or leaves ``async with`` by an exception, ends the
    connections, too: an idle client does not keep the program.
    """

    _serving_forever_fut: asyncio.Future[None] | None

    def _connections(self) -> list[Any]:
        """Return their transports, which the loop knows: no server keeps one that nobody else has."""
        loop: Any = self.get_loop()
        connections: list[Any] = loop._served_by(self)
        return connections

    def close(self) -> None:
        """Stop listening; the connections go on."""
        super().close()
        if self._waiters:  # type: ignore[attr-defined]
            self._let_go_of_writers()

    def close_clients(self) -> None:
        """Close the transport of each connection: what was written is sent first."""
        for transport in self._connections():
            above = transport.get_protocol()
            # Over TLS the peer is told: else it could take the end for an attacker's.
            (above if isinstance(above, _core.TlsTransport) else transport).close()

    def abort_clients(self) -> None:
        """Close the transport of each connection at once; what was not sent is lost."""
        for transport in self._connections():
            transport.abort()

    async def serve_forever(self) -> None:
        """Accept connections until this is cancelled, which ends them, or the server is closed."""
        if self._serving_forever_fut is not None:
            raise RuntimeError(f"server {self!r} is already being awaited on serve_forever()")
        if not self._listens():
            raise RuntimeError(f"server {self!r} is closed")
        self._start_serving()  # type: ignore[attr-defined]
        self._serving_forever_fut = self.get_loop().create_future()
        try:
            await self._serving_forever_fut
        except asyncio.CancelledError:
            if self._listens():
                await self._end()
            else:
                # Whoever closed it lets the connections go on.
                await self.wait_closed()
            raise
        finally:
            self._serving_forever_fut = None

    async def __aexit__(self, *exc: object) -> None:
        self.close()
        # A coroutine that is closed cannot wait, and no loop may run.
        if exc[0] is not GeneratorExit:
            await (self.wait_closed() if exc[0] is None else self._end())
        elif not self.get_loop().is_closed():
            self.close_clients()

    async def wait_closed(self) -> None:
        """Wait until the server is closed and its last connection has ended."""
        waiters: list[asyncio.Future[Any]] | None = self._waiters  # type: ignore[attr-defined]
        if waiters is None:
            return
        if not self._listens():
            self._let_go_of_writers()
        waiter: asyncio.Future[Any] = self.get_loop().create_future()
        waiters.append(waiter)
        await waiter

    async def drain(self, timeout: float) -> bool:  # noqa: ASYNC109 - the name that asyncio has for it
        """Stop accepting, and wait until the connections have ended.

        Args:
            timeout: seconds, int or float; connections still open then are aborted.

        Returns whether all ended by themselves.
        """
        self.close()
        try:
            async with asyncio.timeout(timeout):
                await self.wait_closed()
        except TimeoutError:
            self.abort_clients()
            await self.wait_closed()
            return False
        return True

    async def _end(self) -> None:
        """Close it and its connections; who does not take what was written is not waited for for long."""
        self.close()
        self.close_clients()
        await self.drain(LAST_WORDS)

    def _listens(self) -> bool:
        return self._sockets is not None  # type: ignore[attr-defined]

    def _let_go_of_writers(self) -> None:
        for transport in self._connections():
            _let_go_of_writer(transport.get_protocol())


def _let_go_of_writer(protocol: Any) -> None:
    """Have a writer of asyncio's streams close when its handler drops it, as from CPython 3.13 on.

    The protocol of an older one keeps it: nobody could end a connection whose handler has returned, and
    waiting for it would never end.
    """
    if isinstance(protocol, _core.TlsTransport):
        protocol = protocol.get_protocol()
    writer = getattr(protocol, "_stream_writer", None)
    if writer is None:
        return
    if not hasattr(asyncio.StreamWriter, "__del__"):  # pragma: no cover - before CPython 3.11.5
        weakref.finalize(writer, writer.transport.close).atexit = False
    protocol._stream_writer = None
