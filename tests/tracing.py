"""Which child processes coverage looks at: only those that run what the tests' own process does not.

It takes a child twice as long to start. And coverage's tracer calls two functions of its own around a lock,
in Python, at each call of what it looks at: where a signal's exception comes out inside of them, it keeps the
lock for ever, and the child hangs. So of the children that are looked at, only idle ones are interrupted
(`idle.py`).
"""

from __future__ import annotations

import os

#: What has coverage look at a child, once `hide` took it out of the environment that all children inherit.
_TRACING = {}


def hide():
    """From here on coverage looks at no child that is not given `traced`."""
    for name in ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START"):
        if name in os.environ:
            _TRACING[name] = os.environ.pop(name)


def traced():
    """The environment of a child that coverage looks at, if it looks at the tests."""
    return {**os.environ, **_TRACING}
