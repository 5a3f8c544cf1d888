"""`ssl=TlsConfig`: why a handshake fails, and how a session ends that does not end as it should."""

from __future__ import annotations

import copy
import pickle
import ssl

import pytest

from asynctcp import TlsError
from asynctcp.aio import _tls_errors
from certificates import authority
from loops import run, turn, until
from secured import Link, refused, serving, worlds


@pytest.fixture
def world():
    """Our loop, with `TlsConfig`."""
    yield from worlds("asynctcp-config")


@pytest.fixture
def loop(world):
    return world.loop


@pytest.mark.parametrize(
    "kind", [_tls_errors.TlsSslError, _tls_errors.TlsSslCertificateError, _tls_errors.TlsReset]
)
def test_errors_are_copied(kind):
    error = kind(71, "words", None, "reason", "alert")
    for made in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(made) is kind
        assert (made.errno, made.strerror, made.reason, made.alert) == (71, "words", "reason", "alert")


def test_both_ends_are_told_why_a_handshake_failed(loop, ca):
    """Nothing in common: the server says so by an alert, which the client's error names."""
    told = []

    async def main():
        loop.set_debug(True)
        loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
        server, address = await serving(ca.server(alpn=["one"]))
        error = await refused(address, ca.client(alpn=["two"]))
        await until(lambda: told)
        server.close()
        return error

    error = run(loop, main())
    assert isinstance(error, TlsError)
    assert isinstance(error, ssl.SSLError)
    assert (error.reason, error.alert) == ("no-application-protocol", "no_application_protocol")
    assert (told[0].reason, told[0].alert) == ("no-application-protocol", "no_application_protocol")


def test_alert_of_pythons_server_is_told(loop, ca):
    context = ca.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    async def main():
        server, address = await serving(context)
        error = await refused(address, ca.client())
        server.close()
        return error

    error = run(loop, main())
    assert error.alert == "handshake_failure"


def test_pythons_client_is_told_by_an_alert(loop, ca):
    context = ca.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    async def main():
        server, address = await serving(ca.server(min_version="1.3"))
        error = await refused(address, context)
        server.close()
        return error

    assert run(loop, main()).reason == "TLSV1_ALERT_PROTOCOL_VERSION"


@pytest.mark.parametrize(
    ("hello", "reason"),
    [
        (b"GET / HTTP/1.0\r\n\r\n", "not-tls"),
        (b"\x16\x03\x01\x00\x40\x01\x00\x00\x3c\x03\x01", "protocol-version"),
    ],
)
def test_what_is_no_tls_is_told_apart(world, hello, reason):
    link = Link(world, server_side=True)
    link.peer.raw.send(hello)
    link.until(link.attempt.done)
    assert link.attempt.exception().reason == reason
    if reason == "protocol-version":
        link.until(lambda: link.peer.move() or link.peer.incoming.pending)
        assert link.peer.incoming.read() == b"\x15\x03\x03\x00\x02\x02\x46"
    link.close()


def test_configs_handshake_timeout_holds_where_none_is_given(world):
    config = authority().client(handshake_timeout=0.05)
    link = Link(world, ssl=config)
    link.until(link.attempt.done)
    error = link.attempt.exception()
    assert isinstance(error, TlsError)
    assert isinstance(error, ConnectionAbortedError)
    assert error.reason == "handshake-timeout"
    assert "longer than 0.05 seconds" in str(error)
    link.close()


def test_handshake_without_a_timeout(world):
    link = Link.open(world, ssl=authority().client(handshake_timeout=None))
    assert link.transport._handshake_limit is None
    link.close()


def test_end_in_the_handshake_is_told_as_both_say_it(world):
    link = Link(world)
    link.peer.end()
    link.until(link.attempt.done)
    error = link.attempt.exception()
    assert isinstance(error, TlsError)
    assert isinstance(error, ConnectionResetError)
    assert error.reason == "truncated"
    link.close()


def test_end_without_close_notify_is_told_as_truncated(world):
    link = Link.open(world)
    link.peer.write(b"part")
    link.peer.end()
    assert link.lost() == ["made", "data", ("lost", "TlsReset")]
    assert link.protocol.error.reason == "truncated"
    assert world.told == []
    link.close()


def test_end_without_close_notify_is_an_end_where_that_is_allowed(world):
    link = Link.open(world, ssl=authority().client(allow_truncation=True))
    link.peer.end()
    assert link.lost() == ["made", "eof", ("lost", None)]
    link.close()


@pytest.mark.parametrize("allowed", [False, True])
def test_end_without_close_notify_is_what_the_config_of_the_name_says(world, allowed):
    named = authority().server(allow_truncation=allowed)
    config = authority().server(allow_truncation=not allowed, names={"localhost": named})
    link = Link.open(world, server_side=True, ssl=config)
    link.peer.end()
    assert link.lost()[-1] == ("lost", None if allowed else "TlsReset")
    link.close()


def test_end_without_close_notify_is_none_of_ours_that_we_had_begun(world):
    link = Link.open(world)
    link.transport.close()
    link.until(link.peer.read)
    link.peer.end()
    assert link.lost()[-1] == ("lost", None)
    link.close()


def test_what_comes_after_the_end_began_is_dropped(world):
    """TLS 1.3 has two ends: the peer may still be sending."""
    link = Link.open(world)
    link.transport.close()
    for _ in range(10):
        link.peer.write(b"x" * 100_000)
        turn(world.loop)
    link.until(link.peer.read)
    link.until(link.peer.unwrap)
    assert link.lost()[-1] == ("lost", None)
    assert link.protocol.data == b""
    link.close()


def test_record_of_a_stranger_ends_the_connection_with_an_alert(world):
    link = Link.open(world)
    link.peer.raw.send(b"\x17\x03\x03\x00\x20" + b"garbage!" * 4)
    link.lost()
    assert (link.protocol.error.reason, link.protocol.error.alert) == ("bad-record", "bad_record_mac")
    with pytest.raises(ssl.SSLError, match=r"(?i)bad.record.mac"):
        link.until(link.peer.read)
    link.close()


def test_record_of_a_stranger_as_the_end_is_awaited(world):
    link = Link.open(world)
    link.transport.close()
    link.peer.raw.send(b"\x17\x03\x03\x00\x20" + b"garbage!" * 4)
    assert link.lost()[-1] == ("lost", "TlsSslError")
    link.close()
