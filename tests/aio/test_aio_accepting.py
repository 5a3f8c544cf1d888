"""Accepting in `asynctcp.aio` when the system has no descriptors, and other errors of `accept`."""

from __future__ import annotations

import errno
import gc
import logging
import socket
import time

import pytest

from helpers import DEADLINE, LOOPBACK
from loops import Recorder, run, turn_until


class Listener(socket.socket):
    """One whose first calls of ``accept`` fail."""

    def __init__(self, *errors):
        super().__init__()
        self.errors = [OSError(number, "as the test wants it") for number in errors]
        self.bind((LOOPBACK, 0))
        self.listen()

    def accept(self):
        if self.errors:
            raise self.errors.pop(0)
        return super().accept()


class Served:
    """A server on such a listener, and a client."""

    def __init__(self, loop, *errors):
        self.told = []
        loop.set_exception_handler(lambda _, context: self.told.append(context["message"]))
        self.protocol = Recorder()
        self.listener = Listener(*errors)
        self.server = run(loop, loop.create_server(lambda: self.protocol, sock=self.listener))
        self.client = socket.create_connection(self.listener.getsockname(), DEADLINE)

    def close(self, loop):
        self.server.close()
        self.client.close()
        turn_until(loop, lambda: not self.protocol.told or self.protocol.told[-1] == ("lost", None))


STARVED = [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM]


@pytest.mark.parametrize("number", STARVED, ids=errno.errorcode.get)
def test_client_is_served_soon_after_there_is_a_descriptor_again_and_that_is_told_once(ours, number):
    served = Served(ours, *[number] * 4)
    began = time.monotonic()
    turn_until(ours, lambda: served.protocol.told)
    # asyncio's own tries once a second.
    assert time.monotonic() - began < 3
    assert served.told == ["socket.accept() out of system resource"]
    served.close(ours)


def test_starving_that_lasts_is_told_once_a_second(ours, monkeypatch):
    served = Served(ours, *[errno.EMFILE] * 4)
    monkeypatch.setattr("asynctcp.aio._accepting.TELL_EVERY", 0.0)
    turn_until(ours, lambda: served.protocol.told)
    assert served.told == ["socket.accept() out of system resource"] * 4
    served.close(ours)


def test_server_that_is_closed_while_it_starves_is_not_tried_again(ours, monkeypatch):
    monkeypatch.setattr("asynctcp.aio._accepting.RETRY", 0.01)
    served = Served(ours, errno.EMFILE, errno.EMFILE)
    turn_until(ours, lambda: len(served.listener.errors) == 1)
    served.server.close()
    end = ours.time() + 0.05
    turn_until(ours, lambda: ours.time() > end)
    assert len(served.listener.errors) == 1
    assert served.told == ["socket.accept() out of system resource"]
    served.close(ours)


def test_connection_that_its_client_has_given_up_is_left_out(loop):
    served = Served(loop, errno.ECONNABORTED)
    turn_until(loop, lambda: served.protocol.told)
    assert served.told == []
    served.close(loop)


def test_other_error_is_told_and_the_server_goes_on(loop):
    served = Served(loop, errno.EPERM)
    turn_until(loop, lambda: served.protocol.told)
    [message] = served.told
    assert message.startswith("Exception in callback")
    served.close(loop)


@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")
def test_server_that_its_factory_closes_is_no_error(ours):
    told = []
    ours.set_exception_handler(lambda _, context: told.append(context))

    def make():
        server.close()
        return Recorder()

    server = run(ours, ours.create_server(make, LOOPBACK, 0))
    with socket.create_connection(server.sockets[0].getsockname(), DEADLINE) as client:
        client.setblocking(False)
        # Its connection is given up, which asyncio leaves to the collector.
        assert run(ours, ours.sock_recv(client, 1)) == b""
    gc.collect()
    run(ours, server.wait_closed())
    assert told == []


def test_debug_mode_logs_who_has_come(loop, caplog):
    loop.set_debug(True)
    with caplog.at_level(logging.DEBUG, "asyncio"):
        served = Served(loop)
        turn_until(loop, lambda: served.protocol.told)
    assert "got a new connection from" in caplog.text
    served.close(loop)


def test_as_many_clients_as_the_queue_has_are_accepted(loop):
    protocols = []

    def make():
        protocols.append(Recorder())
        return protocols[-1]

    # The kernel's queue has one more than the backlog.
    server = run(loop, loop.create_server(make, LOOPBACK, 0, backlog=1))
    clients = [socket.create_connection(server.sockets[0].getsockname(), DEADLINE) for _ in range(2)]
    turn_until(loop, lambda: len(protocols) == 2)
    server.close()
    for client in clients:
        client.close()
    turn_until(loop, lambda: all(each.told[-1:] == [("lost", None)] for each in protocols))
