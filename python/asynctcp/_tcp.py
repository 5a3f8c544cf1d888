"""cl-async's older name for ``tcp_connect``."""

import functools
import warnings
from typing import Any

from asynctcp._core import tcp_connect


@functools.wraps(tcp_connect)
def tcp_send(*args: Any, **kwargs: Any) -> Any:
    """Open a TCP connection: the same as ``tcp_connect``, with a ``DeprecationWarning``.

    Arguments, result, errors and the thread of the callbacks are those of ``tcp_connect``. cl-async: ``tcp-
    send``.
    """
    warnings.warn("tcp_send is deprecated: use tcp_connect", DeprecationWarning, stacklevel=2)
    return tcp_connect(*args, **kwargs)


# wraps() took tcp_connect's own.
tcp_send.__name__ = tcp_send.__qualname__ = "tcp_send"
tcp_send.__module__ = "asynctcp"
tcp_send.__doc__ = (
    "Open a TCP connection: the same as ``tcp_connect``, with a ``DeprecationWarning``.\n\n"
    "Arguments, result, errors and the thread of the callbacks are those of ``tcp_connect``.\n"
    "cl-async: ``tcp-send``.\n"
)
