"""Datagram transports: on asyncio's loop, which says what is right, and on ours."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import os
import socket
import sys
import warnings

import pytest

import asynctcp.aio
from helpers import DEADLINE, LOOPBACK, Oops
from loops import LOOPS, run, turn, turn_until

#: CPython 3.13 sends empty datagrams, and counts 8 bytes for each that waits.
NEW = sys.version_info >= (3, 13)
KINDS = ["udp", "udp6", "unix"]


class Recorder(asyncio.DatagramProtocol):
    """Notes what it is told."""

    def __init__(self):
        self.told, self.got, self.errors = [], [], []
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport
        self.told.append("made")

    def datagram_received(self, data, addr):
        self.got.append((data, addr))

    def error_received(self, exc):
        self.errors.append(exc)

    def pause_writing(self):
        self.told.append("pause")

    def resume_writing(self):
        self.told.append("resume")

    def connection_lost(self, exc):
        self.told.append(("lost", type(exc).__name__ if exc else None))


@pytest.fixture(params=LOOPS)
def loop(request):
    loop = LOOPS[request.param]()
    loop.caught = []
    loop.set_exception_handler(lambda _, context: loop.caught.append(context))
    yield loop
    with contextlib.suppress(RuntimeError):
        turn(loop)
    loop.close()


@pytest.fixture
def ours():
    """Our loop alone, for what asyncio's does otherwise."""
    loop = asynctcp.aio.new_event_loop()
    loop.caught = []
    loop.set_exception_handler(lambda _, context: loop.caught.append(context))
    yield loop
    turn(loop)
    loop.close()


@pytest.fixture
def endpoint(loop):
    """Makes endpoints of that loop, which are closed at the end."""
    yield from endpoints(loop)


@pytest.fixture
def own_endpoint(ours):
    yield from endpoints(ours)


def endpoints(loop):
    made = []

    def make(protocol=None, **keywords):
        protocol = protocol or Recorder()
        if not keywords:
            keywords = {"local_addr": (LOOPBACK, 0)}
        transport, _ = run(loop, loop.create_datagram_endpoint(lambda: protocol, **keywords))
        made.append(transport)
        return transport, protocol

    yield make
    for transport in made:
        if not transport.is_closing():
            transport.abort()
    turn(loop)


@pytest.fixture
def peer():
    """A plain socket."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as raw:
        raw.bind((LOOPBACK, 0))
        raw.settimeout(DEADLINE)
        yield raw


@pytest.fixture(params=KINDS)
def place(request, tmp_path):
    """Keywords of an endpoint, and a plain socket of the same family."""
    if request.param == "unix":
        raw = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        raw.bind(str(tmp_path / "peer"))
        keywords = {"family": socket.AF_UNIX, "local_addr": str(tmp_path / "ours")}
    else:
        family, host = (socket.AF_INET, LOOPBACK) if request.param == "udp" else (socket.AF_INET6, "::1")
        raw = socket.socket(family, socket.SOCK_DGRAM)
        raw.bind((host, 0))
        keywords = {"local_addr": (host, 0)}
    raw.settimeout(DEADLINE)
    yield keywords, raw
    raw.close()


def address(transport):
    return transport.get_extra_info("sockname")


# Both ways.


def test_datagram_comes_with_the_address_of_its_sender_and_can_be_answered(loop, endpoint, place):
    keywords, raw = place
    transport, protocol = endpoint(**keywords)
    raw.sendto(b"hello", address(transport))
    turn_until(loop, lambda: protocol.got)
    ((data, sender),) = protocol.got
    assert data == b"hello"
    assert sender == raw.getsockname()
    transport.sendto(b"answer", sender)
    assert raw.recvfrom(100) == (b"answer", address(transport))


def test_connected_endpoint_needs_no_address(loop, endpoint, place):
    keywords, raw = place
    transport, protocol = endpoint(
        **keywords,
        remote_addr=raw.getsockname()[:2] if isinstance(raw.getsockname(), tuple) else raw.getsockname(),
    )
    transport.sendto(b"one")
    transport.sendto(b"two", None)
    transport.sendto(b"three", transport.get_extra_info("peername"))
    assert [raw.recv(100) for _ in range(3)] == [b"one", b"two", b"three"]
    raw.sendto(b"back", address(transport))
    turn_until(loop, lambda: protocol.got)
    assert protocol.got == [(b"back", raw.getsockname())]


def test_connected_endpoint_refuses_another_address(endpoint, peer):
    transport, _ = endpoint(remote_addr=peer.getsockname())
    with pytest.raises(ValueError, match=r"Invalid address: must be None or \('127.0.0.1', \d+\)"):
        transport.sendto(b"x", ("127.0.0.1", 1))


def test_sender_without_a_name_has_none(loop, endpoint, tmp_path):
    transport, protocol = endpoint(family=socket.AF_UNIX, local_addr=str(tmp_path / "ours"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as raw:
        raw.sendto(b"x", address(transport))
        turn_until(loop, lambda: protocol.got)
    assert protocol.got == [(b"x", None)]


def test_name_in_no_file_system_is_bytes_both_ways(loop, endpoint):
    name = f"\0asynctcp {os.getpid()} {id(endpoint)}"
    transport, protocol = endpoint(family=socket.AF_UNIX, local_addr=name)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as raw:
        raw.bind(f"{name} peer")
        raw.settimeout(DEADLINE)
        raw.sendto(b"x", name)
        turn_until(loop, lambda: protocol.got)
        assert protocol.got == [(b"x", f"{name} peer".encode())]
        transport.sendto(b"y", protocol.got[0][1])
        assert raw.recv(9) == b"y"


def test_large_datagrams_are_whole(loop, endpoint, place):
    keywords, raw = place
    size = 150_000 if raw.family == socket.AF_UNIX else 65_000
    transport, protocol = endpoint(**keywords)
    raw.sendto(bytes(size), address(transport))
    turn_until(loop, lambda: protocol.got)
    transport.sendto(b"x" * size, protocol.got[0][1])
    assert len(protocol.got[0][0]) == size
    assert raw.recv(1 << 20) == b"x" * size


def test_many_datagrams_come_in_order(loop, endpoint, peer):
    transport, protocol = endpoint()
    for number in range(100):
        peer.sendto(b"%d" % number, address(transport))
    turn_until(loop, lambda: len(protocol.got) == 100)
    assert [data for data, _ in protocol.got] == [b"%d" % number for number in range(100)]


def test_many_are_sent_in_order_to_their_addresses(loop, endpoint, peer):
    transport, _ = endpoint()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((LOOPBACK, 0))
        other.settimeout(DEADLINE)

        def send():
            for number in range(100):
                raw = other if number % 3 else peer
                transport.sendto(b"%d" % number, raw.getsockname())

        loop.call_soon(send)
        turn(loop)
        assert [peer.recv(9) for _ in range(34)] == [b"%d" % number for number in range(0, 100, 3)]
        assert [other.recv(9) for _ in range(66)] == [b"%d" % number for number in range(100) if number % 3]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_bytes_are_sent_as_they_were_then(loop, endpoint, peer, kind):
    transport, _ = endpoint()
    data = kind(b"abc")

    def send():
        transport.sendto(data, peer.getsockname())
        if isinstance(data, bytearray):
            data[:] = b"xyz"

    loop.call_soon(send)
    turn(loop)
    assert peer.recv(9) == b"abc"


@pytest.mark.parametrize("data", ["text", None, 7])
def test_what_is_no_bytes_is_refused(endpoint, data):
    transport, _ = endpoint()
    name = type(data).__name__
    with pytest.raises(TypeError, match=f"data argument must be a bytes-like object, not '{name}'"):
        transport.sendto(data, (LOOPBACK, 9))


def test_empty_datagram_is_sent_where_asyncio_sends_it(loop, endpoint, peer):
    transport, protocol = endpoint()
    transport.sendto(b"", peer.getsockname())
    transport.sendto(b"x", peer.getsockname())
    assert peer.recv(9) == (b"" if NEW else b"x")
    peer.sendto(b"", address(transport))
    turn_until(loop, lambda: protocol.got)
    assert protocol.got == [(b"", peer.getsockname())]


def test_names_and_odd_addresses_are_read_as_sockets_read_them(endpoint, peer):
    transport, _ = endpoint()
    port = peer.getsockname()[1]
    for host in ("localhost", "127.1", "127.0.0.1"):
        transport.sendto(host.encode(), (host, port))
        assert peer.recv(99) == host.encode()


def test_scope_and_flow_of_ipv6_addresses(loop, endpoint):
    transport, protocol = endpoint(local_addr=("::1", 0))
    transport.sendto(b"x", (*address(transport)[:2], 0, 0))
    transport.sendto(b"y", (*address(transport)[:2], 5))
    transport.sendto(b"z", address(transport)[:2])
    turn_until(loop, lambda: len(protocol.got) == 3)
    assert {sender for _, sender in protocol.got} == {address(transport)}


def test_broadcast_to_the_only_address(endpoint, peer):
    transport, _ = endpoint(remote_addr=peer.getsockname(), allow_broadcast=True)
    assert transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST)
    transport.sendto(b"x")
    assert peer.recv(9) == b"x"


def test_port_can_be_shared(endpoint):
    first, _ = endpoint(local_addr=(LOOPBACK, 0), reuse_port=True)
    second, _ = endpoint(local_addr=address(first), reuse_port=True)
    assert address(first) == address(second)


def test_socket_of_the_apps_is_taken(loop, endpoint, peer):
    raw = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    raw.bind((LOOPBACK, 0))
    transport, protocol = endpoint(sock=raw)
    peer.sendto(b"x", raw.getsockname())
    turn_until(loop, lambda: protocol.got)
    transport.close()
    turn(loop)
    assert raw.fileno() == -1


def test_pair_of_unix_sockets_wants_an_address_as_asyncio_does(loop, endpoint):
    """Its peer has no name, so it is taken for one that is not connected."""
    raw, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    transport, protocol = endpoint(sock=raw)
    other.send(b"x")
    turn_until(loop, lambda: protocol.got)
    transport.sendto(b"y")
    turn_until(loop, lambda: protocol.told[-1] == ("lost", "TypeError"))
    assert loop.caught[0]["message"] == "Fatal write error on datagram transport"
    other.close()


# Steps and turns.


def test_what_a_step_sends_leaves_when_it_returns(ours, own_endpoint, peer):
    transport, _ = own_endpoint()
    peer.setblocking(False)
    seen = []

    def send():
        for data in (b"one", b"two"):
            transport.sendto(data, peer.getsockname())
        with contextlib.suppress(BlockingIOError):
            seen.append(peer.recv(9))
        ours.call_soon(lambda: seen.extend(peer.recv(9) for _ in range(2)))

    ours.call_soon(send)
    turn(ours)
    turn(ours)
    assert seen == [b"one", b"two"]


def test_what_a_long_step_sends_leaves_before_it_returns(loop, endpoint, peer):
    transport, _ = endpoint()
    seen = []

    def send():
        transport.sendto(b"one", peer.getsockname())
        transport.sendto(b"two", peer.getsockname())
        seen.extend(peer.recv(9) for _ in range(2))

    loop.call_soon(send)
    turn(loop)
    assert seen == [b"one", b"two"]


def test_error_of_what_a_long_step_sends_is_told_when_it_has_returned(ours, own_endpoint, peer):
    transport, protocol = own_endpoint()
    transport.set_write_buffer_limits(high=1 << 20)
    seen = []

    def send():
        transport.sendto(bytes(70_000), peer.getsockname())
        transport.sendto(b"two", peer.getsockname())
        seen.append(peer.recv(9))
        seen.extend(protocol.errors)

    ours.call_soon(send)
    turn(ours)
    assert seen == [b"two"]
    assert [error.errno for error in protocol.errors] == [90]


def test_what_is_sent_outside_of_the_loop_leaves_at_once(endpoint, peer):
    transport, _ = endpoint()
    transport.sendto(b"x", peer.getsockname())
    assert peer.recv(9) == b"x"


def test_flood_does_not_keep_others_waiting(loop, endpoint, peer):
    """After so many datagrams of one others have their turn."""
    transport, protocol = endpoint()
    other, others = endpoint()
    for _ in range(100):
        peer.sendto(b"x", address(transport))
    peer.sendto(b"y", address(other))
    turn(loop)
    assert others.got
    assert 1 <= len(protocol.got) <= 16


def test_paused_transport_delivers_nothing_until_it_is_resumed(loop, endpoint, peer):
    class Pauses(Recorder):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            self.transport.pause_reading()

    transport, protocol = endpoint(Pauses())
    for number in range(3):
        peer.sendto(b"%d" % number, address(transport))
    for expected in range(1, 4):
        turn_until(loop, lambda expected=expected: len(protocol.got) == expected)
        assert not transport.is_reading()
        for _ in range(3):
            turn(loop)
        assert len(protocol.got) == expected
        transport.resume_reading()
        assert transport.is_reading()
    assert [data for data, _ in protocol.got] == [b"%d" % number for number in range(3)]


def test_pausing_and_resuming_again_does_nothing_and_neither_does_it_after_the_end(loop, endpoint, peer):
    transport, protocol = endpoint()
    transport.pause_reading()
    transport.pause_reading()
    transport.resume_reading()
    transport.resume_reading()
    peer.sendto(b"x", address(transport))
    turn_until(loop, lambda: protocol.got)
    transport.close()
    transport.pause_reading()
    transport.resume_reading()
    assert not transport.is_reading()


def test_closed_in_its_callback_gets_nothing_more(loop, endpoint, peer):
    class Closes(Recorder):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            self.transport.close()

    transport, protocol = endpoint(Closes())
    for _ in range(3):
        peer.sendto(b"x", address(transport))
    turn_until(loop, lambda: protocol.told[-1] == ("lost", None))
    assert len(protocol.got) == 1


def test_protocol_can_be_replaced_between_two_datagrams(loop, endpoint, peer):
    class Replaces(Recorder):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            self.transport.set_protocol(second)

    second = Recorder()
    transport, first = endpoint(Replaces())
    for _ in range(3):
        peer.sendto(b"x", address(transport))
    turn_until(loop, lambda: len(second.got) == 2)
    assert len(first.got) == 1
    assert transport.get_protocol() is second


def test_callbacks_run_in_the_context_in_which_the_endpoint_was_made(loop, peer):
    variable = contextvars.ContextVar("variable", default="outside")
    seen = []

    class Looks(Recorder):
        def datagram_received(self, *_):
            seen.append(variable.get())
            variable.set("changed")

    async def main():
        variable.set("inside")
        transport, _ = await loop.create_datagram_endpoint(Looks, local_addr=(LOOPBACK, 0))
        return transport

    transport = run(loop, main())
    for _ in range(2):
        peer.sendto(b"x", address(transport))
    turn_until(loop, lambda: len(seen) == 2)
    assert seen[0] == "inside"
    assert variable.get() == "outside"
    transport.close()
    turn(loop)


# Errors.


def test_nobody_there_is_told_and_the_transport_goes_on(loop, endpoint):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind((LOOPBACK, 0))
        nobody = gone.getsockname()
    transport, protocol = endpoint(remote_addr=nobody)
    transport.sendto(b"x")
    turn_until(loop, lambda: protocol.errors)
    assert [type(error) for error in protocol.errors] == [ConnectionRefusedError]
    assert not transport.is_closing()


def test_each_refusal_of_a_burst_is_told(loop, endpoint):
    """An error that the kernel keeps is told by the next call, and must not be lost."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind((LOOPBACK, 0))
        nobody = gone.getsockname()
    transport, protocol = endpoint(remote_addr=nobody)

    def send():
        for _ in range(4):
            transport.sendto(b"x")

    loop.call_soon(send)
    turn_until(loop, lambda: len(protocol.errors) == 2)
    assert {error.errno for error in protocol.errors} == {111}


def test_datagram_that_is_too_long_is_told_and_the_others_are_sent(loop, endpoint, peer):
    transport, protocol = endpoint()

    def send():
        for data in (b"one", bytes(70_000), b"two"):
            transport.sendto(data, peer.getsockname())

    loop.call_soon(send)
    turn(loop)
    assert [peer.recv(9) for _ in range(2)] == [b"one", b"two"]
    assert [error.errno for error in protocol.errors] == [90]
    assert not transport.is_closing()


def test_name_that_is_not_found_is_told(endpoint):
    transport, protocol = endpoint()
    transport.sendto(b"x", ("host.invalid", 9))
    assert [type(error) for error in protocol.errors] == [socket.gaierror]


@pytest.mark.parametrize("addr", [None, "text", ("127.0.0.1",), ("127.0.0.1", "80"), ("127.0.0.1", 1, 2)])
def test_address_that_is_none_is_fatal(loop, endpoint, addr):
    transport, protocol = endpoint()
    transport.sendto(b"x", addr)
    turn_until(loop, lambda: protocol.told[-1] == ("lost", "TypeError"))
    (context,) = loop.caught
    assert context["message"] == "Fatal write error on datagram transport"
    assert (context["transport"] is transport, context["protocol"] is protocol) == (True, True)


@pytest.mark.parametrize("addr", [("127.0.0.1", 70_000), ("::1", 9, 1 << 20)])
def test_number_that_is_too_large_is_fatal(loop, endpoint, addr):
    transport, protocol = endpoint(local_addr=(addr[0], 0))
    transport.sendto(b"x", addr)
    turn_until(loop, lambda: protocol.told[-1] == ("lost", "OverflowError"))


def test_exception_of_datagram_received_is_told_and_the_next_datagrams_come(loop, endpoint, peer):
    class Raises(Recorder):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            if data == b"0":
                raise Oops

    transport, protocol = endpoint(Raises())
    for number in range(3):
        peer.sendto(b"%d" % number, address(transport))
    turn_until(loop, lambda: len(protocol.got) == 3)
    (context,) = loop.caught
    assert isinstance(context["exception"], Oops)
    assert context["message"].startswith("Exception in callback ")
    assert isinstance(context["handle"], asyncio.Handle)
    assert not transport.is_closing()


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt])
def test_exception_that_ends_the_program_comes_out(loop, endpoint, peer, end):
    class Ends(Recorder):
        def datagram_received(self, *_):
            raise end

    transport, _ = endpoint(Ends())
    peer.sendto(b"x", address(transport))
    with pytest.raises(end):
        turn_until(loop, lambda: False)


def test_exception_of_error_received_is_told(ours, own_endpoint):
    class Raises(Recorder):
        def error_received(self, _exc):
            raise Oops

    transport, _ = own_endpoint(Raises())
    transport.sendto(bytes(70_000), (LOOPBACK, 9))
    assert [type(context["exception"]) for context in ours.caught] == [Oops]
    assert ours.caught[0]["message"] == "protocol.error_received() failed"


def test_protocol_that_answers_each_error_by_another_leaves_others_their_turn(ours, own_endpoint):
    class Again(Recorder):
        def error_received(self, exc):
            super().error_received(exc)
            self.transport.sendto(bytes(70_000), (LOOPBACK, 9))

    transport, protocol = own_endpoint(Again())
    transport.sendto(bytes(70_000), (LOOPBACK, 9))
    for _ in range(5):
        turn(ours)
    assert 3 <= len(protocol.errors) <= 12


def test_exit_of_error_received_comes_out(endpoint):
    class Exits(Recorder):
        def error_received(self, _exc):
            raise SystemExit

    transport, _ = endpoint(Exits())
    with pytest.raises(SystemExit):
        transport.sendto(bytes(70_000), (LOOPBACK, 9))


# Flow control.


@pytest.fixture
def full(endpoint, tmp_path):
    """An endpoint whose peer takes no more, and that peer."""
    transport, protocol = endpoint(family=socket.AF_UNIX, local_addr=str(tmp_path / "ours"))
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    peer.bind(str(tmp_path / "peer"))
    peer.settimeout(DEADLINE)
    sent = 0
    while not transport.get_write_buffer_size():
        transport.sendto(b"%d" % sent, str(tmp_path / "peer"))
        sent += 1
    yield transport, protocol, peer, sent
    peer.close()


def test_what_the_kernel_does_not_take_waits_and_is_counted(full):
    transport, _, peer, sent = full
    last = len(b"%d" % (sent - 1))
    assert transport.get_write_buffer_size() == last + (8 if NEW else 0)
    transport.sendto(b"more", peer.getsockname())
    assert transport.get_write_buffer_size() == last + 4 + (16 if NEW else 0)


def test_it_is_sent_in_order_when_there_is_room(loop, full):
    transport, _, peer, sent = full
    transport.sendto(b"last", peer.getsockname())
    got = []
    peer.setblocking(False)

    def come():
        with contextlib.suppress(BlockingIOError):
            while True:
                got.append(peer.recv(99))
        return len(got) == sent + 1

    turn_until(loop, come)
    assert got == [*(b"%d" % number for number in range(sent)), b"last"]
    if type(transport) is asynctcp.aio.DatagramTransport:  # CPython 3.13.0 counts the headers once too often
        assert transport.get_write_buffer_size() == 0


def test_protocol_is_paused_above_the_high_mark_and_resumed_below_the_low_one(loop, full):
    transport, protocol, peer, _ = full
    transport.set_write_buffer_limits(high=1000, low=100)
    assert transport.get_write_buffer_limits() == (100, 1000)
    transport.sendto(bytes(2000), peer.getsockname())
    assert protocol.told == ["made", "pause"]
    transport.sendto(bytes(2000), peer.getsockname())
    peer.setblocking(False)

    def come():
        with contextlib.suppress(BlockingIOError):
            while True:
                peer.recv(9999)
        return "resume" in protocol.told

    turn_until(loop, come)
    assert protocol.told == ["made", "pause", "resume"]


def test_marks_pause_at_once_where_so_much_waits_already(full):
    transport, protocol, *_ = full
    transport.set_write_buffer_limits(high=0)
    assert protocol.told[-1] == "pause"
    with pytest.raises(ValueError, match=r"high \(1\) must be >= low \(2\) must be >= 0"):
        transport.set_write_buffer_limits(high=1, low=2)


def test_close_waits_until_all_is_sent(loop, full):
    transport, protocol, peer, sent = full
    transport.close()
    assert transport.is_closing()
    turn(loop)
    assert protocol.told == ["made"]
    got = []
    peer.setblocking(False)

    def come():
        with contextlib.suppress(BlockingIOError):
            while True:
                got.append(peer.recv(99))
        return protocol.told[-1] == ("lost", None)

    turn_until(loop, come)
    come()
    assert len(got) == sent


def test_abort_drops_what_waits(loop, full):
    transport, protocol, _, _ = full
    transport.abort()
    turn_until(loop, lambda: protocol.told[-1] == ("lost", None))


# The end.


def test_close_tells_the_protocol_in_a_later_step_and_closes_the_socket(loop, endpoint):
    transport, protocol = endpoint()
    transport.close()
    transport.close()
    assert protocol.told == ["made"]
    turn_until(loop, lambda: protocol.told[-1] == ("lost", None))
    assert protocol.told == ["made", ("lost", None)]
    transport.close()
    transport.abort()


def test_what_was_sent_before_close_leaves(loop, endpoint, peer):
    transport, _ = endpoint()

    def send():
        transport.sendto(b"x", peer.getsockname())
        transport.close()

    loop.call_soon(send)
    turn(loop)
    assert peer.recv(9) == b"x"


def test_sends_after_the_end_of_a_connected_one_are_warned_of_from_the_fifth_on(endpoint, peer, caplog):
    transport, _ = endpoint(remote_addr=peer.getsockname())
    transport.abort()
    for _ in range(5):
        transport.sendto(b"x")
    assert len(caplog.records) == 1
    assert caplog.records[0].getMessage() == "socket.send() raised exception."


def test_sends_after_the_end_of_one_that_is_not_connected_do_nothing(ours, own_endpoint, peer):
    transport, protocol = own_endpoint()
    transport.close()
    turn_until(ours, lambda: protocol.told[-1] == ("lost", None))
    transport.sendto(b"x", peer.getsockname())
    assert transport.get_write_buffer_size() == 0


def test_descriptor_of_a_transport_is_not_for_add_reader(loop, endpoint):
    transport, _ = endpoint()
    with pytest.raises(RuntimeError, match="is used by transport"):
        loop.add_reader(transport.get_extra_info("socket"), print)


def test_one_that_was_not_closed_is_warned_of(loop):
    async def main():
        await loop.create_datagram_endpoint(Recorder, local_addr=(LOOPBACK, 0))

    run(loop, main())
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        loop.close()
        gc.collect()
    assert any("unclosed transport" in str(warning.message) for warning in told)


def test_ended_one_lets_go_of_its_protocol(loop, endpoint):
    transport, protocol = endpoint()
    transport.close()
    turn_until(loop, lambda: protocol.told[-1] == ("lost", None))
    assert transport.get_protocol() is None


# What it says of itself.


def test_it_says_what_it_is(endpoint, peer):
    transport, protocol = endpoint(remote_addr=peer.getsockname())
    assert transport.get_extra_info("peername") == peer.getsockname()
    assert transport.get_extra_info("socket").type == socket.SOCK_DGRAM
    assert transport.get_extra_info("nothing", 7) == 7
    assert transport.get_protocol() is protocol
    assert transport.get_write_buffer_limits() == (16384, 65536)


def test_ours_is_native(ours, own_endpoint, peer):
    transport, _ = own_endpoint(remote_addr=peer.getsockname())
    assert type(transport) is asynctcp.aio.DatagramTransport
    assert isinstance(transport, asyncio.DatagramTransport)
    assert isinstance(transport, asyncio.Transport)
    number = transport.get_extra_info("socket").fileno()
    assert repr(transport) == f"<DatagramTransport fd={number} read=polling write=<idle, bufsize=0>>"
    assert transport._address == peer.getsockname()
    transport.close()
    assert repr(transport) == f"<DatagramTransport closing fd={number} read=idle write=<idle, bufsize=0>>"
    turn(ours)
    assert repr(transport) == f"<DatagramTransport closed fd={number}>"


class OddSocket(socket.socket):
    """Whose own methods are to be called."""


def test_subclass_of_socket_keeps_asyncios_own_transport(ours, own_endpoint, peer):
    raw = OddSocket(socket.AF_INET, socket.SOCK_DGRAM)
    raw.bind((LOOPBACK, 0))
    transport, protocol = own_endpoint(sock=raw)
    assert type(transport) is not asynctcp.aio.DatagramTransport
    assert "fd=" in repr(transport)
    peer.sendto(b"x", raw.getsockname())
    turn_until(ours, lambda: protocol.got)


@pytest.mark.skipif(not hasattr(socket, "AF_NETLINK"), reason="no such family")
def test_other_family_keeps_asyncios_own_transport(own_endpoint):
    raw = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM)
    transport, _ = own_endpoint(sock=raw)
    assert type(transport) is not asynctcp.aio.DatagramTransport


def test_debug_mode_times_its_steps(loop, endpoint, peer, caplog):
    class Slow(Recorder):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            loop.slow_callback_duration = 0

    loop.set_debug(True)
    loop.slow_callback_duration = 3600
    transport, protocol = endpoint(Slow())
    peer.sendto(b"x", address(transport))
    turn_until(loop, lambda: protocol.got)
    loop.slow_callback_duration = 3600
    assert any("Executing <Handle" in record.getMessage() for record in caplog.records)
