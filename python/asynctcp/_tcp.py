"""cl-async's older name for ``tcp_connect``."""

import functools
import warnings
from typing import TYPE_CHECKING, Any

from asynctcp._core import tcp_connect

if TYPE_CHECKING:
    # With all of its overloads.
    tcp_send = tcp_connect
else:

    @functools.wraps(tcp_connect)
    def tcp_send(*args: Any, **kwargs: Any) -> Any:
        warnings.warn("tcp_send is deprecated: use tcp_connect", DeprecationWarning, stacklevel=2)
        return tcp_connect(*args, **kwargs)

    # wraps() took tcp_connect's own.
    tcp_send.__name__ = tcp_send.__qualname__ = "tcp_send"
    tcp_send.__module__ = "asynctcp"
    tcp_send.__doc__ = (
        "The same as ``tcp_connect``, with a ``DeprecationWarning``. cl-async: ``tcp-send``.\n\n"
        f"{tcp_connect.__doc__}"
    )
