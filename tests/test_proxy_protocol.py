"""PROXY headers that a server takes: whom a connection serves, and that no byte is lost."""

from __future__ import annotations

import ipaddress
import itertools
import os
import socket
import struct
import time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import asynctcp
from helpers import LOOPBACK, SOON, Log, Serving, all_acknowledged, fail, ignore, run, when
from proxy_headers import CLIENT, HEADERS, HERE, LINE, SERVICE, SIGNATURE, binary, served, tlv

# --- whom it serves -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", HEADERS, ids=["1", "2"])
def test_header_says_who_the_peer_is_and_what_it_has_connected_to(peers, header):
    log, raw, [(peer, own, transport, info)], _ = served(peers, header + b"hello")
    assert (peer, own, transport) == (CLIENT, SERVICE, raw)
    assert (info.version, info.local) == (1 if header is LINE else 2, False)
    assert (info.source, info.destination) == (CLIENT, SERVICE)
    assert (info.tlvs, info.authority, info.alpn, info.unique_id, info.tls) == ({}, None, None, None, None)
    assert log.order() == ["connect", b"hello", "TcpEof"]
    assert log.conditions[0].peer == "192.0.2.1:51234"


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY TCP6 2001:db8::1 ::2 7 8\r\n",
        binary(
            family=0x21,
            addresses=ipaddress.ip_address("2001:db8::1").packed
            + ipaddress.ip_address("::2").packed
            + struct.pack("!HH", 7, 8),
        ),
    ],
)
def test_header_may_tell_ipv6_addresses_over_an_ipv4_connection(peers, header):
    _, _, [(peer, own, _, info)], _ = served(peers, header)
    assert (peer, own) == (("2001:db8::1", 7, 0, 0), ("::2", 8, 0, 0))
    assert (info.source, info.destination) == (peer, own)


def test_header_may_tell_paths_of_unix_sockets(peers):
    names = b"/run/a".ljust(108, b"\0") + b"\0hidden".ljust(108, b"\0")
    log, _, [(peer, own, _, info)], _ = served(peers, binary(family=0x31, addresses=names))
    assert (peer, own) == ("/run/a", "\0hidden") == (info.source, info.destination)
    assert log.conditions[0].peer == "/run/a"


@pytest.mark.parametrize(
    ("header", "local"),
    [
        (b"PROXY UNKNOWN\r\n", False),
        (b"PROXY UNKNOWN 192.0.2.1 198.51.100.2 1 2\r\n", False),
        (binary(0x20, 0x00, b""), True),
        (binary(0x20), True),
        (binary(0x21, 0x00, b""), False),
    ],
    ids=["line", "line with addresses", "local", "local with addresses", "unspecified"],
)
def test_health_check_keeps_the_balancers_own_address(peers, header, local):
    log, raw, [(peer, own, transport, info)], address = served(peers, header)
    assert (peer, own, transport) == (raw, address, raw)
    assert (info.local, info.source, info.destination) == (local, None, None)
    assert log.told == ["connect", "TcpEof"]


def test_tlvs_are_told_by_type_and_the_known_ones_by_name(peers):
    tls = struct.pack("!BI", 7, 0) + tlv(0x21, b"TLSv1.3") + tlv(0x22, b"client") + tlv(0x23, b"AES")
    tlvs = {1: b"h2", 2: "b\u00fccher.example".encode(), 5: b"\0id", 0x20: tls, 0xE0: b""}
    header = binary(tlvs=b"".join(tlv(*each) for each in tlvs.items()))
    _, _, [(*_, info)], _ = served(peers, header)
    assert info.tlvs == tlvs
    assert (info.authority, info.alpn, info.unique_id) == ("b\u00fccher.example", "h2", b"\0id")
    assert info.tls == {"version": "TLSv1.3", "cn": "client", "cipher": "AES", "verified": True}


def test_client_without_a_certificate_is_not_verified(peers):
    tls = struct.pack("!BI", 1, 0) + tlv(0x21, b"TLSv1.2")
    _, _, [(*_, info)], _ = served(peers, binary(tlvs=tlv(0x20, tls)))
    assert info.tls == {"version": "TLSv1.2", "cn": None, "cipher": None, "verified": False}


def test_client_without_tls_has_none(peers):
    _, _, [(*_, info)], _ = served(peers, binary(tlvs=tlv(0x20, bytes(5))))
    assert info.tls is None


def test_header_may_be_as_long_as_its_length_can_say(peers):
    value = os.urandom(65535 - 12 - 3)
    log, _, [(*_, info)], _ = served(peers, binary(tlvs=tlv(0xE1, value)) + b"hello")
    assert info.tlvs == {0xE1: value}
    assert log.order() == ["connect", b"hello", "TcpEof"]


def test_server_without_headers_knows_of_no_proxy(peers):
    log, raw, [(peer, _, transport, info)], _ = served(peers, LINE, proxy_protocol=None)
    assert (peer, transport, info) == (raw, raw, None)
    assert log.order() == ["connect", LINE, "TcpEof"]


def test_outgoing_socket_has_no_proxy_and_its_peer_is_the_transports(peers):
    seen = []

    def use(ours, _raw):
        seen.extend([ours.peername, ours.transport_peername, ours.proxy])
        ours.close()

    def start():
        idle = asynctcp.init_tcp_socket(None)
        seen.extend([idle.transport_peername, idle.proxy])
        peers.link(use)

    run(start)
    assert seen == [None, None, peers.address, peers.address, None]


def test_repr_names_whom_it_serves(peers):
    seen = []

    def start():
        server = asynctcp.tcp_server(
            LOOPBACK,
            0,
            None,
            ignore,
            proxy_protocol="require",
            connect_cb=lambda s: (seen.append(repr(s)), s.close()),
        )
        peers.connect(server).sendall(LINE)
        when(lambda: seen, server.close)

    run(start)
    assert seen == ["<asynctcp.Socket open 198.51.100.2:443 -> 192.0.2.1:51234>"]


# --- no byte is lost ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", HEADERS, ids=["1", "2"])
def test_header_in_one_byte_pieces_and_data_in_its_last_segment(peers, header, spawn):
    def dribble(peer):
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(header) - 1):
            peer.sendall(header[at : at + 1])
            deadline = time.monotonic() + SOON
            while not all_acknowledged(peer) and time.monotonic() < deadline:
                pass
        peer.sendall(header[-1:] + b"hello")
        peer.shutdown(socket.SHUT_WR)

    log, _, [(peer, *_)], _ = served(peers, b"", then=lambda peer: spawn(dribble, peer))
    assert peer == CLIENT
    assert log.order() == ["connect", b"hello", "TcpEof"]


@given(
    header=st.sampled_from([*HEADERS, binary(tlvs=tlv(0xE1, bytes(300))), b"PROXY UNKNOWN\r\n", b""]),
    data=st.binary(max_size=60),
    cuts=st.lists(st.integers(0, 400), max_size=8),
)
@settings(max_examples=40, deadline=None)
def test_it_makes_no_difference_where_header_and_data_are_cut(header, data, cuts):
    """Without a header the connection is served as it is, unless its data begins as one."""
    assume(header or not data.startswith((b"PROXY", SIGNATURE)))
    sent, log = header + data, Log()
    bounds = [0, *sorted(min(cut, len(sent)) for cut in cuts), len(sent)]
    pieces = [sent[begin:end] for begin, end in itertools.pairwise(bounds)]

    def start():
        serving = Serving(log, proxy_protocol="accept", proxy_from=HERE)
        peer = socket.create_connection(serving.server.address)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def go_on():
            if pieces:
                peer.sendall(pieces.pop(0))
                asynctcp.delay(go_on)
            else:
                peer.close()

        go_on()
        when(lambda: log.conditions, serving.end)

    run(start)
    assert log.order() == ["connect", *([data] if data else []), "TcpEof"]


def test_much_data_behind_the_header_arrives_whole_and_is_counted(peers, spawn):
    data = os.urandom(3 << 20)
    counts = []

    def send(peer):
        peer.sendall(LINE + data)
        peer.shutdown(socket.SHUT_WR)

    def told(condition):
        counts.append(condition.socket.bytes_read)
        log.event(condition)

    log = Log()

    def start():
        serving = Serving(log, proxy_protocol="require", event_cb=told)
        spawn(send, peers.connect(serving.server))
        when(lambda: log.conditions, serving.end)

    run(start)
    assert log.order() == ["connect", data, "TcpEof"]
    assert counts == [len(data)]


def test_header_with_its_connections_end_is_served(peers):
    log, *_ = served(peers, LINE)
    assert log.told == ["connect", "TcpEof"]


def test_connect_cb_waits_for_the_header(peers):
    log, order = Log(), []

    def start():
        serving = Serving(log, proxy_protocol="require")
        peer = peers.connect(serving.server)
        peer.sendall(LINE[:-1])
        when(
            lambda: serving.server.connections == 1, lambda: asynctcp.delay(lambda: half(serving, peer), 0.05)
        )

    def half(serving, peer):
        order.append((list(log.told), serving.server.sockets))
        peer.sendall(LINE[-1:])
        when(lambda: log.told, lambda: (order.append(list(log.told)), serving.end()))

    run(start)
    assert order == [([], []), ["connect"]]


@pytest.mark.parametrize("options", [{"io_threads": 2}, {"debug": True}], ids=["threads", "debug"])
def test_headers_are_read_in_each_kind_of_loop(peers, options):
    log = Log()

    def start():
        serving = Serving(log, proxy_protocol="require")
        peers.connect(serving.server).sendall(LINE + b"hello")
        when(lambda: log.joined() == b"hello", serving.end)

    run(start, loop=asynctcp.EventLoop(**options))
    assert log.order() == ["connect", b"hello"]


def test_stream_of_a_server_begins_behind_the_header(peers):
    lines = []

    def on_read(ours, stream):
        lines.append(stream.readline())
        ours.close()

    def start():
        server = asynctcp.tcp_server(LOOPBACK, 0, on_read, fail, stream=True, proxy_protocol="require")
        peers.connect(server).sendall(LINE + b"first\n")
        when(lambda: lines, server.close)

    run(start)
    assert lines == [b"first\n"]
