"""The HTTP server, against raw sockets, curl and wrk."""

import os
import re
import socket

import pytest

from peers import MIB, exchange, fill, needs, receive, receive_all, run, wrk

BODY = b"Hello, world!\n"
REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\n" + BODY
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def hello(start_example):
    return start_example("http_hello")


def ask(hello, request):
    """Send ``request`` and return all that comes until the server closes."""
    with hello.connect() as raw:
        raw.sendall(request)
        return receive_all(raw)


def status_of(answer):
    return int(re.match(rb"HTTP/1\.1 (\d{3}) [A-Z]", answer)[1])


def test_reply_keeps_the_connection(hello):
    with hello.connect() as raw:
        for _ in range(3):
            raw.sendall(GET)
            assert receive(raw, len(REPLY)) == REPLY


def test_request_that_comes_byte_by_byte_is_answered(hello):
    with hello.connect() as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(2):
            for byte in b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc":
                raw.send(bytes([byte]))
            assert receive(raw, len(REPLY)) == REPLY


def test_sixteen_requests_in_one_segment_get_sixteen_replies(hello):
    with hello.connect() as raw:
        raw.sendall(GET * 16)
        assert receive(raw, 16 * len(REPLY)) == REPLY * 16


def test_pipelined_requests_cut_anywhere_are_all_answered(hello):
    requests = GET + b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nGET /" + GET
    for cut in range(1, len(requests)):
        with hello.connect() as raw:
            raw.sendall(requests[:cut])
            raw.sendall(requests[cut:])
            assert receive(raw, 3 * len(REPLY)) == REPLY * 3


def test_many_pipelined_requests_are_answered_while_they_come(hello):
    padded = GET[:-2] + b"X: " + b"x" * (len(REPLY) - len(GET) - 5) + b"\r\n\r\n"
    assert len(padded) == len(REPLY)
    with hello.connect() as raw:
        assert exchange(raw, padded * 20_000) == REPLY * 20_000


def test_body_is_skipped(hello):
    body = GET * 10_000
    with hello.connect() as raw:
        raw.sendall(b"PUT / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body) + body + GET)
        assert receive(raw, 2 * len(REPLY)) == REPLY * 2


def test_client_that_waits_is_told_to_send_its_body(hello):
    with hello.connect() as raw:
        raw.sendall(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert receive(raw, 25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        raw.sendall(b"abc")
        assert receive(raw, len(REPLY)) == REPLY


def test_head_has_no_body(hello):
    answer = ask(hello, b"HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert answer.endswith(b"\r\n\r\n")
    assert b"Content-Length: 14\r\n" in answer


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nCONNECTION: te, Close\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nab",
    ],
    ids=["close", "close in a list", "HTTP/1.0", "HTTP/1.0 with a body"],
)
def test_last_request_is_answered_and_what_follows_is_not(hello, request_):
    answer = ask(hello, request_ + GET)
    assert answer.count(b"HTTP/1.1 200 OK") == 1
    assert b"\r\nConnection: close\r\n" in answer
    assert answer.endswith(BODY)


def test_http_1_0_client_may_keep_the_connection(hello):
    request = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    reply = REPLY.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n")
    with hello.connect() as raw:
        for _ in range(2):
            raw.sendall(request)
            assert receive(raw, len(reply)) == reply


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01",
        b"hello\n",
        b"\r\nhello\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"GET  / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nName : x\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
    ],
    ids=repr,
)
def test_garbage_is_answered_400_and_the_connection_ends(hello, garbage):
    answer = ask(hello, garbage)
    assert status_of(answer) == 400
    assert b"\r\nConnection: close\r\n" in answer


def test_requests_before_garbage_are_answered(hello):
    answer = ask(hello, GET + b"garbage\r\n\r\n")
    assert answer.startswith(REPLY)
    assert status_of(answer[len(REPLY) :]) == 400


@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"], ids=["unfinished", "complete"])
def test_head_that_is_too_long_is_answered_431(hello, end):
    assert status_of(ask(hello, b"GET / HTTP/1.1\r\nX: " + b"x" * 8192 + end)) == 431


def test_head_just_short_enough_is_answered(hello):
    head = b"GET / HTTP/1.1\r\nConnection: close\r\nX: "
    assert status_of(ask(hello, head + b"x" * (8192 - len(head)) + b"\r\n\r\n")) == 200


def test_chunked_body_is_answered_501(hello):
    assert status_of(ask(hello, b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")) == 501


@pytest.mark.slow
def test_client_that_takes_no_replies_is_not_read_from(hello):
    small = hello.memory()
    with hello.connect() as raw:
        assert fill(raw, GET * 1000, 64 * MIB) < 64 * MIB
        assert hello.memory() - small < 8 * MIB


@needs("curl")
def test_curl_keeps_one_connection_for_all_its_requests(hello):
    url = "http://{}:{}/".format(*hello.address)
    shown = "%{response_code} %{num_connects}\n"
    text = run("curl", "-sS", "-w", shown, "--data-binary", "x" * 70_000, *[f"{url}[1-3]"])
    assert text == "Hello, world!\n200 1\nHello, world!\n200 0\nHello, world!\n200 0\n"


@needs("curl")
@pytest.mark.parametrize(
    "option", ["--head", "--http1.0", "-HConnection: close", "-XDELETE", "-HExpect: 100-continue"]
)
def test_curl_is_content_with(hello, option):
    url = "http://{}:{}/".format(*hello.address)
    shown = "%{response_code}"
    assert run("curl", "-sS", option, "-o", os.devnull, "-w", shown, url) == "200"


@needs("curl")
def test_curl_uploads_with_100_continue(hello):
    url = "http://{}:{}/".format(*hello.address)
    assert (
        run(
            "curl",
            "-sS",
            "-T",
            "-",
            "-HExpect: 100-continue",
            "--max-time",
            "10",
            "-H",
            "Transfer-Encoding:",
            "-H",
            "Content-Length: 1000000",
            url,
            stdin="x" * 1_000_000,
        )
        == BODY.decode()
    )


@needs("wrk")
@pytest.mark.slow
def test_wrk_with_a_hundred_connections_sees_no_error(hello):
    requests, errors, _ = wrk("http://{}:{}/".format(*hello.address), 100, 2)
    assert errors == 0
    assert requests > 1000
