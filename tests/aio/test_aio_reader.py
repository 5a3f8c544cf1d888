"""`asynctcp.aio.StreamReader`: what each method returns, waits for and raises, as asyncio's own reader."""

from __future__ import annotations

import asyncio
import gc
import random
import re
import weakref

import pytest

import asynctcp.aio
from loops import LOOPS, run, turn

READERS = {"asyncio": asyncio.StreamReader, "asynctcp": asynctcp.aio.StreamReader}


@pytest.fixture(
    params=[("asyncio", "asyncio"), ("asyncio", "asynctcp"), ("asynctcp", "asynctcp")], ids="-".join
)
def loop_and_reader(request):
    loop = LOOPS[request.param[0]]()
    yield loop, lambda **options: READERS[request.param[1]](loop=loop, **options)
    loop.close()


@pytest.fixture
def loop():
    loop = asynctcp.aio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def reader(loop):
    return asynctcp.aio.StreamReader(loop=loop)


class Transport:
    """One that notes whether it is to read."""

    def __init__(self):
        self.told = []

    def pause_reading(self):
        self.told.append("pause")

    def resume_reading(self):
        self.told.append("resume")


def fed(reader, *pieces, eof=True):
    for piece in pieces:
        reader.feed_data(piece)
    if eof:
        reader.feed_eof()
    return reader


def waiting(loop, coroutine):
    """A task that has begun and waits."""
    task = loop.create_task(coroutine)
    turn(loop)
    assert not task.done()
    return task


def test_read_gets_what_is_there(loop_and_reader):
    loop, make = loop_and_reader
    assert run(loop, fed(make(), b"ab", b"cd", eof=False).read(100)) == b"abcd"


def test_read_of_fewer_bytes_leaves_the_rest(loop_and_reader):
    loop, make = loop_and_reader
    reader = fed(make(), b"ab", b"cd")
    assert [run(loop, reader.read(3)), run(loop, reader.read(3)), run(loop, reader.read(3))] == [
        b"abc",
        b"d",
        b"",
    ]


def test_a_large_object_that_is_read_whole_is_not_copied(loop, reader):
    data = bytes(100_000)
    reader.feed_data(data)
    assert run(loop, reader.read(200_000)) is data


def test_read_of_no_bytes_does_not_wait(loop_and_reader):
    loop, make = loop_and_reader
    assert run(loop, make().read(0)) == b""


def test_read_without_a_number_waits_for_the_end(loop_and_reader):
    loop, make = loop_and_reader
    reader = fed(make(), b"ab", eof=False)
    task = waiting(loop, reader.read())
    fed(reader, b"cd")
    assert run(loop, task) == b"abcd"


def test_readexactly_waits_until_there_is_enough(loop_and_reader):
    loop, make = loop_and_reader
    reader = fed(make(), b"ab", eof=False)
    task = waiting(loop, reader.readexactly(5))
    fed(reader, b"cdefg", eof=False)
    assert run(loop, task) == b"abcde"


def test_readexactly_at_the_end_says_what_came(loop_and_reader):
    loop, make = loop_and_reader
    with pytest.raises(asyncio.IncompleteReadError) as told:
        run(loop, fed(make(), b"ab").readexactly(5))
    assert (told.value.partial, told.value.expected) == (b"ab", 5)


def test_readexactly_of_less_than_nothing_is_refused(loop_and_reader):
    loop, make = loop_and_reader
    with pytest.raises(ValueError, match="readexactly size can not be less than zero"):
        run(loop, make().readexactly(-1))


def test_readline_joins_pieces(loop_and_reader):
    loop, make = loop_and_reader
    reader = fed(make(), b"a", b"b\nc", b"d")
    assert [run(loop, reader.readline()) for _ in range(3)] == [b"ab\n", b"cd", b""]


def test_async_for_gives_lines(loop_and_reader):
    loop, make = loop_and_reader
    reader = fed(make(), b"a\nb\nc")

    async def lines():
        return [line async for line in reader]

    assert run(loop, lines()) == [b"a\n", b"b\n", b"c"]


def test_readuntil_ends_behind_its_separator(loop_and_reader):
    loop, make = loop_and_reader
    reader = fed(make(), b"key: value\r", b"\nrest", eof=False)
    assert run(loop, reader.readuntil(b"\r\n")) == b"key: value\r\n"


def test_readuntil_without_a_separator_is_of_a_line(loop_and_reader):
    loop, make = loop_and_reader
    assert run(loop, fed(make(), b"a\nb").readuntil()) == b"a\n"


def test_readuntil_at_the_end_says_what_came(loop_and_reader):
    loop, make = loop_and_reader
    with pytest.raises(asyncio.IncompleteReadError) as told:
        run(loop, fed(make(), b"ab").readuntil(b"\r\n"))
    assert (told.value.partial, told.value.expected) == (b"ab", None)


def test_of_several_separators_the_one_that_ends_first_counts(loop, reader):
    fed(reader, b"one\r\ntwo\nthree")
    assert run(loop, reader.readuntil((b"\n", b"\r\n"))) == b"one\r\n"
    assert run(loop, reader.readuntil((b"wo", b"two\n"))) == b"two"


@pytest.mark.parametrize(
    ("separator", "error", "words"),
    [
        (b"", ValueError, "Separator should be at least one-byte string"),
        ((), ValueError, "Separator should contain at least one element"),
        ((b"a", b""), ValueError, "Separator should be at least one-byte string"),
        ("a", TypeError, "a separator is bytes, several are a tuple of them"),
    ],
)
def test_separators_that_are_none_are_refused(loop, reader, separator, error, words):
    with pytest.raises(error, match=words):
        run(loop, reader.readuntil(separator))


def test_readuntil_of_too_much_before_a_separator_leaves_it(loop_and_reader):
    loop, make = loop_and_reader
    reader = fed(make(limit=4), b"abcdef\nrest")
    with pytest.raises(asyncio.LimitOverrunError, match="is found, but chunk is longer than limit") as told:
        run(loop, reader.readuntil(b"\n"))
    assert told.value.consumed == 6
    assert run(loop, reader.read(100)) == b"abcdef\nrest"


def test_readuntil_of_too_much_without_a_separator_says_so(loop_and_reader):
    loop, make = loop_and_reader
    reader = fed(make(limit=4), b"abcdef", eof=False)
    with pytest.raises(asyncio.LimitOverrunError, match="is not found, and chunk exceed the limit") as told:
        run(loop, reader.readuntil(b"\r\n"))
    assert told.value.consumed == 5


def test_a_line_that_is_too_long_is_thrown_away_with_its_end(loop_and_reader):
    loop, make = loop_and_reader
    reader = fed(make(limit=4), b"abcdef\nrest\n")
    with pytest.raises(ValueError, match="is found, but chunk is longer than limit"):
        run(loop, reader.readline())
    assert run(loop, reader.readline()) == b"rest\n"


def test_a_line_that_is_too_long_is_thrown_away_as_far_as_it_came(loop_and_reader):
    loop, make = loop_and_reader
    reader = fed(make(limit=4), b"abcdef", eof=False)
    with pytest.raises(ValueError, match="is not found, and chunk exceed the limit"):
        run(loop, reader.readline())
    fed(reader, b"gh\n")
    assert run(loop, reader.readline()) == b"gh\n"


def test_a_limit_of_nothing_is_refused(loop_and_reader):
    _, make = loop_and_reader
    with pytest.raises(ValueError, match="Limit cannot be <= 0"):
        make(limit=0)


def test_without_a_loop_the_running_one_is_taken():
    async def made():
        return fed(asynctcp.aio.StreamReader(), b"a")

    loop = asynctcp.aio.new_event_loop()
    reader = run(loop, made())
    assert run(loop, reader.read()) == b"a"
    loop.close()


def test_of_two_that_wait_the_second_is_refused(loop_and_reader):
    loop, make = loop_and_reader
    reader = make()
    task = waiting(loop, reader.read(1))
    with pytest.raises(
        RuntimeError, match=r"readuntil\(\) called while another coroutine is already waiting"
    ):
        run(loop, reader.readline())
    fed(reader, b"a", eof=False)
    assert run(loop, task) == b"a"


def test_after_a_cancelled_read_another_gets_the_bytes(loop_and_reader):
    loop, make = loop_and_reader
    reader = make()
    task = waiting(loop, reader.read(1))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        run(loop, task)
    assert run(loop, fed(reader, b"a").read(1)) == b"a"


def test_a_read_that_is_cancelled_as_bytes_come_leaves_them(loop_and_reader):
    loop, make = loop_and_reader
    reader = make()
    task = waiting(loop, reader.read(1))
    fed(reader, b"a", eof=False)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        run(loop, task)
    assert run(loop, reader.read(1)) == b"a"


def test_a_read_ends_by_a_timeout(loop_and_reader):
    loop, make = loop_and_reader
    with pytest.raises(TimeoutError):
        run(loop, asyncio.wait_for(make().read(1), 0.01))


def test_an_exception_is_raised_where_a_read_waits_and_by_those_after_it(loop_and_reader):
    loop, make = loop_and_reader
    reader = make()
    task = waiting(loop, reader.read(1))
    reader.set_exception(ConnectionResetError("gone"))
    for read in (task, reader.readline()):
        with pytest.raises(ConnectionResetError, match="gone"):
            run(loop, read)
    assert isinstance(reader.exception(), ConnectionResetError)


def test_a_reader_is_at_its_end_when_all_was_read(loop_and_reader):
    loop, make = loop_and_reader
    reader = fed(make(), b"a")
    assert not reader.at_eof()
    run(loop, reader.read(1))
    assert reader.at_eof()
    assert reader.exception() is None


def test_a_transport_pauses_above_twice_the_limit_and_goes_on_at_it(loop_and_reader):
    loop, make = loop_and_reader
    reader, transport = make(limit=4), Transport()
    reader.set_transport(transport)
    fed(reader, b"12345678", eof=False)
    assert transport.told == []
    fed(reader, b"9", eof=False)
    assert transport.told == ["pause"]
    run(loop, reader.readexactly(4))
    assert transport.told == ["pause"]
    run(loop, reader.readexactly(1))
    assert transport.told == ["pause", "resume"]


def test_a_read_of_more_than_waits_has_a_paused_transport_go_on(loop_and_reader):
    loop, make = loop_and_reader
    reader, transport = make(limit=4), Transport()
    reader.set_transport(transport)
    fed(reader, b"123456789", eof=False)
    task = waiting(loop, reader.readexactly(10))
    assert transport.told == ["pause", "resume"]
    fed(reader, b"0", eof=False)
    assert run(loop, task) == b"1234567890"


def test_a_transport_that_cannot_pause_is_not_asked_again(loop_and_reader):
    loop, make = loop_and_reader

    class Stubborn:
        def pause_reading(self):
            raise NotImplementedError

    reader = make(limit=1)
    reader.set_transport(Stubborn())
    fed(reader, b"123", b"456")
    assert run(loop, reader.read()) == b"123456"


def test_an_error_of_pausing_is_raised(loop_and_reader):
    _, make = loop_and_reader

    class Broken:
        def pause_reading(self):
            raise ZeroDivisionError

    reader = make(limit=1)
    reader.set_transport(Broken())
    with pytest.raises(ZeroDivisionError):
        reader.feed_data(b"123")


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_other_kinds_of_bytes_are_fed(loop_and_reader, kind):
    loop, make = loop_and_reader
    assert run(loop, fed(make(), kind(b"ab"), b"").read()) == b"ab"


def test_a_read_is_taken_for_a_coroutine(reader):
    read = reader.read(1)
    assert asyncio.iscoroutine(read)
    assert repr(read) == "<coroutine object StreamReader.read>"
    assert (read.__name__, read.__qualname__) == ("read", "StreamReader.read")
    read.close()


@pytest.mark.parametrize("name", ["read", "readline", "readuntil"])
def test_a_task_of_a_read_is_printed_with_its_name(loop, reader, name):
    task = waiting(loop, getattr(reader, name)())
    assert f"StreamReader.{name}" in repr(task)
    fed(reader, b"\n")
    run(loop, task)


def test_a_read_that_nobody_awaits_is_warned_of(reader):
    with pytest.warns(RuntimeWarning, match=r"coroutine 'StreamReader.readexactly' was never awaited"):
        reader.readexactly(1)


def test_a_read_cannot_be_awaited_twice(loop, reader):
    read = fed(reader, b"ab").read(1)
    run(loop, read)
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        run(loop, read)


def test_a_read_that_is_driven_by_hand_ends_with_its_bytes(reader):
    read = fed(reader, b"ab").read(1)
    with pytest.raises(StopIteration) as ended:
        read.send(None)
    assert ended.value.value == b"a"


def test_a_read_that_waits_gives_its_future_to_whoever_drives_it(reader):
    read = reader.read(1)
    future = read.send(None)
    assert asyncio.isfuture(future)
    fed(reader, b"a")
    assert future.done()
    with pytest.raises(StopIteration):
        next(iter(read))


def test_throwing_into_a_read_ends_it(reader):
    read = reader.read(1)
    read.send(None)
    with pytest.raises(ZeroDivisionError):
        read.throw(ZeroDivisionError, ZeroDivisionError("x"), None)
    with pytest.raises(KeyError):
        reader.read(1).throw(KeyError)


def test_a_reader_is_printed_with_what_it_holds(loop_and_reader):
    loop, make = loop_and_reader
    assert repr(make()) == "<StreamReader>"
    reader = make(limit=1)
    assert repr(reader) == "<StreamReader limit=1>"
    task = waiting(loop, reader.readexactly(4))
    assert re.fullmatch("<StreamReader limit=1 waiter=<Future pending .*>>", repr(reader))
    transport = Transport()
    reader.set_transport(transport)
    fed(reader, b"abc")
    assert repr(reader) == f"<StreamReader 3 bytes eof limit=1 transport={transport!r} paused>"
    with pytest.raises(asyncio.IncompleteReadError):
        run(loop, task)
    failed = make()
    failed.set_exception(ValueError(1))
    assert repr(failed) == "<StreamReader exception=ValueError(1)>"


def test_a_reader_takes_no_data_after_its_end_and_one_transport(loop_and_reader):
    _, make = loop_and_reader
    reader = make()
    reader.feed_eof()
    for data in (b"x", b""):
        with pytest.raises(AssertionError, match="feed_data after feed_eof"):
            reader.feed_data(data)
    reader.set_transport(Transport())
    with pytest.raises(AssertionError, match="Transport already set"):
        reader.set_transport(Transport())


def test_a_task_that_waits_for_a_reader_that_is_gone_is_collected(loop):
    class Owner:
        pass

    async def wait(owner):
        await owner.reader.read(1)

    owner = Owner()
    owner.reader = asynctcp.aio.StreamReader(loop=loop)
    gone = weakref.ref(owner.reader)
    coroutine = wait(owner)
    coroutine.send(None)
    owner.coroutine = coroutine
    del owner, coroutine
    gc.collect()
    assert gone() is None


SEPARATORS = [b"\n", b"\r\n", b"abc", b"aab"]


def script(chance):
    """Feeds and reads by chance."""
    for _ in range(chance.randrange(1, 40)):
        if chance.random() < 0.5:
            size = chance.choice([1, 2, 7, 30, 100])
            yield "feed", bytes(chance.choice(b"ab\r\nc") for _ in range(size))
        else:
            method = chance.choice(["read", "readexactly", "readline", "readuntil"])
            if method in ("read", "readexactly"):
                yield method, chance.choice([0, 1, 5, 20, 90])
            else:
                yield method, chance.choice(SEPARATORS) if method == "readuntil" else None


def played(loop, reader, steps):
    """What came of each step: what was read or raised, and what the transport was told."""
    transport, told, task = Transport(), [], None
    reader.set_transport(transport)
    for method, argument in [*steps, ("end", None)]:
        if method == "feed":
            reader.feed_data(argument)
        elif method == "end":
            reader.feed_eof()
        elif task is None:
            call = getattr(reader, method)
            task = loop.create_task(call() if argument is None else call(argument))
        turn(loop)
        turn(loop)
        if task is not None and task.done():
            error = task.exception()
            partial = getattr(error, "partial", None), getattr(error, "consumed", None)
            told.append((type(error), str(error), partial) if error else task.result())
            task = None
        told.append((reader.at_eof(), tuple(transport.told)))
    return told


def test_by_chance_both_readers_do_the_same(loop):
    for seed in range(300):
        steps = list(script(random.Random(seed)))
        theirs, ours = (played(loop, READERS[name](limit=16, loop=loop), steps) for name in READERS)
        assert ours == theirs, seed
