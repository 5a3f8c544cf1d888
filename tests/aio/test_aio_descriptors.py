"""`Loop.add_reader` and `add_writer`: descriptors that are ready, closed, used again or none."""

from __future__ import annotations

import contextvars
import errno
import fcntl
import os
import resource
import socket

import pytest

import asynctcp.aio
from loops import Recorder, run, turn, turn_until


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def test_reader_is_called_as_long_as_something_is_there(loop, pair):
    ours, theirs = pair
    got = []
    loop.add_reader(ours, lambda: got.append(ours.recv(1)))
    theirs.send(b"abc")
    turn_until(loop, lambda: len(got) == 3)
    assert got == [b"a", b"b", b"c"]
    assert loop.remove_reader(ours)


def test_reader_and_writer_of_one_descriptor_are_called_each_for_its_own(loop, pair):
    ours, theirs = pair
    got = []
    loop.add_writer(ours.fileno(), got.append, "writable")
    turn_until(loop, lambda: got)
    assert loop.remove_writer(ours.fileno())
    loop.add_reader(ours.fileno(), got.append, "readable")
    theirs.send(b"x")
    turn_until(loop, lambda: "readable" in got)
    assert loop.remove_reader(ours.fileno())
    assert not loop.remove_reader(ours.fileno())


def test_second_reader_replaces_the_first(loop, pair):
    ours, theirs = pair
    got = []
    loop.add_reader(ours, got.append, "first")
    loop.add_reader(ours, got.append, "second")
    theirs.send(b"x")
    turn_until(loop, lambda: got)
    assert "first" not in got
    loop.remove_reader(ours)


def test_reader_that_was_removed_in_the_same_turn_is_not_called(loop, pair):
    ours, theirs = pair
    got = []
    loop.call_soon(loop.remove_reader, ours)
    loop.add_reader(ours, got.append, 1)
    theirs.send(b"x")
    turn(loop)
    assert got == []


def test_descriptor_that_was_closed_can_be_taken_out_by_its_socket(loop):
    ours, theirs = socket.socketpair()
    loop.add_reader(ours, print)
    ours.close()
    assert loop.remove_reader(ours)
    theirs.close()


def test_number_that_was_closed_and_is_used_again_is_watched_again():
    loop = asynctcp.aio.new_event_loop()
    ours, theirs = socket.socketpair()
    number, got = ours.fileno(), []
    loop.add_reader(number, got.append, "old")
    other, peer = socket.socketpair()
    os.dup2(other.fileno(), number)
    loop.add_reader(number, lambda: (got.append("new"), ours.recv(9)))
    peer.send(b"x")
    turn_until(loop, lambda: got)
    assert got[0] == "new"
    loop.remove_reader(number)
    for each in (ours, theirs, other, peer):
        each.close()
    loop.close()


@pytest.mark.parametrize("bad", [-1, "text", None, object()])
def test_what_is_no_descriptor_is_refused(loop, bad):
    with pytest.raises(ValueError, match="Invalid file"):
        loop.add_reader(bad, print)


@pytest.mark.parametrize("way", ["add_reader", "add_writer"])
def test_large_number_that_is_no_descriptor_is_refused_and_costs_no_memory(loop, way):
    number = 10**7
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(OSError, match="Bad file descriptor"):
        getattr(loop, way)(number, print)
    # A place for each number would be ten times as much, in KiB.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40 << 10
    assert not loop.remove_reader(number)


def test_regular_file_cannot_be_watched(loop, tmp_path):
    with (tmp_path / "file").open("wb") as file, pytest.raises(PermissionError) as raised:
        loop.add_reader(file, print)
    assert raised.value.errno == errno.EPERM


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("way", ["_add_reader", "_add_writer"])
def test_descriptors_callback_runs_in_a_context_that_is_given(way, debug):
    """From CPython 3.15 on asyncio's own transports give one."""
    loop = asynctcp.aio.new_event_loop()
    loop.set_debug(debug)
    variable = contextvars.ContextVar("variable", default="outside")
    context = contextvars.copy_context()
    context.run(variable.set, "given")
    got = []
    ours, peer = socket.socketpair()
    with ours, peer:
        peer.sendall(b"x")
        getattr(loop, way)(ours, lambda: got.append(variable.get()), context=context)
        turn_until(loop, lambda: got)
        loop.close()
    assert set(got) == {"given"}


def test_descriptor_that_is_ready_when_it_is_registered_is_told_of_in_the_next_turn(loop):
    """However short the turns are: programs connect one pipe, then close another, and rely on the order."""

    def tick():
        turns.append(None)
        if told:
            ended.append(None)
        else:
            loop.call_soon(tick)

    turns, told, ended = [], [], []
    near, far = socket.socketpair()
    with near, far:
        far.send(b"x")
        for _ in range(50):
            del turns[:], told[:], ended[:]
            loop.call_soon(tick)
            loop.call_soon(loop.add_reader, near, lambda: (loop.remove_reader(near), told.append(len(turns))))
            # No tick is left over, which would count in the next round.
            turn_until(loop, lambda: ended)
            assert told == [2]


@pytest.fixture
def adopt():
    """Make a transport of a socket."""
    made = []

    def adopt(loop, sock):
        made.append((loop, run(loop, loop.connect_accepted_socket(Recorder, sock))))
        return made[-1][1]

    yield adopt
    for loop, (transport, protocol) in made:
        if ("lost", None) not in protocol.told:
            transport.abort()
        turn(loop)


def test_reader_that_is_left_on_a_transports_descriptor_is_not_called(loop, pair, adopt):
    ours, theirs = pair
    called = []
    loop.add_reader(ours, called.append, "left")
    _, protocol = adopt(loop, ours)
    theirs.send(b"x")
    turn_until(loop, lambda: protocol.data == b"x")
    assert not called


@pytest.mark.parametrize("way", ["reader", "writer"])
def test_callback_that_is_left_on_a_closed_transports_number_is_not_called_for_the_next(
    loop, way, pair, adopt
):
    near, theirs = pair
    first, other = socket.socketpair()
    first.setblocking(False)
    called, number = [], first.fileno()
    getattr(loop, f"add_{way}")(first, called.append, "left")
    transport, _ = adopt(loop, first)
    transport.close()
    turn_until(loop, lambda: first.fileno() == -1)
    other.close()
    called.clear()
    second = socket.socket(fileno=fcntl.fcntl(near, fcntl.F_DUPFD, number))
    assert second.fileno() == number
    _, protocol = adopt(loop, second)
    theirs.send(b"x")
    turn_until(loop, lambda: protocol.data == b"x")
    assert not called


def test_writer_that_is_left_on_a_transports_descriptor_is_not_called(ours, pair, adopt):
    # asyncio's goes on being called until the transport waits for the same.
    near, _ = pair
    called = []
    ours.add_writer(near, called.append, "left")
    adopt(ours, near)
    turn(ours)
    assert not called
