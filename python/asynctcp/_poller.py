"""``poll``: its default is a tuple, which the signature of a native function cannot show."""

from collections.abc import Iterable
from typing import Literal

from asynctcp import _core
from asynctcp.typing import EventCallback, HasFileno, PollCallback, Seconds


def poll(
    fd: int | HasFileno,
    callback: PollCallback,
    *,
    poll_for: Iterable[Literal["readable", "writable"]] = ("readable",),
    timeout: Seconds = None,
    event_cb: EventCallback | None = None,
) -> _core.Poller:
    """Call ``callback`` as long as a descriptor is ready (level-triggered): a pipe, a device, any socket.

    Args:
        fd: an int, or an object with ``fileno()``, which is kept until the poller is freed. It is not made
            non-blocking.
        callback: ``callback(poller, "readable")`` or ``callback(poller, "writable")``, once a turn of the
            loop for each that holds. A descriptor that is hung up or has an error is ready for all that was
            asked for.
        poll_for: what to call for: ``"readable"``, ``"writable"`` or both.
        timeout: seconds without a call of ``callback`` after which a ``TcpTimeout`` goes to ``event_cb``,
            again and again; None, 0, negative or infinite: none.
        event_cb: ``event_cb(condition)``; None: the default event handler. A ``TcpError`` (EBADF) is the
            last: the descriptor was closed, which is noticed after a callback, at a timeout, or else within
            a second or two.

    Returns the ``Poller``, which keeps the loop alive until it is freed (``poller.free()``, ``with``,
    ``free_poller(poller)``). An exception of its callback that the loop catches (``catch_app_errors``) frees
    it, too.

    Raises ``OSError`` for what is not open (EBADF), for regular files and folders (EPERM), and for what is
    polled in this loop already (EEXIST); ``EventLoopError``, ``TypeError``, ``ValueError``. Callbacks run in
    the loop's thread. For Linux. cl-async: ``poll``.
    """
    return _core._poll(fd, callback, poll_for, timeout, event_cb)
