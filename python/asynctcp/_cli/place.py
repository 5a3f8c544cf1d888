"""Connecting and listening at a place, be it an address or the path of a Unix socket."""

from typing import Literal, TypedDict, Unpack

import asynctcp
from asynctcp._cli.values import Address, Place, UnixPath
from asynctcp.typing import ConnectCallback, EventCallback, ReadCallback


class DialOptions(TypedDict, total=False):
    """The keywords that ``tcp_connect`` and ``pipe_connect`` share, of those that commands use."""

    read_timeout: float
    write_timeout: float
    allow_half_open: bool
    send_proxy: asynctcp.ProxyHeader | None
    tls: asynctcp.TlsConfig | None


class ListenOptions(TypedDict, total=False):
    """The keywords that ``tcp_server`` and ``pipe_server`` share, of those that commands use."""

    allow_half_open: bool
    max_connections: int | None
    proxy_protocol: Literal["require", "accept"] | None
    proxy_from: list[str] | None
    tls: asynctcp.TlsConfig | None


def connect(
    place: Place,
    read_cb: ReadCallback,
    event_cb: EventCallback,
    connect_cb: ConnectCallback,
    **options: Unpack[DialOptions],
) -> asynctcp.Socket:
    """Connect to ``place``. Raises ``ValueError`` for what is no place."""
    if isinstance(place, UnixPath):
        return asynctcp.pipe_connect(place.path, read_cb, event_cb=event_cb, connect_cb=connect_cb, **options)
    return asynctcp.tcp_connect(
        place.host, place.port, read_cb, event_cb=event_cb, connect_cb=connect_cb, **options
    )


def listen(
    place: Place,
    read_cb: ReadCallback,
    event_cb: EventCallback,
    connect_cb: ConnectCallback,
    **options: Unpack[ListenOptions],
) -> asynctcp.TcpServer:
    """Open a server at ``place``. Raises ``TcpServerBindError``, and ``ValueError`` for what is no place."""
    if isinstance(place, UnixPath):
        # Whose headers are believed is a matter of addresses, of which a pipe has none: it says so itself.
        return asynctcp.pipe_server(
            place.path,
            read_cb,
            event_cb=event_cb,
            connect_cb=connect_cb,
            **options,
        )
    return asynctcp.tcp_server(
        place.host, place.port, read_cb, event_cb=event_cb, connect_cb=connect_cb, **options
    )


def listening_at(server: asynctcp.TcpServer, place: Place) -> Place:
    """Where ``server``, opened at ``place``, listens: the port may have been any."""
    return place if isinstance(place, UnixPath) else Address(server.host, server.port)
