"""``asynctcp proxy``: between raw sockets, nc, curl and nginx; its statistics on a terminal and off it."""

import argparse
import io
import os
import re
import socket
import subprocess

import pytest

import cli
from asynctcp._cli.live import Live
from asynctcp._cli.main import main
from asynctcp._cli.proxy import Proxy
from asynctcp._cli.values import Address
from helpers import Oops, reset
from peers import (
    DEADLINE,
    LOOPBACK,
    MIB,
    fill,
    find,
    hash_of,
    make_file,
    needs,
    nginx,
    receive,
    receive_all,
    transfer,
)

#: Any free port of loopback.
ANY = f"{LOOPBACK}:0"
#: Where a proxy listens that does not.
NOWHERE = Address(LOOPBACK, 1)
#: More than the proxy and the kernel keep for a side that takes nothing.
MUCH = 64 * MIB


class Route:
    """A proxy that runs, and a raw listener behind it."""

    def __init__(self, peers, *options):
        self.peers = peers
        target = "{}:{}".format(*peers.address)
        self.proxy = cli.program("proxy", ANY, target, *options)
        found = self.proxy.wait_for(r"listening on (\S+):(\d+) for (\S+)")
        assert found[3] == target
        self.address = found[1], int(found[2])

    def connect(self):
        return self.peers.keep(socket.create_connection(self.address, DEADLINE))

    def pair(self):
        """Open a connection through the proxy; return its two ends."""
        return self.connect(), self.peers.accept()

    def wait_for(self, pattern):
        return self.proxy.wait_for(pattern)


@pytest.fixture
def route(peers):
    """``route(*options)`` gives a proxy before a raw listener. Its end must be orderly."""
    opened = []

    def route(*options):
        opened.append(Route(peers, *options))
        return opened[-1]

    yield route
    for each in opened:
        with each.proxy:
            assert each.proxy.interrupt() == 130
        assert "Traceback" not in each.proxy.output


# --- what goes through --------------------------------------------------------------------------------------


def test_both_directions_arrive_unchanged(route):
    client, target = route().pair()
    for sender, receiver in ((client, target), (target, client)):
        data = os.urandom(2 * MIB)
        assert transfer(sender, receiver, data) == data


def test_clients_do_not_mix(route):
    proxy = route()
    pairs = [proxy.pair() for _ in range(20)]
    for number, (client, _) in enumerate(pairs):
        client.sendall(b"%d" % number)
    assert [int(target.recv(10)) for _, target in pairs] == list(range(20))


@pytest.mark.parametrize("first", [0, 1], ids=["client", "target"])
def test_half_close_goes_through_and_the_other_direction_lives_on(route, first):
    pair = route().pair()
    near, far = pair[first], pair[1 - first]
    data = os.urandom(2 * MIB)
    assert transfer(near, far, data, half_close=True) == data
    assert transfer(far, near, data, half_close=True) == data


@pytest.mark.slow
@pytest.mark.parametrize("first", [0, 1], ids=["client", "target"])
def test_side_that_takes_nothing_holds_the_other_back(route, first):
    proxy = route("--every", 0)
    pair = proxy.pair()
    near, far = pair[first], pair[1 - first]
    small = proxy.proxy.memory()
    sent = fill(near, b"x" * MIB, MUCH)
    assert sent < MUCH
    assert proxy.proxy.memory() - small < 8 * MIB
    near.shutdown(socket.SHUT_WR)
    assert len(receive_all(far)) == sent


@pytest.mark.parametrize("first", [0, 1], ids=["client", "target"])
def test_reset_of_one_side_closes_the_other(route, first):
    proxy = route("--every", 0.05)
    pair = proxy.pair()
    near, far = pair[first], pair[1 - first]
    assert transfer(near, far, b"hello") == b"hello"
    reset(near)
    assert far.recv(1) == b""
    proxy.wait_for("TcpReset|reset by peer")
    proxy.wait_for("0 open, 1 accepted, 1 failed")


def test_direction_that_is_silent_after_the_end_of_the_other_is_given_up(route):
    client, target = route("--linger", 0.1).pair()
    client.shutdown(socket.SHUT_WR)
    assert target.recv(1) == b""
    assert client.recv(1) == b""


def test_target_that_cannot_be_reached_closes_the_client(peers):
    with cli.program("proxy", ANY, f"{LOOPBACK}:{peers.free_port()}", "--every", 0.05) as proxy:
        found = proxy.wait_for(r"listening on (\S+):(\d+)")
        with socket.create_connection((found[1], int(found[2])), DEADLINE) as client:
            client.sendall(b"hello")
            assert receive_all(client) == b""
        proxy.wait_for("0 open, 1 accepted, 1 failed")


def test_target_that_does_not_answer_is_given_up(peers):
    host, port = peers.black_hole()
    with cli.program("proxy", ANY, f"{host}:{port}", "--timeout", 0.1) as proxy:
        found = proxy.wait_for(r"listening on (\S+):(\d+)")
        with socket.create_connection((found[1], int(found[2])), DEADLINE) as client:
            assert client.recv(1) == b""


def test_client_beyond_the_limit_waits_for_another_to_end(route):
    proxy = route("--max-connections", 1, "--every", 0.05)
    first, target = proxy.pair()
    second = proxy.connect()
    second.sendall(b"second")
    first.sendall(b"first")
    assert receive(target, 5) == b"first"
    for end in (first, target):
        end.close()
    assert receive(proxy.peers.accept(), 6) == b"second"


# --- statistics ---------------------------------------------------------------------------------------------


def test_statistics_tell_connections_and_bytes_each_way(route):
    proxy = route("--every", 0.05)
    client, target = proxy.pair()
    assert transfer(client, target, b"hello") == b"hello"
    assert transfer(target, client, b"x" * 2048) == b"x" * 2048
    found = proxy.wait_for(
        r"1 open, 1 accepted, 0 failed; to target (.*)/s \(5 B\), to clients (.*)/s \(2.0 KiB\)"
    )
    assert re.fullmatch(r"\d.* (B|KiB|MiB)", found[1])


def test_statistics_that_do_not_change_are_told_once_off_a_terminal():
    stream = io.StringIO()
    live = Live(stream)
    for text in ("0 open", "0 open", "1 open", "1 open", "0 open"):
        live.show(text)
    live.close()
    assert stream.getvalue() == "0 open\n1 open\n0 open\n"


def test_what_concerns_no_pair_is_logged(caplog):
    Proxy(argparse.Namespace(), Live(io.StringIO()), NOWHERE, NOWHERE).on_event(Oops())
    assert [record.name for record in caplog.records] == ["asynctcp"]


@pytest.mark.slow
def test_statistics_are_rewritten_in_place_on_a_terminal(terminal, peers):
    screen = terminal("proxy", ANY, "{}:{}".format(*peers.address), "--every", "0.05")
    address = re.search(rb"listening on \S+:(\d+) ", screen.wait_for(rb"\r0 open, .*\x1b\[K"))
    raw = peers.keep(socket.create_connection((LOOPBACK, int(address[1])), DEADLINE))
    shown = screen.wait_for(rb"\r1 open, ")
    assert b"\n" not in shown
    screen.interrupt()
    screen.wait_for(rb"\r\n")
    assert (screen.command.wait(DEADLINE), screen.command.stderr.read()) == (130, b"")
    assert raw.recv(1) == b""


def test_reader_of_the_statistics_that_has_gone_ends_it_without_a_traceback(commands, peers):
    command = commands.start("proxy", ANY, "{}:{}".format(*peers.address), "--every", "0.05")
    assert command.stdout.read(12) == b"listening on"
    command.stdout.close()
    assert (command.wait(DEADLINE), command.stderr.read()) == (1, b"")


# --- what goes wrong ----------------------------------------------------------------------------------------


def test_port_that_is_taken_is_said_with_status_1(capsys):
    with socket.create_server((LOOPBACK, 0)) as taken:
        address = f"{LOOPBACK}:{taken.getsockname()[1]}"
        assert main(["proxy", address, "localhost:1"]) == 1
    assert capsys.readouterr().err.startswith(f"cannot listen on {address}: ")


def test_what_is_no_host_to_listen_on_is_said_with_status_2(capsys):
    assert main(["proxy", "a b:80", "localhost:1"]) == 2
    assert "a b" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [["8000", "localhost:80"], [":8000", ":80"], [":8000"], ["::1:8000", "localhost:80"]],
    ids=repr,
)
def test_wrong_argument_is_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["proxy", *arguments])
    assert ended.value.code == 2
    assert re.search("LISTEN|TARGET", capsys.readouterr().err.splitlines()[-1])


# --- real programs ------------------------------------------------------------------------------------------


@needs("curl", "nginx")
def test_curl_gets_a_file_of_nginx_through_it(tmp_path):
    digest = make_file(tmp_path / "file", 4 * MIB)
    with nginx(tmp_path) as target, cli.program("proxy", ANY, "{}:{}".format(*target)) as proxy:
        found = proxy.wait_for(r"listening on (\S+):(\d+)")
        assert hash_of(f"http://{found[1]}:{found[2]}/file") == digest
        assert proxy.interrupt() == 130


@needs("nc")
def test_nc_talks_through_it(route):
    proxy = route()
    command = [find("nc"), *map(str, proxy.address)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as nc:
        nc.stdin.write(b"hello\n")
        nc.stdin.close()
        target = proxy.peers.accept()
        assert receive(target, 6) == b"hello\n"
        target.sendall(b"world\n")
        target.close()
        assert nc.stdout.read() == b"world\n"
        assert nc.wait(DEADLINE) == 0
