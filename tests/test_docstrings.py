"""``help()`` of every public name tells what one must know to use it."""

from __future__ import annotations

import inspect
import re

import pytest

import asynctcp

SECONDS = {
    *("time", "timeout", "seconds", "read_timeout", "write_timeout", "read_sec", "write_sec"),
    *("idle", "interval"),
}
BYTES = {"start", "end", "high", "low", "read_limit", "memory_limit"}
CALLBACKS = {"callback", "fn", "start_fn", "read_cb", "write_cb", "event_cb", "connect_cb", "close_cb"}
#: Tell nothing but a value, and raise nothing for right arguments.
QUIET = {
    *("socket_closed_p", "socket_data", "close_tcp_server", "remove_interval", "tcp_socket"),
    *("trigger_notifier", "free_notifier", "default_event_handler", "condition_from_errno"),
    *("event_errcode", "event_errmsg", "tcp_accept_error_listener", "tcp_accept_error_server"),
    *("Timer.cancel", "Timer.ref", "Timer.unref", "TcpServer.close", "EventLoop.exit", "EventLoop.stats"),
    *("Notifier.trigger", "Notifier.free", "Notifier.ref", "Notifier.unref", "AsyncIOStream.close"),
    *(
        "AsyncIOStream.readall",
        "Socket.close",
    ),
}
#: The classes whose constructor an app calls.
MADE_BY_CALL = {"EventLoop", "AsyncIOStream"}


def calls():
    """Name and object of each public function, class that is called, and method."""
    for name in asynctcp.__all__:
        value = getattr(asynctcp, name)
        if inspect.isroutine(value) or name in MADE_BY_CALL:
            yield name, value
        if isinstance(value, type) and not issubclass(value, BaseException):
            for cls in value.__mro__:
                if cls.__module__.split(".")[0] != "asynctcp":
                    continue
                for member, method in vars(cls).items():
                    if not member.startswith("_") and callable(method):
                        yield f"{name}.{member}", getattr(value, member)


CALLS = dict(calls())


def names(call):
    """The names of its parameters."""
    return [
        name
        for name, one in inspect.signature(CALLS[call]).parameters.items()
        if name != "self" and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]


def words(call):
    return set(re.findall(r"\w+", inspect.getdoc(CALLS[call])))


def having(some):
    """The calls with a parameter of ``some`` names."""
    return [call for call in CALLS if some & set(names(call))]


@pytest.mark.parametrize("call", [call for call in CALLS if names(call)])
def test_docstring_names_each_argument(call):
    # `self` may be the thing itself; a reference to the method stands for its arguments.
    assert set(names(call)) - words(call) == set()


@pytest.mark.parametrize("call", having(SECONDS))
def test_docstring_tells_that_times_are_seconds(call):
    assert {"seconds", "second"} & words(call)


@pytest.mark.parametrize("call", having(BYTES))
def test_docstring_tells_that_sizes_are_bytes(call):
    assert {"bytes", "byte"} & words(call)


@pytest.mark.parametrize("call", having(CALLBACKS))
def test_docstring_tells_in_which_thread_callbacks_run(call):
    assert {"thread", "threads"} & words(call)


@pytest.mark.parametrize("call", sorted(set(CALLS) - QUIET))
def test_docstring_tells_what_is_raised(call):
    text = inspect.getdoc(CALLS[call])
    assert re.search(r"Raises? |Errors (are|as)|``?\w*(Error|Closed)``?", text)


def test_every_quiet_name_is_one():
    assert set(CALLS) >= QUIET


@pytest.mark.parametrize("module", [asynctcp, asynctcp.aio])
def test_docstring_names_no_file_of_the_sources(module):
    for name in module.__all__:
        value = getattr(module, name)
        members = [getattr(value, member) for member in dir(value)] if isinstance(value, type) else []
        for each in (value, *members):
            assert not re.search(r"\w\.(rs|py)\b|\bsrc/", inspect.getdoc(each) or ""), name


@pytest.mark.parametrize("name", asynctcp.conditions.__all__)
def test_docstring_of_a_condition_tells_what_it_carries(name):
    value = getattr(asynctcp, name)
    if isinstance(value, type):
        assert "arries" in inspect.getdoc(value)
