"""Files that `asynctcp.aio` sends, each behaviour as on asyncio's own loop."""

from __future__ import annotations

import asyncio
import fcntl
import io
import os
import select
import socket

import pytest

from helpers import LOOPBACK, MUCH
from loops import Connection, Recorder, connected, drain, run, turn, turn_until


def test_file_is_sent_from_the_kernel_between_writes(loop, tmp_path):
    content = os.urandom(300_000)
    (tmp_path / "file").write_bytes(content)

    class Sends(asyncio.Protocol):
        def connection_made(self, transport):
            task = loop.create_task(self.send(transport))
            task.add_done_callback(lambda task: task.result())

        async def send(self, transport):
            transport.write(b"head")
            with (tmp_path / "file").open("rb") as file:
                await loop.sendfile(transport, file)
            transport.write(b"tail")
            transport.close()

    async def main():
        server = await loop.create_server(Sends, LOOPBACK, 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        got = await reader.read()
        writer.close()
        server.close()
        return got

    assert run(loop, main()) == b"head" + content + b"tail"


def test_transport_reads_on_after_a_file_was_sent(loop, connect, tmp_path):
    it = connect()
    (tmp_path / "file").write_bytes(b"content")

    async def send():
        with (tmp_path / "file").open("rb") as file:
            await loop.sendfile(it.transport, file)

    run(loop, send())
    assert drain(it.peer, 7) == b"content"
    it.peer.sendall(b"answer")
    turn_until(loop, lambda: it.protocol.data == b"answer")


def test_transport_that_is_resumed_while_a_file_is_sent_reads_and_the_file_arrives(loop, connect, tmp_path):
    it = connect()
    with (tmp_path / "file").open("wb+") as file:
        file.truncate(MUCH)
        sending = loop.create_task(loop.sendfile(it.transport, file))
        turn_until(loop, lambda: select.select([it.peer], [], [], 0)[0])
        it.transport.resume_reading()
        it.peer.sendall(b"heard")
        turn_until(loop, lambda: it.protocol.data == b"heard")
        assert len(it.take(MUCH)) == MUCH
        turn_until(loop, sending.done)
    assert sending.result() == MUCH


class Sending:
    """A transport of our loop with a file on its way; asyncio's does not notice when it is ended."""

    def __init__(self, loop, file):
        file.truncate(MUCH)
        self.loop, self.told = loop, []
        loop.set_exception_handler(lambda _, context: self.told.append(context))
        self.protocol = Recorder()
        self.transport, self.peer = connected(loop, self.protocol)
        self.number = self.transport.get_extra_info("socket").fileno()
        self.task = loop.create_task(loop.sendfile(self.transport, file))
        turn_until(loop, lambda: select.select([self.peer], [], [], 0)[0])

    def ends(self):
        turn_until(self.loop, lambda: self.task.done() and self.protocol.told[-1] == ("lost", None))
        assert self.transport.get_extra_info("socket").fileno() == -1
        self.peer.close()


@pytest.fixture
def sending(ours, tmp_path):
    with (tmp_path / "file").open("wb+") as file:
        yield Sending(ours, file)


@pytest.mark.parametrize("end", ["abort", "close"])
def test_file_of_a_transport_that_is_ended_fails(sending, end):
    getattr(sending.transport, end)()
    sending.ends()
    assert isinstance(sending.task.exception(), BrokenPipeError)


@pytest.mark.parametrize("is_cancelled_first", [False, True])
def test_file_that_is_cancelled_as_its_transport_ends_leaves_its_number_to_the_next(
    ours, sending, is_cancelled_first
):
    near, far = socket.socketpair()
    for end in (sending.task.cancel, sending.transport.abort)[:: 1 if is_cancelled_first else -1]:
        end()
    sending.ends()
    assert sending.task.cancelled()
    same = socket.socket(fileno=fcntl.fcntl(near, fcntl.F_DUPFD, sending.number))
    near.close()
    assert same.fileno() == sending.number
    transport, protocol = run(ours, ours.create_connection(Recorder, sock=same))
    far.sendall(b"heard")
    turn_until(ours, lambda: protocol.data == b"heard")
    # It waits for the kernel, as the file did.
    transport.write(b"x" * MUCH)
    transport.write_eof()
    far.setblocking(False)
    turn_until(ours, lambda: select.select([far], [], [], 0)[0] and not far.recv(MUCH))
    far.close()
    turn_until(ours, lambda: protocol.told[-1] == ("lost", None))
    assert sending.told == []


@pytest.mark.parametrize(("end", "error"), [("close", RuntimeError), ("abort", ConnectionError)])
def test_file_that_waits_for_what_was_written_before_fails_when_its_transport_is_ended(
    ours, tmp_path, end, error
):
    it = Connection(ours)
    it.transport.write(b"x" * MUCH)
    (tmp_path / "file").write_bytes(b"content")

    async def send():
        with (tmp_path / "file").open("rb") as file:
            await ours.sendfile(it.transport, file)

    sending = ours.create_task(send())
    turn(ours)
    getattr(it.transport, end)()
    it.take()
    turn_until(ours, sending.done)
    assert isinstance(sending.exception(), error)
    it.close()


def test_file_that_is_cancelled_while_it_waits_leaves_a_transport_that_works(ours, tmp_path):
    it = Connection(ours)
    it.transport.write(b"x" * MUCH)
    with (tmp_path / "file").open("wb+") as file:
        sending = ours.create_task(ours.sendfile(it.transport, file))
        turn(ours)
        sending.cancel()
        turn_until(ours, sending.done)
    it.transport.write(b"more")
    assert it.take(MUCH + 4).endswith(b"xmore")
    it.peer.sendall(b"answer")
    turn_until(ours, lambda: it.protocol.data == b"answer")
    it.close()


def test_file_without_a_descriptor_is_sent_too_and_the_transport_reads_on(loop, connect):
    it = connect()
    content = os.urandom(300_000)
    assert run(loop, loop.sendfile(it.transport, io.BytesIO(content), 10, 200_000)) == 200_000
    assert it.take(200_000) == content[10:200_010]
    it.peer.sendall(b"answer")
    turn_until(loop, lambda: it.protocol.data == b"answer")


def test_file_without_a_descriptor_is_read_no_faster_than_the_peer_takes_it(loop, connect):
    it, file = connect(), io.BytesIO(b"x" * 2 * MUCH)
    sending = loop.create_task(loop.sendfile(it.transport, file))
    turn_until(loop, lambda: it.transport.get_write_buffer_size() > 65536)
    assert file.tell() < 2 * MUCH
    assert len(it.take(2 * MUCH)) == 2 * MUCH
    turn_until(loop, sending.done)
    assert sending.result() == 2 * MUCH
