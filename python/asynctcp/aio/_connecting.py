"""Connecting, by a race of a name's addresses, and what asyncio's race would hide."""

import asyncio
import socket
from asyncio import base_events
from collections.abc import Coroutine
from typing import Any

from asynctcp.aio import _tls

#: Seconds; RFC 8305, section 5.
HAPPY_EYEBALLS_DELAY = 0.25

#: asyncio's own loop, kept under a name of ours: a program may put ``aio.Loop`` in the place of asyncio's
#: name, and a loop that looked its base up there at each call would find itself.
OWN_LOOP = asyncio.SelectorEventLoop


class _Failed:
    """Stands in a socket's place: the attempt has met what is no ``OSError``, so the others are given up."""

    def __init__(self, exception: BaseException) -> None:
        self._exceptions = [exception]

    def tell(self) -> None:
        """Raise it, and keep it no longer: its traceback has the frames that have this object."""
        raise self._exceptions.pop()


class Connecting:
    """Mixin of ``Loop``: opening connections."""

    async def create_connection(
        self: Any, protocol_factory: Any, host: Any = None, port: Any = None, **kwargs: Any
    ) -> tuple[Any, Any]:
        """Connect, as ``asyncio.AbstractEventLoop.create_connection``, by Happy Eyeballs (RFC 8305).

        ``happy_eyeballs_delay``: seconds until the next address of a name is tried, too, 0.25 by default;
        None: one after the other.
        """
        literal = base_events._ipaddr_info(  # type: ignore[attr-defined]
            host, port, socket.AF_UNSPEC, socket.SOCK_STREAM, socket.IPPROTO_TCP
        )
        if literal is None:
            kwargs.setdefault("happy_eyeballs_delay", HAPPY_EYEBALLS_DELAY)
        made: tuple[Any, Any] = await OWN_LOOP.create_connection(
            self, protocol_factory, host, port, **_tls.client_options(kwargs)
        )
        return made

    async def create_unix_connection(
        self: Any, protocol_factory: Any, path: Any = None, **kwargs: Any
    ) -> tuple[Any, Any]:
        """Connect, as ``asyncio.AbstractEventLoop.create_unix_connection``."""
        made: tuple[Any, Any] = await OWN_LOOP.create_unix_connection(
            self, protocol_factory, path, **_tls.client_options(kwargs)
        )
        return made

    async def connect_accepted_socket(
        self: Any, protocol_factory: Any, sock: Any, **kwargs: Any
    ) -> tuple[Any, Any]:
        """Take a connection over, as ``asyncio.AbstractEventLoop.connect_accepted_socket``."""
        made: tuple[Any, Any] = await OWN_LOOP.connect_accepted_socket(
            self, protocol_factory, sock, **_tls.server_options(kwargs)
        )
        return made

    async def _connect_sock(self, *args: Any, **kwargs: Any) -> Any:
        # asyncio's race takes any exception for an address that does not answer, and knows in the end those
        # of the system only. A result ends it, as the exception ends the way of one after the other.
        try:
            connect: Any = super()._connect_sock  # type: ignore[misc]
            return await connect(*args, **kwargs)
        except (OSError, asyncio.CancelledError, SystemExit, KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as exc:  # noqa: BLE001 - raised below
            return _Failed(exc)
        finally:
            # They have the list of what was raised, whose tracebacks have this frame.
            del args, kwargs

    def _create_connection_transport(self, sock: Any, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        if isinstance(sock, _Failed):
            sock.tell()
        made: Coroutine[Any, Any, Any] = super()._create_connection_transport(  # type: ignore[misc]
            sock, *args, **kwargs
        )
        return made
