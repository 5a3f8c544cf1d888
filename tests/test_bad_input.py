"""Bad input is refused at the call, before anything is opened (docs/contract.md, section 6)."""

from __future__ import annotations

import math

import pytest

import asynctcp
from asynctcp import EventLoop, delay, exit_event_loop, interval, tcp_connect, tcp_server
from helpers import LOOPBACK, descriptors, ignore, run


class Named:
    """A value that a message can be searched for."""

    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return self.text


NOT_CALLABLE = [Named("NOT-CALLABLE"), 42, "text", b"bytes", [], True]
NOT_BYTES = [Named("NOT-BYTES"), 42, 1.5, None, ["list"], object]
BAD_TIMES = [
    (math.nan, ValueError),
    ("1", TypeError),
    (Named("NOT-A-TIME"), TypeError),
    (True, TypeError),
    (1j, TypeError),
]
BAD_PORTS = [
    (-1, ValueError),
    (65536, ValueError),
    (2**64, ValueError),
    (-(2**64), ValueError),
    (1.5, TypeError),
    ("80", TypeError),
    (None, TypeError),
    (True, TypeError),
]
BAD_HOSTS = [
    ("h" * 254, ValueError),
    (".".join(["label"] * 60), ValueError),
    ("a\0b", ValueError),
    ("a b", ValueError),
    (" ", ValueError),
    ("a\tb", ValueError),
    ("host\n", ValueError),
    ("a\u00a0b", ValueError),
    ("a\udcffb", ValueError),
    ("127.0.0.1:80", ValueError),
    ("localhost:80", ValueError),
    ("[::1]", ValueError),
    ("[::1", ValueError),
    ("[::1]:80", ValueError),
    (b"127.0.0.1", TypeError),
    (42, TypeError),
    (("127.0.0.1", 80), TypeError),
]


def short(value):
    """Name a parametrised value in a test's name."""
    return repr(value)[:24] if not isinstance(value, type) else value.__name__


def refused(call, argument, value, error):
    """Check that ``call`` raises ``error`` naming both, opening nothing."""
    seen = []

    def start():
        before = descriptors()
        with pytest.raises((TypeError, ValueError)) as caught:
            call()
        seen.append((caught.value, descriptors() == before, asynctcp.stats()["timers"]))

    asynctcp.start_event_loop(start)
    ((raised, nothing_opened, timers),) = seen
    assert isinstance(raised, error)
    assert argument in str(raised)
    assert repr(value)[:60] in str(raised)
    assert (nothing_opened, timers) == (True, 0)


def cases(values, error=None):
    """Pairs of a bad value and its error."""
    pairs = values if error is None else [(value, error) for value in values]
    return pytest.mark.parametrize(("value", "error"), pairs, ids=short)


# --- tcp_connect --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["read_cb", "event_cb", "connect_cb", "write_cb"])
@cases(NOT_CALLABLE, TypeError)
def test_connect_refuses_a_callback_that_is_not_callable(name, value, error):
    keywords = {"read_cb": None, name: value}
    refused(lambda: tcp_connect(LOOPBACK, 9, **keywords), name, value, error)


@cases([*BAD_PORTS, (0, ValueError)])
def test_connect_refuses_a_port(value, error):
    refused(lambda: tcp_connect(LOOPBACK, value, None), "port", value, error)


@cases([*BAD_HOSTS, ("", ValueError), (None, TypeError)])
def test_connect_refuses_a_host(value, error):
    refused(lambda: tcp_connect(value, 9, None), "host", value, error)


@pytest.mark.parametrize("name", ["read_timeout", "write_timeout"])
@cases(BAD_TIMES)
def test_connect_refuses_a_timeout(name, value, error):
    refused(lambda: tcp_connect(LOOPBACK, 9, None, **{name: value}), name, value, error)


@cases([value for value in NOT_BYTES if value is not None], TypeError)
def test_connect_refuses_data(value, error):
    refused(lambda: tcp_connect(LOOPBACK, 9, None, data=value), "data", value, error)


def test_connect_refuses_data_with_a_lone_surrogate():
    refused(lambda: tcp_connect(LOOPBACK, 9, None, data="\udcff"), "data", "\udcff", ValueError)


@cases(
    [
        ("127.0.0.1", TypeError),
        (("127.0.0.1",), TypeError),
        (("127.0.0.1", 0, 0), TypeError),
        (42, TypeError),
    ]
)
def test_connect_refuses_a_local_address_of_a_wrong_shape(value, error):
    refused(lambda: tcp_connect(LOOPBACK, 9, None, local_address=value), "local_address", value, error)


@cases(
    [
        (("", 0), ValueError),
        (("a name", 0), ValueError),
        ((LOOPBACK, -1), ValueError),
        ((LOOPBACK, "1"), TypeError),
    ]
)
def test_connect_refuses_a_local_address_with_a_wrong_part(value, error):
    bad = value[0] if value[0] != LOOPBACK else value[1]
    refused(lambda: tcp_connect(LOOPBACK, 9, None, local_address=value), "local_address", bad, error)


def test_connect_refuses_positional_arguments_beyond_event_cb():
    with pytest.raises(TypeError):
        tcp_connect(LOOPBACK, 9, None, None, b"data")


def test_connect_refuses_unknown_keywords():
    with pytest.raises(TypeError, match="unknown"):
        tcp_connect(LOOPBACK, 9, None, unknown=1)


@pytest.mark.parametrize(
    "host", ["h" * 63 + ".invalid", "xn--nxasmq6b.invalid", "b\u00fccher.invalid", "a_b.invalid"]
)
def test_connect_takes_a_strange_but_valid_host(host):
    run(lambda: (tcp_connect(host, 9, None, ignore), exit_event_loop()))


# --- tcp_server ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["read_cb", "event_cb", "connect_cb"])
@cases(NOT_CALLABLE, TypeError)
def test_server_refuses_a_callback_that_is_not_callable(name, value, error):
    keywords = {"read_cb": None, name: value}
    refused(lambda: tcp_server(LOOPBACK, 0, **keywords), name, value, error)


@cases(BAD_PORTS)
def test_server_refuses_a_port(value, error):
    refused(lambda: tcp_server(LOOPBACK, value, None), "port", value, error)


@cases(BAD_HOSTS)
def test_server_refuses_a_bind_address(value, error):
    refused(lambda: tcp_server(value, 0, None), "bind_address", value, error)


@pytest.mark.parametrize("name", ["read_timeout", "write_timeout"])
@cases(BAD_TIMES)
def test_server_refuses_a_timeout(name, value, error):
    refused(lambda: tcp_server(LOOPBACK, 0, None, **{name: value}), name, value, error)


@cases(
    [
        (-2, ValueError),
        (2**31, ValueError),
        (2**64, ValueError),
        (1.5, TypeError),
        ("5", TypeError),
        (True, TypeError),
    ]
)
def test_server_refuses_a_backlog(value, error):
    refused(lambda: tcp_server(LOOPBACK, 0, None, backlog=value), "backlog", value, error)


@cases(
    [
        (-1, ValueError),
        (2**31, ValueError),
        (2**64, ValueError),
        (1.5, TypeError),
        ("5", TypeError),
        (True, TypeError),
    ]
)
def test_server_refuses_a_descriptor(value, error):
    refused(lambda: tcp_server(LOOPBACK, 0, None, fd=value), "fd", value, error)


@cases([(0, ValueError), (-1, ValueError), (1.5, TypeError), ("5", TypeError), (True, TypeError)])
def test_server_refuses_max_connections(value, error):
    refused(lambda: tcp_server(LOOPBACK, 0, None, max_connections=value), "max_connections", value, error)


# --- sockets ------------------------------------------------------------------------------------------------


def refused_by_socket(peers, call, argument, value, error):
    """Check that ``call(socket)`` raises ``error`` naming both, and that the socket works afterwards."""
    seen = []

    def use(ours, raw):
        with pytest.raises((TypeError, ValueError)) as caught:
            call(ours)
        seen.append(caught.value)
        ours.write(b"works", write_cb=lambda s: s.close())
        seen.append(raw)

    run(lambda: peers.link(use))
    raised, raw = seen
    assert isinstance(raised, error)
    assert argument in str(raised)
    assert repr(value)[:60] in str(raised)
    assert raw.recv(100) == b"works"


@cases(NOT_BYTES, TypeError)
def test_write_refuses_data(value, error, peers):
    refused_by_socket(peers, lambda ours: ours.write(value), "data", value, error)


def test_write_refuses_a_lone_surrogate(peers):
    refused_by_socket(peers, lambda ours: ours.write("a\udcff"), "data", "a\udcff", ValueError)


@pytest.mark.parametrize("name", ["read_cb", "write_cb", "event_cb"])
@cases(NOT_CALLABLE, TypeError)
def test_write_refuses_a_callback_that_is_not_callable(name, value, error, peers):
    refused_by_socket(peers, lambda ours: ours.write(b"bad", **{name: value}), name, value, error)


@pytest.mark.parametrize("name", ["start", "end"])
@cases(
    [
        (-1, ValueError),
        (4, ValueError),
        (2**64, ValueError),
        (-(2**64), ValueError),
        (1.0, TypeError),
        ("0", TypeError),
    ]
)
def test_write_refuses_a_bound(name, value, error, peers):
    refused_by_socket(peers, lambda ours: ours.write(b"bad", **{name: value}), name, value, error)


@pytest.mark.parametrize("name", ["read_sec", "write_sec"])
@cases(BAD_TIMES)
def test_set_timeouts_refuses_a_timeout(name, value, error, peers):
    seconds = {"read_sec": None, "write_sec": None, name: value}
    refused_by_socket(peers, lambda ours: ours.set_timeouts(**seconds), name, value, error)


@pytest.mark.parametrize("name", ["high", "low"])
@cases([(-1, ValueError), (1.5, TypeError), ("1", TypeError), (None, TypeError)])
def test_set_write_buffer_limits_refuses_a_number(name, value, error, peers):
    limits = {"high": 10, "low": 1, name: value}
    refused_by_socket(peers, lambda ours: ours.set_write_buffer_limits(**limits), name, value, error)


def test_set_write_buffer_limits_refuses_a_low_above_high(peers):
    refused_by_socket(peers, lambda ours: ours.set_write_buffer_limits(1, 2), "low", 2, ValueError)


@pytest.mark.parametrize("name", ["idle", "interval", "count"])
@cases([(0, ValueError), (-1, ValueError), (2**40, ValueError), (1.5, TypeError), ("1", TypeError)])
def test_set_keepalive_refuses_a_number(name, value, error, peers):
    refused_by_socket(peers, lambda ours: ours.set_keepalive(True, **{name: value}), name, value, error)


@pytest.mark.parametrize(
    "function",
    [
        lambda value: asynctcp.write_socket_data(value, b"x"),
        asynctcp.close_socket,
        asynctcp.socket_closed_p,
        asynctcp.socket_data,
        asynctcp.enable_socket,
        asynctcp.disable_socket,
        lambda value: asynctcp.set_socket_timeouts(value, 1, 1),
        asynctcp.close_tcp_server,
        asynctcp.remove_interval,
    ],
)
@pytest.mark.parametrize("value", [None, 42, "socket"])
def test_function_of_a_socket_refuses_anything_else(function, value):
    with pytest.raises(TypeError):
        function(value)


# --- timers and loops ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("timer", [delay, interval])
@cases([*NOT_CALLABLE, None], TypeError)
def test_timer_refuses_a_callback(timer, value, error):
    refused(lambda: timer(value, 1), "callback", value, error)


@pytest.mark.parametrize("timer", [delay, interval])
@cases(NOT_CALLABLE, TypeError)
def test_timer_refuses_an_event_cb(timer, value, error):
    refused(lambda: timer(ignore, 1, event_cb=value), "event_cb", value, error)


@pytest.mark.parametrize("timer", [delay, interval])
@cases([*BAD_TIMES, (-1, ValueError), (-math.inf, ValueError)])
def test_timer_refuses_a_time(timer, value, error):
    refused(lambda: timer(ignore, value), "time", value, error)


@cases([(0, ValueError), (0.0, ValueError), (None, TypeError)])
def test_interval_refuses_no_time(value, error):
    refused(lambda: interval(ignore, value), "time", value, error)


@cases([*NOT_CALLABLE, None], TypeError)
def test_exit_callback_must_be_callable(value, error):
    refused(lambda: asynctcp.add_event_loop_exit_callback(value), "fn", value, error)


@cases(NOT_CALLABLE, TypeError)
def test_default_event_handler_must_be_callable_or_none(value, error):
    refused(lambda: asynctcp.set_default_event_handler(value), "fn", value, error)


@cases([*NOT_CALLABLE, None], TypeError)
def test_post_must_be_callable(value, error):
    refused(lambda: asynctcp.current_event_loop().call_soon_threadsafe(value), "fn", value, error)


@pytest.mark.parametrize("value", [*NOT_CALLABLE, None], ids=short)
def test_start_function_must_be_callable(value):
    with pytest.raises(TypeError, match="start_fn"):
        asynctcp.start_event_loop(value)


@pytest.mark.parametrize("value", NOT_CALLABLE, ids=short)
def test_loop_whose_run_was_refused_can_still_run(value):
    loop = asynctcp.EventLoop()
    with pytest.raises(TypeError, match="start_fn"):
        loop.run(value)
    loop.run()


def test_refused_start_leaves_no_loop_behind():
    with pytest.raises(TypeError):
        asynctcp.start_event_loop(42)
    with pytest.raises(asynctcp.EventLoopError):
        asynctcp.current_event_loop()


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("catch_app_errors", 42, TypeError),
        ("io_threads", -1, ValueError),
        ("io_threads", 1.5, TypeError),
        ("read_limit", 0, ValueError),
        ("read_limit", -1, ValueError),
        ("read_limit", "1", TypeError),
        ("memory_limit", -1, ValueError),
        ("memory_limit", 1.5, TypeError),
    ],
)
def test_loop_refuses_an_option(name, value, error):
    with pytest.raises(error, match=name):
        EventLoop(**{name: value})


def test_repr_that_raises_does_not_hide_the_error():
    class Unspeakable:
        def __repr__(self):
            raise RuntimeError

    with pytest.raises(TypeError, match="callback"):
        run(lambda: delay(Unspeakable()))


def test_very_long_value_is_cut_in_the_message():
    with pytest.raises(ValueError, match="host") as caught:
        tcp_connect("h" * 100_000, 9, None)
    assert len(str(caught.value)) < 300


class Interrupts:
    """Has code that is interrupted wherever it is looked at."""

    def __getattr__(self, name):
        raise KeyboardInterrupt

    def __repr__(self):
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    "use",
    [
        asynctcp.delay,
        lambda bad: asynctcp.delay(print, bad),
        asynctcp.close_socket,
        lambda bad: asynctcp.tcp_connect(bad, 80, None),
    ],
)
def test_interrupt_while_an_argument_is_looked_at_comes_out(use):
    def start():
        with pytest.raises(KeyboardInterrupt):
            use(Interrupts())

    asynctcp.start_event_loop(start)
