"""Datagram transports: errors, which of them are the end, and the end."""

from __future__ import annotations

import asyncio
import gc
import socket
import warnings

import pytest

from datagrams import Recorder, address
from helpers import LOOPBACK, Oops
from loops import run, turn, turn_until

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
