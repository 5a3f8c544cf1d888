"""``asynctcp connect``: through pipes, files and a terminal, to raw sockets, socat and redis."""

import contextlib
import os
import select
import signal
import socket
import subprocess
from pathlib import Path

import pytest

import cli
from asynctcp._cli import connect as command_module
from asynctcp._cli.connect import read_some, with_crlf, write_all
from asynctcp._cli.main import main
from cli import COMMAND, finish
from helpers import reset
from idle import wait_until_idle
from peers import (
    DEADLINE,
    LOOPBACK,
    MIB,
    Program,
    fill,
    find,
    needs,
    receive,
    receive_all,
    redis,
    reserved_port,
)
from tracing import traced


@pytest.fixture
def connect(commands, peers):
    """``connect(*options, **keywords)`` gives the running command and the peer's end."""

    def connect(*options, **keywords):
        command = commands.start("connect", *options, *peers.address, **keywords)
        return command, peers.accept()

    return connect


# --- what goes through --------------------------------------------------------------------------------------


def test_input_is_sent_unchanged_and_what_comes_is_printed(connect):
    data = os.urandom(3 * MIB)
    command, raw = connect()
    raw.sendall(data)
    raw.shutdown(socket.SHUT_WR)
    assert finish(command) == (0, data, "")


def test_input_goes_to_the_peer_and_its_end_ends_our_half(connect, spawn):
    data = os.urandom(3 * MIB)
    command, raw = connect()
    spawn(lambda: (command.stdin.write(data), command.stdin.close()))
    assert receive_all(raw) == data
    raw.sendall(b"got it")
    raw.close()
    assert (command.stdout.read(), command.wait(DEADLINE)) == (b"got it", 0)


def test_line_and_its_answer_go_through_while_the_input_is_open(connect):
    command, raw = connect()
    for line in (b"one\n", b"two\n"):
        command.stdin.write(line)
        assert receive(raw, 4) == line
        raw.sendall(line.upper())
        assert command.stdout.read(4) == line.upper()


def test_end_of_the_peer_ends_it_while_its_input_is_open(connect):
    command, raw = connect()
    raw.sendall(b"bye\n")
    raw.close()
    assert command.stdout.read() == b"bye\n"
    assert (command.wait(DEADLINE), command.stderr.read()) == (0, b"")


def test_file_is_sent_and_a_file_written(connect, tmp_path):
    data = os.urandom(MIB)
    (tmp_path / "in").write_bytes(data)
    with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("wb") as sink:
        command, raw = connect(stdin=source, stdout=sink)
    assert receive_all(raw) == data
    raw.sendall(data[::-1])
    raw.close()
    assert (command.wait(DEADLINE), command.stderr.read()) == (0, b"")
    assert (tmp_path / "out").read_bytes() == data[::-1]


def test_no_input_ends_our_half_at_once(connect):
    command, raw = connect(stdin=subprocess.DEVNULL)
    assert raw.recv(1) == b""
    raw.sendall(b"late")
    raw.close()
    assert finish(command) == (0, b"late", "")


def test_closed_input_and_output_are_no_input_and_no_output(peers):
    command = ["sh", "-c", 'exec "$@" <&- >&-', "sh", *COMMAND, "connect", *map(str, peers.address)]
    shell = subprocess.Popen(command, env=traced())
    with shell:
        raw = peers.accept()
        assert raw.recv(1) == b""
        raw.sendall(b"lost")
        raw.close()
        assert shell.wait(DEADLINE) == 0


def test_descriptors_that_do_not_block_are_waited_for(connect):
    data = os.urandom(3 * MIB)
    ours, its = socket.socketpair()
    its.setblocking(False)
    with ours, its:
        ours.settimeout(DEADLINE)
        command, raw = connect(stdin=its, stdout=its)
        assert exchange_over(ours, raw, data) == data
        raw.sendall(data)
        raw.close()
        assert receive(ours, len(data)) == data
        assert command.wait(DEADLINE) == 0


def exchange_over(sender, receiver, data):
    sender.sendall(data[:10])
    came = receive(receiver, 10)
    sender.sendall(data[10:100_000])
    return came + receive(receiver, 99_990) + data[100_000:]


@pytest.fixture
def before_waiting(monkeypatch):
    """``before_waiting(action)`` has ``action()`` run when the command is about to wait for a descriptor."""

    def before_waiting(action):
        def wait(*descriptors):
            action()
            return select.select(*descriptors, DEADLINE)

        waiting = type("select", (), {"select": staticmethod(wait)})
        monkeypatch.setattr(command_module, "select", waiting)

    return before_waiting


def test_empty_descriptor_that_does_not_block_is_read_once_something_is_there(before_waiting):
    ours, its = socket.socketpair()
    its.setblocking(False)
    with ours, its:
        before_waiting(lambda: ours.sendall(b"at last"))
        assert read_some(its.fileno()) == b"at last"


def test_full_descriptor_that_does_not_block_is_written_once_there_is_room(before_waiting):
    ours, its = socket.socketpair()
    its.setblocking(False)
    with ours, its:
        filled = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                filled += its.send(b"x" * 4096)
        before_waiting(lambda: receive(ours, filled))
        write_all(its.fileno(), b"at last")
        assert receive(ours, 7) == b"at last"


def test_crlf_is_sent_for_each_line_end(connect):
    command, raw = connect("--crlf", stdin=subprocess.PIPE)
    command.stdin.write(b"one\ntwo\r\n\n")
    command.stdin.close()
    assert receive_all(raw) == b"one\r\ntwo\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "last", "sent"),
    [
        (b"a\nb", b"", b"a\r\nb"),
        (b"a\r\nb\n", b"", b"a\r\nb\r\n"),
        (b"\nb", b"a\r", b"\nb"),
        (b"\nb", b"a", b"\r\nb"),
        (b"b", b"a\r", b"b"),
    ],
)
def test_line_end_that_came_in_two_pieces_is_one(data, last, sent):
    assert with_crlf(data, last) == sent


def test_host_and_port_may_be_one(commands, peers):
    command = commands.start("connect", "{}:{}".format(*peers.address))
    peers.accept().sendall(b"hello")
    assert command.stdout.read(5) == b"hello"


def test_verbose_says_who_answered(connect, peers):
    command, raw = connect("--verbose")
    raw.close()
    assert finish(command) == (0, b"", "connected to {}:{}\n".format(*peers.address))


# --- who is slow --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_peer_that_takes_nothing_holds_the_input_back(connect):
    ours, its = socket.socketpair()
    with ours:
        with its:
            command, raw = connect(stdin=its)
        sent = fill(ours, b"x" * MIB, 64 * MIB)
        assert sent < 32 * MIB
        ours.shutdown(socket.SHUT_WR)
        assert len(receive_all(raw)) == sent
        raw.close()
        assert finish(command) == (0, b"", "")


@pytest.mark.slow
def test_output_that_takes_nothing_holds_the_peer_back(connect):
    command, raw = connect()
    sent = fill(raw, b"x" * MIB, 64 * MIB)
    assert sent < 32 * MIB
    raw.shutdown(socket.SHUT_WR)
    status, output, _ = finish(command)
    assert (status, len(output)) == (0, sent)


@pytest.mark.slow
def test_input_is_sent_while_the_output_takes_nothing(connect):
    command, raw = connect()
    fill(raw, b"x" * MIB, 64 * MIB)
    command.stdin.write(b"still there\n")
    assert receive(raw, 12) == b"still there\n"


# --- what goes wrong ----------------------------------------------------------------------------------------


def test_refused_connection_is_said_with_status_1(commands, peers):
    port = peers.free_port()
    command = commands.start("connect", LOOPBACK, port)
    assert finish(command) == (1, b"", f"cannot connect to {LOOPBACK}:{port}: connection refused\n")


def test_unknown_name_is_said_with_status_1(commands):
    status, output, complaints = finish(commands.start("connect", "no-such-host.invalid", 80))
    assert (status, output) == (1, b"")
    assert complaints.startswith("cannot connect to no-such-host.invalid:80: ")
    assert len(complaints.splitlines()) == 1


def test_connection_that_takes_too_long_is_said_with_status_1(commands, peers):
    host, port = peers.black_hole()
    status, output, complaints = finish(commands.start("connect", "--timeout", 0.1, host, port))
    assert (status, output) == (1, b"")
    assert complaints.startswith(f"cannot connect to {host}:{port}: ")


def test_peer_that_is_silent_for_too_long_is_said_with_status_1(connect):
    command, _raw = connect("--idle", 0.1)
    status, output, complaints = finish(command)
    assert (status, output) == (1, b"")
    assert complaints.startswith("lost the connection to ")


def test_reset_is_said_with_status_1_after_what_came(connect):
    command, raw = connect()
    raw.sendall(b"half a li")
    assert command.stdout.read(9) == b"half a li"
    reset(raw)
    status, output, complaints = finish(command)
    assert (status, output) == (1, b"")
    assert complaints.startswith("lost the connection to ")
    assert len(complaints.splitlines()) == 1


def test_peer_that_ends_while_much_is_to_be_sent_ends_it(connect):
    ours, its = socket.socketpair()
    with ours:
        with its:
            command, raw = connect(stdin=its)
        fill(ours, b"x" * MIB, 64 * MIB)
        reset(raw)
        assert finish(command)[:2] == (1, b"")


def test_input_that_cannot_be_read_is_said_and_ends_our_half(connect, tmp_path):
    with (tmp_path / "out").open("wb") as write_only:
        command, raw = connect(stdin=write_only)
    assert raw.recv(1) == b""
    raw.close()
    assert finish(command) == (0, b"", "cannot read standard input: Bad file descriptor\n")


def test_output_that_is_full_is_said_with_status_1(connect):
    with Path("/dev/full").open("wb") as full:
        command, raw = connect(stdout=full)
    raw.sendall(b"too much")
    assert receive_all(raw) == b""
    command.stdin.close()
    assert command.wait(DEADLINE) == 1
    assert command.stderr.read() == b"cannot write standard output: No space left on device\n"


def test_reader_that_has_had_enough_ends_it_without_a_traceback(connect):
    command, raw = connect()
    raw.sendall(b"one\n")
    assert command.stdout.read(4) == b"one\n"
    command.stdout.close()
    raw.sendall(b"two\n")
    assert receive_all(raw) == b""
    assert (command.wait(DEADLINE), command.stderr.read()) == (1, b"")


def test_ctrl_c_ends_it_and_the_connection_with_status_130_and_no_traceback(peers):
    with cli.program("connect", *peers.address) as command:
        raw = peers.accept()
        assert raw.recv(1) == b""
        assert command.interrupt() == 130
        assert command.output == ""
        assert raw.recv(1) == b""


@pytest.mark.slow
def test_ctrl_c_ends_it_although_nobody_takes_its_output(connect):
    command, raw = connect()
    fill(raw, b"x" * MIB, 64 * MIB)
    raw.shutdown(socket.SHUT_WR)
    wait_until_idle(command.pid)
    command.send_signal(signal.SIGINT)
    assert (command.wait(DEADLINE), command.stderr.read()) == (130, b"")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "HOST"),
        (["localhost"], "PORT"),
        (["localhost", "0"], "PORT"),
        (["localhost", "65536"], "PORT"),
        (["localhost", "http"], "PORT"),
        (["localhost:http"], "PORT"),
        (["::1"], "PORT"),
        (["--timeout", "nan", "localhost", "80"], "--timeout"),
        (["--timeout", "-1", "localhost", "80"], "--timeout"),
    ],
    ids=repr,
)
def test_wrong_argument_is_named_with_status_2(arguments, named, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["connect", *arguments])
    assert ended.value.code == 2
    assert named in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("host", ["a b", ""])
def test_what_is_no_host_is_said_with_status_2(host, capfd):
    assert main(["connect", host, "80"]) == 2
    assert "host" in capfd.readouterr().err


# --- a terminal ---------------------------------------------------------------------------------------------


def test_what_is_typed_goes_to_the_peer_and_ctrl_d_ends_our_half(terminal, peers):
    screen = terminal("connect", *peers.address)
    raw = peers.accept()
    screen.type(b"hello\n")
    assert receive(raw, 6) == b"hello\n"
    raw.sendall(b"world\n")
    assert screen.shown(14) == b"hello\r\nworld\r\n"  # the terminal shows what is typed, too
    screen.type(b"\x04")
    assert raw.recv(1) == b""
    raw.close()
    assert screen.command.wait(DEADLINE) == 0


def test_ctrl_c_that_is_typed_ends_it_with_status_130(terminal, peers):
    screen = terminal("connect", *peers.address)
    raw = peers.accept()
    screen.interrupt()
    assert (screen.command.wait(DEADLINE), screen.command.stderr.read()) == (130, b"")
    assert raw.recv(1) == b""


def test_end_of_the_peer_ends_it_while_the_terminal_waits(terminal, peers):
    screen = terminal("connect", *peers.address)
    peers.accept().close()
    assert screen.command.wait(DEADLINE) == 0


# --- real servers -------------------------------------------------------------------------------------------


@needs("socat")
def test_socat_gives_back_what_is_sent(commands):
    data = os.urandom(MIB)
    with (
        reserved_port() as port,
        Program(find("socat"), "-ddd", f"TCP-LISTEN:{port},bind={LOOPBACK},reuseaddr", "EXEC:cat") as server,
    ):
        server.wait_for("listening on")
        assert finish(commands.start("connect", LOOPBACK, port), data) == (0, data, "")


@needs("redis-server")
def test_redis_answers_each_line(commands, tmp_path):
    with redis(tmp_path) as address:
        command = commands.start("connect", "--crlf", *address)
        assert finish(command, b"PING\nECHO again\nQUIT\n") == (0, b"+PONG\r\n$5\r\nagain\r\n+OK\r\n", "")
