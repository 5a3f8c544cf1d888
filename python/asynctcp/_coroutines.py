"""Coroutine functions given as callbacks, and callbacks that return awaitables: nobody would await them.

Called by the native side, which looks at plain functions itself. ``inspect`` is not imported: that takes
longer than the rest of the package.
"""

import functools
from types import CoroutineType, MethodType
from typing import Any

from asynctcp._handlers import logger
from asynctcp.conditions import name_of

#: ``CO_COROUTINE | CO_ASYNC_GENERATOR``, see ``inspect``.
_ASYNC = 0x80 | 0x200


def is_async(function: object) -> bool:
    """Whether calling ``function`` would give a coroutine or an asynchronous generator."""
    function = _plain(function)
    return _is_flagged(function) or _is_flagged(_plain(type(function).__call__))


def _plain(function: object) -> object:
    """Return the function below methods and ``functools.partial``."""
    while isinstance(function, functools.partial | MethodType):
        function = function.func if isinstance(function, functools.partial) else function.__func__
    return function


def _is_flagged(function: object) -> bool:
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    return isinstance(flags, int) and bool(flags & _ASYNC)


def code_of(function: object) -> object:
    """Return what a function has in common with those that were made at the same place, as closures are."""
    code = getattr(_plain(function), "__code__", None)
    return type(function) if code is None else code


def drop(result: object) -> None:
    """Close a coroutine that has not begun, or Python would warn of it in the library's name."""
    if isinstance(result, CoroutineType) and not (result.cr_running or result.cr_suspended):
        result.close()


def tell(callback: str, function: Any, result: object) -> None:
    """Log that ``function`` returned an awaitable."""
    logger.error(
        "%s %s returned a %s, which nobody awaits: callbacks are plain functions (use asynctcp.aio)",
        callback,
        name_of(function),
        type(result).__name__,
    )
