"""The buffer of a stream: order, lines, what it reserves, and that its work is linear in the bytes."""

from __future__ import annotations

import time

import pytest

from asynctcp._read_buffer import UNREAD_LIMIT, ReadBuffer
from helpers import Reserved

MB = 1 << 20


def buffer_of(*pieces):
    """Return a buffer with these pieces; what it told is in its ``reserved``."""
    buffer = Buffer(Reserved())
    for piece in pieces:
        buffer.feed(piece)
    return buffer


class Buffer(ReadBuffer):
    """One that gives its reservation away."""

    @property
    def reserved(self):
        return self._reservation


def test_piece_that_comes_alone_is_given_as_it_came():
    piece = bytes(1000)
    assert buffer_of(piece).take(1000) is piece


def test_piece_that_comes_after_a_partial_read_is_read_whole():
    buffer = buffer_of(b"abc")
    assert (buffer.take(1), buffer.take(9)) == (b"a", b"bc")
    buffer.feed(b"def")
    assert buffer.take(9) == b"def"


@pytest.mark.parametrize(
    "pieces", [[b"ab", b"cdef"], [b"abcd", b"e", b"f"], [b"abcd", b"e", b"fghijk"]], ids=str
)
def test_pieces_of_any_size_are_read_in_order_byte_by_byte(pieces):
    buffer = buffer_of(*pieces)
    whole = b"".join(pieces)
    assert buffer.size == len(whole)
    assert [buffer.take(1) for _ in whole] == [bytes([byte]) for byte in whole]
    assert buffer.size == 0


@pytest.mark.parametrize("pieces", [[b"abcde"], [b"ab", b"cde"], [b"abcd", b"e"]], ids=str)
def test_peek_after_a_partial_read_shows_what_comes_next(pieces):
    buffer = buffer_of(*pieces)
    buffer.take(1)
    assert (buffer.peek(1), buffer.peek(3), buffer.peek(9), buffer.size) == (b"b", b"bcd", b"bcde", 4)


def test_length_of_a_line_is_known_once_its_end_is_there():
    buffer = buffer_of(b"abc")
    assert buffer.line_length() == 0
    buffer.feed(b"d\ne\n")
    assert (buffer.line_length(), buffer.line_length()) == (5, 5)
    buffer.take(2)
    assert buffer.line_length() == 3
    buffer.take(3)
    assert buffer.line_length() == 2


def test_what_is_held_is_reserved_and_given_back():
    buffer = buffer_of(b"abc", b"de")
    assert buffer.reserved.held == 5
    buffer.take(2)
    assert buffer.reserved.held == 3
    buffer.clear()
    assert (buffer.reserved.held, buffer.size) == (0, 0)


def test_network_pauses_with_16_mib_unread_and_goes_on_with_8():
    buffer = buffer_of(bytes(UNREAD_LIMIT - 1))
    assert (buffer.full, buffer.reserved.told) == (False, [])
    buffer.feed(b"x")
    assert (buffer.full, buffer.reserved.told) == (True, ["pause"])
    buffer.feed(b"x")
    assert buffer.reserved.told == ["pause"]
    buffer.take(UNREAD_LIMIT // 2)
    assert (buffer.full, buffer.reserved.told) == (True, ["pause"])
    buffer.take(1)
    assert (buffer.full, buffer.reserved.told) == (False, ["pause", "resume"])


def cost_of_a_piece(buffer, act):
    """CPU time of one more byte, the least of many."""
    costs = []
    for _ in range(100):
        begun = time.thread_time()
        buffer.feed(b"x")
        act(buffer)
        costs.append(time.thread_time() - begun)
    return min(costs)


@pytest.mark.parametrize(
    "act",
    [ReadBuffer.line_length, lambda buffer: buffer.peek(10), lambda buffer: buffer.take(1)],
    ids=["line_length", "peek", "take"],
)
def test_piece_costs_the_same_however_much_is_buffered(act):
    few, many = buffer_of(b"x" * 1000), buffer_of(b"x" * 8 * MB)
    # To copy or search 8 MiB would cost a thousand times as much.
    assert cost_of_a_piece(many, act) < 20 * cost_of_a_piece(few, act) + 20e-6


def test_line_costs_the_same_however_much_is_buffered():
    def cost(lines):
        buffer = buffer_of(b"line\n" * lines, b"x")
        costs = []
        for _ in range(100):
            begun = time.thread_time()
            buffer.take(buffer.line_length())
            costs.append(time.thread_time() - begun)
        return min(costs)

    assert cost(1_000_000) < 50 * cost(100) + 50e-6
