"""The rate-limited proxy, between raw sockets, redis and nginx."""

import os
import socket
import struct
import time

import pytest

from peers import (
    LOOPBACK,
    MIB,
    exchange,
    fill,
    hash_of,
    make_file,
    needs,
    nginx,
    receive_all,
    reserved_port,
    transfer,
)

#: Bytes per second that no test waits for.
FAST = 1 << 40


@pytest.fixture
def route(start_example, peers):
    """``route(rate)`` gives the ends of a connection through the proxy, and the proxy."""

    def route(rate):
        proxy = start_example("limited_proxy", *peers.address, "--rate", rate)
        client = peers.keep(proxy.connect())
        return client, peers.accept(), proxy

    return route


def test_both_directions_arrive_unchanged(route):
    client, remote, _ = route(FAST)
    for sender, receiver in ((client, remote), (remote, client)):
        data = os.urandom(2 * MIB)
        assert transfer(sender, receiver, data) == data


@pytest.mark.slow
@pytest.mark.parametrize("first", [0, 1], ids=["client", "remote"])
def test_bytes_take_their_time(route, first):
    pair = route(200_000)[:2]
    data = os.urandom(200_000)
    begun = time.monotonic()
    assert transfer(pair[first], pair[1 - first], data) == data
    # The first read is handed on at once, and paid for afterwards.
    assert 0.7 < time.monotonic() - begun < 10


@pytest.mark.slow
def test_sender_is_slowed_down_and_nothing_is_queued(route):
    client, _remote, proxy = route(50_000)
    small = proxy.memory()
    assert fill(client, b"x" * MIB, 64 * MIB) < 32 * MIB
    assert proxy.memory() - small < 4 * MIB


@pytest.mark.slow
def test_connections_do_not_share_the_rate(route, peers):
    first, far, proxy = route(200_000)
    second = peers.keep(proxy.connect())
    remote = peers.accept()
    fill(first, b"x" * MIB, 64 * MIB)
    begun = time.monotonic()
    assert transfer(second, remote, b"y" * 1000) == b"y" * 1000
    assert time.monotonic() - begun < 5
    far.close()


@pytest.mark.parametrize("first", [0, 1], ids=["client", "remote"])
def test_half_close_goes_through_and_the_other_direction_lives_on(route, first):
    pair = route(FAST)[:2]
    near, far = pair[first], pair[1 - first]
    data = os.urandom(MIB)
    assert transfer(near, far, data, half_close=True) == data
    assert transfer(far, near, data, half_close=True) == data


@pytest.mark.slow
def test_side_that_takes_nothing_holds_the_other_back(route):
    client, remote, proxy = route(FAST)
    small = proxy.memory()
    sent = fill(client, b"x" * MIB, 64 * MIB)
    assert sent < 32 * MIB
    assert proxy.memory() - small < 8 * MIB
    client.shutdown(socket.SHUT_WR)
    assert len(receive_all(remote)) == sent


@pytest.mark.parametrize("first", [0, 1], ids=["client", "remote"])
@pytest.mark.parametrize("rate", [FAST, 1000], ids=["fast", "in a pause"])
def test_reset_of_one_side_closes_the_other(route, first, rate):
    pair = route(rate)[:2]
    near, far = pair[first], pair[1 - first]
    assert transfer(near, far, b"x" * 50) == b"x" * 50
    near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    near.close()
    assert far.recv(1) == b""


def test_remote_that_cannot_be_reached_closes_the_client(start_example):
    with reserved_port() as port:
        proxy = start_example("limited_proxy", LOOPBACK, port)
        with proxy.connect() as client:
            assert exchange(client, b"", half_close=True) == b""
    proxy.wait_for("TcpRefused|refused")


@needs("curl", "nginx")
def test_curl_gets_a_file_of_nginx_through_it(start_example, tmp_path):
    digest = make_file(tmp_path / "file", MIB)
    with nginx(tmp_path) as remote:
        proxy = start_example("limited_proxy", *remote, "--rate", 4 * MIB)
        assert hash_of("http://{}:{}/file".format(*proxy.address)) == digest
