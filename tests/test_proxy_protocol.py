"""PROXY headers that a server takes: whom a connection serves, who is refused, and that no byte is lost."""

from __future__ import annotations

import errno
import gc
import ipaddress
import itertools
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import asynctcp
from helpers import (
    DEADLINE,
    LOOPBACK,
    SOON,
    Log,
    Serving,
    all_acknowledged,
    fail,
    ignore,
    in_loop,
    receive_all,
    reset,
    run,
    when,
)

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
CLIENT, SERVICE = ("192.0.2.1", 51234), ("198.51.100.2", 443)
LINE = b"PROXY TCP4 192.0.2.1 198.51.100.2 51234 443\r\n"
HERE, ELSEWHERE = ["127.0.0.0/8"], ["192.0.2.0/24"]


def binary(command=0x21, family=0x11, addresses=None, tlvs=b""):
    """A header of version 2."""
    if addresses is None:
        addresses = (
            socket.inet_aton(CLIENT[0]) + socket.inet_aton(SERVICE[0]) + struct.pack("!HH", 51234, 443)
        )
    block = addresses + tlvs
    return SIGNATURE + struct.pack("!BBH", command, family, len(block)) + block


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


HEADERS = [LINE, binary()]


def served(peers, data, *, then=None, **keywords):
    """What a server tells of a connection that sends ``data`` and its end, and its sockets' facts."""
    log, seen = Log(), []

    def start():
        serving = Serving(log, **{"proxy_protocol": "require", **keywords})
        peer = peers.connect(serving.server)
        seen.append(peer.getsockname())
        if then is None:
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
        else:
            then(peer)
        when(lambda: log.conditions, lambda: finish(serving))

    def finish(serving):
        seen.append([(s.peername, s.sockname, s.transport_peername, s.proxy) for s in serving.sockets])
        seen.append(serving.server.address)
        serving.end()

    run(start)
    raw, sockets, address = seen
    return log, raw, sockets, address


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


# --- who is refused -----------------------------------------------------------------------------------------


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
