"""What an attempt that failed tells: every address, the most telling class."""

from __future__ import annotations

import errno
import socket

import pytest

from asynctcp import DnsError, TcpError, TcpRefused, TcpTimeout, tcp_connect
from helpers import LOOPBACK, run


def failed(host, port, **keywords):
    told = []
    run(lambda: tcp_connect(host, port, None, told.append, **keywords))
    assert len(told) == 1
    return told[0]


def test_attempts_name_the_address_the_number_and_the_text(peers):
    port = peers.free_port()
    condition = failed(LOOPBACK, port)
    assert isinstance(condition, TcpRefused)
    ((address, number, text),) = condition.attempts
    assert (address, number) == ((LOOPBACK, port), errno.ECONNREFUSED)
    assert isinstance(text, str)
    assert text


def test_attempts_of_a_name_have_all_of_its_addresses(peers):
    port = peers.free_port()
    condition = failed("localhost", port)
    addresses = {address for address, *_ in condition.attempts}
    wanted = {info[4] for info in socket.getaddrinfo("localhost", port, type=socket.SOCK_STREAM)}
    assert addresses == wanted
    assert isinstance(condition.attempts, tuple)


def test_attempts_have_the_form_of_getpeername_for_ipv6(peers):
    condition = failed("::1", peers.free_port())
    ((address, *_),) = condition.attempts
    assert len(address) == 4


def test_timeout_of_the_attempt_is_tcp_timeout_with_the_addresses_tried(peers):
    address = peers.black_hole()
    condition = failed(*address, read_timeout=0.2)
    assert isinstance(condition, TcpTimeout)
    assert [tried[0] for tried in condition.attempts] == [address]
    assert all(isinstance(tried[1], int) for tried in condition.attempts)


def test_refused_is_more_telling_than_what_the_system_says_of_another_family(peers):
    """One of the two families is not tried from an address of the other."""
    condition = failed("localhost", peers.free_port(), local_address=(LOOPBACK, 0))
    assert isinstance(condition, TcpRefused)


def test_condition_with_attempts_can_be_copied(peers):
    import pickle

    condition = failed(LOOPBACK, peers.free_port())
    assert pickle.loads(pickle.dumps(condition)).attempts == condition.attempts


def test_name_that_does_not_exist_has_no_attempts():
    condition = failed("no-such-host.invalid", 9)
    assert isinstance(condition, DnsError)
    assert getattr(condition, "attempts", ()) == ()


def test_text_of_the_condition_names_the_addresses(peers):
    port = peers.free_port()
    assert f"{port}" in str(failed("localhost", port))


@pytest.mark.parametrize("host", ["localhost", LOOPBACK])
def test_condition_of_an_attempt_is_an_oserror(host, peers):
    condition = failed(host, peers.free_port())
    assert isinstance(condition, (TcpError, ConnectionRefusedError))
    assert condition.errno == errno.ECONNREFUSED


def test_local_address_with_port_0_shares_ports_between_peers():
    """IP_BIND_ADDRESS_NO_PORT: two connections to two peers may have one port."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        seen = []
        option = getattr(socket, "IP_BIND_ADDRESS_NO_PORT", 24)

        def connect(ours):
            seen.append(ours.c.getsockopt(socket.IPPROTO_IP, option))
            ours.close()

        run(
            lambda: tcp_connect(
                *listener.getsockname(), None, local_address=("127.0.0.2", 0), connect_cb=connect
            )
        )
    assert seen == [1]
