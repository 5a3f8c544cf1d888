"""What `asynctcp.poll` refuses, and descriptors that are closed behind the loop's back."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

import asynctcp
from asynctcp import delay, poll
from helpers import after_quiet, fail, ignore, run, when
from polled import LOOPS


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
