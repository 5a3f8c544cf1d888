"""Connecting: what asyncio's race of the addresses of a name would hide."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class _Failed:
    """Stands in a socket's place: the attempt has met what is no ``OSError``, so the others are given up."""

    def __init__(self, exception: BaseException) -> None:
        self._exceptions = [exception]

    def tell(self) -> None:
        """Raise it, and keep it no longer: its traceback has the frames that have this object."""
        raise self._exceptions.pop()


class Connecting:
    """What a loop has of it."""

    async def _connect_sock(self, *args: Any, **kwargs: Any) -> Any:
        # The race takes any exception for an address that does not answer, and in the end knows those of the
        # system only. A result ends it, as such an exception ends asyncio's way of one after the other.
        try:
            connect: Any = super()._connect_sock  # type: ignore[misc]
            return await connect(*args, **kwargs)
        except (OSError, asyncio.CancelledError, SystemExit, KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as exc:  # noqa: BLE001 - raised below
            return _Failed(exc)

    def _create_connection_transport(self, sock: Any, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        if isinstance(sock, _Failed):
            sock.tell()
        made: Coroutine[Any, Any, Any] = super()._create_connection_transport(  # type: ignore[misc]
            sock, *args, **kwargs
        )
        return made
