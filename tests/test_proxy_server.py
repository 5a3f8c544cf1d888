"""A server whose connections begin with PROXY headers: its limits, its end, its arguments."""

from __future__ import annotations

import gc
import socket
import time

import pytest

import asynctcp
from helpers import LOOPBACK, SOON, Log, Serving, fail, ignore, in_loop, receive_all, run, when
from proxy_headers import HEADERS, LINE, binary, tlv

# --- the server ---------------------------------------------------------------------------------------------


def test_awaited_headers_count_as_connections(peers):
    log = Log()

    def start():
        serving = Serving(log, proxy_protocol="require", max_connections=2, proxy_timeout=0.15)
        silent = [peers.connect(serving.server) for _ in range(2)]
        when(lambda: serving.server.connections == 2, lambda: third(serving, silent))

    def third(serving, _silent):
        peers.connect(serving.server).sendall(LINE)
        when(lambda: "connect" in log.told, serving.end)

    run(start)
    assert log.told[0] == "ProxyError"


def test_connection_whose_header_is_awaited_outlives_the_closed_server(peers):
    log = Log()

    def start():
        serving = Serving(log, proxy_protocol="require")
        peer = peers.connect(serving.server)
        when(lambda: serving.server.connections == 1, lambda: close(serving, peer))

    def close(serving, peer):
        serving.server.close()
        with pytest.raises(ConnectionRefusedError):
            peers.connect(serving.server)
        peer.sendall(LINE + b"hello")
        peer.shutdown(socket.SHUT_WR)

    run(start)  # which ends when all is done
    assert log.order() == ["connect", b"hello", "TcpEof"]


def test_awaited_headers_end_with_the_loop(peers):
    def start():
        server = asynctcp.tcp_server(LOOPBACK, 0, fail, fail, proxy_protocol="require", proxy_timeout=None)
        ends.append(peers.connect(server))
        when(lambda: server.connections == 1, asynctcp.exit_event_loop)

    ends = []
    run(start)
    assert receive_all(ends[0]) == b""


def test_many_silent_connections_do_not_keep_the_others_waiting(peers):
    log = Log()

    def start():
        serving = Serving(log, proxy_protocol="require")
        silent = [peers.connect(serving.server) for _ in range(100)]
        assert silent
        peers.connect(serving.server).sendall(LINE + b"hello")
        when(lambda: log.joined() == b"hello", asynctcp.exit_event_loop)

    begun = time.monotonic()
    run(start)
    assert time.monotonic() - begun < SOON


def test_long_headers_that_do_not_come_whole_are_bounded(peers):
    log, long = Log(), []
    whole = binary(tlvs=tlv(0xE1, bytes(60_000)))

    def start():
        serving = Serving(log, proxy_protocol="require", proxy_timeout=None)
        for _ in range(260):
            long.append(peers.connect(serving.server))
            long[-1].sendall(whole[:5000])
        when(lambda: asynctcp.stats()["proxy_headers_failed"] == 4, lambda: full(serving))

    def full(serving):
        peers.connect(serving.server).sendall(LINE)
        when(lambda: "connect" in log.told, lambda: free(serving))

    def free(serving):
        for each in long:
            each.close()
        when(lambda: asynctcp.stats()["proxy_headers_failed"] == 260, lambda: again(serving))

    def again(serving):
        peers.connect(serving.server).sendall(whole)
        when(lambda: log.told.count("connect") == 2, asynctcp.exit_event_loop)

    run(start)
    assert [each.reason for each in log.conditions[:4]] == ["crowded"] * 4


def test_garbage_leaves_nothing_behind(peers):
    def start():
        server = asynctcp.tcp_server(LOOPBACK, 0, fail, ignore, connect_cb=fail, proxy_protocol="require")
        for at in range(100):
            peers.connect(server).sendall(HEADERS[at % 2][:6] + b"\xff" * 2042)
        when(lambda: asynctcp.stats()["proxy_headers_failed"] == 100, lambda: finish(server))

    def finish(server):
        assert (server.connections, server.sockets) == (0, [])
        server.close()

    run(start)
    gc.collect()


# --- arguments ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"proxy_protocol": "accept"}, "proxy_protocol must be None or 'require' for a pipe"),
        ({"proxy_protocol": "accept", "proxy_from": ["10.0.0.0/8"]}, "proxy_from must be None for a pipe"),
        ({"proxy_protocol": "require", "proxy_from": []}, "proxy_from must be None for a pipe"),
        ({"proxy_from": ["10.0.0.0/8"]}, "proxy_from must be None for a pipe"),
    ],
)
def test_pipe_has_nobody_to_tell_apart(tmp_path, keywords, message):
    def look():
        with pytest.raises(ValueError, match=message):
            asynctcp.pipe_server(tmp_path / "socket", None, **keywords)
        return not (tmp_path / "socket").exists()

    assert in_loop(look)


@pytest.mark.parametrize(
    ("keywords", "error"),
    [
        ({"proxy_protocol": "accept"}, ValueError),
        ({"proxy_protocol": "accept", "proxy_from": None}, ValueError),
        ({"proxy_protocol": "Require"}, ValueError),
        ({"proxy_protocol": ""}, ValueError),
        ({"proxy_protocol": True}, TypeError),
        ({"proxy_protocol": "require", "proxy_from": "10.0.0.0/8"}, TypeError),
        ({"proxy_protocol": "require", "proxy_from": 1}, TypeError),
        ({"proxy_protocol": "require", "proxy_from": ["10.0.0.1/8"]}, ValueError),
        ({"proxy_protocol": "require", "proxy_from": ["10.0.0.0/33"]}, ValueError),
        ({"proxy_protocol": "require", "proxy_from": ["localhost"]}, ValueError),
        ({"proxy_protocol": "require", "proxy_timeout": "5"}, TypeError),
        ({"proxy_protocol": "require", "proxy_timeout": float("nan")}, ValueError),
    ],
)
def test_wrong_argument_is_refused_by_its_name(keywords, error):
    def look():
        with pytest.raises(error, match=r"proxy_(protocol|from|timeout)") as caught:
            asynctcp.tcp_server(LOOPBACK, 0, None, **keywords)
        return caught.value

    assert in_loop(look)
