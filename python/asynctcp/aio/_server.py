"""Servers: asyncio's own, with what CPython 3.13 has in them on every version, and draining."""

import asyncio
import sys
from asyncio import base_events
from typing import Any

#: From CPython 3.13 on asyncio's servers know which transports they serve: they are told.
KNOWS_CLIENTS = hasattr(base_events.Server, "close_clients")


class Server(base_events.Server):
    """What ``loop.create_server`` returns: ``asyncio.Server`` as it is in CPython 3.13, and ``drain``."""

    def _connections(self) -> list[Any]:
        """Return their transports, which the loop knows: no server keeps one that nobody else has."""
        loop: Any = self.get_loop()
        connections: list[Any] = loop._served_by(self)
        return connections

    def close_clients(self) -> None:
        """Close the transport of each connection: what was written is sent first."""
        for transport in self._connections():
            transport.close()

    def abort_clients(self) -> None:
        """Close the transport of each connection at once; what was not sent is lost."""
        for transport in self._connections():
            transport.abort()

    async def wait_closed(self) -> None:
        """Wait until the server is closed and its last connection has ended."""
        waiters: list[asyncio.Future[Any]] | None = self._waiters  # type: ignore[attr-defined]
        if waiters is None:
            return
        for transport in self._connections():
            _close_if_dropped(transport)
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


def _close_if_dropped(transport: Any) -> None:
    """Close a stream of asyncio's whose writer nobody has but its protocol, which CPython 3.11's keeps.

    Nobody could end it, and waiting for it would never end. From 3.12 on a writer closes when it is dropped.
    """
    writer = getattr(transport.get_protocol(), "_stream_writer", None)
    # The protocol's reference, the one here, and the argument.
    if writer is not None and sys.getrefcount(writer) == 3:
        transport.close()
