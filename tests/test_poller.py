"""`asynctcp.poll`: other descriptors in the loop, level-triggered."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import signal
import socket
import threading
import time
import weakref
from pathlib import Path

import pytest

import asynctcp
import asynctcp.aio
from asynctcp import EventLoop, TcpAppError, TcpError, TcpTimeout, delay, poll
from foreign import pump_until, setup
from helpers import DEADLINE, SOON, Oops, after_quiet, descriptors, fail, ignore, oops, run, wait_until, when


@pytest.fixture
def pair():
    """Two ends of a connection that is none of the library's."""
    ends = socket.socketpair()
    for end in ends:
        end.setblocking(False)
    yield ends
    for end in ends:
        end.close()


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


def in_loop_of_its_own(start):
    run(start)


def with_io_threads(start):
    run(start, loop=EventLoop(io_threads=2))


def pumped(start):
    """In a foreign loop; over once nothing is left alive but that loop."""
    loop = EventLoop()
    setup(loop, start)
    pump_until(loop, lambda: not loop.stats()["pollers"])
    loop.exit()


async def ended(loop):
    """No poller is left."""
    while loop.tcp.stats()["pollers"]:  # noqa: ASYNC110 (nothing tells)
        await asyncio.sleep(0.001)


def in_asyncio(start):
    async def main():
        loop = asyncio.get_running_loop()
        start()
        await ended(loop)

    asynctcp.aio.run(asyncio.wait_for(main(), DEADLINE))


LOOPS = [in_loop_of_its_own, with_io_threads, pumped, in_asyncio]


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


# Freeing.


def test_freed_in_its_callback_is_not_called_again(pair):
    ours, theirs = pair
    told = []

    def ready(poller, word):
        told.append(word)
        poller.free()

    def start():
        theirs.send(b"x")
        poll(ours, ready, poll_for=("readable", "writable"))

    run(start)
    assert told == ["readable"]


def test_loop_lives_until_it_is_freed_by_another_thread(pair):
    ours, _ = pair
    began = time.monotonic()

    def start():
        poller = poll(ours, fail)
        thread = threading.Timer(0.05, poller.free)
        thread.start()

    run(start)
    assert 0.04 < time.monotonic() - began < SOON


def test_freed_while_its_call_waits_is_not_called(pair):
    ours, theirs = pair
    other, others = socket.socketpair()
    told = []

    def first(poller, _word):
        told.append(poller.fd)
        for each in pollers:
            each.free()

    def start():
        theirs.send(b"x")
        others.send(b"x")
        pollers.extend([poll(ours, first), poll(other, first)])

    pollers = []
    run(start)
    assert len(told) == 1
    other.close()
    others.close()


def test_freeing_twice_does_nothing_and_lets_go_of_what_was_given(pair):
    ours, _ = pair

    def callback(*_):
        pass

    def event_cb(_condition):
        pass

    kept = [weakref.ref(callback), weakref.ref(event_cb)]

    def start():
        nonlocal callback, event_cb
        poller = poll(ours, callback, event_cb=event_cb)
        assert poller.callback is callback
        assert poller.event_cb is event_cb
        del callback, event_cb
        asynctcp.free_poller(poller)
        assert (poller.freed, poller.closed, poller.callback, poller.event_cb) == (True, True, None, None)
        gc.collect()
        assert [it() for it in kept] == [None, None]
        asynctcp.free_poller(poller)
        poller.free()

    run(start)


def test_freed_descriptor_can_be_polled_again(pair):
    ours, theirs = pair
    told = []

    def start():
        for _ in range(3):
            poll(ours, fail).free()
        theirs.send(b"x")
        poll(ours, lambda poller, word: (told.append(word), poller.free()))

    run(start)
    assert told == ["readable"]


def test_block_frees_it(pair):
    def start():
        with poll(pair[0], fail) as poller:
            assert not poller.freed
        assert poller.freed
        with pytest.raises(Oops), poll(pair[0], fail) as poller:
            oops()
        assert poller.freed

    run(start)


def test_exit_frees_all_and_calls_nothing(pair):
    ours, theirs = pair
    made = []

    def start():
        ours.send(b"x")
        theirs.send(b"x")
        made.extend([poll(ours, fail), poll(theirs, fail, timeout=1)])
        asynctcp.exit_event_loop()

    run(start)
    assert [poller.freed for poller in made] == [True, True]
    made[0].free()


def test_exit_in_its_callback_is_the_last_call(pair):
    ours, theirs = pair
    told = []

    def start():
        theirs.send(b"x")
        poll(
            ours,
            lambda _, word: (told.append(word), asynctcp.exit_event_loop()),
            poll_for=("readable", "writable"),
        )

    run(start)
    assert told == ["readable"]


def test_object_is_kept_until_the_poller_is_freed(pipe):
    class Owner:
        def fileno(self):
            return read

    def readable(poller, _word):
        told.append(kept() is None)
        poller.free()

    def start():
        nonlocal owner
        poll(owner, readable)
        del owner
        gc.collect()
        os.write(write, b"x")

    read, write = pipe
    owner, told = Owner(), []
    kept = weakref.ref(owner)
    run(start)
    gc.collect()
    assert told == [False]
    assert kept() is None


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
        time.sleep(0.1)

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


# Descriptors that are none, and that are closed behind the loop's back.


@pytest.mark.parametrize("number", [-1, 2**31 - 1])
def test_number_that_is_not_open_is_refused(number):
    def start():
        with pytest.raises(OSError, match=f"descriptor {number} is not open") as caught:
            poll(number, fail)
        assert caught.value.errno == errno.EBADF
        assert asynctcp.stats()["pollers"] == 0

    run(start)


def test_closed_socket_is_refused():
    def start():
        with socket.socket() as closed:
            pass
        with pytest.raises(OSError, match="is not open"):
            poll(closed, fail)

    run(start)


def test_regular_file_is_refused():
    def start():
        with Path(__file__).open(encoding="utf-8") as file, pytest.raises(PermissionError) as caught:
            poll(file, fail)
        assert caught.value.errno == errno.EPERM
        assert "regular files and folders are always ready" in caught.value.strerror

    run(start)


def test_second_poller_of_a_descriptor_is_refused(pair):
    def start():
        with poll(pair[0], fail) as first:
            with pytest.raises(OSError, match="is polled already") as caught:
                poll(pair[0], fail, poll_for=("writable",))
            assert caught.value.errno == errno.EEXIST
            assert not first.freed
            assert asynctcp.stats()["pollers"] == 1

    run(start)


@pytest.mark.parametrize(
    ("arguments", "keywords", "error", "words"),
    [
        (("7", fail), {}, TypeError, r"fd must be an int or an object with fileno\(\), not str"),
        ((True, fail), {}, TypeError, "fd must be"),
        ((2**40, fail), {}, ValueError, "fd must be the number of a descriptor"),
        ((0, 7), {}, TypeError, "callback must be callable"),
        ((0, fail), {"poll_for": "readable"}, TypeError, "poll_for must be"),
        ((0, fail), {"poll_for": ()}, ValueError, "poll_for must be"),
        ((0, fail), {"poll_for": 7}, TypeError, "poll_for must be"),
        ((0, fail), {"poll_for": [7]}, TypeError, "poll_for must be"),
        ((0, fail), {"poll_for": ["read"]}, ValueError, "poll_for must be"),
        ((0, fail), {"timeout": "1"}, TypeError, "timeout must be"),
        ((0, fail), {"event_cb": 1}, TypeError, "event_cb must be"),
    ],
)
def test_bad_argument_is_refused_by_name(arguments, keywords, error, words):
    def start():
        with pytest.raises(error, match=words):
            poll(*arguments, **keywords)

    run(start)


def test_object_whose_fileno_is_no_number_is_refused():
    class Odd:
        def fileno(self):
            return "7"

    def start():
        with pytest.raises(TypeError, match="fd must be"):
            poll(Odd(), fail)

    run(start)


def test_what_is_no_poller_is_refused():
    with pytest.raises(TypeError, match="poller must be a Poller"):
        asynctcp.free_poller(7)


@pytest.mark.slow
@pytest.mark.parametrize("loop", LOOPS)
def test_descriptor_that_was_closed_while_nothing_came_is_told_and_freed(loop):
    ours, theirs = socket.socketpair()
    told = []

    def start():
        poll(ours.fileno(), fail, event_cb=told.append)
        delay(ours.close, 0.01)

    loop(start)
    assert [condition.errno for condition in told] == [errno.EBADF]
    theirs.close()


def test_descriptor_that_was_closed_is_told_at_its_timeout():
    ours, theirs = socket.socketpair()
    told = []

    def start():
        poll(ours.fileno(), fail, timeout=0.02, event_cb=told.append)
        ours.close()

    run(start)
    assert [condition.errno for condition in told] == [errno.EBADF]
    theirs.close()


def test_number_of_another_file_is_polled_for_that_one(pair):
    ours, _theirs = pair
    lost = []

    def start():
        number = os.dup(ours.fileno())
        old = poll(number, fail, event_cb=lost.append)
        other, others = os.pipe()
        os.dup2(other, number)
        poll(number, lambda poller, _: (lost.append(os.read(number, 9)), poller.free()))
        os.write(others, b"other")
        when(lambda: old.freed and len(lost) == 2, lambda: [os.close(it) for it in (number, other, others)])

    run(start)
    assert lost[0].errno == errno.EBADF
    assert lost[1] == b"other"


def test_what_was_freed_after_its_number_was_closed_costs_nothing_and_can_be_polled_again(pair):
    """The kernel goes on watching a file that is open elsewhere, and cannot be told by its old number."""
    ours, theirs = pair
    told = []

    def start():
        number = os.dup(ours.fileno())
        poller = poll(number, fail)
        os.close(number)
        poller.free()
        theirs.send(b"x")
        after_quiet(lambda: again(number))

    def again(number):
        assert asynctcp.stats()["events_dispatched"] < 10
        os.dup2(ours.fileno(), number)
        poll(number, lambda poller, word: (told.append(word), poller.free(), os.close(number)))

    run(start)
    assert told == ["readable"]


def test_own_socket_can_be_polled_beside_the_library():
    told = []

    def connected(ours):
        poll(ours, lambda poller, word: (told.append(word), poller.free()), poll_for=("writable",))
        ours.write(b"x")

    def start():
        server = asynctcp.tcp_server(
            "127.0.0.1", 0, lambda ours, data: (told.append(data), ours.close(), server.close())
        )
        asynctcp.tcp_connect(server.host, server.port, None, connect_cb=connected)

    run(start)
    assert sorted(map(str, told)) == ["b'x'", "writable"]


def test_own_socket_that_ended_frees_its_poller():
    told = []

    def start():
        server = asynctcp.tcp_server(
            "127.0.0.1", 0, None, connect_cb=lambda ours: (ours.close(), server.close())
        )
        asynctcp.tcp_connect(
            server.host, server.port, None, connect_cb=lambda ours: poll(ours, ignore, event_cb=told.append)
        )

    run(start)
    assert [condition.errno for condition in told] == [errno.EBADF]


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


# What it says of itself, and processes.


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


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_forked_child_that_lets_go_of_it_does_not_disturb_the_parent(pair):
    ours, theirs = pair
    told = []

    def start():
        poller = poll(ours, lambda poller, _: (told.append(ours.recv(9)), poller.free()), timeout=3600)
        child = os.fork()
        if not child:
            with contextlib.suppress(BaseException):
                poller.__exit__(Oops, None, None)
                del poller
                gc.collect()
            os._exit(0)
        wait_until(lambda: os.waitpid(child, os.WNOHANG)[0])
        theirs.send(b"x")

    run(start)
    assert told == [b"x"]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_child_that_is_forked_in_its_callback_leaves_the_parents_alone(pair):
    ours, theirs = pair
    told = []

    def readable(poller, _word):
        told.append(ours.recv(1))
        if len(told) == 2:
            return poller.free()
        if not (child := os.fork()):
            signal.alarm(int(DEADLINE))
            return None
        wait_until(lambda: os.waitpid(child, os.WNOHANG)[0])
        return None

    def start():
        theirs.send(b"xy")
        poll(ours, readable)

    parent = os.getpid()
    try:
        run(start)
    except asynctcp.EventLoopError:
        if os.getpid() == parent:
            raise
    finally:
        if os.getpid() != parent:
            os._exit(0)
    assert told == [b"x", b"y"]


def test_descriptors_of_an_ended_loop_are_closed(pair):
    before = len(descriptors())
    run(lambda: poll(pair[0], fail, timeout=1).free())
    assert len(descriptors()) == before


def test_it_needs_a_loop(pair):
    with pytest.raises(asynctcp.EventLoopError):
        poll(pair[0], fail)
