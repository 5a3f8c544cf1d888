"""The condition classes: bases, texts, numbers, copies, accessors. No socket is opened here."""

from __future__ import annotations

import copy
import errno
import os
import pickle
import socket

import pytest

from asynctcp import conditions, tcp_connect
from asynctcp.conditions import (
    DnsError,
    EventError,
    EventInfo,
    EventLoopError,
    LineTooLong,
    ProxyError,
    SocketClosed,
    TcpAborted,
    TcpAcceptError,
    TcpAppError,
    TcpBrokenPipe,
    TcpBufferDrained,
    TcpBufferFull,
    TcpEof,
    TcpError,
    TcpInfo,
    TcpRefused,
    TcpReset,
    TcpServerBindError,
    TcpTimeout,
    TlsCertificateError,
    TlsConfigError,
    TlsError,
    condition_from_errno,
    event_errcode,
    event_errmsg,
    tcp_accept_error_listener,
    tcp_accept_error_server,
    tcp_socket,
)
from helpers import LOOPBACK, ignore, run

BASES = [
    (EventInfo, (Exception,)),
    (EventError, (EventInfo,)),
    (TcpInfo, (EventInfo,)),
    (TcpError, (EventError, TcpInfo, OSError)),
    (TcpEof, (TcpInfo,)),
    (TcpTimeout, (TcpError, TimeoutError)),
    (TcpRefused, (TcpError, ConnectionRefusedError)),
    (TcpReset, (TcpError, ConnectionResetError)),
    (TcpAborted, (TcpError, ConnectionAbortedError)),
    (TcpBrokenPipe, (TcpError, BrokenPipeError)),
    (TcpAcceptError, (TcpError,)),
    (SocketClosed, (TcpError,)),
    (TcpServerBindError, (TcpError,)),
    (ProxyError, (TcpError,)),
    (DnsError, (TcpError, socket.gaierror)),
    (TlsError, (TcpError,)),
    (TlsCertificateError, (TlsError,)),
    (TcpBufferFull, (TcpInfo,)),
    (TcpBufferDrained, (TcpInfo,)),
    (TcpAppError, (TcpInfo,)),
    (EventLoopError, (RuntimeError,)),
    (LineTooLong, (ValueError,)),
    (TlsConfigError, (ValueError,)),
]

PLAIN_ERRORS = [TcpError, TcpTimeout, TcpRefused, TcpReset, TcpAborted, TcpBrokenPipe, SocketClosed]

INFOS = [TcpInfo, TcpEof, TcpBufferFull, TcpBufferDrained]


class Handle:
    """Stands for a socket, a server or a listener; like these it cannot be pickled."""

    def __reduce__(self):
        raise AssertionError("a handle must not be copied along")


def one_of_each():
    """A condition of every class that has attributes, made as the native side does, with all it can carry."""
    made = [
        EventError(errno.EIO, "input/output error"),
        *(cls(Handle()) for cls in INFOS),
        *(cls(errno.EIO, "input/output error", Handle()) for cls in PLAIN_ERRORS),
        TcpAcceptError(errno.EMFILE, "too many open files", Handle(), Handle()),
        TcpServerBindError(errno.EADDRINUSE, "address in use", "127.0.0.1", 80),
        ProxyError(errno.EPROTO, "malformed PROXY header", "malformed"),
        DnsError(socket.EAI_NONAME, "name not known", "host.invalid", Handle()),
        TlsError(errno.EPROTO, "not TLS", Handle(), "not-tls"),
        TlsCertificateError(errno.EPROTO, "refused: why", Handle(), "expired", "certificate_expired"),
        TcpAppError("read_cb", len, Handle()),
    ]
    for condition in made:
        condition.peer = "127.0.0.1:80"
    return made


EACH = one_of_each()
ERRORS = [condition for condition in EACH if isinstance(condition, EventError)]
OS_ERRORS = [condition for condition in EACH if isinstance(condition, OSError)]
ABOUT_SOCKETS = [condition for condition in EACH if isinstance(condition, TcpInfo)]


def name_of_class(value):
    return type(value).__name__ if isinstance(value, Exception) else ""


COPIERS = [copy.copy, *(lambda c, p=p: pickle.loads(pickle.dumps(c, p)) for p in range(6))]
COPIERS_ID = ["copy", *(f"pickle{p}" for p in range(6))]


@pytest.mark.parametrize(("cls", "bases"), BASES, ids=[cls.__name__ for cls, _ in BASES])
def test_class_has_exactly_its_documented_bases(cls, bases):
    assert cls.__bases__ == bases


def test_every_class_of_the_module_is_in_the_table_of_bases():
    classes = {value for value in vars(conditions).values() if isinstance(value, type)}
    own = {cls for cls in classes if cls.__module__ == conditions.__name__}
    assert own == {cls for cls, _ in BASES}


def test_every_public_name_of_the_module_has_a_docstring():
    assert [name for name in conditions.__all__ if not getattr(conditions, name).__doc__] == []


def test_module_docstring_draws_every_class():
    assert [cls.__name__ for cls, _ in BASES if cls.__name__ not in conditions.__doc__] == []


@pytest.mark.parametrize("cls", PLAIN_ERRORS)
def test_error_has_number_and_text_under_both_pairs_of_names(cls):
    condition = cls(errno.EIO, "input/output error")
    assert (condition.errcode, condition.errmsg) == (errno.EIO, "input/output error")
    assert (condition.errno, condition.strerror) == (errno.EIO, "input/output error")


@pytest.mark.parametrize("condition", ERRORS, ids=name_of_class)
def test_error_has_the_args_of_an_oserror(condition):
    assert condition.args == (condition.errno, condition.strerror)


@pytest.mark.parametrize("condition", OS_ERRORS, ids=name_of_class)
def test_error_caught_as_an_oserror_tells_its_number_to_oserrors_own_field(condition):
    assert OSError.errno.__get__(condition) == condition.errcode
    assert OSError.strerror.__get__(condition) == condition.errmsg


@pytest.mark.parametrize("cls", INFOS)
def test_info_keeps_its_socket_out_of_args(cls):
    assert cls(Handle()).args == ()


def test_info_without_a_socket_has_none():
    assert TcpInfo().socket is None


def test_error_without_a_peer_has_none():
    assert TcpReset(errno.ECONNRESET, "connection reset by peer").peer is None


def test_socket_closed_without_arguments_is_ebadf():
    condition = SocketClosed()
    assert (condition.errcode, condition.socket) == (errno.EBADF, None)


def test_socket_closed_takes_its_socket_by_name():
    handle = Handle()
    assert SocketClosed(socket=handle).socket is handle


def test_event_loop_error_says_its_message():
    assert str(EventLoopError("no loop in this thread")) == "no loop in this thread"


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (EventError(5, "input/output error"), "[Errno 5] input/output error"),
        (TcpReset(104, "connection reset by peer"), "[Errno 104] connection reset by peer"),
        (SocketClosed(9, "socket is closed"), "[Errno 9] socket is closed"),
        (TcpAcceptError(24, "too many open files"), "[Errno 24] too many open files"),
        (DnsError(-2, "name not known", "a.invalid"), "[Errno -2] name not known (host a.invalid)"),
        (TcpServerBindError(98, "in use", "127.0.0.1", 80), "[Errno 98] in use (address 127.0.0.1:80)"),
        (TcpServerBindError(98, "in use", "::1", 80), "[Errno 98] in use (address [::1]:80)"),
        (TcpServerBindError(98, "in use", None, 80), "[Errno 98] in use (address *:80)"),
        (TcpServerBindError(98, "in use", "", 80), "[Errno 98] in use (address *:80)"),
        (TcpInfo(), "TCP event"),
        (TcpEof(None), "end of stream"),
        (TcpBufferFull(None), "write buffer is full"),
        (TcpBufferDrained(None), "write buffer has drained"),
        (EventInfo("anything"), "anything"),
    ],
    ids=name_of_class,
)
def test_str_says_what_happened(condition, text):
    assert str(condition) == text


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (TcpReset(104, "reset by peer"), "[Errno 104] reset by peer (peer 127.0.0.1:80)"),
        (TcpEof(None), "end of stream (peer 127.0.0.1:80)"),
    ],
    ids=["error", "info"],
)
def test_str_names_the_peer_once_it_is_known(condition, text):
    condition.peer = "127.0.0.1:80"
    assert str(condition) == text


@pytest.mark.parametrize("copier", COPIERS, ids=COPIERS_ID)
@pytest.mark.parametrize("condition", EACH, ids=name_of_class)
def test_copy_says_the_same_as_the_original(condition, copier):
    twin = copier(condition)
    assert type(twin) is type(condition)
    assert (str(twin), twin.args, twin.peer) == (str(condition), condition.args, condition.peer)


@pytest.mark.parametrize("copier", COPIERS, ids=COPIERS_ID)
def test_copy_of_an_app_error_says_what_its_cause_said(copier):
    condition = TcpAppError("read_cb", ignore)
    condition.__cause__ = KeyError("missing")
    twin = copier(copier(condition))
    assert str(twin) == str(condition) == "read_cb helpers.ignore raised KeyError: 'missing'"


@pytest.mark.parametrize("copier", COPIERS, ids=COPIERS_ID)
@pytest.mark.parametrize("condition", ABOUT_SOCKETS, ids=name_of_class)
def test_copy_has_no_socket(condition, copier):
    assert copier(condition).socket is None


@pytest.mark.parametrize("copier", COPIERS, ids=COPIERS_ID)
@pytest.mark.parametrize("condition", ERRORS, ids=name_of_class)
def test_copy_of_an_error_keeps_its_number_and_text(condition, copier):
    twin = copier(condition)
    assert (twin.errcode, twin.errmsg) == (condition.errcode, condition.errmsg)
    assert (twin.errno, twin.strerror) == (condition.errno, condition.strerror)


@pytest.mark.parametrize("copier", COPIERS, ids=COPIERS_ID)
def test_copy_of_an_accept_error_has_neither_listener_nor_server(copier):
    twin = copier(TcpAcceptError(errno.EMFILE, "too many open files", Handle(), Handle()))
    assert (twin.listener, twin.server) == (None, None)


@pytest.mark.parametrize("copier", COPIERS, ids=COPIERS_ID)
def test_copy_of_a_bind_error_keeps_address_and_port(copier):
    twin = copier(TcpServerBindError(errno.EACCES, "permission denied", "::1", 80))
    assert (twin.address, twin.port) == ("::1", 80)


@pytest.mark.parametrize("copier", COPIERS, ids=COPIERS_ID)
def test_copy_of_a_dns_error_keeps_its_host(copier):
    assert copier(DnsError(socket.EAI_AGAIN, "try again", "host.invalid")).host == "host.invalid"


@pytest.mark.parametrize("copier", COPIERS, ids=COPIERS_ID)
def test_copy_of_an_event_loop_error_keeps_its_message(copier):
    assert str(copier(EventLoopError("no loop"))) == "no loop"


class AppError(TcpError):
    """A condition of an app, with a constructor of its own."""

    def __init__(self, request):
        super().__init__(errno.EPROTO, "bad request", Handle())
        self.request = request


@pytest.mark.parametrize("copier", COPIERS, ids=COPIERS_ID)
def test_copy_of_an_apps_own_class_keeps_its_attributes(copier):
    twin = copier(AppError("GET /"))
    assert (twin.request, twin.errcode, twin.socket) == ("GET /", errno.EPROTO, None)


def test_copying_leaves_the_originals_socket_in_place():
    handle = Handle()
    condition = TcpReset(errno.ECONNRESET, "connection reset by peer", handle)
    copy.copy(condition)
    assert condition.socket is handle


def test_copy_keeps_notes():
    condition = TcpEof(Handle())
    condition.add_note("while reading the header")
    assert copy.copy(condition).__notes__ == ["while reading the header"]


@pytest.mark.parametrize(
    ("errcode", "cls"),
    [
        (errno.ETIMEDOUT, TcpTimeout),
        (errno.ECONNREFUSED, TcpRefused),
        (errno.ECONNRESET, TcpReset),
        (errno.ECONNABORTED, TcpAborted),
        (errno.EPIPE, TcpBrokenPipe),
        (errno.ESHUTDOWN, TcpBrokenPipe),
        (errno.EHOSTUNREACH, TcpError),
    ],
    ids=lambda value: errno.errorcode[value] if isinstance(value, int) else value.__name__,
)
def test_errno_becomes_its_class(errcode, cls):
    assert type(condition_from_errno(errcode, os.strerror(errcode))) is cls


@pytest.mark.parametrize("errcode", [errno.ETIMEDOUT, errno.ESHUTDOWN, 4711, 0, -1])
def test_condition_from_errno_keeps_the_number_intact(errcode):
    assert condition_from_errno(errcode, "some text").errno == errcode


def test_unknown_errno_becomes_a_plain_tcp_error_with_its_text():
    condition = condition_from_errno(4711, "unknown error 4711")
    assert (type(condition), condition.errmsg) == (TcpError, "unknown error 4711")


def test_condition_from_errno_carries_socket_and_peer():
    handle = Handle()
    condition = condition_from_errno(errno.ECONNRESET, "connection reset by peer", handle, "[::1]:80")
    assert condition.socket is handle
    assert condition.peer == "[::1]:80"


def test_accessors_of_an_error_give_its_number_and_text():
    condition = TcpReset(errno.ECONNRESET, "connection reset by peer")
    assert event_errcode(condition) == errno.ECONNRESET
    assert event_errmsg(condition) == "connection reset by peer"


@pytest.mark.parametrize(
    "make",
    [TcpEof, lambda handle: TcpError(5, "io", handle), lambda handle: DnsError(-2, "no", "a", handle)],
    ids=["eof", "error", "dns"],
)
def test_tcp_socket_gives_the_socket(make):
    handle = Handle()
    assert tcp_socket(make(handle)) is handle


def test_accessors_of_an_accept_error_give_listener_and_server():
    listener, server = Handle(), Handle()
    condition = TcpAcceptError(errno.EMFILE, "too many open files", listener, server)
    assert tcp_accept_error_listener(condition) is listener
    assert tcp_accept_error_server(condition) is server


def test_accept_error_concerns_no_socket():
    assert tcp_socket(TcpAcceptError(errno.EMFILE, "too many open files", Handle(), Handle())) is None


def test_repr_of_a_condition_tells_its_peer(peers):
    told = []

    def start():
        tcp_connect(LOOPBACK, port, None, told.append)

    port = peers.free_port()
    run(start)
    assert repr(told[0]).startswith("TcpRefused(111, ")
    assert repr(told[0]).endswith(f", peer='127.0.0.1:{port}')")


def test_repr_of_a_condition_without_a_peer_is_an_exceptions():
    assert repr(TcpEof()) == "TcpEof()"
    eof = TcpEof()
    eof.peer = "127.0.0.1:80"
    assert repr(eof) == "TcpEof(peer='127.0.0.1:80')"
