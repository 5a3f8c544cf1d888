"""Servers of `asynctcp.aio`: what becomes of connections that wait, and what their transports know."""

from __future__ import annotations

import asyncio
import contextvars
import errno
import gc
import socket
import warnings

import pytest

from helpers import LOOPBACK, reset
from loops import Recorder, run, turn, turn_until


class Serving:
    """A server whose protocols are kept, and clients of it."""

    def __init__(self, loop, factory=Recorder, **options):
        self.loop, self.made, self.clients = loop, [], []
        self._factory = factory
        self.server = run(loop, loop.create_server(self._make, LOOPBACK, 0, **options))

    def _make(self):
        protocol = self._factory()
        self.made.append(protocol)
        return protocol

    def connect(self):
        client = socket.create_connection(self.server.sockets[0].getsockname())
        client.settimeout(20)
        self.clients.append(client)
        return client

    def close(self):
        self.server.close()
        for client in self.clients:
            client.close()
        open_ones = [it for it in self.made if it.transport is not None]
        turn_until(self.loop, lambda: all(it.told[-1] == ("lost", None) for it in open_ones))


def test_all_that_wait_are_accepted_in_order(loop):
    serving = Serving(loop, backlog=20)
    names = [serving.connect().getsockname() for _ in range(10)]
    turn_until(loop, lambda: sum("made" in it.told for it in serving.made) == 10)
    assert [it.transport.get_extra_info("peername") for it in serving.made] == names
    serving.close()


@pytest.mark.parametrize("debug", [False, True])
def test_more_than_the_backlog_are_accepted_turn_by_turn(loop, debug):
    loop.set_debug(debug)
    serving = Serving(loop, backlog=1)
    for number in range(1, 6):
        serving.connect()
        serving.connect()
        turn_until(loop, lambda number=number: sum("made" in it.told for it in serving.made) == 2 * number)
    serving.close()


def test_an_accepted_transport_knows_its_ends_and_its_socket(loop):
    serving = Serving(loop)
    client = serving.connect()
    turn_until(loop, lambda: serving.made and "made" in serving.made[0].told)
    transport = serving.made[0].transport
    assert transport.get_extra_info("sockname") == client.getpeername()
    assert transport.get_extra_info("peername") == client.getsockname()
    assert transport.get_extra_info("socket").getpeername() == client.getsockname()
    assert transport.get_extra_info("socket") is transport.get_extra_info("socket")
    serving.close()


def test_a_transport_that_nobody_has_asked_knows_its_ends_when_it_is_closed(loop):
    serving = Serving(loop)
    client = serving.connect()
    name = client.getsockname()
    turn_until(loop, lambda: serving.made and "made" in serving.made[0].told)
    transport = serving.made[0].transport
    serving.close()
    assert transport.get_extra_info("peername") == name
    assert transport.get_extra_info("socket").fileno() == -1


def test_a_peer_that_resets_before_it_is_accepted_has_a_name(loop):
    serving = Serving(loop)
    client = serving.connect()
    name = client.getsockname()
    reset(client)
    turn_until(loop, lambda: serving.made and len(serving.made[0].told) > 1)
    assert serving.made[0].transport.get_extra_info("peername") == name
    serving.server.close()


def test_ends_over_ipv6_are_as_the_socket_says(loop):
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("no IPv6")
    made = []

    def factory():
        made.append(Recorder())
        return made[-1]

    server = run(loop, loop.create_server(factory, "::1", 0))
    with socket.create_connection(server.sockets[0].getsockname()[:2]) as client:
        turn_until(loop, lambda: made and "made" in made[0].told)
        assert made[0].transport.get_extra_info("peername") == client.getsockname()
        assert made[0].transport.get_extra_info("sockname") == client.getpeername()
    turn_until(loop, lambda: made[0].told[-1] == ("lost", None))
    server.close()


@pytest.mark.parametrize("debug", [False, True])
def test_what_a_factory_sets_in_its_context_is_its_own_connections_only(loop, debug):
    loop.set_debug(debug)
    name = contextvars.ContextVar("name", default=None)

    class Notes(Recorder):
        def __init__(self):
            super().__init__()
            self.seen = [name.get()]
            name.set(id(self))

        def connection_made(self, transport):
            super().connection_made(transport)
            self.seen.append(name.get())

        def data_received(self, data):
            super().data_received(data)
            self.seen.append(name.get())

    serving = Serving(loop, Notes)
    # Two in one step, and one later.
    clients = [serving.connect(), serving.connect()]
    turn_until(loop, lambda: len(serving.made) == 2)
    clients.append(serving.connect())
    for client in clients:
        client.sendall(b"x")
    turn_until(loop, lambda: sum("data" in it.told for it in serving.made) == 3)
    assert [it.seen for it in serving.made] == [[None, id(it), id(it)] for it in serving.made]
    serving.close()


def test_a_connection_whose_protocol_cannot_be_made_is_closed(ours):
    def fail():
        raise ZeroDivisionError

    serving, told = Serving(ours, fail), []
    ours.set_exception_handler(lambda _, context: told.append(context))
    client = serving.connect()
    turn(ours)
    turn(ours)
    assert client.recv(1) == b""
    assert told == []
    serving.close()


def test_in_debug_mode_a_protocol_that_cannot_be_made_is_told_of(loop):
    def fail():
        raise ZeroDivisionError

    loop.set_debug(True)
    serving, told = Serving(loop, fail), []
    loop.set_exception_handler(lambda _, context: told.append(context))
    serving.connect()
    turn_until(loop, lambda: told)
    assert told[0]["message"] == "Error on transport creation for incoming connection"
    assert isinstance(told[0]["exception"], ZeroDivisionError)
    serving.close()
    # asyncio's code leaves the socket to whoever forgets the exception.
    told.clear()
    turn(loop)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def test_ctrl_c_while_a_protocol_is_made_ends_the_run(ours):
    def interrupt():
        raise KeyboardInterrupt

    serving = Serving(ours, interrupt)
    client = serving.connect()
    with pytest.raises(KeyboardInterrupt):
        run(ours, asyncio.sleep(20))
    assert client.recv(1) == b""
    serving.close()


def test_where_no_descriptor_is_left_it_is_told_and_tried_again(loop, monkeypatch):
    serving, told = Serving(loop), []
    loop.set_exception_handler(lambda _, context: told.append(context))
    accept = socket.socket._accept

    def fail(_):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket.socket, "_accept", fail, raising=False)
    serving.connect()
    turn_until(loop, lambda: told)
    assert told[0]["message"] == "socket.accept() out of system resource"
    monkeypatch.setattr(socket.socket, "_accept", accept)
    turn_until(loop, lambda: serving.made and "made" in serving.made[0].told)
    serving.close()


def test_a_connection_that_its_peer_gave_up_holds_no_other_up(ours, monkeypatch):
    serving = Serving(ours)
    accept, aborted = socket.socket._accept, []

    def fail_once(self):
        if not aborted:
            aborted.append(True)
            raise ConnectionAbortedError
        return accept(self)

    monkeypatch.setattr(socket.socket, "_accept", fail_once, raising=False)
    serving.connect()
    turn_until(ours, lambda: serving.made and "made" in serving.made[0].told)
    assert aborted
    serving.close()


def test_a_server_that_accepts_makes_no_task(ours):
    serving, tasks = Serving(ours), []
    ours.set_task_factory(lambda *made, **_: tasks.append(made))
    serving.connect()
    turn_until(ours, lambda: serving.made and "made" in serving.made[0].told)
    assert tasks == []
    ours.set_task_factory(None)
    serving.close()
