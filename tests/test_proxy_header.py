"""PROXY headers that a client sends: what they say, that they come first, how they are passed on."""

from __future__ import annotations

import copy
import ipaddress
import pickle
import socket
import struct
from pathlib import Path

import pytest

import asynctcp
from asynctcp import ProxyHeader
from helpers import LOOPBACK, Log, Serving, fail, in_loop, receive_all, receive_exactly, run, when

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
CLIENT, SERVICE = ("192.0.2.1", 51234), ("198.51.100.2", 443)
LINE = b"PROXY TCP4 192.0.2.1 198.51.100.2 51234 443\r\n"
V4 = bytes([192, 0, 2, 1, 198, 51, 100, 2]) + struct.pack("!HH", 51234, 443)


def binary(command, family, block):
    return SIGNATURE + struct.pack("!BBH", command, family, len(block)) + block


# --- what it says -------------------------------------------------------------------------------------------


def test_header_is_of_version_2_if_nothing_is_said():
    header = ProxyHeader(CLIENT, SERVICE)
    assert bytes(header) == binary(0x21, 0x11, V4)
    assert (header.source, header.destination, header.version, header.tlvs) == (CLIENT, SERVICE, 2, {})


def test_header_of_version_1_is_a_line():
    assert bytes(ProxyHeader(CLIENT, SERVICE, version=1)) == LINE
    line = bytes(ProxyHeader(("2001:db8::1", 7), ("::2", 8, 0, 0), version=1))
    assert line == b"PROXY TCP6 2001:db8::1 ::2 7 8\r\n"


def test_header_tells_ipv6():
    block = ipaddress.ip_address("2001:db8::1").packed + ipaddress.ip_address("::2").packed
    header = ProxyHeader(("2001:db8::1", 7, 0, 3), ("::2", 8))
    assert bytes(header) == binary(0x21, 0x21, block + struct.pack("!HH", 7, 8))
    assert (header.source, header.destination) == (("2001:db8::1", 7, 0, 0), ("::2", 8, 0, 0))


def test_mixed_families_are_told_as_ipv6():
    header = ProxyHeader(CLIENT, ("::2", 8))
    assert header.source == ("::ffff:192.0.2.1", 51234, 0, 0)
    assert bytes(ProxyHeader(("::2", 8), CLIENT, version=1)) == b"PROXY TCP6 ::2 ::ffff:192.0.2.1 8 51234\r\n"


def test_header_tells_unix_sockets():
    header = ProxyHeader(Path("/run/a"), "\0hidden")
    assert bytes(header) == binary(0x21, 0x31, b"/run/a".ljust(108, b"\0") + b"\0hidden".ljust(108, b"\0"))
    assert (header.source, header.destination) == ("/run/a", "\0hidden")
    assert bytes(ProxyHeader(b"/run/a", "")) == binary(0x21, 0x31, b"/run/a".ljust(216, b"\0"))
    assert bytes(ProxyHeader("/run/a", "/run/b", version=1)) == b"PROXY UNKNOWN\r\n"
    full = "/" * 108
    assert ProxyHeader(full, full).source == full


def test_header_of_nobody_is_a_health_check():
    assert bytes(ProxyHeader(None, None)) == binary(0x20, 0x00, b"")
    assert bytes(ProxyHeader(None, None, version=1)) == b"PROXY UNKNOWN\r\n"
    assert ProxyHeader(None, None).source is None


def test_tlvs_are_told_in_their_order():
    header = ProxyHeader(CLIENT, SERVICE, tlvs={5: b"id", 2: "b\u00fccher", 0xE0: bytearray(b"")})
    told = b"\x05\0\x02id" + b"\x02\0\x07b\xc3\xbccher" + b"\xe0\0\0"
    assert bytes(header) == binary(0x21, 0x11, V4 + told)
    assert header.tlvs == {5: b"id", 2: "b\u00fccher".encode(), 0xE0: b""}


def test_checksum_is_computed_whatever_it_says(peers):
    header = ProxyHeader(CLIENT, SERVICE, tlvs={3: b"", 5: b"id"})
    told = []

    def start():
        server = asynctcp.tcp_server(
            LOOPBACK,
            0,
            None,
            fail,
            proxy_protocol="require",
            connect_cb=lambda s: (told.append(s.proxy), s.close()),
        )
        peers.connect(server).sendall(bytes(header))
        when(lambda: told, server.close)

    run(start)
    assert told[0].tlvs[5] == b"id"
    assert len(told[0].tlvs[3]) == 4


def test_headers_that_say_the_same_are_equal():
    assert ProxyHeader(CLIENT, SERVICE) == ProxyHeader(CLIENT, SERVICE, tlvs={})
    assert ProxyHeader(CLIENT, SERVICE) != ProxyHeader(CLIENT, SERVICE, version=1)
    assert ProxyHeader(CLIENT, SERVICE) != bytes(ProxyHeader(CLIENT, SERVICE))


def test_repr_makes_the_same_header():
    for header in [ProxyHeader(CLIENT, SERVICE, tlvs={5: b"id"}), ProxyHeader(None, None, version=1)]:
        assert eval(repr(header), {"ProxyHeader": ProxyHeader}) == header


@pytest.mark.parametrize(
    ("arguments", "keywords", "error", "name"),
    [
        ((CLIENT, None), {}, TypeError, "destination"),
        ((None, SERVICE), {}, TypeError, "source"),
        ((CLIENT, "/run/a"), {}, ValueError, "destination"),
        (("/run/a", SERVICE), {}, ValueError, "destination"),
        ((("localhost", 1), SERVICE), {}, ValueError, "source"),
        ((("192.0.2.1", 65536), SERVICE), {}, ValueError, "source"),
        ((("192.0.2.1",), SERVICE), {}, TypeError, "source"),
        ((["192.0.2.1", 1], SERVICE), {}, TypeError, "source"),
        ((1, SERVICE), {}, TypeError, "source"),
        (("/" * 109, "/"), {}, ValueError, "source"),
        (("/", "/a\0b"), {}, ValueError, "destination"),
        ((CLIENT, SERVICE), {"version": 3}, ValueError, "version"),
        ((CLIENT, SERVICE), {"version": "1"}, TypeError, "version"),
        ((CLIENT, SERVICE), {"version": 1, "tlvs": {5: b"id"}}, ValueError, "tlvs"),
        ((CLIENT, SERVICE), {"tlvs": [(5, b"id")]}, TypeError, "tlvs"),
        ((CLIENT, SERVICE), {"tlvs": {256: b""}}, ValueError, "tlvs"),
        ((CLIENT, SERVICE), {"tlvs": {-1: b""}}, ValueError, "tlvs"),
        ((CLIENT, SERVICE), {"tlvs": {"5": b""}}, TypeError, "tlvs"),
        ((CLIENT, SERVICE), {"tlvs": {5: 1}}, TypeError, "tlvs"),
        ((CLIENT, SERVICE), {"tlvs": {5: bytes(65535 - 12 - 2)}}, ValueError, "tlvs"),
    ],
)
def test_wrong_argument_of_a_header_is_refused_by_its_name(arguments, keywords, error, name):
    with pytest.raises(error, match=name):
        ProxyHeader(*arguments, **keywords)


# --- sending it ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [asynctcp.tcp_connect, None], ids=["tcp_connect", "connect_tcp_socket"])
def test_header_is_sent_before_anything_else_and_is_not_counted(peers, make):
    header = ProxyHeader(CLIENT, SERVICE, tlvs={2: "example.org"})
    got, told = [], []

    def on_connect(ours):
        raw = peers.accept(ours)
        ours.write(b"third")
        ours.close()
        asynctcp.delay(lambda: (got.append(receive_all(raw)), told.append(ours.bytes_written)))

    def start():
        if make is not None:
            ours = make(*peers.address, None, fail, data=b"first ", connect_cb=on_connect, send_proxy=header)
        else:
            ours = asynctcp.init_tcp_socket(
                None, fail, data=b"first ", connect_cb=on_connect, send_proxy=header
            )
            asynctcp.connect_tcp_socket(ours, *peers.address)
        ours.write(b"second ")

    run(start)
    data = b"first second third"
    assert got == [bytes(header) + data]
    assert told == [len(data)]


def test_header_goes_out_although_nothing_else_is_sent(peers):
    got = []

    def use(ours, raw):
        got.append(receive_exactly(raw, len(LINE)))
        ours.close()

    run(lambda: peers.link(use, write_cb=fail, send_proxy=ProxyHeader(CLIENT, SERVICE, version=1)))
    assert got == [LINE]


def test_largest_header_arrives_whole():
    header = ProxyHeader(CLIENT, SERVICE, tlvs={0xE0: bytes(65535 - 12 - 3)})
    log = Log()
    seen = []

    def start():
        serving = Serving(log, proxy_protocol="require")
        asynctcp.tcp_connect(*serving.server.address, None, data=b"hello", send_proxy=header)
        when(
            log.joined,
            lambda: (seen.append(serving.sockets[0].proxy.tlvs), asynctcp.exit_event_loop()),
        )

    run(start)
    assert seen == [header.tlvs]
    assert log.order() == ["connect", b"hello"]


def test_headers_that_are_equal_are_one_in_a_set():
    headers = {ProxyHeader(CLIENT, SERVICE), ProxyHeader(CLIENT, SERVICE), ProxyHeader(SERVICE, CLIENT)}
    assert len(headers) == 2
    assert ProxyHeader(CLIENT, SERVICE, version=1) not in headers


@pytest.mark.parametrize(
    "header",
    [
        ProxyHeader(CLIENT, SERVICE, tlvs={5: b"id", 0xE0: b""}),
        ProxyHeader(("2001:db8::1", 7, 0, 3), ("::2", 8), version=1),
        ProxyHeader("/run/\udcff", "\0hidden", version=1),
        ProxyHeader("", ""),
        ProxyHeader(None, None),
    ],
)
def test_header_survives_pickling_and_copying(header):
    for twin in [*(pickle.loads(pickle.dumps(header, each)) for each in range(6)), copy.deepcopy(header)]:
        assert (twin, bytes(twin), hash(twin)) == (header, bytes(header), hash(header))


@pytest.mark.parametrize("wrong", ["/\ud800", b"a\0b"])
def test_path_that_cannot_be_is_refused_by_its_name(wrong):
    with pytest.raises(ValueError, match="source must be a path"):
        ProxyHeader(wrong, "")
    with pytest.raises(ValueError, match="destination must be a path"):
        ProxyHeader("", wrong)


def test_path_whose_fspath_is_interrupted_says_so():
    class Interrupted:
        def __fspath__(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ProxyHeader(Interrupted(), "")


def test_send_proxy_takes_a_header_alone():
    def look():
        for wrong in [LINE, CLIENT, True]:
            with pytest.raises(TypeError, match="send_proxy must be a ProxyHeader"):
                asynctcp.tcp_connect(LOOPBACK, 1, None, send_proxy=wrong)
        return True

    assert in_loop(look)


# --- passing it on ------------------------------------------------------------------------------------------


def passed_on(peers, data, **keywords):
    """`ProxyHeader.of` the socket that a server accepts, to which ``data`` is sent; with the raw address."""
    made = []

    def on_connect(ours):
        made.extend([ProxyHeader.of(ours), ProxyHeader.of(ours, version=1)])
        ours.close()
        made.append(ProxyHeader.of(ours))

    def start():
        server = asynctcp.tcp_server(LOOPBACK, 0, None, fail, connect_cb=on_connect, **keywords)
        peer = peers.connect(server)
        made.append((peer.getsockname(), peer.getpeername()))
        peer.sendall(data)
        when(lambda: len(made) == 4, server.close)

    run(start)
    ends, header, line, afterwards = made
    assert header == afterwards
    return ends, header, line


def test_plain_connection_is_passed_on_with_its_own_ends(peers):
    ends, header, line = passed_on(peers, b"")
    assert (header.source, header.destination) == (line.source, line.destination) == ends
    assert (header.version, line.version, header.tlvs) == (2, 1, {})


def test_proxied_connection_is_passed_on_with_what_its_header_said(peers):
    came = ProxyHeader(CLIENT, SERVICE, tlvs={4: b"\0", 3: b"", 2: "example.org", 0xE0: b"x"})
    _, header, line = passed_on(peers, bytes(came), proxy_protocol="require")
    assert header == ProxyHeader(CLIENT, SERVICE, tlvs={2: "example.org", 0xE0: b"x"})
    assert bytes(line) == LINE


@pytest.mark.parametrize(
    ("came", "told"),
    [
        (bytes(ProxyHeader(None, None)), bytes(ProxyHeader(None, None))),
        (b"PROXY UNKNOWN\r\n", binary(0x21, 0x00, b"")),
    ],
    ids=["local", "unknown"],
)
def test_health_check_is_passed_on_as_one(peers, came, told):
    _, header, line = passed_on(peers, came, proxy_protocol="require")
    assert bytes(header) == told
    assert pickle.loads(pickle.dumps(header)) == header
    assert bytes(line) == b"PROXY UNKNOWN\r\n"


def test_two_proxies_tell_the_last_server_of_the_client(peers):
    seen, raws = [], []

    def last(ours):
        seen.append((ours.peername, ours.sockname))
        ours.close()

    def start():
        options = {"proxy_protocol": "require", "proxy_from": ["127.0.0.1"]}
        end = asynctcp.tcp_server(LOOPBACK, 0, None, connect_cb=last, **options)

        def onward(server):
            return lambda ours: asynctcp.tcp_connect(
                *server.address, None, send_proxy=ProxyHeader.of(ours), event_cb=lambda _: ours.close()
            )

        middle = asynctcp.tcp_server(LOOPBACK, 0, None, connect_cb=onward(end), **options)
        first = asynctcp.tcp_server(LOOPBACK, 0, None, connect_cb=onward(middle))
        raw = peers.connect(first)
        raws.append((raw.getsockname(), raw.getpeername()))
        when(lambda: seen, asynctcp.exit_event_loop)

    run(start)
    assert seen == raws


def test_header_of_a_stream_is_that_of_its_socket(peers):
    made = []

    def on_read(ours, stream):
        made.append(ProxyHeader.of(stream))
        ours.close()

    def start():
        server = asynctcp.tcp_server(LOOPBACK, 0, on_read, fail, stream=True, proxy_protocol="require")
        peers.connect(server).sendall(LINE + b"x")
        when(lambda: made, server.close)

    run(start)
    assert made == [ProxyHeader(CLIENT, SERVICE)]


def test_header_of_what_is_no_connection_is_refused():
    def look():
        with pytest.raises(asynctcp.TcpError, match="not connected"):
            ProxyHeader.of(asynctcp.init_tcp_socket(None))
        for wrong in [None, 1, socket]:
            with pytest.raises(TypeError, match="socket must be"):
                ProxyHeader.of(wrong)
        return True

    assert in_loop(look)
