"""The names of the package, and those of hosts."""

from __future__ import annotations

import importlib
import typing

import pytest

import asynctcp
from asynctcp import Socket, dns_lookup
from helpers import run

CLASYNC = [
    "socket_closed_p",
    "socket_data",
    "socket_c",
    "close_tcp_server",
    "enable_socket",
    "disable_socket",
    "set_socket_timeouts",
    "remove_interval",
    "trigger_notifier",
    "free_notifier",
    "tcp_socket",
    "event_errcode",
    "event_errmsg",
    "tcp_accept_error_listener",
    "tcp_accept_error_server",
    "tcp_send",
]


@pytest.mark.parametrize("name", CLASYNC)
def test_functional_duplicate_lives_in_clasync_and_stays_importable(name):
    clasync = importlib.import_module("asynctcp.clasync")
    assert getattr(clasync, name) is getattr(asynctcp, name)
    namespace = {}
    exec(f"from asynctcp import {name}", namespace)
    assert callable(namespace[name])


@pytest.mark.parametrize("name", CLASYNC)
def test_dir_does_not_show_a_functional_duplicate(name):
    assert name not in dir(asynctcp)
    assert name in dir(importlib.import_module("asynctcp.clasync"))


@pytest.mark.parametrize(
    "name",
    [
        "tcp_connect",
        "tcp_server",
        "close_socket",
        "write_socket_data",
        "start_event_loop",
        "delay",
        "interval",
        "Socket",
        "TcpServer",
        "AsyncIOStream",
        "LineTooLong",
        "TcpAppError",
        "adopt_tcp_socket",
        "conditions",
    ],
)
def test_dir_shows_what_a_python_program_uses(name):
    assert name in dir(asynctcp)
    assert getattr(asynctcp, name)


def test_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        asynctcp.no_such_name  # noqa: B018


def test_socket_is_generic_in_its_data():
    class Session:
        pass

    alias = Socket[Session]
    assert typing.get_origin(alias) is Socket
    assert typing.get_args(alias) == (Session,)


def looked_up(host):
    told = []
    run(lambda: dns_lookup(host, lambda *answer: told.append(answer), event_cb=told.append))
    return told


def test_localhost_is_looked_up():
    assert looked_up("localhost")[0][0] in ("127.0.0.1", "::1")


@pytest.mark.parametrize(
    ("host", "ascii_form"),
    [
        ("straße.invalid", "xn--strae-oqa.invalid"),
        ("faß.invalid", "xn--fa-hia.invalid"),
        ("βόλος.invalid", "xn--nxasmm1c.invalid"),
        ("BÜCHER.invalid", "xn--bcher-kva.invalid"),
    ],
)
def test_internationalised_name_follows_uts_46_as_browsers_do(host, ascii_form):
    (condition,) = looked_up(host)
    assert isinstance(condition, asynctcp.DnsError)
    assert ascii_form in (condition.host, str(condition))


@pytest.mark.parametrize("host", ["é" * 64 + ".invalid", "xn--a.invalid é"])
def test_name_that_uts_46_refuses_is_a_value_error(host):
    def start():
        with pytest.raises(ValueError, match="host"):
            dns_lookup(host, print)

    run(start)
