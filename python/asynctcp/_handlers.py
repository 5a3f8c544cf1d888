"""What happens where the app gave no ``event_cb``, and how its own exceptions are logged.

Called by the native side, in the loop's thread.
"""

import logging

from asynctcp.conditions import DnsError, EventError, EventInfo, TcpInfo

logger = logging.getLogger("asynctcp")


def default_event_handler(condition: BaseException) -> None:
    """Handle a condition for which the app has no ``event_cb``: errors are logged, the rest is ignored.

    ``condition`` is an ``EventInfo``, or any exception with ``catch_app_errors=True``. One that is only an
    ``EventInfo`` (``TcpEof``, ``TcpBufferFull``, …) is ignored. An ``EventError`` is logged to the logger
    ``asynctcp``, level WARNING, with peer and code; so one bad peer never ends a server. Any other exception
    is logged at level ERROR with its traceback. Runs in the loop's thread.

    Differs from cl-async, whose default handler signals errors.
    """
    if isinstance(condition, EventError):
        peer = condition.peer if isinstance(condition, TcpInfo) else None
        if peer is None and isinstance(condition, DnsError):
            peer = condition.host
        logger.warning(
            "%s from %s: [%d] %s", type(condition).__name__, peer or "-", condition.errcode, condition.errmsg
        )
    elif not isinstance(condition, EventInfo):
        log_app_error(condition)


def log_app_error(error: BaseException) -> None:
    """Log an exception that a callback of the app raised, with its traceback."""
    logger.error(
        "a callback raised %s", type(error).__name__, exc_info=(type(error), error, error.__traceback__)
    )
