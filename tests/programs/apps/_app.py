"""What the programs of this folder share: their loop, and a request that takes until it is released."""

import asyncio
import importlib
import sys
from pathlib import Path


def run(main, *arguments):
    """Run ``main(*arguments)`` on the loop whose factory the command line names first."""
    with asyncio.Runner(loop_factory=factory()) as runner:
        return runner.run(main(*arguments))


def factory():
    """Return the factory of the loop that the command line names."""
    module, _, name = sys.argv[1].partition(":")
    return getattr(importlib.import_module(module), name)


async def released(file):
    """Say that a request has come, and come back once ``file`` is there."""
    print("begun", flush=True)
    while not Path(file).exists():  # noqa: ASYNC110, ASYNC240 (nobody tells of a file, and a look is quick)
        await asyncio.sleep(0.005)
    return "done"


def say_address(raw):
    """Print where a server listens."""
    print("listening on {}:{}".format(*raw.getsockname()[:2]), flush=True)
