"""cl-async's functions that are a method, an attribute or another name in Python.

A new program needs none of them. They can be imported from ``asynctcp`` as well, where
``dir()`` does not show them.

========================================  ============================================================
``socket_closed_p(socket)``               ``socket.closed``
``socket_data(socket)``                   ``socket.data``
``socket_c(socket)``                      ``socket.c``
``enable_socket(socket, …)``              ``socket.enable(…)``
``disable_socket(socket, …)``             ``socket.disable(…)``
``set_socket_timeouts(socket, …)``        ``socket.set_timeouts(…)``
``close_tcp_server(server)``              ``server.close()``
``remove_interval(timer)``                ``timer.cancel()``
``trigger_notifier(notifier)``            ``notifier.trigger()``
``free_notifier(notifier)``               ``notifier.free()``
``free_poller(poller)``                   ``poller.free()``
``free_idler(idler)``                     ``idler.free()``
``tcp_socket(condition)``                 ``condition.socket``
``event_errcode(condition)``              ``condition.errcode``
``event_errmsg(condition)``               ``condition.errmsg``
``tcp_accept_error_listener(condition)``  ``condition.listener``
``tcp_accept_error_server(condition)``    ``condition.server``
``tcp_send(…)``                           ``tcp_connect(…)``
========================================  ============================================================
"""

import functools
import warnings
from typing import TYPE_CHECKING, Any

from asynctcp._core import (
    close_tcp_server,
    disable_socket,
    enable_socket,
    free_idler,
    free_poller,
    remove_interval,
    set_socket_timeouts,
    socket_c,
    socket_closed_p,
    socket_data,
    tcp_connect,
)
from asynctcp._notifier import free_notifier, trigger_notifier
from asynctcp.conditions import (
    event_errcode,
    event_errmsg,
    tcp_accept_error_listener,
    tcp_accept_error_server,
    tcp_socket,
)

__all__ = [
    "close_tcp_server",
    "disable_socket",
    "enable_socket",
    "event_errcode",
    "event_errmsg",
    "free_idler",
    "free_notifier",
    "free_poller",
    "remove_interval",
    "set_socket_timeouts",
    "socket_c",
    "socket_closed_p",
    "socket_data",
    "tcp_accept_error_listener",
    "tcp_accept_error_server",
    "tcp_send",
    "tcp_socket",
    "trigger_notifier",
]

if TYPE_CHECKING:
    # With all of its overloads.
    tcp_send = tcp_connect
else:

    @functools.wraps(tcp_connect)
    def tcp_send(*args: Any, **kwargs: Any) -> Any:  # noqa: D103 - it gets tcp_connect's
        warnings.warn("tcp_send is deprecated: use tcp_connect", DeprecationWarning, stacklevel=2)
        return tcp_connect(*args, **kwargs)

    # wraps() took tcp_connect's own.
    tcp_send.__name__ = tcp_send.__qualname__ = "tcp_send"
    tcp_send.__module__ = "asynctcp"
    tcp_send.__doc__ = (
        "The same as ``tcp_connect``, with a ``DeprecationWarning``. cl-async: ``tcp-send``.\n\n"
        f"{tcp_connect.__doc__}"
    )
