"""Connecting and the order of a connection's callbacks (docs/contract.md, sections 1, 2 and 5)."""

from __future__ import annotations

import errno
import gc
import socket

import pytest

import asynctcp
from asynctcp import tcp_connect
from helpers import LOOPBACK, after_quiet, fail, ignore, in_loop, receive_all, reset, run, wait_until, when


def serve_once(reply=b""):
    """Start a server in this loop for one connection: it sends ``reply`` and closes."""

    def welcome(socket):
        server.close()
        if reply:
            socket.write(reply)
        socket.close()

    server = asynctcp.tcp_server(LOOPBACK, 0, None, connect_cb=welcome)
    return server


# --- order --------------------------------------------------------------------------------------------------


def test_connect_cb_comes_first_then_data_then_the_end(log):
    run(lambda: tcp_connect(*serve_once(b"hello").address, **log.callbacks()))
    assert log.told == ["connect", b"hello", "TcpEof"]


def test_connect_cb_is_not_called_inside_tcp_connect(log):
    def start():
        tcp_connect(*serve_once().address, None, connect_cb=log.connect)
        log.told.append("returned")

    run(start)
    assert log.told == ["returned", "connect"]


def test_write_cb_never_runs_where_nothing_was_written(log):
    run(lambda: tcp_connect(*serve_once(b"hello").address, **log.callbacks()))
    assert "write" not in log.told


def test_connect_cb_comes_before_the_write_cb_of_data(log):
    run(lambda: tcp_connect(*serve_once().address, **log.callbacks(), data=b"x"))
    assert log.told == ["connect", "write", "TcpEof"]


def test_data_is_sent_before_what_was_written_while_connecting(peers):
    def start():
        ours = tcp_connect(*peers.address, None, data=b"first ")
        ours.write(b"second ")
        ours.write(b"third")
        ours.close()

    run(start)
    raw = peers.accept()
    assert receive_all(raw) == b"first second third"


def test_data_is_sent_before_what_connect_cb_writes(peers):
    run(lambda: tcp_connect(*peers.address, None, connect_cb=lambda s: (s.write(b"b"), s.close()), data=b"a"))
    assert receive_all(peers.accept()) == b"ab"


@pytest.mark.parametrize("data", [b"bytes", bytearray(b"bytes"), memoryview(b"bytes"), "bytes"], ids=type)
def test_data_may_be_bytes_like_or_str(data, peers):
    run(lambda: tcp_connect(*peers.address, None, data=data).close())
    assert receive_all(peers.accept()) == b"bytes"


def test_data_of_no_bytes_runs_the_write_cb(peers, log):
    run(lambda: peers.link(lambda _ours, raw: raw.close(), None, log.event, data=b"", write_cb=log.write))
    assert log.told == ["write", "TcpEof"]


def test_two_connections_to_one_address_are_two(peers):
    seen = set()

    def use(ours, _raw):
        seen.add(ours.sockname)
        ours.close()

    run(lambda: [peers.link(use) for _ in range(2)])
    assert len(seen) == 2


def test_all_callbacks_may_be_none(peers):
    def use(ours, raw):
        raw.sendall(b"x")
        ours.write(b"y")
        raw.close()

    run(lambda: peers.link(use, None, None))


def test_functional_forms_do_as_the_methods(peers, log):
    def use(ours, raw):
        ours.data = "mine"
        log.told.extend([asynctcp.socket_data(ours), asynctcp.socket_closed_p(ours)])
        asynctcp.set_socket_timeouts(ours, 5, 5)
        asynctcp.disable_socket(ours, read=True, write=True)
        asynctcp.enable_socket(ours, read=True, write=True)
        asynctcp.write_socket_data(ours, b"x")
        asynctcp.close_socket(ours)
        log.told.extend([asynctcp.socket_closed_p(ours), raw])

    run(lambda: peers.link(use))
    raw = log.told.pop()
    assert (log.told, receive_all(raw)) == (["mine", False, True], b"x")


# --- hosts --------------------------------------------------------------------------------------------------


def test_ipv6_address_connects(log):
    def start():
        server = asynctcp.tcp_server("::1", 0, None, connect_cb=lambda s: (server.close(), s.close()))
        tcp_connect("::1", server.address[1], None, log.event, connect_cb=log.connect)

    run(start)
    assert log.told == ["connect", "TcpEof"]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_host_name_connects_whichever_family_the_server_has(address, log):
    if address not in {info[4][0] for info in socket.getaddrinfo("localhost", 80)}:
        pytest.skip(f"localhost is not {address} here")

    def start():
        server = asynctcp.tcp_server(address, 0, None, connect_cb=lambda s: (server.close(), s.close()))
        tcp_connect("localhost", server.address[1], None, log.event, connect_cb=log.connect)

    run(start)
    assert log.told == ["connect", "TcpEof"]


def test_host_name_is_looked_up_asynchronously(log):
    def start():
        tcp_connect("no-such-host.invalid", 80, fail, log.event, connect_cb=fail)
        log.told.append(asynctcp.stats()["open_dns_queries"])

    run(start)
    assert log.told[0] in (0, 1)
    assert log.told[1:] == ["DnsError"]


def test_unknown_host_gives_dns_error_with_its_name_and_code(log):
    run(lambda: tcp_connect("no-such-host.invalid", 80, fail, log.event))
    (condition,) = log.conditions
    assert condition.host == "no-such-host.invalid"
    assert condition.errcode in (socket.EAI_NONAME, socket.EAI_AGAIN)
    assert isinstance(condition, socket.gaierror)


def test_local_address_is_where_the_connection_comes_from(peers):
    seen = []

    def use(ours, raw):
        seen.extend([ours.sockname[0], raw.getpeername()[0]])
        ours.close()

    run(lambda: peers.link(use, local_address=("127.0.0.2", 0)))
    assert seen == ["127.0.0.2", "127.0.0.2"]


def test_local_address_that_is_not_ours_gives_a_tcp_error(peers, log):
    run(lambda: tcp_connect(*peers.address, None, log.event, local_address=("192.0.2.1", 0)))
    assert [condition.errcode for condition in log.conditions] == [errno.EADDRNOTAVAIL]


# --- conditions ---------------------------------------------------------------------------------------------


def test_refused_connection_tells_tcp_refused_and_nothing_else(peers, log):
    run(lambda: tcp_connect(LOOPBACK, peers.free_port(), **log.callbacks(), data=b"x"))
    assert log.told == ["TcpRefused"]


def test_refused_condition_carries_code_text_and_socket(peers, log):
    kept = []
    run(lambda: kept.append(tcp_connect(LOOPBACK, peers.free_port(), None, log.event)))
    (condition,) = log.conditions
    assert condition.errcode == condition.errno == errno.ECONNREFUSED
    assert condition.errmsg == condition.strerror
    assert "refused" in condition.errmsg.lower()
    assert condition.socket is asynctcp.tcp_socket(condition) is kept[0]


def test_event_cb_is_not_called_inside_tcp_connect(peers, log):
    def start():
        tcp_connect(LOOPBACK, peers.free_port(), None, log.event)
        log.told.append("returned")

    run(start)
    assert log.told == ["returned", "TcpRefused"]


def test_peers_reset_tells_tcp_reset(peers, log):
    run(lambda: peers.link(lambda _ours, raw: reset(raw), log.read, log.event))
    assert log.told == ["TcpReset"]


def test_data_before_a_reset_is_told_first(peers, log):
    # Within the first receive window: what the kernel could not send yet is dropped by a reset.
    run(lambda: peers.link(lambda _ours, raw: (raw.sendall(bytes(30_000)), reset(raw)), log.read, log.event))
    assert log.told[-1] == "TcpReset"
    assert len(log.joined()) == 30_000


def test_end_of_stream_comes_after_all_data_once(peers, log):
    data = bytes(range(256)) * 4000

    def use(_ours, raw):
        raw.setblocking(False)
        log.sent = raw.send(data)
        raw.close()

    run(lambda: peers.link(use, log.read, log.event))
    assert log.order() == [data[: log.sent], "TcpEof"]


@pytest.mark.parametrize(("ending", "told"), [(lambda raw: raw.close(), "TcpEof"), (reset, "TcpReset")])
def test_socket_is_open_inside_its_closing_event_and_closed_after(ending, told, peers):
    seen, kept = [], []
    run(
        lambda: kept.append(
            peers.link(
                lambda _ours, raw: ending(raw),
                None,
                lambda condition: seen.append((type(condition).__name__, condition.socket.closed)),
            )
        )
    )
    assert seen == [(told, False)]
    assert kept[0].closed


@pytest.mark.parametrize("ending", [lambda raw: raw.close(), reset], ids=["eof", "reset"])
def test_socket_may_be_closed_inside_its_closing_event(ending, peers, log):
    def event(condition):
        log.event(condition)
        condition.socket.close()

    run(lambda: peers.link(lambda _ours, raw: ending(raw), log.read, event))
    assert len(log.told) == 1


def test_write_into_a_dead_connection_gives_one_error_only(peers, log):
    def use(ours, raw):
        reset(raw)
        for _ in range(10):
            ours.write(b"x" * 1000)

    run(lambda: peers.link(use, None, log.event))
    assert log.told in (["TcpReset"], ["TcpBrokenPipe"])


def test_peer_of_a_condition_is_its_address(peers, log):
    run(lambda: peers.link(lambda _ours, raw: raw.close(), None, log.event))
    assert log.conditions[0].peer == "{}:{}".format(*peers.address)


# --- half-open ----------------------------------------------------------------------------------------------


def test_what_is_written_during_the_eof_callback_is_sent(peers, log):
    def use(ours, raw):
        ours.write(b"before ")
        raw.shutdown(socket.SHUT_WR)
        log.raw = raw

    run(lambda: peers.link(use, None, lambda condition: condition.socket.write(b"during")))
    assert receive_all(log.raw) == b"before during"


def test_ten_megabytes_written_at_eof_arrive_whole(peers, spawn):
    got = []

    def use(_ours, raw):
        raw.shutdown(socket.SHUT_WR)
        spawn(lambda: got.append(len(receive_all(raw))))

    run(lambda: peers.link(use, None, lambda condition: condition.socket.write(bytes(10_000_000))))
    wait_until(lambda: got)
    assert got == [10_000_000]


def test_half_open_socket_stays_open_for_writing_after_eof(peers, log):
    def use(_ours, raw):
        raw.shutdown(socket.SHUT_WR)
        log.raw = raw

    def event(condition):
        log.event(condition)
        after_quiet(lambda: (condition.socket.write(b"later"), condition.socket.close()))

    run(lambda: peers.link(use, log.read, event, allow_half_open=True))
    assert (log.told, receive_all(log.raw)) == (["TcpEof"], b"later")


def test_half_open_socket_keeps_the_loop_alive_until_it_is_closed(peers, log):
    def event(condition):
        after_quiet(lambda: (log.told.append(condition.socket.closed), condition.socket.close()))

    run(
        lambda: peers.link(lambda _ours, raw: raw.shutdown(socket.SHUT_WR), None, event, allow_half_open=True)
    )
    assert log.told == [False]


def test_half_open_socket_of_a_server_stays_open_after_eof(peers, log):
    def event(condition):
        log.event(condition)
        after_quiet(lambda: (condition.socket.write(b"later"), condition.socket.close(), server.close()))

    def start():
        nonlocal server
        server = asynctcp.tcp_server(LOOPBACK, 0, None, event, allow_half_open=True)
        log.raw = peers.connect(server)
        log.raw.shutdown(socket.SHUT_WR)

    server = None
    run(start)
    assert receive_all(log.raw) == b"later"


def test_reset_after_a_half_open_eof_is_told(peers, log):
    def event(condition):
        log.event(condition)
        if isinstance(condition, asynctcp.TcpEof):
            reset(log.raw)
            condition.socket.write(b"x")
            asynctcp.delay(lambda: condition.socket.closed or condition.socket.write(b"y"), 0.01)

    def use(_ours, raw):
        log.raw = raw
        raw.shutdown(socket.SHUT_WR)

    run(lambda: peers.link(use, None, event, allow_half_open=True))
    assert log.told[0] == "TcpEof"
    assert log.told[1:] in (["TcpReset"], ["TcpBrokenPipe"])


# --- re-entrancy --------------------------------------------------------------------------------------------


class Nesting:
    """Fails if a callback starts while another one runs."""

    def __init__(self):
        self.running = False
        self.count = 0

    def guard(self, callback):
        def guarded(*arguments):
            assert not self.running, "a callback was re-entered"
            self.running = True
            self.count += 1
            try:
                callback(*arguments)
            finally:
                self.running = False

        return guarded


def do_write(_peers, ours):
    if not ours.closed:
        ours.write(b"again", write_cb=ignore)


def do_close(_peers, ours):
    if not ours.closed:
        ours.close()


def do_force(_peers, ours):
    if not ours.closed:
        ours.close(force=True)


def do_connect(peers, _ours):
    tcp_connect(*peers.address, None, ignore).close()


def do_refused(peers, _ours):
    tcp_connect(LOOPBACK, peers.free_port(), None, ignore)


def do_disable(_peers, ours):
    if not ours.closed:
        ours.disable(read=True, write=True)
        ours.enable(read=True, write=True)


def do_collect(_peers, _ours):
    gc.collect()


def do_start(_peers, _ours):
    with pytest.raises(asynctcp.EventLoopError):
        asynctcp.start_event_loop(fail)


ACTIONS = [do_write, do_close, do_force, do_connect, do_refused, do_disable, do_collect, do_start]


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("callback", ["connect_cb", "read_cb", "write_cb", "event_cb"])
def test_no_callback_is_re_entered_by_what_it_does(callback, action, peers):
    nesting = Nesting()
    act = nesting.guard(lambda value: action(peers, getattr(value, "socket", value)))

    def read(ours, _data):
        if callback == "read_cb":
            act(ours)

    def connected(ours):
        raw = peers.accept()
        if callback == "connect_cb":
            act(ours)
        if not ours.closed:
            ours.write(b"x", write_cb=act if callback == "write_cb" else None)
        raw.sendall(b"data")
        raw.close()

    event = act if callback == "event_cb" else ignore
    run(lambda: tcp_connect(*peers.address, read, event, connect_cb=connected))
    assert nesting.count >= 1


def test_start_of_a_connection_inside_an_event_cb_works(peers, log):
    def retry(_condition):
        peers.link(lambda _ours, raw: (raw.sendall(b"hello"), raw.close()), log.read, log.event)

    run(lambda: tcp_connect(LOOPBACK, peers.free_port(), None, retry))
    assert log.told == [b"hello", "TcpEof"]


def test_read_cb_is_not_called_again_while_it_runs_though_more_came(peers, log):
    nesting = Nesting()

    def read(ours, data):
        log.read(ours, data)
        if len(log.told) == 1:
            log.raw.sendall(b"more")
            log.raw.close()

    def use(_ours, raw):
        log.raw = raw
        raw.sendall(b"first")

    run(lambda: peers.link(use, nesting.guard(read), log.event))
    assert log.told == [b"first", b"more", "TcpEof"]


def test_event_cb_replaced_by_write_gets_the_next_condition(peers, log):
    def use(ours, raw):
        ours.write(b"x", event_cb=log.event)
        raw.close()

    run(lambda: peers.link(use, None, fail))
    assert log.told in (["TcpEof"], ["TcpReset"])


def test_many_connections_at_once_all_connect_and_end(log):
    def start():
        server = asynctcp.tcp_server(LOOPBACK, 0, None, connect_cb=lambda s: s.close())
        for _ in range(200):
            tcp_connect(*server.address, None, log.event, connect_cb=log.connect)
        when(lambda: log.told.count("TcpEof") == 200, server.close)

    run(start)
    assert (log.told.count("connect"), log.told.count("TcpEof")) == (200, 200)


def test_condition_of_an_attempt_tells_what_was_to_be_connected_to(peers, log):
    port = peers.free_port()
    run(lambda: tcp_connect(LOOPBACK, port, None, log.event))
    assert log.conditions[0].peer == f"{LOOPBACK}:{port}"
    assert f"(peer {LOOPBACK}:{port})" in str(log.conditions[0])


def test_dns_error_of_an_attempt_says_its_host_once(log):
    run(lambda: tcp_connect("no-such-host.invalid", 80, None, log.event))
    assert log.conditions[0].peer == "no-such-host.invalid:80"
    assert str(log.conditions[0]).count("no-such-host.invalid") == 1


@pytest.mark.parametrize("scope", ["nosuch", "", "99999999999", "lo/x"])
def test_scope_that_does_not_exist_is_a_dns_error(scope, log):
    run(lambda: tcp_connect(f"fe80::1%{scope}", 80, None, log.event))
    assert log.told == ["DnsError"]


def test_scope_of_an_interface_that_is_not_there_is_a_tcp_error(log):
    run(lambda: tcp_connect("fe80::1%99999", 80, None, log.event))
    assert isinstance(log.conditions[0], asynctcp.TcpError)


def test_host_that_is_not_ascii_is_looked_up_in_its_idna_form(log):
    run(lambda: tcp_connect("bücher.invalid", 80, None, log.event))
    assert log.conditions[0].host == "xn--bcher-kva.invalid"


def wide(text):
    """The same in characters as wide as Chinese ones."""
    return "".join(chr(ord(each) + 0xFEE0) for each in text)


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("straße.example", "xn--strae-oqa.example"),  # IDNA 2003 makes it strasse
        ("BÜCHER.example", "xn--bcher-kva.example"),
        (wide("example") + "\u3002com", "example.com"),
        ("a_b.bücher.example", "a_b.xn--bcher-kva.example"),
        (wide("127") + ".0.0.1", "127.0.0.1"),
        ("Under_Score.EXAMPLE", "Under_Score.EXAMPLE"),
    ],
)
def test_host_is_the_one_that_browsers_look_up(host, shown):
    def look():
        ours = tcp_connect(host, 80, None, ignore)
        told = repr(ours)
        ours.close(force=True)
        return told

    assert in_loop(look) == f"<asynctcp.Socket connecting -> {shown}:80>"


@pytest.mark.parametrize("host", ["exa" + wide("/") + "mple.com", "\u00ad", "\u0301a.example", "ä%lo"])
def test_host_that_is_no_name_in_ascii_is_refused(host):
    with pytest.raises(ValueError, match="host must be a host that IDNA can encode"):
        run(lambda: tcp_connect(host, 80, None))


# --- IPv6 zones ---------------------------------------------------------------------------------------------


def socket_from(address):
    """Make a socket that would connect from ``address``, which has to be a literal."""
    return in_loop(lambda: asynctcp.init_tcp_socket(None, local_address=(address, 0)))


@pytest.mark.parametrize("zone", ["lo", socket.if_nametoindex("lo")])
def test_own_address_may_have_a_zone(zone):
    socket_from(f"fe80::1%{zone}")


@pytest.mark.parametrize("zone", ["", "no-such-if", ".", "..", "../net/lo", "lo/../lo"])
def test_zone_that_is_no_interface_makes_no_address(zone):
    with pytest.raises(ValueError, match="local_address"):
        socket_from(f"fe80::1%{zone}")
