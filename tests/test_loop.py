"""The event loop (contract, section 1): start, end, exceptions, exit callbacks, signals, posts, figures."""

from __future__ import annotations

import contextvars
import os
import resource
import signal
import threading
import time

import pytest

import asynctcp
from asynctcp import EventLoop, EventLoopError, delay, start_event_loop
from helpers import (
    DEADLINE,
    Oops,
    after_quiet,
    fail,
    ignore,
    is_within,
    oops,
    run,
    wait_until,
    when,
)
from idle import wait_until_main_sleeps

# --- start and end ------------------------------------------------------------------------------------------


def test_start_runs_the_function_in_the_callers_thread():
    ran_in = []
    start_event_loop(lambda: ran_in.append(threading.get_ident()))
    assert ran_in == [threading.get_ident()]


def test_loop_with_nothing_alive_returns_none():
    assert start_event_loop(ignore) is None


def test_loop_ends_after_its_last_timer():
    told = []
    run(lambda: delay(lambda: told.append("ran"), 0.01))
    assert told == ["ran"]


def test_loop_ends_with_its_last_socket(peers, log):
    run(lambda: peers.link(lambda _ours, raw: raw.close(), log.read, log.event))
    assert log.told == ["TcpEof"]


def test_open_server_keeps_the_loop_running():
    told = []

    def start():
        server = asynctcp.tcp_server("127.0.0.1", 0, None)
        after_quiet(lambda: (told.append("still running"), server.close()))

    run(start)
    assert told == ["still running"]


def test_loop_starts_again_in_the_same_thread():
    told = []
    for number in range(3):
        run(lambda number=number: delay(lambda: told.append(number)))
    assert told == [0, 1, 2]


def test_loop_starts_again_after_one_that_raised():
    with pytest.raises(Oops):
        run(oops)
    told = []
    run(lambda: delay(lambda: told.append("ran")))
    assert told == ["ran"]


def test_start_within_a_loop_raises_and_leaves_the_outer_one_running():
    told = []

    def start():
        with pytest.raises(EventLoopError):
            start_event_loop(fail)
        delay(lambda: told.append("outer goes on"))

    run(start)
    assert told == ["outer goes on"]


def test_context_manager_within_a_loop_raises():
    def start():
        with pytest.raises(EventLoopError), asynctcp.event_loop():
            fail()

    run(start)


def test_loops_of_several_threads_run_at_the_same_time(spawn):
    meeting = threading.Barrier(3, timeout=DEADLINE)
    for _ in range(3):
        spawn(run, lambda: delay(meeting.wait))


def test_loop_object_runs_once():
    loop = EventLoop()
    loop.run()
    with pytest.raises(EventLoopError):
        loop.run()


def test_loop_object_runs_without_a_start_function():
    loop, told = EventLoop(), []
    loop.call_soon_threadsafe(told.append, "posted before")
    loop.run()
    assert told == ["posted before"]


def test_current_loop_is_the_one_that_runs():
    loop, seen = EventLoop(), []
    loop.run(lambda: seen.append(asynctcp.current_event_loop()))
    assert seen == [loop]


@pytest.mark.parametrize("io_threads", [0, 1, 2])
def test_echo_works_with_io_threads(io_threads, log):
    def start():
        server = asynctcp.tcp_server("127.0.0.1", 0, lambda socket, data: socket.write(data))

        def read(socket, data):
            log.read(socket, data)
            socket.close()
            server.close()

        asynctcp.tcp_connect(*server.address, read, data=b"ping")

    EventLoop(io_threads=io_threads).run(start)
    assert log.told == [b"ping"]


NEED_A_LOOP = [
    (asynctcp.current_event_loop, ()),
    (asynctcp.exit_event_loop, ()),
    (asynctcp.stats, ()),
    (asynctcp.add_event_loop_exit_callback, (ignore,)),
    (asynctcp.delay, (ignore,)),
    (asynctcp.interval, (ignore, 1)),
    (asynctcp.tcp_connect, ("127.0.0.1", 9, None)),
    (asynctcp.tcp_server, ("127.0.0.1", 0, None)),
]


@pytest.mark.parametrize(
    ("function", "arguments"), NEED_A_LOOP, ids=lambda value: getattr(value, "__name__", "")
)
def test_function_that_needs_a_loop_raises_without_one(function, arguments):
    with pytest.raises(EventLoopError):
        function(*arguments)


def test_event_loop_error_is_a_runtime_error():
    assert issubclass(EventLoopError, RuntimeError)


def test_loop_that_cannot_begin_is_closed_and_leaves_the_thread_free():
    loop = EventLoop()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            loop.run(fail)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    run(ignore)


def test_run_refuses_a_start_function_that_is_not_callable():
    with pytest.raises(TypeError, match=r"start_fn must be callable or None, not int: 5"):
        EventLoop().run(5)


# --- event_loop() -------------------------------------------------------------------------------------------


def test_block_runs_the_loop_to_its_end():
    told = []
    with asynctcp.event_loop():
        delay(lambda: told.append("timer"))
        told.append("block")
    assert told == ["block", "timer"]


def test_block_gives_the_loop():
    with asynctcp.event_loop() as loop:
        assert isinstance(loop, EventLoop)
        assert asynctcp.current_event_loop() is loop


def test_block_that_raises_closes_everything_and_the_exception_goes_on():
    kept = []

    def block():
        kept.append(asynctcp.tcp_server("127.0.0.1", 0, None))
        delay(fail)
        raise Oops

    with pytest.raises(Oops), asynctcp.event_loop(catch_app_errors=True):
        block()
    assert kept[0].closed


def test_no_loop_is_current_after_the_block():
    with asynctcp.event_loop():
        pass
    with pytest.raises(EventLoopError):
        asynctcp.current_event_loop()


def test_block_takes_the_keywords_of_start():
    seen = []
    with asynctcp.event_loop(catch_app_errors=seen.append):
        delay(oops)
    assert [type(error) for error in seen] == [Oops]


# --- signals ------------------------------------------------------------------------------------------------


def test_interrupt_of_an_idle_loop_comes_within_100_ms(spawn):
    def interrupt():
        wait_until(lambda: sent)
        wait_until_main_sleeps()
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    def start():
        asynctcp.tcp_server("127.0.0.1", 0, None)
        sent.append("started")

    def comes_after():
        sent.clear()
        interrupter = spawn(interrupt)
        with pytest.raises(KeyboardInterrupt):
            start_event_loop(start)
        ended = time.monotonic()
        interrupter.join()
        return ended - sent[1]

    sent = []
    assert is_within(0.1, comes_after)


def test_interrupt_closes_everything_first():
    kept = []

    def start():
        kept.append(asynctcp.tcp_server("127.0.0.1", 0, None))
        delay(lambda: os.kill(os.getpid(), signal.SIGINT))

    with pytest.raises(KeyboardInterrupt):
        run(start, catch_app_errors=True)
    assert kept[0].closed


def test_python_signal_handler_runs_while_the_loop_idles(spawn):
    told = []
    before = signal.signal(signal.SIGUSR1, lambda *_: told.append("handled"))

    def start():
        server = asynctcp.tcp_server("127.0.0.1", 0, None)
        when(lambda: told, server.close)
        delay(lambda: spawn(os.kill, os.getpid(), signal.SIGUSR1), 0.02)

    try:
        run(start)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert told == ["handled"]


def test_wakeup_descriptor_of_before_is_put_back():
    read, write = os.pipe()
    os.set_blocking(write, False)
    before = signal.set_wakeup_fd(write)
    try:
        run(ignore)
        assert signal.set_wakeup_fd(before) == write
    finally:
        os.close(read)
        os.close(write)


# --- posts from threads -------------------------------------------------------------------------------------


def test_post_runs_in_the_loops_thread_with_its_arguments(spawn):
    loop, told = EventLoop(), []

    def posted(*arguments):
        told.append((threading.get_ident(), arguments))
        loop.exit()

    def start():
        asynctcp.tcp_server("127.0.0.1", 0, None)
        spawn(loop.call_soon_threadsafe, posted, 1, "two")

    loop.run(start)
    assert told == [(threading.get_ident(), (1, "two"))]


def test_posts_of_one_thread_run_in_order():
    told = []
    with asynctcp.event_loop() as loop:
        for number in range(1000):
            loop.call_soon_threadsafe(told.append, number)
    assert told == list(range(1000))


def test_posts_of_eight_threads_all_run(spawn):
    told, loop = [], EventLoop()

    def post(name):
        for number in range(500):
            loop.call_soon_threadsafe(told.append, (name, number))

    def start():
        server = asynctcp.tcp_server("127.0.0.1", 0, None)
        for name in range(8):
            spawn(post, name)
        when(lambda: len(told) == 4000, server.close)

    loop.run(start)
    assert sorted(told) == [(name, number) for name in range(8) for number in range(500)]


def test_post_from_a_callback_does_not_run_inside_it():
    told = []

    def start():
        asynctcp.current_event_loop().call_soon_threadsafe(told.append, "posted")
        told.append("end of start")

    run(start)
    assert told == ["end of start", "posted"]


def test_post_to_an_ended_loop_raises():
    loop = EventLoop()
    loop.run()
    with pytest.raises(EventLoopError):
        loop.call_soon_threadsafe(ignore)


# --- contextvars --------------------------------------------------------------------------------------------

VARIABLE = contextvars.ContextVar("VARIABLE", default="unset")


def test_callbacks_run_in_the_context_that_the_loop_was_started_in(peers):
    seen = {}

    def note(name):
        return lambda *_: seen.setdefault(name, VARIABLE.get())

    def use(ours, raw):
        note("connect")()
        ours.write(b"x", write_cb=note("write"))
        raw.sendall(b"x")
        raw.close()

    def start():
        delay(note("delay"))
        peers.link(use, note("read"), note("event"))

    context = contextvars.copy_context()
    context.run(VARIABLE.set, "set")
    context.run(run, start)
    assert seen == dict.fromkeys(["delay", "connect", "write", "read", "event"], "set")


def test_every_other_callback_runs_in_that_context_too():
    seen, made = {}, {}

    def note(name, end=None):
        return lambda *_: (seen.setdefault(name, VARIABLE.get()), end and getattr(made[name], end)())

    def start():
        asynctcp.add_event_loop_exit_callback(note("exit"))
        asynctcp.dns_lookup("127.0.0.1", note("lookup"))
        asynctcp.reverse_dns_lookup("192.0.2.1", fail, event_cb=note("lookup failed"))
        asynctcp.current_event_loop().call_soon_threadsafe(note("post"))
        made["interval"] = asynctcp.interval(note("interval", "cancel"), 0.001)
        made["notifier"] = asynctcp.make_notifier(note("notifier", "free"))
        made["notifier"].trigger()
        made["signal"] = asynctcp
        asynctcp.signal_handler(signal.SIGUSR1, note("signal", "clear_signal_handlers"))
        os.kill(os.getpid(), signal.SIGUSR1)

    context = contextvars.copy_context()
    context.run(VARIABLE.set, "set")
    context.run(run, start)
    names = ["exit", "lookup", "lookup failed", "post", "interval", "notifier", "signal"]
    assert seen == dict.fromkeys(names, "set")
