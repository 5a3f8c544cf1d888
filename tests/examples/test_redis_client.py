"""The Redis client, against a scripted server and redis itself."""

import subprocess
import sys

import pytest

from peers import DEADLINE, EXAMPLES, LOOPBACK, MIB, needs, receive, redis, run_example


@pytest.fixture
def ask(peers):
    """``ask(commands, serve)`` runs the client on a server that does ``serve(raw)``.

    Gives status, output and complaints.
    """

    def ask(commands, serve):
        program = [sys.executable, EXAMPLES / "redis_client.py", *map(str, peers.address), *commands]
        pipe = subprocess.PIPE
        with subprocess.Popen(
            program, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True
        ) as client:
            try:
                serve(peers.accept())
                output, complaints = client.communicate(timeout=DEADLINE)
            finally:
                client.kill()
        return client.returncode, output, complaints

    return ask


def command(*arguments):
    return b"*%d\r\n" % len(arguments) + b"".join(b"$%d\r\n%s\r\n" % (len(each), each) for each in arguments)


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        (b"+OK\r\n", "OK\n"),
        (b":-7\r\n", "(integer) -7\n"),
        (b"$5\r\nhello\r\n", "hello\n"),
        (b"$4\r\na\r\nb\r\n", "a\r\nb\n"),
        (b"$0\r\n\r\n", "\n"),
        (b"$2\r\n\xff!\r\n", "\\xff!\n"),
        (b"$-1\r\n", "(nil)\n"),
        (b"*2\r\n$1\r\na\r\n:1\r\n", "1) a\n2) (integer) 1\n"),
        (b"*2\r\n*1\r\n+a\r\n*0\r\n", "1) 1) a\n2) (empty)\n"),
        (b"*-1\r\n", "(empty)\n"),
    ],
    ids=repr,
)
def test_reply_is_shown_in_whatever_pieces_it_comes(reply, shown, ask):
    def serve(raw):
        assert receive(raw, 14) == command(b"PING")
        for byte in reply:
            raw.send(bytes([byte]))

    status, output, complaints = ask(["PING"], serve)
    assert (status, output, complaints) == (0, shown.replace("\r\n", "\n"), "")


def test_commands_are_sent_without_waiting_and_replies_are_in_their_order(ask):
    sent = command(b"SET", b"a b", b"1") + command(b"GET", b"a b")

    def serve(raw):
        assert receive(raw, len(sent)) == sent
        raw.sendall(b"+OK\r\n$1\r\n1\r\n")

    assert ask(["SET 'a b' 1", 'GET "a b"'], serve) == (0, "OK\n1\n", "")


def test_many_commands_wait_for_replies_a_thousand_at_a_time(ask):
    ping = command(b"PING")

    def serve(raw):
        receive(raw, 1000 * len(ping))
        raw.setblocking(False)
        with pytest.raises(BlockingIOError):
            raw.recv(1)
        raw.settimeout(DEADLINE)
        for now, then in ((1000, 1000), (1000, 500), (500, 0)):
            raw.sendall(b"+PONG\r\n" * now)
            receive(raw, then * len(ping))

    assert ask(["PING"] * 2500, serve) == (0, "PONG\n" * 2500, "")


def test_error_is_shown_and_is_status_1(ask):
    assert ask(["WHAT"], lambda raw: raw.sendall(b"-ERR unknown\r\n")) == (1, "(error) ERR unknown\n", "")


@pytest.mark.parametrize(
    "garbage",
    [b"HTTP/1.1 200 OK\r\n", b":one\r\n", b"+OK\n", b"+" + b"x" * 70_000],
    ids=lambda data: data[:9],
)
def test_what_is_no_reply_is_said_with_status_1(garbage, ask):
    status, output, complaints = ask(["PING"], lambda raw: raw.sendall(garbage))
    assert (status, output) == (1, "")
    assert complaints.startswith("lost the connection, or could not make it: no ")


def test_server_that_ends_before_it_has_replied_is_said_with_status_1(ask):
    status, output, complaints = ask(["PING"], lambda raw: raw.close())
    assert (status, output) == (1, "")
    assert complaints.startswith("lost the connection")


def test_refused_connection_is_said_with_status_1(peers):
    done = run_example("redis_client", LOOPBACK, str(peers.free_port()), "PING")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "lost the connection, or could not make it: connection refused\n"


@pytest.mark.parametrize(
    "arguments", [[], ["localhost"], ["localhost", "0", "PING"], ["localhost", "1", "'"]], ids=repr
)
def test_wrong_arguments_are_said_with_status_2(arguments):
    done = run_example("redis_client", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: ")


def test_nothing_to_ask_is_nothing_to_do():
    assert run_example("redis_client", LOOPBACK, "1").returncode == 0


# --- redis itself -------------------------------------------------------------------------------------------


@needs("redis-server")
def test_redis_answers(tmp_path):
    with redis(tmp_path) as (host, port):
        done = run_example(
            "redis_client",
            host,
            str(port),
            "SET a 1",
            "INCR a",
            "GET a",
            "RPUSH l x y",
            "LRANGE l 0 -1",
            "GET none",
            "WHAT",
        )
    assert done.stdout.splitlines()[:7] == ["OK", "(integer) 2", "2", "(integer) 2", "1) x", "2) y", "(nil)"]
    assert done.stdout.splitlines()[7].startswith("(error) ERR unknown command")
    assert (done.returncode, done.stderr) == (1, "")


@needs("redis-server")
def test_redis_gives_back_a_value_that_is_more_than_a_stream_holds(tmp_path):
    """A stream pauses at 16 MiB unread: the parser has to take what is there."""
    with redis(tmp_path) as (host, port):
        done = run_example(
            "redis_client", host, str(port), f"SETRANGE big {20 * MIB} end", "GET big", "STRLEN big"
        )
    lines = done.stdout.split("\n")
    assert (done.returncode, lines[0], lines[2]) == (
        0,
        f"(integer) {20 * MIB + 3}",
        f"(integer) {20 * MIB + 3}",
    )
    assert lines[1] == "\0" * 20 * MIB + "end"


@needs("redis-server")
@pytest.mark.slow
def test_redis_answers_ten_thousand_pipelined_commands_of_the_input(tmp_path):
    with redis(tmp_path) as (host, port):
        done = subprocess.run(
            [sys.executable, EXAMPLES / "redis_client.py", host, str(port)],
            input="INCR n\n" * 10_000,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=True,
        )
    assert done.stdout == "".join(f"(integer) {number}\n" for number in range(1, 10_001))
