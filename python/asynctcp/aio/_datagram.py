"""Datagram transports: what is not done for each message."""

import asyncio
import socket
from typing import Any

from asynctcp import _core
from asynctcp.aio._transport import Common, Inherited

#: Those of other families are asyncio's own.
FAMILIES = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)


class _Transport(asyncio.DatagramTransport, asyncio.Transport):
    """What ``isinstance`` finds, as of asyncio's own: a native class cannot inherit from it."""


class DatagramTransport(Common, _core.DatagramTransport):
    """A UDP or Unix socket of an asyncio protocol, as ``asyncio.DatagramTransport``."""

    get_extra_info: Any = Inherited(asyncio.DatagramTransport)

    @property  # type: ignore[misc]
    def __class__(self) -> type[asyncio.DatagramTransport]:  # type: ignore[override]
        return _Transport

    def _tell_error(self, exc: OSError) -> None:
        """One datagram could not be sent or received."""
        protocol: Any = self.get_protocol()
        try:
            protocol.error_received(exc)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, asyncio's handler is told
            self._report("protocol.error_received() failed", error)
