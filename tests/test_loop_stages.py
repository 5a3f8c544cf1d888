"""Begin, run and end of a loop are whole, whatever raises in the middle (docs/contract.md, section 1)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest

import asynctcp
from asynctcp import EventLoop, delay
from helpers import Oops, fail, ignore, oops, run

STORM = Path(__file__).with_name("storm.py")


def assert_thread_is_free():
    told = []
    run(lambda: told.append("ran"))
    assert told == ["ran"]


def test_subclass_that_does_not_call_the_init_of_its_base_runs():
    class Mine(EventLoop):
        def __init__(self):
            pass

    told = []
    Mine().run(lambda: told.append("ran"))
    assert told == ["ran"]
    assert_thread_is_free()


@pytest.mark.slow
@pytest.mark.parametrize("where", ["begin", "end", "block"])
def test_handler_that_raises_anywhere_leaves_no_loop_half_open(where):
    """In a child that coverage does not look at: its tracer cannot stand such a handler."""
    command = [sys.executable, STORM, where]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stdout) == (0, "calm\n"), done.stderr


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_exit_callbacks_all_run_though_one_raises_what_ends_the_loop(error):
    told = []

    def stop():
        told.append("first")
        raise error

    def start():
        asynctcp.add_event_loop_exit_callback(stop)
        asynctcp.add_event_loop_exit_callback(lambda: told.append("second"))

    with pytest.raises(error):
        run(start)
    assert told == ["first", "second"]
    assert_thread_is_free()


def test_loops_own_exception_is_the_context_of_that_of_an_exit_callback():
    def stop():
        raise KeyboardInterrupt

    def start():
        asynctcp.add_event_loop_exit_callback(stop)
        raise Oops

    with pytest.raises(KeyboardInterrupt) as caught:
        run(start)
    assert isinstance(caught.value.__context__, Oops)


def test_closed_wakeup_descriptor_is_not_put_back_and_raises_nothing():
    told = []
    near, far = socket.socketpair()
    near.setblocking(False)
    signal.set_wakeup_fd(near.fileno())

    def start():
        asynctcp.add_event_loop_exit_callback(lambda: told.append("exit callback"))
        near.close()

    try:
        run(start)
    finally:
        now = signal.set_wakeup_fd(-1)
        far.close()
    assert (told, now) == (["exit callback"], -1)


def test_wakeup_descriptor_of_before_is_put_back():
    near, far = socket.socketpair()
    near.setblocking(False)
    signal.set_wakeup_fd(near.fileno())
    try:
        run(ignore)
    finally:
        now = signal.set_wakeup_fd(-1)
    assert now == near.fileno()
    near.close()
    far.close()


def test_wakeup_descriptor_that_a_callback_set_stays():
    near, far = socket.socketpair()
    near.setblocking(False)
    run(lambda: signal.set_wakeup_fd(near.fileno()))
    assert signal.set_wakeup_fd(-1) == near.fileno()
    near.close()
    far.close()


def test_warning_that_is_an_error_does_not_keep_a_loop_from_its_end():
    loop, kept = EventLoop(debug=True), []

    def start():
        kept.append(asynctcp.tcp_server("127.0.0.1", 0, None))
        asynctcp.add_event_loop_exit_callback(lambda: kept.append("exit callback"))
        raise Oops

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ResourceWarning) as caught:
            loop.run(start)
    assert isinstance(caught.value.__context__, Oops)
    assert kept[0].closed
    assert kept[1:] == ["exit callback"]
    assert_thread_is_free()


def test_block_that_is_entered_and_forgotten_is_closed():
    kept = []
    block = asynctcp.event_loop()
    block.__enter__()
    kept.append(asynctcp.tcp_server("127.0.0.1", 0, None))
    asynctcp.add_event_loop_exit_callback(oops)
    del block
    assert kept[0].closed
    assert_thread_is_free()


def test_block_that_is_left_in_a_callback_is_closed_by_its_loop():
    kept = []

    with asynctcp.event_loop() as loop:
        kept.append(asynctcp.tcp_server("127.0.0.1", 0, None))
        delay(loop.exit)
    assert kept[0].closed


def test_suspended_block_runs_its_exit_callbacks_once_at_exit():
    code = """
from asynctcp import *
block = event_loop()
block.__enter__()
add_event_loop_exit_callback(lambda: print("exit callback"))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "exit callback\n", "")


def test_handler_for_a_signal_that_raises_does_not_keep_the_one_of_before_from_its_place():
    """Python runs handlers that are due before it changes one."""
    raised = []

    def handler(*_):
        raised.append(1)
        raise Oops

    before = signal.signal(signal.SIGUSR2, handler)

    def start():
        asynctcp.signal_handler(signal.SIGUSR1, fail)
        asynctcp.add_event_loop_exit_callback(lambda: raised.append("exit callback"))
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR2)
        os.getpid()

    mine = signal.getsignal(signal.SIGUSR1)
    with pytest.raises(Oops):
        run(start)
    signal.signal(signal.SIGUSR2, before)
    assert signal.getsignal(signal.SIGUSR1) == mine
    assert raised == [1, "exit callback"]
