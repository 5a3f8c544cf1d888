"""pytest-asyncio (1.4 and later) makes the loops of its tests and fixtures by this hook."""

from collections.abc import Callable
from typing import Any

from asynctcp import aio


def pytest_asyncio_loop_factories(config: Any, item: Any) -> dict[str, Callable[[], aio.Loop]]:  # noqa: ARG001
    return {"asynctcp": aio.new_event_loop}
