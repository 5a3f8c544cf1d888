"""Names, signatures and docstrings are those of docs/contract.md, all sections.

The whole surface with its types is in ``public_surface.txt``: see ``surface.py`` for a change that is meant.
"""

from __future__ import annotations

import inspect
import operator
import subprocess
import sys

import pytest

import asynctcp
import surface
from tracing import traced

#: As docs/contract.md spells them; ``*`` begins the keyword-only ones.
SIGNATURES = {
    "start_event_loop": "(start_fn, *, catch_app_errors=False, send_errors_to_event_cb=True)",
    "event_loop": "(*, catch_app_errors=False, send_errors_to_event_cb=True)",
    "exit_event_loop": "()",
    "delay": "(callback, time=None, *, event_cb=None)",
    "interval": "(callback, time, *, event_cb=None)",
    "with_delay": "(seconds=0)",
    "with_interval": "(seconds)",
    "add_event_loop_exit_callback": "(fn)",
    "stats": "()",
    "set_default_event_handler": "(fn)",
    "dns_lookup": "(host, callback, *, event_cb=None, family=0)",
    "reverse_dns_lookup": "(address, callback, *, port=0, event_cb=None)",
    "signal_handler": "(signum, callback, *, event_cb=None)",
    "free_signal_handler": "(signum)",
    "clear_signal_handlers": "()",
    "make_notifier": "(callback, *, event_cb=None)",
    "poll": "(fd, callback, *, poll_for=('readable',), timeout=None, event_cb=None)",
    "free_poller": "(poller)",
    "idle": "(callback, *, event_cb=None)",
    "free_idler": "(idler)",
    "Poller.free": "(self)",
    "Idler.free": "(self)",
    "EventLoop": "(*, catch_app_errors=False, send_errors_to_event_cb=True, io_threads=0, "
    "read_limit=262144, memory_limit=67108864, debug=False)",
    "EventLoop.run": "(self, start_fn=None)",
    "EventLoop.exit": "(self)",
    "EventLoop.call_soon_threadsafe": "(self, fn, *args)",
    "EventLoop.stats": "(self)",
    "EventLoop.pump": "(self, timeout=0)",
    "EventLoop.fileno": "(self)",
    "current_event_loop": "()",
    "tcp_connect": "(host, port, read_cb, event_cb=None, *, data=None, stream=False, connect_cb=None, "
    "write_cb=None, read_timeout=-1, write_timeout=-1, dont_drain_read_buffer=None, allow_half_open=False, "
    "local_address=None, family=0, close_cb=None, max_line=65536, sock=None, socket_options=None, "
    "send_proxy=None, tls=None)",
    "adopt_tcp_socket": "(sock_or_fd, read_cb, event_cb=None, *, data=None, stream=False, connect_cb=None, "
    "write_cb=None, read_timeout=-1, write_timeout=-1, dont_drain_read_buffer=None, allow_half_open=False, "
    "close_cb=None, max_line=65536)",
    "connect_tcp_socket": "(socket_or_stream, host, port, *, event_cb=None)",
    "write_socket_data": "(socket_or_stream, data, *, read_cb=None, write_cb=None, event_cb=None, "
    "start=None, end=None)",
    "set_socket_timeouts": "(socket, read_sec, write_sec)",
    "disable_socket": "(socket, *, read=False, write=False)",
    "enable_socket": "(socket, *, read=False, write=False)",
    "close_socket": "(socket, *, force=False)",
    "socket_closed_p": "(socket)",
    "socket_data": "(socket)",
    "socket_c": "(socket)",
    "close_tcp_server": "(server)",
    "tcp_server": "(bind_address, port, read_cb, event_cb=None, *, connect_cb=None, backlog=-1, "
    "stream=False, dont_drain_read_buffer=None, reuse_port=False, fd=None, read_timeout=-1, "
    "write_timeout=-1, allow_half_open=False, "
    "max_connections=None, close_cb=None, max_line=65536, family=0, socket_options=None, "
    "proxy_protocol=None, proxy_from=None, proxy_timeout=5, tls=None, "
    "max_handshakes=1024)",
    "ProxyHeader.of": "(socket, *, version=2)",
    "Socket.close": "(self, force=False)",
    "Socket.set_callbacks": "(self, *, read_cb=..., write_cb=..., event_cb=..., connect_cb=..., "
    "close_cb=...)",
    "Socket.detach": "(self)",
    "Socket.enable": "(self, *, read=False, write=False)",
    "Socket.disable": "(self, *, read=False, write=False)",
    "Socket.write": "(self, data, *, read_cb=None, write_cb=None, event_cb=None, start=None, end=None)",
    "Socket.set_nodelay": "(self, on=True)",
    "Socket.set_keepalive": "(self, on, *, idle=None, interval=None, count=None)",
    "Socket.set_write_buffer_limits": "(self, high, low)",
    "Socket.shutdown_write": "(self)",
    "TcpServer.close": "(self)",
    "Timer.cancel": "(self)",
    "Timer.ref": "(self)",
    "Timer.unref": "(self)",
}

ATTRIBUTES = {
    "Socket": {
        *(
            "write",
            "close",
            "closed",
            "data",
            "set_timeouts",
            "enable",
            "disable",
            "peername",
            "sockname",
            "fileno",
        ),
        *("set_nodelay", "set_keepalive", "write_buffer_size", "set_write_buffer_limits", "bytes_read"),
        *(
            "bytes_written",
            "shutdown_write",
            "server",
            "c",
            "stream",
            "close_reason",
            "set_callbacks",
            "detach",
        ),
    },
    "TcpServer": {
        *("close", "closed", "address", "addresses", "host", "port", "connections", "sockets"),
    },
    "Timer": {"cancel", "cancelled", "ref", "unref"},
    "Poller": {"free", "freed", "closed", "fd", "poll_for", "timeout", "callback", "event_cb"},
    "Idler": {"free", "freed", "closed", "callback", "event_cb"},
}


def find(path):
    """Return what a dotted name of docs/contract.md names."""
    return operator.attrgetter(path)(asynctcp)


def parameters(signature):
    """Name, whether by keyword only, and default of each parameter; positional ones have their place."""
    listed = []
    for name, parameter in signature.parameters.items():
        if name in ("self", "args"):
            continue
        listed.append((name, parameter.kind is inspect.Parameter.KEYWORD_ONLY, parameter.default))
    return listed


def documented(path):
    """What docs/contract.md says, as `parameters` gives it."""
    namespace = {}
    exec(f"def function{SIGNATURES[path]}: ...", namespace)
    return parameters(inspect.signature(namespace["function"]))


@pytest.mark.parametrize("path", list(SIGNATURES))
def test_signature_is_the_documented_one(path):
    actual = parameters(inspect.signature(find(path)))
    wanted = documented(path)
    by_position = [entry for entry in wanted if not entry[1]]
    assert [(only, default) for _, only, default in by_position] == [
        entry[1:] for entry in actual if not entry[1]
    ]
    assert sorted(map(repr, (e for e in wanted if e[1]))) == sorted(map(repr, (e for e in actual if e[1])))


@pytest.mark.parametrize("path", list(SIGNATURES))
def test_positional_parameters_have_their_documented_names(path):
    actual = [name for name, only, _ in parameters(inspect.signature(find(path))) if not only]
    wanted = [name for name, only, _ in documented(path) if not only]
    assert actual == wanted


@pytest.mark.parametrize(("owner", "names"), list(ATTRIBUTES.items()), ids=list(ATTRIBUTES))
def test_class_has_all_documented_attributes(owner, names):
    assert names - set(dir(getattr(asynctcp, owner))) == set()


def test_surface_is_the_one_that_was_agreed_on():
    assert surface.render().splitlines() == surface.SNAPSHOT.read_text().splitlines()


def test_all_names_what_is_there_once():
    assert [name for name in asynctcp.__all__ if not hasattr(asynctcp, name)] == []
    assert len(set(asynctcp.__all__)) == len(asynctcp.__all__)


def test_no_public_name_is_left_out_of_all():
    public = {
        name
        for name, value in vars(asynctcp).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert public - set(asynctcp.__all__) == set()


def members():
    """Every public name, and every public member of the package's own classes."""
    for name in asynctcp.__all__:
        value = getattr(asynctcp, name)
        if name != "__version__":
            yield name, value
        if isinstance(value, type) and not issubclass(value, BaseException):
            for cls in value.__mro__[:-1]:
                for member in sorted(vars(cls)):
                    if not member.startswith("_"):
                        yield f"{name}.{member}", getattr(value, member)


@pytest.mark.parametrize(
    ("name", "value"), list(members()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_public_name_has_a_docstring(name, value):
    assert inspect.getdoc(value), f"{name} has no docstring"


def test_package_and_its_modules_have_docstrings():
    modules = [value for value in vars(asynctcp).values() if inspect.ismodule(value)]
    assert [module.__name__ for module in [asynctcp, *modules] if not module.__doc__] == []


def test_version_is_semantic():
    assert len(asynctcp.__version__.split("+")[0].split("-")[0].split(".")) == 3


def test_native_classes_say_that_they_are_the_packages():
    assert {getattr(asynctcp, name).__module__ for name in ATTRIBUTES} == {"asynctcp"}


#: cl-async's names of what is a method or an attribute.
CLASYNC = {
    *("socket_closed_p", "socket_data", "socket_c", "close_tcp_server", "enable_socket", "disable_socket"),
    *("set_socket_timeouts", "remove_interval", "trigger_notifier", "free_notifier", "tcp_socket"),
    *("free_poller", "free_idler"),
    *("event_errcode", "event_errmsg", "tcp_accept_error_listener", "tcp_accept_error_server", "tcp_send"),
}


def test_clasync_has_the_names_of_methods_and_attributes():
    assert set(asynctcp.clasync.__all__) == CLASYNC
    assert CLASYNC - set(dir(asynctcp.clasync)) == set()


@pytest.mark.parametrize("name", sorted(CLASYNC))
def test_clasync_name_can_be_imported_from_the_package_too(name):
    assert getattr(asynctcp, name) is getattr(asynctcp.clasync, name)
    assert name in asynctcp.__all__


def test_clasync_names_are_not_in_the_packages_dir():
    shown = set(dir(asynctcp))
    assert shown & CLASYNC == set()
    assert set(asynctcp.__all__) - CLASYNC - shown == set()
    assert {"aio", "clasync", "conditions", "__version__", "__doc__"} <= shown
    assert shown & {"_importlib", "_typing"} == set()


def test_asyncio_face_is_imported_when_it_is_asked_for():
    code = "import sys, asynctcp; assert 'asyncio' not in sys.modules; print(asynctcp.aio.run)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, check=True, text=True, timeout=60, env=traced())
    assert "function run" in done.stdout


def test_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'asynctcp' has no attribute 'tcp_conect'"):
        _ = asynctcp.tcp_conect
