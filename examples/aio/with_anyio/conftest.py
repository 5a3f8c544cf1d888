"""anyio's pytest plugin runs the tests on what this fixture says."""

from typing import Any

import pytest

from asynctcp import aio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": aio.new_event_loop}
