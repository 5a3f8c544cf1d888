"""How native handles look when they are printed."""

import asyncio
from asyncio import format_helpers
from typing import Any


def source(callback: Any, args: Any) -> str:
    """Return what a call looks like, as asyncio writes it into its messages."""
    described: str = format_helpers._format_callback_source(callback, args)
    return described


def describe(handle: Any) -> str:
    """Return what ``repr`` of a native handle is, as that of asyncio's own."""
    words = [handle.__class__.__name__]
    if handle._cancelled:
        words.append("cancelled")
    if isinstance(handle, asyncio.TimerHandle):
        words.append(f"when={handle.when()}")
    if handle._callback is not None:
        words.append(source(handle._callback, handle._args))
    return f"<{' '.join(words)}>"
