"""Section 1 of docs/contract.md: dns_lookup and reverse_dns_lookup."""

import socket

import pytest

import asynctcp
from asynctcp import DnsError, dns_lookup, reverse_dns_lookup


def ask(lookup, *arguments, **keywords):
    """Run a loop for one lookup; return the arguments of its callback, or its condition."""
    got = []

    def start():
        asynctcp.delay(asynctcp.exit_event_loop, 8).unref()
        lookup(*arguments, lambda *answer: got.append(answer), event_cb=got.append, **keywords)
        assert got == []

    asynctcp.start_event_loop(start)
    assert len(got) == 1
    return got[0]


def test_name_gives_an_address_and_its_family():
    assert ask(dns_lookup, "localhost", family=socket.AF_INET) == ("127.0.0.1", socket.AF_INET)


def test_either_family_is_fine_by_default():
    address, family = ask(dns_lookup, "localhost")
    assert socket.inet_pton(family, address)


@pytest.mark.parametrize(("literal", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_literal_is_its_own_answer(literal, family):
    assert ask(dns_lookup, literal) == (literal, family)


def test_unknown_name_is_a_dns_error_with_its_code_and_host():
    condition = ask(dns_lookup, "no-such-host.invalid")
    assert type(condition) is DnsError
    assert condition.host == "no-such-host.invalid"
    assert condition.errcode in (socket.EAI_NONAME, socket.EAI_AGAIN, socket.EAI_NODATA)


def test_literal_of_the_other_family_is_a_dns_error():
    assert type(ask(dns_lookup, "127.0.0.1", family=socket.AF_INET6)) is DnsError


def test_address_gives_its_name_and_service():
    host, service = ask(reverse_dns_lookup, "127.0.0.1", port=80)
    assert (host, service) == socket.getnameinfo(("127.0.0.1", 80), 0)


def test_address_without_a_name_is_a_dns_error():
    assert type(ask(reverse_dns_lookup, "192.0.2.1")) is DnsError


def test_lookup_is_counted_from_its_call_until_its_callback():
    counted = []

    def count(*_):
        counted.append(asynctcp.stats()["open_dns_queries"])

    def start():
        dns_lookup("localhost", count)
        count()

    asynctcp.start_event_loop(start)
    assert counted == [1, 0]


def test_exit_drops_an_open_lookup():
    asynctcp.start_event_loop(
        lambda: (dns_lookup("localhost", lambda *_: pytest.fail("it ran")), asynctcp.exit_event_loop())
    )


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: dns_lookup("", print), ValueError),
        (lambda: dns_lookup("a b", print), ValueError),
        (lambda: dns_lookup(1, print), TypeError),
        (lambda: dns_lookup("localhost", 1), TypeError),
        (lambda: dns_lookup("localhost", print, family=99), ValueError),
        (lambda: dns_lookup("localhost", print, family="x"), TypeError),
        (lambda: reverse_dns_lookup("localhost", print), ValueError),
        (lambda: reverse_dns_lookup("127.0.0.1", print, port=65536), ValueError),
    ],
)
def test_bad_argument_raises_at_the_call(call, error):
    def start():
        with pytest.raises(error):
            call()

    asynctcp.start_event_loop(start)


def test_without_a_loop_it_is_an_error():
    with pytest.raises(asynctcp.EventLoopError):
        dns_lookup("localhost", print)
