"""The store with a protocol of lines, against raw sockets and nc."""

import socket

import pytest

from peers import MIB, exchange, fill, needs, receive, run


@pytest.fixture
def store(start_example):
    return start_example("line_server")


@pytest.fixture
def ask(store):
    """``ask(requests)`` sends them over a new connection, ends its half, and gives all that comes."""

    def ask(requests):
        with store.connect() as raw:
            return exchange(raw, requests, half_close=True)

    return ask


@pytest.mark.parametrize(
    ("requests", "answers"),
    [
        (b"set a 1\nget a\n", b"ok\nok 1\n"),
        (b"set a two words\r\nget a\r\n", b"ok\nok two words\n"),
        (b"set a 1\nset a 2\nget a\n", b"ok\nok\nok 2\n"),
        (b"set b 1\nset a 1\nnames\n", b"ok\nok\nok a b\n"),
        (b"set a 1\ndelete a\nnames\n", b"ok\nok\nok\n"),
        (b"get a\ndelete a\n", b"error no such name\nerror no such name\n"),
        (b"set \xc3\xa4 \xe2\x82\xac\nget \xc3\xa4\n", b"ok\nok \xe2\x82\xac\n"),
        (b"set \xff 1\n", b"error not UTF-8\n"),
        (b"quit\nset a 1\n", b"ok\n"),
    ],
    ids=repr,
)
def test_requests_are_answered(requests, answers, ask):
    assert ask(requests) == answers


@pytest.mark.parametrize("request_", [b"", b"set a", b"get", b"get a b", b"what", b"names all"], ids=repr)
def test_what_is_no_request_is_told_what_is_one(request_, ask):
    assert ask(request_ + b"\n").startswith(b"error there are: ")


def test_requests_that_come_byte_by_byte_are_answered(store):
    with store.connect() as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"set a 1\nget a\n":
            raw.send(bytes([byte]))
        assert receive(raw, 8) == b"ok\nok 1\n"


def test_last_line_needs_no_end(ask):
    assert ask(b"set a 1\nget a") == b"ok\nok 1\n"


def test_clients_share_the_store(ask):
    ask(b"set a 1\n")
    assert ask(b"get a\n") == b"ok 1\n"


def test_line_that_is_too_long_ends_the_connection(store):
    with store.connect() as raw:
        raw.sendall(b"set a " + b"x" * 5000)
        assert raw.recv(100) == b"error line too long\n"
        assert raw.recv(100) == b""


def test_many_requests_at_once_are_all_answered(store):
    with store.connect() as raw:
        assert exchange(raw, b"set a 1\nget a\n" * 20_000, half_close=True) == b"ok\nok 1\n" * 20_000


@pytest.mark.slow
def test_client_that_takes_no_answers_is_not_read_from(store):
    small = store.memory()
    with store.connect() as raw:
        raw.sendall(b"set a " + b"x" * 4000 + b"\n")
        assert fill(raw, b"get a\n" * 10_000, 32 * MIB) < 32 * MIB
        assert store.memory() - small < 8 * MIB


@needs("nc")
def test_nc_asks(store):
    answers = run("nc", *store.address, stdin="set colour red\nget colour\nquit\n")
    assert answers == "ok\nok red\nok\n"
