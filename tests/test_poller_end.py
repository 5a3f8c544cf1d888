"""How a poller ends: freeing it, the end of its loop, forked children."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import threading
import time
import weakref

import pytest

import asynctcp
from asynctcp import poll
from helpers import DEADLINE, SOON, Oops, descriptors, fail, oops, run, wait_until

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


# Processes, and the end of the loop.


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
