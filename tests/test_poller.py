"""`asynctcp.poll`: other descriptors in the loop, level-triggered."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import time

import pytest

import asynctcp
import asynctcp.aio
from asynctcp import EventLoop, TcpAppError, TcpError, TcpTimeout, delay, poll
from foreign import pump_until, setup
from helpers import DEADLINE, Oops, after_quiet, fail, ignore, oops, run, when
from polled import LOOPS, ended


@pytest.mark.parametrize("loop", LOOPS)
def test_what_was_not_read_is_told_again(pair, loop):
    ours, theirs = pair
    told = []

    def readable(poller, word):
        told.append((poller is made[0], word, ours.recv(1)))
        if len(told) == 3:
            poller.free()

    def start():
        theirs.send(b"abc")
        made.append(poll(ours, readable))

    made = []
    loop(start)
    assert told == [(True, "readable", byte) for byte in (b"a", b"b", b"c")]


@pytest.mark.parametrize("loop", LOOPS)
def test_what_comes_later_is_told(pair, loop):
    ours, theirs = pair
    told = []

    def readable(poller, _word):
        told.append(ours.recv(100))
        poller.free() if len(told) == 2 else delay(lambda: theirs.send(b"two"), 0.01)

    def start():
        poll(ours, readable)
        delay(lambda: theirs.send(b"one"), 0.01)

    loop(start)
    assert told == [b"one", b"two"]


@pytest.mark.parametrize("loop", LOOPS)
def test_descriptor_that_was_closed_in_its_callback_is_told_and_freed(pair, loop):
    ours, theirs = pair
    told = []
    number = ours.fileno()

    def start():
        theirs.send(b"x")
        made.append(poll(ours, lambda *_: ours.close(), event_cb=told.append))

    made = []
    loop(start)
    (condition,) = told
    assert isinstance(condition, TcpError)
    assert condition.errno == errno.EBADF
    assert condition.strerror == f"descriptor {number} was closed while it was polled"
    assert made[0].freed


def test_both_are_told_readable_first(pair):
    ours, theirs = pair
    told = []

    def ready(poller, word):
        told.append(word)
        if len(told) == 4:
            poller.free()

    def start():
        theirs.send(b"x")
        poll(ours, ready, poll_for=["writable", "readable"])

    run(start)
    assert told == ["readable", "writable"] * 2


def test_only_what_was_asked_for_is_told(pair):
    ours, theirs = pair
    told = []

    def start():
        theirs.send(b"x")
        poll(ours, lambda poller, word: (told.append(word), poller.free()), poll_for=("writable",))

    run(start)
    assert told == ["writable"]


def test_room_is_told_when_it_is_there_again(pair):
    ours, theirs = pair
    with contextlib.suppress(BlockingIOError):
        while True:
            ours.send(bytes(1 << 16))
    told = []

    def start():
        poll(ours, lambda poller, word: (told.append(word), poller.free()), poll_for={"writable"})
        after_quiet(lambda: (told.append("read"), drain(theirs)))

    def drain(end):
        with contextlib.suppress(BlockingIOError):
            while end.recv(1 << 20):
                pass

    run(start)
    assert told == ["read", "writable"]


@pytest.mark.parametrize("poll_for", [("readable",), ("writable",), ("readable", "writable")])
def test_hang_up_is_told_as_all_that_was_asked_for(pair, poll_for):
    ours, theirs = pair
    theirs.close()
    told = []

    def ready(poller, word):
        told.append(word)
        if len(told) == len(poll_for):
            poller.free()

    run(lambda: poll(ours, ready, poll_for=poll_for))
    assert told == list(poll_for)


def test_pipe_without_a_reader_is_told_as_writable(pipe):
    read, write = pipe
    os.close(read)
    told = []
    run(lambda: poll(write, lambda it, word: (told.append(word), it.free()), poll_for=("writable",)))
    assert told == ["writable"]


def test_many_that_are_ready_at_once_are_all_told():
    ends = [os.pipe() for _ in range(300)]
    told = set()

    def start():
        for read, write in ends:
            os.write(write, b"x")
            poll(read, lambda poller, _: (told.add(poller.fd), poller.free()))

    run(start)
    assert told == {read for read, _ in ends}
    for number in sum(ends, ()):
        os.close(number)


def test_each_descriptor_has_its_turn_beside_one_that_is_always_ready(pair):
    """And the sockets of the library, and timers."""
    ours, theirs = pair
    told = []

    def start():
        other = poll(ours, lambda poller, _: (told.append("pair"), poller.free(), always.free()))
        always = poll(theirs, ignore, poll_for=("writable",))
        server = asynctcp.tcp_server("127.0.0.1", 0, lambda *_: (told.append("ours"), theirs.send(b"x")))
        client = asynctcp.tcp_connect(server.host, server.port, None)
        delay(lambda: client.write(b"x"), 0.01)
        when(lambda: other.freed, lambda: (server.close(), client.close()))

    run(start)
    assert told == ["ours", "pair"]


# Times.


@pytest.mark.parametrize("loop", LOOPS)
def test_timeout_is_told_again_and_again_and_the_poller_goes_on(pair, loop):
    ours, theirs = pair
    told = []

    def silent(condition):
        told.append(condition)
        if len(told) == 2:
            theirs.send(b"x")

    def readable(poller, _word):
        told.append(ours.recv(1))
        poller.free()

    loop(lambda: poll(ours, readable, timeout=0.02, event_cb=silent))
    assert [type(it) for it in told[:2]] == [TcpTimeout, TcpTimeout]
    assert told[0].errno == errno.ETIMEDOUT
    assert told[0].socket is None
    assert told[0].strerror == "poll timeout: the descriptor was not ready"
    assert told[2:] == [b"x"]


def test_timeout_begins_anew_with_each_call(pair):
    ours, theirs = pair
    told = []
    began = time.monotonic()

    def silent(_condition):
        told.append(time.monotonic() - began)
        poller.free()

    def start():
        nonlocal poller
        poller = poll(ours, lambda *_: ours.recv(1), timeout=0.3, event_cb=silent)
        for beat in range(1, 5):
            delay(lambda: theirs.send(b"x"), beat * 0.1)

    poller = None
    run(start)
    assert told[0] >= 0.69


def test_descriptor_that_became_ready_while_python_was_held_up_has_not_timed_out(pair):
    ours, theirs = pair
    told = []

    def start():
        poll(ours, lambda it, word: (told.append(word), it.free()), timeout=0.05, event_cb=told.append)
        theirs.send(b"x")
        time.sleep(0.1)  # the point: the timeout passes

    run(start)
    assert told == ["readable"]


def test_timeout_without_an_event_cb_is_logged(pair, caplog):
    def start():
        poller = poll(pair[0], fail, timeout=0.01)
        when(lambda: caplog.records, poller.free)

    run(start)
    assert "poll timeout" in caplog.text


@pytest.mark.parametrize("timeout", [None, 0, -1, float("inf")])
def test_no_timeout(pair, timeout):
    def start():
        poller = poll(pair[0], fail, timeout=timeout, event_cb=fail)
        assert poller.timeout is None
        after_quiet(poller.free)

    run(start)


# Exceptions.


def test_exception_of_its_callback_ends_the_loop(pair):
    pair[1].send(b"x")
    with pytest.raises(Oops):
        run(lambda: poll(pair[0], oops))


def test_caught_exception_goes_to_its_event_cb_and_frees_it(pair):
    ours, theirs = pair
    told = []

    def start():
        theirs.send(b"x")
        made.append(poll(ours, oops, event_cb=lambda it: told.append((it, made[0].freed))))

    made = []
    run(start, catch_app_errors=True)
    ((condition, was_freed),) = told
    assert isinstance(condition, TcpAppError)
    assert isinstance(condition.__cause__, Oops)
    assert (condition.callback, condition.function, condition.socket) == ("poll", "helpers.oops", None)
    assert not was_freed
    assert made[0].freed


def test_caught_exception_without_an_event_cb_is_logged(pair, caplog):
    pair[1].send(b"x")
    run(lambda: poll(pair[0], oops), catch_app_errors=True)
    assert "poll" in caplog.text
    assert "Oops" in caplog.text


def test_exception_of_its_event_cb_is_logged(pair, caplog):
    def start():
        poller = poll(pair[0], fail, timeout=0.01, event_cb=oops)
        when(lambda: caplog.records, poller.free)

    run(start, catch_app_errors=True)
    assert "event_cb" in caplog.text


def test_exception_comes_out_of_pump_and_the_poller_goes_on(pair):
    ours, theirs = pair
    loop = EventLoop()
    theirs.send(b"x")
    setup(loop, lambda: poll(ours, lambda *_: oops()))
    for _ in range(2):
        with pytest.raises(Oops):
            pump_until(loop, lambda: False)
    loop.exit()


def test_exception_goes_to_the_handler_of_an_asyncio_loop(pair):
    ours, theirs = pair
    told = []

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(type(context["exception"])))
        theirs.send(b"x")
        poll(ours, oops)
        await ended(loop)

    asynctcp.aio.run(asyncio.wait_for(main(), DEADLINE))
    assert told == [Oops]


def test_awaitable_of_its_callback_is_told_of(pair, caplog):
    class Later:
        def __await__(self):
            yield

    def callback(poller, _word):
        poller.free()
        return Later()

    pair[1].send(b"x")
    run(lambda: poll(pair[0], callback))
    assert caplog.records[0].getMessage().startswith("poll test_poller.")


# What it says of itself.


def test_it_says_what_it_is(pair):
    ours, _ = pair
    number = ours.fileno()

    def start():
        poller = poll(ours, ignore, poll_for=("writable", "readable"), timeout=2.5)
        assert (poller.fd, poller.poll_for, poller.timeout) == (number, ("readable", "writable"), 2.5)
        assert repr(poller) == f"<asynctcp.Poller fd={number} for readable, writable>"
        assert asynctcp.stats()["pollers"] == 1
        poller.free()
        assert repr(poller) == f"<asynctcp.Poller fd={number} freed>"
        assert asynctcp.stats()["pollers"] == 0

    run(start)


def test_it_needs_a_loop(pair):
    with pytest.raises(asynctcp.EventLoopError):
        poll(pair[0], fail)
