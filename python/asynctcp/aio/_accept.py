"""Accepting: a transport at once for each connection, where asyncio makes a task that makes it."""

import contextlib
import socket
from collections.abc import Callable
from contextvars import Context
from typing import Any


def accept(
    loop: Any,
    protocol_factory: Callable[[], Any],
    listener: socket.socket,
    *,
    server: Any,
    backlog: int,
    context: Context | None,
) -> None:
    """Accept what waits, at most one more than the backlog: other work is to have its turn.

    Raises ``BlockingIOError`` where nothing waits, and what else ``socket.accept`` raises.
    """
    kind = (int(listener.family), int(listener.type), listener.proto)
    for _ in range(backlog + 1):
        # One that its peer has given up is none.
        with contextlib.suppress(ConnectionAbortedError):
            number, peername = listener._accept()  # type: ignore[attr-defined]
            connection = socket.socket(*kind, fileno=number)
            connection.setblocking(False)
            extra = {"peername": peername}
            _serve(loop, protocol_factory, connection, extra=extra, server=server, context=context)


def _serve(
    loop: Any,
    protocol_factory: Callable[[], Any],
    connection: socket.socket,
    *,
    extra: dict[str, Any],
    server: Any,
    context: Context | None,
) -> None:
    # The context is that of all calls of this connection, from CPython 3.15 on.
    own = None if context is None else context.copy()
    try:
        protocol = protocol_factory() if own is None else own.run(protocol_factory)
        loop._make_socket_transport(connection, protocol, extra=extra, server=server, context=own)
    except (SystemExit, KeyboardInterrupt):
        connection.close()
        raise
    except BaseException:  # noqa: BLE001 - as asyncio has it, which tells of it in debug mode only
        connection.close()
