"""Datagram transports: on asyncio's loop, which says what is right, and on ours."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

import asynctcp.aio
from datagrams import NEW, Recorder, address
from helpers import DEADLINE, LOOPBACK
from loops import turn, turn_until

KINDS = ["udp", "udp6", "unix"]


@pytest.fixture(params=KINDS)
def place(request, tmp_path):
    """Keywords of an endpoint, and a plain socket of the same family."""
    if request.param == "unix":
        raw = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        raw.bind(str(tmp_path / "peer"))
        keywords = {"family": socket.AF_UNIX, "local_addr": str(tmp_path / "ours")}
    else:
        family, host = (socket.AF_INET, LOOPBACK) if request.param == "udp" else (socket.AF_INET6, "::1")
        raw = socket.socket(family, socket.SOCK_DGRAM)
        raw.bind((host, 0))
        keywords = {"local_addr": (host, 0)}
    raw.settimeout(DEADLINE)
    yield keywords, raw
    raw.close()


# Both ways.


def test_datagram_comes_with_the_address_of_its_sender_and_can_be_answered(loop, endpoint, place):
    keywords, raw = place
    transport, protocol = endpoint(**keywords)
    raw.sendto(b"hello", address(transport))
    turn_until(loop, lambda: protocol.got)
    ((data, sender),) = protocol.got
    assert data == b"hello"
    assert sender == raw.getsockname()
    transport.sendto(b"answer", sender)
    assert raw.recvfrom(100) == (b"answer", address(transport))


def test_connected_endpoint_needs_no_address(loop, endpoint, place):
    keywords, raw = place
    transport, protocol = endpoint(
        **keywords,
        remote_addr=raw.getsockname()[:2] if isinstance(raw.getsockname(), tuple) else raw.getsockname(),
    )
    transport.sendto(b"one")
    transport.sendto(b"two", None)
    transport.sendto(b"three", transport.get_extra_info("peername"))
    assert [raw.recv(100) for _ in range(3)] == [b"one", b"two", b"three"]
    raw.sendto(b"back", address(transport))
    turn_until(loop, lambda: protocol.got)
    assert protocol.got == [(b"back", raw.getsockname())]


def test_connected_endpoint_refuses_another_address(endpoint, peer):
    transport, _ = endpoint(remote_addr=peer.getsockname())
    with pytest.raises(ValueError, match=r"Invalid address: must be None or \('127.0.0.1', \d+\)"):
        transport.sendto(b"x", ("127.0.0.1", 1))


def test_sender_without_a_name_has_none(loop, endpoint, tmp_path):
    transport, protocol = endpoint(family=socket.AF_UNIX, local_addr=str(tmp_path / "ours"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as raw:
        raw.sendto(b"x", address(transport))
        turn_until(loop, lambda: protocol.got)
    assert protocol.got == [(b"x", None)]


def test_name_in_no_file_system_is_bytes_both_ways(loop, endpoint):
    name = f"\0asynctcp {os.getpid()} {id(endpoint)}"
    transport, protocol = endpoint(family=socket.AF_UNIX, local_addr=name)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as raw:
        raw.bind(f"{name} peer")
        raw.settimeout(DEADLINE)
        raw.sendto(b"x", name)
        turn_until(loop, lambda: protocol.got)
        assert protocol.got == [(b"x", f"{name} peer".encode())]
        transport.sendto(b"y", protocol.got[0][1])
        assert raw.recv(9) == b"y"


def test_large_datagrams_are_whole(loop, endpoint, place):
    keywords, raw = place
    size = 150_000 if raw.family == socket.AF_UNIX else 65_000
    transport, protocol = endpoint(**keywords)
    raw.sendto(bytes(size), address(transport))
    turn_until(loop, lambda: protocol.got)
    transport.sendto(b"x" * size, protocol.got[0][1])
    assert len(protocol.got[0][0]) == size
    assert raw.recv(1 << 20) == b"x" * size


def test_many_datagrams_come_in_order(loop, endpoint, peer):
    transport, protocol = endpoint()
    for number in range(100):
        peer.sendto(b"%d" % number, address(transport))
    turn_until(loop, lambda: len(protocol.got) == 100)
    assert [data for data, _ in protocol.got] == [b"%d" % number for number in range(100)]


def test_many_are_sent_in_order_to_their_addresses(loop, endpoint, peer):
    transport, _ = endpoint()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((LOOPBACK, 0))
        other.settimeout(DEADLINE)

        def send():
            for number in range(100):
                raw = other if number % 3 else peer
                transport.sendto(b"%d" % number, raw.getsockname())

        loop.call_soon(send)
        turn(loop)
        assert [peer.recv(9) for _ in range(34)] == [b"%d" % number for number in range(0, 100, 3)]
        assert [other.recv(9) for _ in range(66)] == [b"%d" % number for number in range(100) if number % 3]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_bytes_are_sent_as_they_were_then(loop, endpoint, peer, kind):
    transport, _ = endpoint()
    data = kind(b"abc")

    def send():
        transport.sendto(data, peer.getsockname())
        if isinstance(data, bytearray):
            data[:] = b"xyz"

    loop.call_soon(send)
    turn(loop)
    assert peer.recv(9) == b"abc"


@pytest.mark.parametrize("data", ["text", None, 7])
def test_what_is_no_bytes_is_refused(endpoint, data):
    transport, _ = endpoint()
    name = type(data).__name__
    with pytest.raises(TypeError, match=f"data argument must be a bytes-like object, not '{name}'"):
        transport.sendto(data, (LOOPBACK, 9))


def test_empty_datagram_is_sent_where_asyncio_sends_it(loop, endpoint, peer):
    transport, protocol = endpoint()
    transport.sendto(b"", peer.getsockname())
    transport.sendto(b"x", peer.getsockname())
    assert peer.recv(9) == (b"" if NEW else b"x")
    peer.sendto(b"", address(transport))
    turn_until(loop, lambda: protocol.got)
    assert protocol.got == [(b"", peer.getsockname())]


def test_names_and_odd_addresses_are_read_as_sockets_read_them(endpoint, peer):
    transport, _ = endpoint()
    port = peer.getsockname()[1]
    for host in ("localhost", "127.1", "127.0.0.1"):
        transport.sendto(host.encode(), (host, port))
        assert peer.recv(99) == host.encode()


def test_scope_and_flow_of_ipv6_addresses(loop, endpoint):
    transport, protocol = endpoint(local_addr=("::1", 0))
    transport.sendto(b"x", (*address(transport)[:2], 0, 0))
    transport.sendto(b"y", (*address(transport)[:2], 5))
    transport.sendto(b"z", address(transport)[:2])
    turn_until(loop, lambda: len(protocol.got) == 3)
    assert {sender for _, sender in protocol.got} == {address(transport)}


def test_broadcast_to_the_only_address(endpoint, peer):
    transport, _ = endpoint(remote_addr=peer.getsockname(), allow_broadcast=True)
    assert transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST)
    transport.sendto(b"x")
    assert peer.recv(9) == b"x"


def test_port_can_be_shared(endpoint):
    first, _ = endpoint(local_addr=(LOOPBACK, 0), reuse_port=True)
    second, _ = endpoint(local_addr=address(first), reuse_port=True)
    assert address(first) == address(second)


def test_socket_of_the_apps_is_taken(loop, endpoint, peer):
    raw = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    raw.bind((LOOPBACK, 0))
    transport, protocol = endpoint(sock=raw)
    peer.sendto(b"x", raw.getsockname())
    turn_until(loop, lambda: protocol.got)
    transport.close()
    turn(loop)
    assert raw.fileno() == -1


def test_pair_of_unix_sockets_wants_an_address_as_asyncio_does(loop, endpoint):
    """Its peer has no name, so it is taken for one that is not connected."""
    raw, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    transport, protocol = endpoint(sock=raw)
    other.send(b"x")
    turn_until(loop, lambda: protocol.got)
    transport.sendto(b"y")
    turn_until(loop, lambda: protocol.told[-1] == ("lost", "TypeError"))
    assert loop.caught[0]["message"] == "Fatal write error on datagram transport"
    other.close()


# What it says of itself.


def test_it_says_what_it_is(endpoint, peer):
    transport, protocol = endpoint(remote_addr=peer.getsockname())
    assert transport.get_extra_info("peername") == peer.getsockname()
    assert transport.get_extra_info("socket").type == socket.SOCK_DGRAM
    assert transport.get_extra_info("nothing", 7) == 7
    assert transport.get_protocol() is protocol
    assert transport.get_write_buffer_limits() == (16384, 65536)


def test_ours_is_native(ours, own_endpoint, peer):
    transport, _ = own_endpoint(remote_addr=peer.getsockname())
    assert type(transport) is asynctcp.aio.DatagramTransport
    assert isinstance(transport, asyncio.DatagramTransport)
    assert isinstance(transport, asyncio.Transport)
    number = transport.get_extra_info("socket").fileno()
    assert repr(transport) == f"<DatagramTransport fd={number} read=polling write=<idle, bufsize=0>>"
    assert transport._address == peer.getsockname()
    transport.close()
    assert repr(transport) == f"<DatagramTransport closing fd={number} read=idle write=<idle, bufsize=0>>"
    turn(ours)
    assert repr(transport) == f"<DatagramTransport closed fd={number}>"


class OddSocket(socket.socket):
    """Whose own methods are to be called."""


def test_subclass_of_socket_keeps_asyncios_own_transport(ours, own_endpoint, peer):
    raw = OddSocket(socket.AF_INET, socket.SOCK_DGRAM)
    raw.bind((LOOPBACK, 0))
    transport, protocol = own_endpoint(sock=raw)
    assert type(transport) is not asynctcp.aio.DatagramTransport
    assert "fd=" in repr(transport)
    peer.sendto(b"x", raw.getsockname())
    turn_until(ours, lambda: protocol.got)


@pytest.mark.skipif(not hasattr(socket, "AF_NETLINK"), reason="no such family")
def test_other_family_keeps_asyncios_own_transport(own_endpoint):
    raw = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM)
    transport, _ = own_endpoint(sock=raw)
    assert type(transport) is not asynctcp.aio.DatagramTransport


def test_debug_mode_times_its_steps(loop, endpoint, peer, caplog):
    class Slow(Recorder):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            loop.slow_callback_duration = 0

    loop.set_debug(True)
    loop.slow_callback_duration = 3600
    transport, protocol = endpoint(Slow())
    peer.sendto(b"x", address(transport))
    turn_until(loop, lambda: protocol.got)
    loop.slow_callback_duration = 3600
    assert any("Executing <Handle" in record.getMessage() for record in caplog.records)
