"""The proxy, between raw sockets, redis and nginx."""

import os
import re
import socket
import struct

import pytest

from peers import (
    DEADLINE,
    LOOPBACK,
    MIB,
    fill,
    hash_of,
    make_file,
    needs,
    nginx,
    receive_all,
    redis,
    redis_benchmark,
    redis_counts,
    reserved_port,
    transfer,
)

#: More than the proxy and the kernel keep for a side that takes nothing.
MUCH = 64 * MIB
RESET = struct.pack("ii", 1, 0)


class Route:
    """A proxy, and a raw listener behind it."""

    def __init__(self, start_example):
        self.listener = socket.create_server((LOOPBACK, 0))
        self.listener.settimeout(DEADLINE)
        self.proxy = start_example("simple_proxy", *self.listener.getsockname())
        self.ends = []

    def pair(self):
        """Open a connection through the proxy; return its two ends."""
        client = self.proxy.connect()
        self.ends.append(client)
        remote, _ = self.listener.accept()
        self.ends.append(remote)
        remote.settimeout(DEADLINE)
        return client, remote

    def close(self):
        for raw in (*self.ends, self.listener):
            raw.close()


@pytest.fixture
def route(start_example):
    route = Route(start_example)
    yield route
    route.close()


def statistics(proxy, condition):
    """Return the numbers of the first statistics from now on for which ``condition(numbers)`` holds."""
    while True:
        line = proxy.wait_for(r"^\d+ accepted.*", after=proxy.lines())[0]
        numbers = {name: int(number) for number, name in re.findall(r"(\d+) ([a-z ]+)", line)}
        if condition(numbers):
            return numbers


def first_bytes(listener):
    """Accept a connection and return the first bytes that come over it."""
    raw, _ = listener.accept()
    with raw:
        raw.settimeout(DEADLINE)
        return raw.recv(5)


def reset(raw):
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    raw.close()


def test_both_directions_arrive_unchanged(route):
    client, remote = route.pair()
    for sender, receiver in ((client, remote), (remote, client)):
        data = os.urandom(2 * MIB)
        assert transfer(sender, receiver, data) == data


def test_clients_do_not_mix(route):
    pairs = [route.pair() for _ in range(20)]
    for number, (client, _) in enumerate(pairs):
        client.sendall(b"%d" % number)
    for number, (_, remote) in enumerate(pairs):
        assert remote.recv(10) == b"%d" % number


@pytest.mark.parametrize("first", [0, 1], ids=["client", "remote"])
def test_half_close_goes_through_and_the_other_direction_lives_on(route, first):
    pair = route.pair()
    near, far = pair[first], pair[1 - first]
    data = os.urandom(2 * MIB)
    assert transfer(near, far, data, half_close=True) == data
    assert transfer(far, near, data, half_close=True) == data


@pytest.mark.parametrize("first", [0, 1], ids=["client", "remote"])
def test_data_before_a_close_is_delivered_and_then_the_end(route, first):
    pair = route.pair()
    near, far = pair[first], pair[1 - first]
    near.sendall(b"x" * 100_000)
    near.close()
    assert receive_all(far) == b"x" * 100_000


@pytest.mark.parametrize("first", [0, 1], ids=["client", "remote"])
def test_reset_of_one_side_closes_the_other(route, first):
    pair = route.pair()
    near, far = pair[first], pair[1 - first]
    assert transfer(near, far, b"hello") == b"hello"
    reset(near)
    assert far.recv(1) == b""
    route.proxy.wait_for("TcpReset")


def test_clients_that_reset_at_once_do_no_harm(route):
    for _ in range(20):
        reset(route.proxy.connect())
    with route.proxy.connect() as client:
        client.sendall(b"hello")
        while first_bytes(route.listener) != b"hello":
            pass  # one of those, if it lived long enough for a connection


def test_remote_that_cannot_be_reached_closes_the_client(start_example):
    with reserved_port() as port:
        proxy = start_example("simple_proxy", LOOPBACK, port)
        with proxy.connect() as client:
            assert client.recv(1) == b""
    proxy.wait_for("TcpRefused")


def test_client_that_spoke_first_still_sees_the_end_when_the_remote_cannot_be_reached(start_example):
    with reserved_port() as port:
        proxy = start_example("simple_proxy", LOOPBACK, port)
        with proxy.connect() as client:
            client.sendall(b"hello")
            assert receive_all(client) == b""


@pytest.mark.slow
def test_statistics_tell_connections_and_bytes(route):
    client, remote = route.pair()
    route.pair()
    assert transfer(client, remote, b"hello") == b"hello"
    assert statistics(route.proxy, lambda now: now["bytes read"]) == {
        "accepted": 2,
        "incoming": 2,
        "outgoing": 2,
        "bytes read": 5,
        "bytes written": 5,
    }


@pytest.mark.slow
def test_nothing_is_left_when_both_sides_are_gone(route):
    proxy = route.proxy
    before = proxy.descriptors()
    for _ in range(20):
        client, remote = route.pair()
        client.sendall(b"hello")
        client.close()
        remote.close()
    numbers = statistics(proxy, lambda now: not now["incoming"] + now["outgoing"])
    assert numbers["accepted"] == 20
    assert proxy.descriptors() == before


@pytest.mark.slow
@pytest.mark.parametrize("first", [0, 1], ids=["client", "remote"])
def test_side_that_takes_nothing_holds_the_other_back(route, first):
    pair = route.pair()
    near, far = pair[first], pair[1 - first]
    small = route.proxy.memory()
    sent = fill(near, b"x" * MIB, MUCH)
    assert sent < MUCH
    assert route.proxy.memory() - small < 8 * MIB
    near.shutdown(socket.SHUT_WR)
    assert len(receive_all(far)) == sent


@needs("redis-server", "redis-benchmark")
def test_redis_benchmark_sees_no_error(start_example, tmp_path):
    with redis(tmp_path) as address:
        proxy = start_example("simple_proxy", *address)
        speeds = redis_benchmark(proxy.address, 5000, "set,get,lrange_100")
        commands, errors = redis_counts(address)
    assert list(speeds)[:2] == ["SET", "GET"]
    assert (commands >= 3 * 5000, errors) == (True, 0)


@needs("nginx", "curl")
@pytest.mark.slow
def test_file_from_nginx_arrives_unchanged_in_bounded_memory(start_example, tmp_path):
    expected = make_file(tmp_path / "file", MUCH)
    with nginx(tmp_path) as address:
        proxy = start_example("simple_proxy", *address)
        small = proxy.memory()
        assert hash_of("http://{}:{}/file".format(*proxy.address)) == expected
    assert proxy.memory() - small < 16 * MIB


@needs("nginx", "curl")
@pytest.mark.slow
def test_slow_client_gets_its_file_in_bounded_memory(start_example, tmp_path):
    expected = make_file(tmp_path / "file", MUCH)
    with nginx(tmp_path) as address:
        proxy = start_example("simple_proxy", *address)
        small = proxy.memory()
        url = "http://{}:{}/file".format(*proxy.address)
        assert hash_of(url, "--limit-rate", "24M") == expected
    assert proxy.memory() - small < 16 * MIB
