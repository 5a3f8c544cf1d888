"""The same script on asyncio's loop and on ours: the same events in the same order."""

from __future__ import annotations

import asyncio
import socket

from hypothesis import given, settings
from hypothesis import strategies as st

from loops import LOOPS, run

KINDS = ["soon", "threadsafe", "later", "task", "future", "cancelled", "reader"]
#: What a step does: kinds of steps that it begins, each with what that does.
STEPS = st.recursive(
    st.just(()),
    lambda steps: st.lists(st.tuples(st.sampled_from(KINDS), steps), max_size=4).map(tuple),
    max_leaves=24,
)


class Script:
    """Runs steps on a loop and notes which ran when."""

    def __init__(self, loop):
        self.loop = loop
        self.ran = []
        self.open = 0
        self.done = loop.create_future()

    def begin(self, steps, path=()):
        """Begin each of the steps in the way that its kind says."""
        for number, (kind, inner) in enumerate(steps):
            self.open += kind != "cancelled"
            getattr(self, kind)((*path, f"{number}{kind}"), inner)

    def step(self, path, inner):
        self.ran.append(path)
        self.begin(inner, path)
        self.open -= 1
        if not self.open and not self.done.done():
            self.done.set_result(None)

    def soon(self, path, inner):
        self.loop.call_soon(self.step, path, inner)

    def threadsafe(self, path, inner):
        self.loop.call_soon_threadsafe(self.step, path, inner)

    def later(self, path, inner):
        self.loop.call_later(0, self.step, path, inner)

    def cancelled(self, path, inner):
        self.loop.call_soon(self.step, path, inner).cancel()
        self.loop.call_later(0, self.step, path, inner).cancel()

    def task(self, path, inner):
        async def main():
            self.ran.append((*path, "began"))
            await asyncio.sleep(0)
            self.step(path, inner)

        self.loop.create_task(main())

    def future(self, path, inner):
        future = self.loop.create_future()
        future.add_done_callback(lambda _: self.step(path, inner))
        future.set_result(None)

    def reader(self, path, inner):
        ours, theirs = socket.socketpair()

        def ready():
            self.loop.remove_reader(ours)
            ours.close()
            theirs.close()
            self.step(path, inner)

        theirs.send(b"x")
        self.loop.add_reader(ours, ready)


def trace(factory, steps):
    loop = factory()
    try:

        async def main():
            script = Script(loop)
            script.begin((("soon", steps),))
            await script.done
            return script.ran

        return run(loop, main())
    finally:
        loop.close()


def without_readers(steps):
    """The same without what waits for the kernel, which asyncio asks in each turn."""
    return tuple((kind, without_readers(inner)) for kind, inner in steps if kind != "reader")


@given(STEPS)
@settings(max_examples=200, deadline=None)
def test_calls_tasks_and_timers_run_in_the_order_of_asyncios_loop(steps):
    steps = without_readers(steps)
    assert trace(LOOPS["asynctcp"], steps) == trace(LOOPS["asyncio"], steps)


@given(STEPS)
@settings(max_examples=50, deadline=None)
def test_the_same_steps_run_as_on_asyncios_loop(steps):
    assert sorted(trace(LOOPS["asynctcp"], steps)) == sorted(trace(LOOPS["asyncio"], steps))
