"""The examples of `examples/aio`, as a user would run them."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import sys
import threading
import urllib.request

import pytest
from psutil import Process

from helpers import receive_all, receive_exactly, wait_until
from peers import DEADLINE, EXAMPLES, MIB, Program
from services import needs_package

LISTENING = r"(?:listening on |http://)([\d.]+):(\d+)"


@pytest.fixture
def start():
    """``start(name, …)`` gives a running example, with its `address`; the test's end ends it."""
    started = []

    def start(name, *arguments):
        command = (sys.executable, "-u", EXAMPLES / "aio" / f"{name}.py", "--port", "0", *arguments)
        program = Program(*command)
        started.append(program)
        found = program.wait_for(LISTENING)
        program.address = found[1], int(found[2])
        return program

    yield start
    for program in started:
        program.close()
        assert "Traceback" not in program.output


def connect(program):
    return socket.create_connection(program.address, DEADLINE)


@needs_package("fastapi", "uvicorn")
def test_fastapi_app_answers_what_is_on_its_way_at_sigterm(start):
    app = start("fastapi_app")
    url = "http://{}:{}/hello/world".format(*app.address)
    with urllib.request.urlopen(url, timeout=DEADLINE) as answer:
        assert json.load(answer) == {"hello": "world", "loop": "asynctcp.aio._loop"}
    client = http.client.HTTPConnection(*app.address, timeout=DEADLINE)
    client.request("GET", "/hello/you?delay=0.5")
    # A second question comes back while the first waits, so that one has begun.
    urllib.request.urlopen(url, timeout=DEADLINE).close()
    app.process.terminate()
    assert client.getresponse().status == 200
    client.close()
    assert app.wait() == -signal.SIGTERM


@needs_package("aiohttp", "websockets")
def test_aiohttp_server_answers_requests_and_messages(start):
    from websockets.sync.client import connect

    server = start("aiohttp_server")
    address = "{}:{}".format(*server.address)
    with urllib.request.urlopen(f"http://{address}/hello/world", timeout=DEADLINE) as answer:
        assert json.load(answer) == {"hello": "world"}
    with connect(f"ws://{address}/shout") as client:
        client.send("hello")
        assert client.recv(timeout=DEADLINE) == "HELLO"
    assert server.interrupt() == 0


# --- callbacks that ask databases ---


@pytest.fixture
def lookup(start, postgres_server, redis_server):
    """The server of meanings."""
    postgres = "postgres://postgres@{}:{}/".format(*postgres_server)
    return start("lookup_server", "--postgres", postgres, "--redis", "redis://{}:{}".format(*redis_server))


lookups = needs_package("asyncpg", "redis")


def ask(lookup, text):
    with connect(lookup) as client:
        client.sendall(text)
        client.shutdown(socket.SHUT_WR)
        return receive_all(client)


@lookups
def test_lookup_server_keeps_finds_and_changes_what_words_mean(lookup):
    assert ask(lookup, b"none\ntcp=first\n") == b"?\nok\n"
    assert ask(lookup, b"tcp\n") == b"first\n"
    assert ask(lookup, b"tcp=second\n") == b"ok\n"
    # Once from PostgreSQL, once from Redis.
    assert [ask(lookup, b"tcp\n"), ask(lookup, b"tcp\n")] == [b"second\n"] * 2


@lookups
def test_lookup_server_answers_in_order_however_much_is_asked(lookup):
    words = [b"word%d" % number for number in range(1000)]
    ask(lookup, b"".join(b"%s=%s\n" % (word, word.upper()) for word in words))
    asked = b"".join(word + b"\n" for word in words) * 3
    assert ask(lookup, asked) == asked.upper()


@lookups
def test_lookup_server_answers_what_was_asked_before_sigterm_ends_it(lookup):
    with connect(lookup) as client:
        client.sendall(b"none\n" * 500)
        got = receive_exactly(client, 2)
        lookup.process.terminate()
        got += receive_all(client)
    # What it had not read is not answered, but what is answered comes whole.
    assert got == b"?\n" * (len(got) // 2)
    assert lookup.wait() == 0
    assert lookup.output.splitlines()[-1] == "ended"


@lookups
def test_ctrl_c_ends_the_lookup_server_at_once(lookup):
    with connect(lookup) as client:
        client.sendall(b"none\n")
        assert client.recv(10) == b"?\n"
        assert lookup.interrupt() == 0
        assert client.recv(10) == b""


# --- messages of NATS for callback sockets ---


@pytest.fixture
def publish(nats_server):
    """``publish(*messages)`` sends them to the subject of the feed."""

    def publish(*messages):
        with socket.create_connection(nats_server, DEADLINE) as raw:
            text = b"".join(b"PUB news %d\r\n%s\r\n" % (len(each), each) for each in messages)
            raw.sendall(b'CONNECT {"verbose":false}\r\n' + text + b"PING\r\n")
            got = b""
            while b"PONG" not in got:
                got += raw.recv(4096)

    return publish


@pytest.fixture
def feed(start, nats_server):
    """The server that hands them on."""
    return start("nats_feed", "--nats", "nats://{}:{}".format(*nats_server))


def joined(feed, publish):
    """A client that is handed what is published from now on."""
    client = connect(feed)
    client.settimeout(0.2)
    for number in range(100):
        publish(b"hello %d" % number)
        try:
            while not (got := client.recv(100)).endswith(b"hello %d\n" % number):
                assert got
        except TimeoutError:
            continue
        client.settimeout(DEADLINE)
        return client
    raise AssertionError("it is handed nothing")


def connections(feed):
    """How many connections it has: to NATS, too."""
    return [each.status for each in Process(feed.pid).net_connections()].count("ESTABLISHED")


feeds = needs_package("nats")


@feeds
def test_messages_are_handed_to_all_clients(feed, publish):
    with joined(feed, publish) as one, joined(feed, publish) as two:
        publish(b"first", b"last")
        for client in (one, two):
            got = b""
            while not got.endswith(b"last\n"):
                got += client.recv(4096)
            assert got.endswith(b"first\nlast\n")
        assert feed.interrupt() == 0
        assert [one.recv(1), two.recv(1)] == [b"", b""]


@feeds
def test_client_that_does_not_read_is_put_out_and_the_others_go_on(feed, publish):
    with joined(feed, publish) as lazy, joined(feed, publish) as eager:
        got = []
        reader = threading.Thread(target=lambda: got.append(len(receive_all(eager))))
        reader.start()
        for _ in range(64):
            publish(b"x" * (MIB // 2))
        wait_until(lambda: connections(feed) == 2)
        with pytest.raises(ConnectionResetError):
            receive_all(lazy)
        feed.process.terminate()
        assert feed.wait() == 0
        reader.join(DEADLINE)
    assert got == [64 * (MIB // 2 + 1)]
