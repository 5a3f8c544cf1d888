"""``asynctcp bench``: what it measures, and that it notices answers that are wrong or do not come."""

import re
import signal
import socket
import sys
from collections import Counter

import psutil
import pytest

from asynctcp import exit_event_loop
from asynctcp._cli import bench, load
from asynctcp._cli.load import Load, Tally
from asynctcp._cli.main import main
from cli import finish
from helpers import Serving, ignore, run, wait_until, when
from peers import DEADLINE, Program, receive

QUICK = ["bench", "--seconds", "0.2", "--connections", "3"]


def figures(text):
    """Name -> value of a plain table."""
    return dict(re.findall(r"^  (\S.*?)  +(\S.*)$", text, re.MULTILINE))


@pytest.fixture
def no_rich(monkeypatch):
    """Behave as if rich were not installed."""
    for name in ("rich", "rich.console"):
        monkeypatch.setitem(sys.modules, name, None)


# --- the command --------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("no_rich")
def test_plain_table_tells_what_was_measured_and_what_limits_it(capfd):
    assert main([*QUICK, "--size", "1K"]) == 0
    output, complaints = capfd.readouterr()
    told = figures(output)
    assert (told["connections"], told["message"], told["failed"]) == ("3", "1.0 KiB", "0")
    assert int(told["messages there and back"]) >= 3
    assert 0.2 <= float(told["seconds"]) < 10
    assert re.fullmatch(r"\d+% of a processor", told["load generator busy"])
    assert re.fullmatch(r"\d+% of a processor", told["server busy"])
    assert "The load generator is Python in one thread too, and part of the limit" in output
    assert complaints == ""


@pytest.mark.slow
def test_rich_shows_the_same_as_a_table(capfd):
    assert main([*QUICK, "--size", "100K"]) == 0
    output, complaints = capfd.readouterr()
    assert "│ messages per second" in output
    assert complaints == ""


@pytest.mark.slow
def test_plain_text_can_be_asked_for(capfd):
    assert main([*QUICK, "--plain"]) == 0
    assert figures(capfd.readouterr().out)["connections"] == "3"


def test_server_that_does_not_start_is_said_with_status_1(monkeypatch, capfd):
    monkeypatch.setattr(bench, "SERVER", "raise SystemExit(3)")
    assert main(QUICK) == 1
    assert "the server did not start" in capfd.readouterr().err


@pytest.mark.slow
def test_failure_is_said_with_status_1(monkeypatch, capfd):
    monkeypatch.setattr(load.os, "urandom", lambda size: b"\0" * size)
    monkeypatch.setattr(load.Load, "send", lambda _, client: client.socket.write(b"wrong"))
    assert main([*QUICK, "--size", "5", "--plain"]) == 1
    output, complaints = capfd.readouterr()
    assert figures(output)["failed"] == "3"
    assert "3 of 3 connections failed: what came back is not what was sent" in complaints


@pytest.mark.slow
def test_ctrl_c_ends_it_and_its_server_with_status_130_and_no_traceback(commands):
    command = commands.start("bench", "--seconds", 60, traced=False)
    parent = psutil.Process(command.pid)
    wait_until(parent.children)
    (server,) = parent.children()
    wait_until(lambda: len(server.net_connections()) > 1)
    command.send_signal(signal.SIGINT)
    assert finish(command) == (130, b"", "")
    assert not server.is_running()


@pytest.mark.slow
@pytest.mark.parametrize("options", [["--plain"], []], ids=["plain", "rich"])
def test_progress_is_shown_on_a_terminal(options, terminal):
    screen = terminal(*QUICK, "--seconds", 1, *options, stderr="terminal")
    screen.wait_for(rb"\d+%.* \d+ messages")
    screen.wait_for(b"docs/performance.md\r\n")
    assert screen.command.wait(DEADLINE) == 0


@pytest.mark.slow
def test_server_ends_with_its_parent():
    with Program(sys.executable, "-c", bench.SERVER) as server:  # whose input is at its end
        assert server.wait() == 0


@pytest.mark.slow
def test_server_that_does_not_end_is_killed(monkeypatch):
    monkeypatch.setattr(bench, "START", 0.0)
    server = bench.Server()
    assert server.port() > 0
    assert server.stop() >= 0.0
    assert server.process.returncode is not None


@pytest.mark.parametrize("arguments", [["--size", "0"], ["--connections", "0"], ["--seconds", "x"]], ids=repr)
def test_wrong_argument_is_named_with_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["bench", *arguments])
    assert ended.value.code == 2
    assert arguments[0] in capsys.readouterr().err


# --- the load -----------------------------------------------------------------------------------------------


@pytest.fixture
def load_on(spawn, peers):
    """``load_on(serve)`` runs a load of two connections on a server that does ``serve(raw)`` with each."""

    def load_on(serve, **keywords):
        address = peers.address

        def both():
            for raw in [peers.accept(), peers.accept()]:
                serve(raw)

        spawn(both)
        return Load(address[1], **{"connections": 2, "size": 4, "seconds": 0.05, **keywords}).run(ignore)

    return load_on


def test_refused_connections_are_counted(peers):
    tally = Load(peers.free_port(), 3, 1, 0.05).run(ignore)
    assert (tally.opened, tally.failed, tally.first_failure) == (0, 3, "connection refused")


def test_connections_that_the_server_ends_are_counted(load_on):
    tally = load_on(lambda raw: raw.shutdown(socket.SHUT_WR))
    assert (tally.opened, tally.failed, tally.first_failure) == (2, 2, "the server ended it")


def test_answer_that_is_another_is_noticed(load_on):
    tally = load_on(lambda raw: raw.sendall(receive(raw, 4)[::-1] + b"more"))
    assert (tally.opened, tally.failed) == (2, 2)
    assert tally.first_failure == "what came back is not what was sent"


def test_answer_that_does_not_come_is_noticed(load_on, monkeypatch):
    monkeypatch.setattr(load, "PATIENCE", 0.05)
    tally = load_on(lambda raw: raw.sendall(receive(raw, 4)[:3]))
    assert (tally.opened, tally.failed, tally.messages) == (2, 2, 0)
    assert tally.first_failure.startswith("no answer within ")


@pytest.mark.slow
def test_only_what_is_still_open_has_got_no_answer(load_on, monkeypatch):
    monkeypatch.setattr(load, "PATIENCE", 0.3)
    ends = iter([lambda raw: raw.shutdown(socket.SHUT_WR), lambda raw: receive(raw, 4)])

    def serve(raw):
        next(ends)(raw)

    tally = load_on(serve)
    assert (tally.opened, tally.failed) == (2, 2)


def test_connection_that_is_lost_before_the_others_are_made_is_counted_once(log):
    """The second connection is tried when the first is lost."""

    def welcome(ours):
        if len(serving.sockets) == 0:
            ours.close(force=True)
        serving.welcome(ours)

    def start():
        nonlocal serving
        serving = Serving(log, connect_cb=welcome)
        load = Load(serving.server.address[1], 2, 1, 0.05)
        tallies.append(load.tally)
        connect = load.connect
        load.connect = lambda: when(lambda: load.tally.failed, connect)
        connect()
        when(lambda: load.ending, exit_event_loop)

    serving, tallies = None, []
    run(start)
    assert (tallies[0].opened, tallies[0].failed) == (2, 1)


def test_percentiles_are_those_of_the_round_trips():
    tally = Tally(microseconds=Counter({10: 90, 20: 9, 30: 1}))
    assert [tally.percentile(share) for share in (0.5, 0.9, 0.95, 0.99, 1)] == [10, 10, 20, 20, 30]


def test_percentile_of_nothing_is_0():
    assert Tally().percentile(0.5) == 0


@pytest.mark.parametrize(("microseconds", "text"), [(0, "0 us"), (999, "999 us"), (1500, "1.5 ms")])
def test_duration_is_written_for_people(microseconds, text):
    assert bench.show_time(microseconds) == text
