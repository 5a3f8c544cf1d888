"""PROXY headers that a server does not take: who is refused and why, and who is served without one."""

from __future__ import annotations

import errno
import ipaddress
import os
import pickle
import signal
import socket
import subprocess
import sys
import time

import pytest

import asynctcp
from helpers import DEADLINE, LOOPBACK, SOON, Log, Serving, fail, reset, run, when
from proxy_headers import CLIENT, ELSEWHERE, HEADERS, HERE, LINE, SIGNATURE, binary, served, tlv


def is_reset(*steps):
    """Whether one of them finds a connection reset; the others are left out."""
    try:
        for step in steps:
            step()
    except ConnectionResetError:
        return True
    return False


def refused(peers, data, *, end=False, **keywords):
    """The `ProxyError` of a connection that sends ``data``: it was reset, and no callback ran."""
    log, seen = Log(), []

    def start():
        before = asynctcp.stats()["proxy_headers_failed"]
        serving = Serving(log, **{"proxy_protocol": "require", **keywords})
        peer = peers.keep(socket.socket())
        peer.settimeout(DEADLINE)
        peer.bind((LOOPBACK, 0))
        seen.append("{}:{}".format(*peer.getsockname()))
        steps = [lambda: peer.connect((LOOPBACK, serving.server.port)), lambda: peer.sendall(data)]
        if end:
            steps.append(lambda: peer.shutdown(socket.SHUT_WR))
        # A stranger is refused at once, which may be while it connects.
        early = is_reset(*steps)

        def finish():
            seen.extend([serving.server.connections, asynctcp.stats()["proxy_headers_failed"] - before])
            serving.end()
            assert early or is_reset(lambda: peer.recv(1))

        when(lambda: log.told, finish)

    run(start)
    [condition] = log.conditions
    name, connections, counted = seen
    assert log.told == ["ProxyError"]
    assert (condition.socket, condition.peer) == (None, name)
    assert (connections, counted) == (0, 1)
    assert name in str(condition)
    return condition


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GET / HTTP/1.1\r\n", "no-header"),
        (b"\x16\x03\x01" + bytes(2045), "no-header"),
        (b"PROXY" + b"x" * 2043, "malformed"),
        (b"PROXY " + b"x" * 2042, "malformed"),
        (b"PROXY TCP4 192.0.2.1 198.51.100.2 51234\r\n", "malformed"),
        (b"PROXY TCP4 192.0.2.1 198.51.100.2 51234 65536\r\n", "malformed"),
        (SIGNATURE + b"\x31\x11\0\0", "malformed"),
        (binary(family=0x41), "malformed"),
        (binary(addresses=b"short"), "malformed"),
        (binary(tlvs=b"\x01\0\x09x"), "malformed"),
        (binary(tlvs=tlv(3, b"abcd")), "bad-checksum"),
    ],
)
@pytest.mark.parametrize("mode", ["require", "accept"])
def test_what_is_no_right_header_is_refused(peers, data, reason, mode):
    if mode == "accept" and reason == "no-header":
        log, *_ = served(peers, data, proxy_protocol="accept", proxy_from=HERE)
        assert log.order() == ["connect", data, "TcpEof"]
        return
    condition = refused(peers, data, proxy_protocol=mode, proxy_from=HERE)
    assert (condition.reason, condition.errno) == (reason, errno.EPROTO)
    assert data[5:20].decode("latin-1") not in str(condition)


@pytest.mark.parametrize("mode", ["require", "accept"])
def test_header_that_breaks_off_is_refused(peers, mode):
    for header in HEADERS:
        condition = refused(peers, header[:-1], end=True, proxy_protocol=mode, proxy_from=HERE)
        assert (condition.reason, condition.errno) == ("truncated", errno.EPROTO)


@pytest.mark.parametrize("data", [b"", b"P", LINE[:-1], binary()[:-1]])
def test_header_that_does_not_come_in_time_is_refused(peers, data):
    begun = time.monotonic()
    condition = refused(peers, data, proxy_timeout=0.1)
    assert (condition.reason, condition.errno) == ("header-timeout", errno.ETIMEDOUT)
    assert 0.1 <= time.monotonic() - begun < SOON


@pytest.mark.parametrize("data", [LINE[:-1], binary()[:-1], b"PROXY"])
def test_trusted_header_that_does_not_come_whole_is_refused_in_accept_mode_too(peers, data):
    condition = refused(peers, data, proxy_protocol="accept", proxy_from=HERE, proxy_timeout=0.1)
    assert condition.reason == "header-timeout"


def test_header_in_pieces_does_not_put_the_timeout_off(peers, spawn):
    def dribble(peer):
        try:
            for byte in LINE:
                peer.sendall(bytes([byte]))
                time.sleep(0.01)
        except OSError:
            pass

    log = Log()

    def start():
        serving = Serving(log, proxy_protocol="require", proxy_timeout=0.15)
        spawn(dribble, peers.connect(serving.server))
        when(lambda: log.told, serving.end)

    run(start)
    assert log.conditions[0].reason == "header-timeout"


@pytest.mark.parametrize("data", [LINE, binary(), b"hello"])
def test_stranger_is_refused_under_require(peers, data):
    condition = refused(peers, data, proxy_from=ELSEWHERE)
    assert (condition.reason, condition.errno) == ("untrusted", errno.EPERM)


def test_header_of_a_stranger_is_data_under_accept(peers):
    log, raw, [(peer, _, _, info)], _ = served(
        peers, LINE + b"x", proxy_protocol="accept", proxy_from=ELSEWHERE
    )
    assert (peer, info) == (raw, None)
    assert log.order() == ["connect", LINE + b"x", "TcpEof"]


def test_empty_list_trusts_nobody(peers):
    assert refused(peers, LINE, proxy_from=[]).reason == "untrusted"
    log, _, [(*_, info)], _ = served(peers, LINE, proxy_protocol="accept", proxy_from=[])
    assert (log.order(), info) == (["connect", LINE, "TcpEof"], None)


def test_trusted_header_is_taken_under_accept(peers):
    networks = ["10.0.0.0/8", ipaddress.ip_network("127.0.0.1/32"), "::1"]
    _, _, [(peer, *_)], _ = served(peers, LINE, proxy_protocol="accept", proxy_from=networks)
    assert peer == CLIENT


@pytest.mark.parametrize("data", [b"PROX", b"PR", b"\r\n\r\nhello", b"PROXIMITY", b"hello"])
def test_trusted_connection_that_begins_otherwise_is_served_under_accept(peers, data):
    log, raw, [(peer, _, _, info)], _ = served(peers, data, proxy_protocol="accept", proxy_from=HERE)
    assert (peer, info) == (raw, None)
    assert log.order() == ["connect", data, "TcpEof"]


@pytest.mark.parametrize("data", [b"", b"PROX"])
def test_trusted_connection_that_stays_silent_is_served_under_accept(peers, data):
    log, times = Log(), []

    def start():
        serving = Serving(log, proxy_protocol="accept", proxy_from=HERE, proxy_timeout=0.1)
        times.append(time.monotonic())
        peer = peers.connect(serving.server)
        peer.sendall(data)
        when(lambda: "connect" in log.told, lambda: connected(serving, peer))

    def connected(serving, peer):
        times.append(time.monotonic())
        peer.sendall(b"later")
        when(lambda: log.joined() == data + b"later", serving.end)

    run(start)
    assert log.order() == ["connect", data + b"later"]
    assert 0.1 <= times[1] - times[0] < SOON


def test_reset_before_any_byte_is_told_as_usual_under_accept(peers):
    log, *_ = served(peers, b"", then=reset, proxy_protocol="accept", proxy_from=HERE)
    assert log.told == ["connect", "TcpReset"]


def test_end_before_any_byte_is_told_as_usual_under_accept(peers):
    log, *_ = served(peers, b"", proxy_protocol="accept", proxy_from=HERE)
    assert log.told == ["connect", "TcpEof"]


@pytest.mark.parametrize("leave", [reset, socket.socket.close], ids=["reset", "close"])
def test_connection_that_ends_without_a_byte_is_counted_and_not_told(peers, leave):
    def start():
        server = asynctcp.tcp_server(LOOPBACK, 0, fail, fail, connect_cb=fail, proxy_protocol="require")
        leave(peers.connect(server))
        when(lambda: asynctcp.stats()["proxy_headers_failed"] == 1, server.close)

    run(start)


def test_ten_refusals_a_second_are_told_and_all_are_counted(peers):
    log, counted = Log(), []

    def start():
        serving = Serving(log, proxy_protocol="require")
        for _ in range(40):
            peers.connect(serving.server).sendall(b"GET /")
        when(lambda: asynctcp.stats()["proxy_headers_failed"] == 40, lambda: finish(serving))

    def finish(serving):
        counted.append(serving.server.connections)
        serving.end()

    begun = time.monotonic()
    run(start)
    most = 10 * (1 + int(time.monotonic() - begun))
    assert 10 <= len(log.told) <= most
    assert counted == [0]


def test_proxy_error_is_an_os_error_and_can_be_pickled(peers):
    condition = refused(peers, b"GET /")
    assert isinstance(condition, asynctcp.TcpError)
    assert isinstance(condition, OSError)
    copy = pickle.loads(pickle.dumps(condition))
    assert (copy.reason, copy.peer, copy.errno, str(copy)) == (
        condition.reason,
        condition.peer,
        condition.errno,
        str(condition),
    )


def test_refusal_without_an_event_cb_is_logged_without_what_came(peers, caplog):
    def start():
        server = asynctcp.tcp_server(LOOPBACK, 0, fail, connect_cb=fail, proxy_protocol="require")
        peers.connect(server).sendall(b"GET /secret")
        when(lambda: caplog.records, server.close)

    run(start)
    assert "PROXY header" in caplog.text
    assert "secret" not in caplog.text


STOPPED = """
import sys
import asynctcp

def tell(told):
    print(told, flush=True)
    asynctcp.exit_event_loop()

def look():
    if server.connections:
        timer.cancel()
        print("awaited", flush=True)

def start():
    global server, timer
    server = asynctcp.tcp_server(
        "127.0.0.1", 0, None, tell, connect_cb=lambda ours: tell(ours.peername),
        proxy_protocol="require", proxy_timeout=0.5,
    )
    print(server.port, flush=True)
    timer = asynctcp.interval(look, 0.001)

asynctcp.EventLoop(io_threads=int(sys.argv[1])).run(start)
"""


@pytest.mark.slow
@pytest.mark.parametrize("io_threads", [0, 2])
def test_header_that_came_while_the_process_was_stopped_was_in_time(peers, io_threads):
    command = [sys.executable, "-c", STOPPED, str(io_threads)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        raw = peers.keep(socket.create_connection((LOOPBACK, int(child.stdout.readline()))))
        assert child.stdout.readline() == "awaited\n"
        os.kill(child.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
        raw.sendall(LINE)
        time.sleep(0.7)  # the point: the timeout passes in the meantime
        os.kill(child.pid, signal.SIGCONT)
        assert child.stdout.readline() == f"{CLIENT}\n"
        assert child.wait(DEADLINE) == 0
