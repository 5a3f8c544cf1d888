"""`asynctcp.idle`: what runs when nothing else is to be done."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref

import pytest

import asynctcp
import asynctcp.aio
from asynctcp import EventLoop, TcpAppError, delay, idle
from foreign import is_readable, setup
from helpers import DEADLINE, SOON, Oops, after_quiet, fail, ignore, oops, receive_exactly, run


@pytest.mark.parametrize("options", [{}, {"io_threads": 1}])
def test_it_runs_again_and_again_until_it_is_freed(options):
    ran = []

    def work():
        ran.append(1)
        if len(ran) == 1000:
            idler.free()

    def start():
        nonlocal idler
        idler = idle(work)

    idler = None
    run(start, loop=EventLoop(**options))
    assert len(ran) == 1000


def test_it_does_not_run_in_turns_that_have_something_to_do():
    ran = []

    def chain(left):
        ran.append("call")
        if left:
            delay(lambda: chain(left - 1))

    def start():
        idler = idle(lambda: (ran.append("idle"), idler.free()))
        chain(20)

    run(start)
    assert ran == ["call"] * 21 + ["idle"]


def test_each_runs_once_in_a_turn_in_their_order():
    ran = []

    def start():
        idlers = [idle(lambda: ran.append("a")), idle(lambda: ran.append("b"))]
        idlers.append(idle(lambda: (ran.append("c"), len(ran) == 9 and [it.free() for it in idlers])))

    run(start)
    assert ran == ["a", "b", "c"] * 3


def test_one_that_an_earlier_one_has_freed_does_not_run():
    def start():
        first = idle(lambda: (second.free(), first.free()))
        second = idle(fail)

    run(start)


def test_one_that_is_made_meanwhile_waits_for_the_next_turn():
    ran = []

    def again():
        ran.append("new")
        idlers[1].free()

    def first():
        ran.append("first")
        if len(ran) == 1:
            idlers.append(idle(again))
        else:
            idlers[0].free()

    def start():
        idlers.append(idle(first))

    idlers = []
    run(start)
    assert ran == ["first", "first", "new"]


def test_timers_and_sockets_have_their_turn_beside_it(peers):
    ran = []

    def start():
        idler = idle(lambda: None)
        server = asynctcp.tcp_server("127.0.0.1", 0, echo)
        raw = peers.connect(server)
        raw.sendall(b"x")
        delay(lambda: (ran.append(receive_exactly(raw, 1)), server.close(), idler.free()), 0.05)

    def echo(ours, data):
        ours.write(data)
        delay(ours.close, 0.1)

    run(start)
    assert ran == [b"x"]


def test_loop_lives_until_another_thread_frees_it():
    began = time.monotonic()
    run(lambda: threading.Timer(0.05, idle(ignore).free).start())
    assert 0.04 < time.monotonic() - began < SOON


def test_freeing_twice_does_nothing_and_lets_go_of_what_was_given():
    def callback():
        pass

    kept = weakref.ref(callback)

    def start():
        nonlocal callback
        idler = idle(callback, event_cb=ignore)
        assert (idler.callback, idler.event_cb) == (callback, ignore)
        del callback
        asynctcp.free_idler(idler)
        assert (idler.freed, idler.closed, idler.callback, idler.event_cb) == (True, True, None, None)
        gc.collect()
        assert kept() is None
        asynctcp.free_idler(idler)

    run(start)


def test_block_frees_it():
    def start():
        with idle(fail) as idler:
            assert not idler.freed
        assert idler.freed
        with pytest.raises(Oops), idle(fail) as idler:
            oops()
        assert idler.freed

    run(start)


def test_exit_frees_all_of_them():
    made = []

    def start():
        made.extend([idle(asynctcp.exit_event_loop), idle(fail)])

    run(start)
    assert [idler.freed for idler in made] == [True, True]


def test_exception_ends_the_loop():
    with pytest.raises(Oops):
        run(lambda: idle(oops))


def test_caught_exception_goes_to_its_event_cb_and_frees_it():
    told = []

    def start():
        made.append(idle(oops, event_cb=lambda it: told.append((it, made[0].freed))))

    made = []
    run(start, catch_app_errors=True)
    ((condition, was_freed),) = told
    assert isinstance(condition, TcpAppError)
    assert condition.callback == "idle"
    assert not was_freed
    assert made[0].freed


def test_caught_exception_without_an_event_cb_is_logged(caplog):
    run(lambda: idle(oops), catch_app_errors=True)
    assert "idle" in caplog.text
    assert "Oops" in caplog.text


def test_it_says_what_it_is():
    def start():
        idler = idle(ignore)
        assert repr(idler) == "<asynctcp.Idler ready>"
        assert asynctcp.stats()["idlers"] == 1
        idler.free()
        assert repr(idler) == "<asynctcp.Idler freed>"
        assert asynctcp.stats()["idlers"] == 0

    run(start)


def test_what_is_no_idler_is_refused():
    with pytest.raises(TypeError, match="idler must be an Idler"):
        asynctcp.free_idler(7)


def test_bad_argument_is_refused_by_name():
    def start():
        with pytest.raises(TypeError, match="callback must be callable"):
            idle(7)
        with pytest.raises(TypeError, match="event_cb must be callable"):
            idle(ignore, event_cb=7)
        assert asynctcp.stats()["idlers"] == 0

    run(start)


def test_it_needs_a_loop():
    with pytest.raises(asynctcp.EventLoopError):
        idle(ignore)


def test_foreign_loop_has_it_run_in_each_pump_that_finds_nothing_else():
    loop = EventLoop()
    ran = []
    idler = setup(loop, lambda: idle(lambda: ran.append(1)))
    before = len(ran)
    for _ in range(3):
        assert is_readable(loop)
        assert loop.pump() == 1
    assert len(ran) == before + 3
    assert loop.pump(DEADLINE) == 1  # it does not wait
    idler.free()
    loop.pump()
    assert not is_readable(loop)
    loop.exit()


def test_it_runs_in_an_asyncio_loop_beside_tasks():
    async def main():
        ran = []
        idler = idle(lambda: ran.append(1))
        while len(ran) < 10:  # noqa: ASYNC110 (nothing tells)
            await asyncio.sleep(0.001)
        idler.free()
        count, other = len(ran), []
        # Another has its turns, so the first would have had some.
        with idle(lambda: other.append(1)):
            while len(other) < 10:  # noqa: ASYNC110 (nothing tells)
                await asyncio.sleep(0.001)
        assert len(ran) == count

    asynctcp.aio.run(asyncio.wait_for(main(), DEADLINE))


def test_loop_sleeps_again_when_the_last_one_is_freed():
    """Its processor's time is that of a loop that waits."""
    seen = []

    def start():
        idler = idle(lambda: idler.free())  # noqa: PLW0108 (it is made here)
        delay(lambda: seen.append(time.thread_time()), 0.05)
        after_quiet(lambda: seen.append(time.thread_time()), 0.25)

    run(start)
    assert seen[1] - seen[0] < 0.1
