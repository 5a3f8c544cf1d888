"""The keywords that ``connect``, ``serve`` and their like hand on, so that a type checker finds a wrong one.

They are those of ``asynctcp.tcp_connect`` and its like but for what a stream sets itself.
"""

import socket
from collections.abc import Iterable
from typing import Literal, TypedDict

from asynctcp._core import ProxyHeader
from asynctcp.typing import Data, Network, Seconds, SocketOptions


class _Options(TypedDict, total=False):
    read_timeout: Seconds
    write_timeout: Seconds
    max_line: int | None
    socket_options: SocketOptions | None


class ConnectUnixOptions(_Options, total=False):
    """Of ``connect_unix``."""

    data: Data | None
    send_proxy: ProxyHeader | None


class ConnectOptions(ConnectUnixOptions, total=False):
    """Of ``connect``."""

    local_address: tuple[str, int] | None
    family: int
    sock: socket.socket | None


class _ListenOptions(_Options, total=False):
    backlog: int
    fd: int | None
    max_connections: int | None
    proxy_from: Iterable[Network] | None
    proxy_timeout: Seconds
    max_handshakes: int


class ServeOptions(_ListenOptions, total=False):
    """Of ``serve``."""

    reuse_port: bool
    family: int
    proxy_protocol: Literal["require", "accept"] | None


class ServeUnixOptions(_ListenOptions, total=False):
    """Of ``serve_unix``."""

    mode: int
    unlink: bool
    proxy_protocol: Literal["require"] | None


class LoopOptions(TypedDict, total=False):
    """Of ``new_event_loop``: those of ``asynctcp.EventLoop`` but ``catch_app_errors``."""

    send_errors_to_event_cb: bool
    io_threads: int
    read_limit: int
    memory_limit: int
    debug: bool
