"""cl-async's ``dns`` tests, and the ``util`` tests of what an address is. All lookups are of loopback."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from asynctcp import DnsError, dns_lookup, reverse_dns_lookup
from helpers import LOOPBACK, fail, run

UNKNOWN = "no-such-host.invalid"


def raise_it(condition):
    """An ``event_cb`` that signals its condition, as cl-async's tests have it."""
    raise condition


def ask(lookup, *arguments, **keywords):
    """Return the one answer of a lookup; raise its condition."""
    got = []
    run(lambda: lookup(*arguments, lambda *answer: got.append(answer), event_cb=raise_it, **keywords))
    assert len(got) == 1
    return got[0]


def ask_or_none(lookup, *arguments, **keywords):
    """What `ask` returns, None for a name or an address that the system does not know."""
    try:
        return ask(lookup, *arguments, **keywords)
    except DnsError:
        return None


def system_name(address):
    """The name that this machine has for ``address`` or None, whoever is asked."""
    try:
        return socket.getnameinfo((address, 0), socket.NI_NAMEREQD)
    except socket.gaierror:
        return None


def system_addresses(name, family):
    """The addresses that this machine has for ``name``."""
    try:
        return {entry[4][0] for entry in socket.getaddrinfo(name, None, family)}
    except socket.gaierror:
        return {None}


def test_localhost_is_looked_up():
    """``dns-simple``."""
    assert ask(dns_lookup, "localhost", family=socket.AF_INET) == (LOOPBACK, socket.AF_INET)


def test_lookups_at_the_same_time_are_all_answered():
    """``dns-multi``."""
    got = {}

    def start():
        for name in ("localhost", "LOCALHOST", "127.0.0.2", "::1"):
            dns_lookup(
                name, lambda address, _family, name=name: got.update({name: address}), event_cb=raise_it
            )

    run(start)
    assert set(got) == {"localhost", "LOCALHOST", "127.0.0.2", "::1"}
    assert all(ipaddress.ip_address(address).is_loopback for address in got.values())


def test_ipv4_family_gives_an_ipv4_address():
    """``dns-lookup-ipv4``."""
    address, family = ask(dns_lookup, "localhost", family=socket.AF_INET)
    assert ipaddress.ip_address(address).version == 4
    assert family == socket.AF_INET


def test_ipv6_family_gives_an_ipv6_address_where_the_system_has_one():
    """``dns-lookup-ipv6``, which cl-async lets fail where there is no IPv6; here that is a `DnsError`."""
    address, family = ask_or_none(dns_lookup, "localhost", family=socket.AF_INET6) or (None, socket.AF_INET6)
    assert address in system_addresses("localhost", socket.AF_INET6)
    assert family == socket.AF_INET6


def test_unknown_name_tells_its_event_cb_once():
    """``dns-fail``: the condition that the ``event_cb`` raises comes out of the loop."""
    told = []

    def event(condition):
        told.append(condition)
        raise condition

    with pytest.raises(DnsError) as raised:
        run(lambda: dns_lookup(UNKNOWN, fail, event_cb=event))
    assert told == [raised.value]


def test_host_with_spaces_is_refused_at_the_call():
    """``dns-fail``, where asynctcp differs: what cannot be a name is not looked up, and is no condition."""

    def start():
        with pytest.raises(ValueError, match="not so much a name"):
            dns_lookup("not so much a name", fail, event_cb=fail)

    run(start)


@pytest.mark.parametrize(
    "address",
    [
        pytest.param(LOOPBACK, id="reverse-dns-lookup-ipv4"),
        pytest.param("::1", id="reverse-dns-lookup-ipv6"),
    ],
)
def test_address_gives_its_name_where_the_system_has_one(address):
    """``reverse-dns-lookup-ipv4`` and ``-ipv6``; an address without a name is a `DnsError`."""
    assert ask_or_none(reverse_dns_lookup, address) == system_name(address)


@pytest.mark.parametrize("text", ["127.0.0.1", "10.20.30.40", "203.0.113.255", "0.0.0.0"])
def test_ipv4_address_is_known_as_one(text):
    """``ipv4-address``, addresses: one is its own answer."""
    assert ask(dns_lookup, text) == (text, socket.AF_INET)


@pytest.mark.parametrize(
    "text", ["hello", "it is me", "127.0.9.", "90.90.90.256", "", "9.8.7.6.5", "1.2.3", "127.1", "0x7f000001"]
)
def test_what_is_no_ipv4_address_is_refused_as_one(text):
    """``ipv4-address``, others."""

    def start():
        with pytest.raises(ValueError, match="address"):
            reverse_dns_lookup(text, fail, event_cb=fail)

    run(start)


@pytest.mark.parametrize(
    "text",
    [
        "2001:0db8:0000:0000:0123:4567:89ab:cdef",
        "2001:db8:0:0:123:4567:89ab:cdef",
        "2001:db8::123:4567:89ab:cdef",
        "::1",
        "2001:db8::",
        "::",
        "::ffff:192.0.2.1",
    ],
)
def test_ipv6_address_is_known_as_one(text):
    """``ipv6-address``, addresses. The form with an IPv4 address at its end, which cl-async lacks, is one."""
    address, family = ask(dns_lookup, text)
    assert ipaddress.ip_address(address) == ipaddress.ip_address(text)
    assert family == socket.AF_INET6


@pytest.mark.parametrize(
    "text",
    [
        "hello::",
        "a::b:cdefg:h::",
        "robot.robot",
        "g001::",
        "2001:0db8:0000:0000:01234:4567:89ab:cdef",
        "2:00:0000:0000:0000:0123:4567:89ab:cdef",
    ],
)
def test_what_is_no_ipv6_address_is_refused_as_one(text):
    """``ipv6-address``, others."""

    def start():
        with pytest.raises(ValueError, match="address"):
            reverse_dns_lookup(text, fail, event_cb=fail)

    run(start)
