"""What happens where the app gave no ``event_cb``, and how its own exceptions are logged.

Called by the native side, in the loop's thread.
"""

import logging
from collections.abc import Callable

from asynctcp.conditions import DnsError, EventError, EventInfo, TcpAppError, TcpInfo

logger = logging.getLogger("asynctcp")


#: Tells an asyncio loop's handler of an exception of the app's instead of the log, if it returns True.
tell_elsewhere: Callable[[BaseException], bool] | None = None


def default_event_handler(condition: BaseException) -> None:
    """Handle a condition for which the app has no ``event_cb``: errors are logged, the rest is ignored.

    What is an ``EventInfo`` and no error (``TcpEof``, ``TcpBufferFull``, …) is ignored. An ``EventError`` is
    logged to the logger ``asynctcp``, level WARNING, with peer and code; so one bad peer never ends a server.
    A ``TcpAppError``, and any other exception, is logged at level ERROR with the traceback of what the app
    raised. Runs in the loop's thread.

    Differs from cl-async, whose default handler signals errors.
    """
    if isinstance(condition, EventError):
        peer = condition.peer if isinstance(condition, TcpInfo) else None
        if peer is None and isinstance(condition, DnsError):
            peer = condition.host
        logger.warning(
            "%s from %s: [%d] %s", type(condition).__name__, peer or "-", condition.errcode, condition.errmsg
        )
    elif isinstance(condition, TcpAppError) or not isinstance(condition, EventInfo):
        log_app_error(condition)


def log_app_error(error: BaseException) -> None:
    """Log an exception that a callback of the app raised, with its traceback.

    A ``TcpAppError`` names the callback, the app's function and the peer.
    """
    if tell_elsewhere is not None and tell_elsewhere(error):
        return
    if isinstance(error, TcpAppError):
        told, raised = str(error), error.__cause__ or error
    else:
        told, raised = f"a callback raised {type(error).__name__}", error
    logger.error("%s", told, exc_info=(type(raised), raised, raised.__traceback__))
