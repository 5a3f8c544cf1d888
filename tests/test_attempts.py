"""What a connection attempt that fails tells of each address, and who is connected to at all."""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import signal
import socket
import ssl
import subprocess
import sys
import time

import pytest

import asynctcp
from asynctcp import delay, tcp_connect
from helpers import DEADLINE, LOOPBACK, ignore, run, wait_until


def attempt(log, host, port, **options):
    """Connect, which fails; the condition."""
    run(lambda: tcp_connect(host, port, None, log.event, **options))
    (condition,) = log.conditions
    return condition


def test_refused_attempt_tells_its_address_errno_and_text(peers, log):
    port = peers.free_port()
    condition = attempt(log, LOOPBACK, port)
    assert condition.attempts == (((LOOPBACK, port), errno.ECONNREFUSED, "connection refused"),)


def test_attempt_at_ipv6_tells_the_address_as_getpeername_does(log):
    with socket.socket(socket.AF_INET6) as bound:
        bound.bind(("::1", 0))
        address = bound.getsockname()
        condition = attempt(log, *address[:2])
    assert condition.attempts == ((address, errno.ECONNREFUSED, "connection refused"),)


def test_late_attempt_tells_the_address_that_did_not_answer(peers, log):
    hole = peers.black_hole()
    condition = attempt(log, *hole, read_timeout=0.05)
    assert isinstance(condition, asynctcp.TcpTimeout)
    assert "connection timeout" in condition.errmsg
    assert condition.attempts == ((hole, errno.ETIMEDOUT, "connection timed out"),)


def test_senseless_attempt_tells_its_errno(peers, log):
    condition = attempt(log, "::1", peers.free_port(), local_address=(LOOPBACK, 0))
    ((address, code, text),) = condition.attempts
    assert (address[0], condition.errcode, condition.errmsg) == ("::1", code, text)


def test_attempts_are_kept_by_a_copy(peers, log):
    condition = attempt(log, LOOPBACK, peers.free_port())
    assert pickle.loads(pickle.dumps(condition)).attempts == condition.attempts != ()


def test_attempts_are_none_where_the_name_is_not_found(log):
    assert attempt(log, "no-such-name.invalid", 80).attempts == ()
    assert log.told == ["DnsError"]


def test_attempts_are_shown_where_there_were_several():
    condition = asynctcp.TcpRefused(errno.ECONNREFUSED, "connection refused")
    condition.attempts = (
        (("::1", 80, 0, 0), errno.ENETUNREACH, "network unreachable"),
        ((LOOPBACK, 80), errno.ECONNREFUSED, "connection refused"),
    )
    assert str(condition).endswith(": ::1: network unreachable; 127.0.0.1: connection refused")


# --- family -------------------------------------------------------------------------------------------------


def test_family_of_a_name_chooses_its_addresses(peers):
    told = []

    def connected(ours):
        told.append(ours.peername)
        ours.close()

    port = peers.address[1]
    run(lambda: tcp_connect("localhost", port, None, connect_cb=connected, family=socket.AF_INET))
    assert told == [peers.address]


@pytest.mark.parametrize(("host", "family"), [(LOOPBACK, socket.AF_INET6), ("::1", socket.AF_INET)])
def test_family_that_is_not_the_address_s_is_a_dns_error(host, family, log):
    condition = attempt(log, host, 80, family=family)
    assert isinstance(condition, asynctcp.DnsError)
    assert condition.host == host


def test_family_of_an_unconnected_socket_holds_when_it_connects(log):
    def start():
        ours = asynctcp.init_tcp_socket(None, log.event, family=socket.AF_INET6)
        asynctcp.connect_tcp_socket(ours, LOOPBACK, 80)

    run(start)
    assert log.told == ["DnsError"]


def test_family_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="family"):
        run(lambda: tcp_connect(LOOPBACK, 80, None, family=socket.AF_UNIX))


# --- to oneself ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", [LOOPBACK, "0.0.0.0"])
def test_connection_to_itself_is_refused(host, peers, log):
    port = peers.free_port()
    condition = attempt(log, host, port, local_address=(LOOPBACK, port))
    assert isinstance(condition, asynctcp.TcpRefused)


# --- the clock ----------------------------------------------------------------------------------------------

#: Connects with the timeout that it is given, and says what came.
CLIENT = """
import sys
from asynctcp import *
host, port, seconds = sys.argv[1:]
def told(what):
    print(type(what).__name__, flush=True)
    exit_event_loop()
def start():
    tcp_connect(host, int(port), None, told, connect_cb=told, read_timeout=float(seconds))
    delay(lambda: print("connecting", flush=True), 0.1)  # asked by now
start_event_loop(start)
"""


@pytest.mark.slow
def test_connection_established_while_stopped_goes_before_the_timeout(peers):
    """The queue is full, so the kernel answers when it asks again, a second later; then the client sleeps."""
    hole = peers.black_hole()
    listener = peers._open[0]
    seconds = 1.5
    command = [sys.executable, "-c", CLIENT, hole[0], str(hole[1]), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        try:
            assert client.stdout.readline() == "connecting\n"
            begun = time.monotonic()
            os.kill(client.pid, signal.SIGSTOP)
            # Those that filled the queue, which sent nothing, and then the client.
            listener.settimeout(DEADLINE)
            ours = {raw.getsockname() for raw in peers._open[1:]}
            accepted = {peers.keep(listener.accept()[0]).getpeername()}
            while accepted <= ours:
                accepted.add(peers.keep(listener.accept()[0]).getpeername())
            wait_until(lambda: time.monotonic() > begun + seconds + 0.1)
        finally:
            os.kill(client.pid, signal.SIGCONT)
        assert client.communicate(timeout=DEADLINE)[0] == "Socket\n"


SECURED = CLIENT.replace("tcp_connect(host", f"tcp_connect('{LOOPBACK}'").replace(
    "read_timeout=",
    "tls=TlsConfig.client(ca_data=open(host, 'rb').read(), server_name='localhost'), read_timeout=",
)


@pytest.mark.slow
def test_handshake_that_ended_while_stopped_goes_before_the_timeout(ca, tmp_path):
    trusted = tmp_path / "ca.pem"
    trusted.write_bytes(ca.pem)
    with socket.create_server((LOOPBACK, 0)) as listener:
        listener.settimeout(DEADLINE)
        command = [sys.executable, "-c", SECURED, str(trusted), str(listener.getsockname()[1]), "1.5"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
            raw = listener.accept()[0]
            raw.settimeout(DEADLINE)
            # Its hello is there: it waits for the answer.
            raw.recv(1, socket.MSG_PEEK)
            try:
                os.kill(client.pid, signal.SIGSTOP)
                begun = time.monotonic()
                incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
                session = ca.server_context().wrap_bio(incoming, outgoing, server_side=True)
                incoming.write(raw.recv(1 << 16))
                with contextlib.suppress(ssl.SSLWantReadError):
                    session.do_handshake()
                raw.sendall(outgoing.read())
                wait_until(lambda: time.monotonic() > begun + 1.6)
            finally:
                os.kill(client.pid, signal.SIGCONT)
            with raw:
                assert client.communicate(timeout=DEADLINE)[0].split()[-1] == "Socket"


def test_timeout_bounds_the_attempt_with_its_handshake(peers, log, ca):
    """The kernel connects a second late, as the queue was full, and the peer says nothing then."""

    def start():
        begun.append(time.monotonic())
        tcp_connect(*hole, None, log.event, tls=ca.client(), read_timeout=1.5)
        delay(empty_the_queue, 0.3)

    def empty_the_queue():
        listener.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                peers.keep(listener.accept()[0])

    begun = []
    hole = peers.black_hole()
    listener = peers._open[0]
    run(start)
    (condition,) = log.conditions
    assert isinstance(condition, asynctcp.TcpTimeout)
    assert "TLS handshake" in condition.errmsg
    assert time.monotonic() < begun[0] + 2.3


def test_close_by_force_ends_an_attempt_that_is_late(peers):
    def start():
        ours = tcp_connect(*peers.black_hole(), None, ignore, read_timeout=DEADLINE)
        asynctcp.delay(lambda: ours.close(force=True), 0.01)

    begun = time.monotonic()
    run(start)
    assert time.monotonic() - begun < DEADLINE / 2
