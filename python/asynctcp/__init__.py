"""cl-async's TCP system for Python: servers and clients with callbacks, timeouts and typed conditions.

Start with ``start_event_loop``, ``tcp_server`` and ``tcp_connect``; each has a docstring. Callbacks run in
the thread that runs the loop, one at a time. Sockets are owned by Tokio tasks on the native side.
"""

import importlib as _importlib
import typing as _typing

from asynctcp._core import (
    Idler,
    Notifier,
    Poller,
    ProxyHeader,
    Socket,
    TcpServer,
    Timer,
    __version__,
    adopt_tcp_socket,
    close_socket,
    connect_pipe_socket,
    connect_tcp_socket,
    current_event_loop,
    delay,
    dns_lookup,
    idle,
    init_pipe_socket,
    init_tcp_socket,
    interval,
    pipe_connect,
    pipe_server,
    reverse_dns_lookup,
    set_default_event_handler,
    tcp_connect,
    tcp_server,
    write_socket_data,
)
from asynctcp._handlers import default_event_handler
from asynctcp._loop import (
    EventLoop,
    add_event_loop_exit_callback,
    event_loop,
    exit_event_loop,
    start_event_loop,
    stats,
    with_delay,
    with_interval,
)
from asynctcp._notifier import make_notifier
from asynctcp._poller import poll
from asynctcp._proxy import ProxyInfo
from asynctcp._signals import clear_signal_handlers, free_signal_handler, signal_handler
from asynctcp._stream import AsyncIOStream
from asynctcp._tls import TlsConfig, TlsInfo
from asynctcp.clasync import *  # noqa: F403
from asynctcp.clasync import __all__ as _clasync
from asynctcp.conditions import *  # noqa: F403
from asynctcp.conditions import __all__ as _conditions

#: What listens, be it for TCP or for pipes: the other name of the same class.
Server = TcpServer

__all__ = [  # noqa: PLE0604 - the starred name is a list of strings
    "AsyncIOStream",
    "EventLoop",
    "Idler",
    "Notifier",
    "Poller",
    "ProxyHeader",
    "ProxyInfo",
    "Server",
    "Socket",
    "TcpServer",
    "Timer",
    "TlsConfig",
    "TlsInfo",
    "__version__",
    "add_event_loop_exit_callback",
    "adopt_tcp_socket",
    "clear_signal_handlers",
    "close_socket",
    "connect_pipe_socket",
    "connect_tcp_socket",
    "current_event_loop",
    "default_event_handler",
    "delay",
    "dns_lookup",
    "event_loop",
    "exit_event_loop",
    "free_signal_handler",
    "idle",
    "init_pipe_socket",
    "init_tcp_socket",
    "interval",
    "make_notifier",
    "pipe_connect",
    "pipe_server",
    "poll",
    "reverse_dns_lookup",
    "set_default_event_handler",
    "signal_handler",
    "start_event_loop",
    "stats",
    "tcp_connect",
    "tcp_server",
    "with_delay",
    "with_interval",
    "write_socket_data",
    *_conditions,
    *_clasync,
]


if _typing.TYPE_CHECKING:
    from asynctcp import aio as aio
else:

    def __getattr__(name):
        """Import ``asynctcp.aio``, and asyncio with it, when it is asked for."""
        if name == "aio":
            return _importlib.import_module("asynctcp.aio")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Leave out cl-async's names of what is a method or an attribute: see ``asynctcp.clasync``."""
    hidden = {*_clasync, "_clasync", "_conditions", "_importlib", "_typing"}
    return sorted((globals().keys() | {"aio"}) - hidden)
