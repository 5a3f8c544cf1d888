"""This library's sockets inside an asyncio loop of ours, and what its servers have beyond asyncio's."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import pytest

import asynctcp
import asynctcp.aio
from helpers import DEADLINE, LOOPBACK, MUCH, SOON, ignore, receive_all
from loops import Recorder, peer_of, run, turn_until, until


@pytest.fixture
def loop():
    loop = asynctcp.aio.new_event_loop()
    yield loop
    loop.close()


def echo(sock, data):
    sock.write(data)


async def connect(server):
    return await asyncio.open_connection(server.host, server.port)


def test_server_of_callbacks_is_made_in_a_coroutine_and_answers_asyncios_client(loop):
    async def main():
        server = asynctcp.tcp_server(LOOPBACK, 0, echo)
        reader, writer = await connect(server)
        writer.write(b"across")
        got = await reader.readexactly(6)
        writer.close()
        await writer.wait_closed()
        return got

    assert run(loop, main()) == b"across"


def test_callbacks_run_in_the_thread_of_the_loop(loop):
    async def main():
        called = loop.create_future()
        asynctcp.delay(lambda: called.set_result(threading.get_ident()))
        return await called

    assert run(loop, main()) == threading.get_ident()


def test_run_sends_what_was_written_before_a_close():
    with socket.create_server((LOOPBACK, 0)) as listener, ThreadPoolExecutor(1) as pool:
        listener.settimeout(DEADLINE)

        def receive():
            raw, _ = listener.accept()
            with raw:
                raw.settimeout(DEADLINE)
                return len(receive_all(raw))

        received = pool.submit(receive)

        async def main():
            asynctcp.tcp_connect(*listener.getsockname(), ignore, data=bytes(MUCH)).close()

        asynctcp.aio.run(main())
        assert received.result(DEADLINE) == MUCH


def test_callback_that_looks_at_a_cancelled_future_does_not_end_the_loop(loop):
    async def main():
        told, cancelled = loop.create_future(), loop.create_future()
        cancelled.cancel()
        loop.set_exception_handler(lambda _, context: told.set_result(context["exception"]))
        asynctcp.delay(cancelled.result)
        return await told

    assert isinstance(run(loop, main()), asyncio.CancelledError)


def test_callback_may_use_the_loop_as_any_code_in_it(loop):
    async def main():
        answers = asyncio.Queue()
        server = asynctcp.tcp_server(LOOPBACK, 0, lambda _, data: loop.create_task(answers.put(data)))
        sock = asynctcp.tcp_connect(server.host, server.port, ignore)
        sock.write(b"to a queue")
        return await answers.get(), asyncio.get_running_loop() is loop

    assert run(loop, main()) == (b"to a queue", True)


def test_write_of_a_coroutine_leaves_at_once(loop):
    async def main():
        answers = asyncio.Queue()
        server = asynctcp.tcp_server(LOOPBACK, 0, echo)
        sock = asynctcp.tcp_connect(server.host, server.port, lambda _, data: answers.put_nowait(data))
        best = DEADLINE
        for _ in range(50):
            began = time.perf_counter()
            sock.write(b"x")
            await answers.get()
            best = min(best, time.perf_counter() - began)
        return best

    # What nobody flushes leaves after 5 ms.
    assert run(loop, main()) < 0.003


def test_timer_that_a_coroutine_set_is_called_in_time(loop):
    async def main():
        called = loop.create_future()
        began = loop.time()
        asynctcp.delay(lambda: called.set_result(loop.time() - began), 0.02)
        return await called

    assert 0.019 < run(loop, main()) < SOON


def test_tcp_is_the_loop_of_the_functions(loop):
    async def main():
        return asynctcp.current_event_loop() is loop.tcp

    assert run(loop, main())
    assert isinstance(loop.tcp, asynctcp.EventLoop)


def test_options_are_those_of_the_loop_of_callbacks():
    loop = asynctcp.aio.new_event_loop(io_threads=2)
    run(loop, asyncio.sleep(0))
    assert loop.tcp.stats()["servers"] == 0
    loop.close()
    with pytest.raises(ValueError, match="io_threads"):
        asynctcp.aio.new_event_loop(io_threads=-1)
    with pytest.raises(TypeError):
        asynctcp.aio.new_event_loop(no_such_option=1)


def test_functions_find_no_loop_once_the_asyncio_loop_has_stopped(loop):
    async def main():
        asynctcp.delay(ignore)

    run(loop, main())
    with pytest.raises(asynctcp.EventLoopError):
        asynctcp.delay(ignore)


def test_functions_find_no_loop_in_asyncios_own():
    async def main():
        with pytest.raises(asynctcp.EventLoopError):
            asynctcp.delay(ignore)

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(main())


def test_sockets_live_on_from_one_run_to_the_next(loop):
    async def serve():
        return asynctcp.tcp_server(LOOPBACK, 0, echo)

    async def ask(server):
        reader, writer = await connect(server)
        writer.write(b"again")
        got = await reader.readexactly(5)
        writer.close()
        return got

    server = run(loop, serve())
    assert [run(loop, ask(server)) for _ in range(2)] == [b"again"] * 2


def test_exception_of_a_callback_goes_to_the_loops_exception_handler_and_the_loop_goes_on(loop):
    got = []
    loop.set_exception_handler(lambda _, context: got.append(type(context["exception"])))

    def bad(_, data):
        raise ZeroDivisionError(data)

    async def main():
        server = asynctcp.tcp_server(LOOPBACK, 0, bad)
        reader, writer = await connect(server)
        writer.write(b"x")
        assert await reader.read() == b""
        writer.close()

    run(loop, main())
    assert got == [ZeroDivisionError]


def test_exception_of_a_callback_goes_to_the_sockets_event_cb_first(loop):
    got = []
    loop.set_exception_handler(lambda *_: got.append("handler"))

    def bad(_, data):
        raise ZeroDivisionError(data)

    async def main():
        told = loop.create_future()
        server = asynctcp.tcp_server(LOOPBACK, 0, echo)
        sock = asynctcp.tcp_connect(server.host, server.port, bad, told.set_result)
        sock.write(b"x")
        # Not the exception itself: it has its frames, and those the loop.
        return type(await told)

    assert run(loop, main()) is asynctcp.TcpAppError
    assert got == []


def test_interrupt_in_a_callback_comes_out_of_the_run(loop):
    def interrupt():
        raise KeyboardInterrupt

    async def main():
        asynctcp.delay(interrupt)
        await asyncio.sleep(DEADLINE)

    task = loop.create_task(main())
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(task)
    task.cancel()
    turn_until(loop, task.done)


def test_exit_event_loop_closes_the_sockets_and_stops_the_loop(loop):
    servers = []

    async def main():
        servers.append(asynctcp.tcp_server(LOOPBACK, 0, echo))
        asynctcp.exit_event_loop()

    loop.create_task(main())
    loop.run_forever()
    assert servers[0].closed
    assert run(loop, asyncio.sleep(0, "runs again")) == "runs again"


def test_exit_in_a_coroutine_runs_the_last_callbacks_after_its_step(loop):
    async def main():
        server = asynctcp.tcp_server(LOOPBACK, 0, echo)
        connected = loop.create_future()
        ours = asynctcp.tcp_connect(
            LOOPBACK,
            server.port,
            None,
            connect_cb=connected.set_result,
            close_cb=lambda *_: told.append("closed"),
        )
        await connected
        asynctcp.add_event_loop_exit_callback(lambda: told.append("exit"))
        asynctcp.exit_event_loop()
        told.append(f"returned, {ours.closed}")

    told = []
    loop.create_task(main())
    loop.run_forever()
    assert told == ["returned, True", "closed", "exit"]


def test_close_of_the_loop_closes_the_sockets():
    loop = asynctcp.aio.new_event_loop()

    async def main():
        return asynctcp.tcp_server(LOOPBACK, 0, echo)

    server = run(loop, main())
    loop.close()
    assert server.closed


def test_exit_in_a_callback_stops_the_loop(loop):
    async def main():
        asynctcp.delay(asynctcp.exit_event_loop)

    loop.create_task(main())
    loop.run_forever()
    assert not loop.is_running()


def test_connection_tries_addresses_side_by_side_by_default(loop, monkeypatch):
    asked = []

    async def create_connection(_, protocol_factory, *__, **keywords):
        asked.append(keywords.get("happy_eyeballs_delay"))
        return None, protocol_factory()

    monkeypatch.setattr(asyncio.SelectorEventLoop, "create_connection", create_connection)
    run(loop, loop.create_connection(Recorder, "localhost", 1))
    run(loop, loop.create_connection(Recorder, "localhost", 1, happy_eyeballs_delay=None))
    assert asked == [0.25, None]
    # One address needs no race, whose errors would be in cycles before CPython 3.13.
    run(loop, loop.create_connection(Recorder, LOOPBACK, 1))
    run(loop, loop.create_connection(Recorder, "::1", 1))
    assert asked[2:] == [None, None]


# --- servers ---


async def serve(loop, protocols, factory=Recorder):
    def make():
        protocols.append(factory())
        return protocols[-1]

    return await loop.create_server(make, LOOPBACK, 0)


def test_server_waits_closed_until_its_last_connection_has_ended(loop):
    async def main():
        protocols = []
        server = await serve(loop, protocols)
        with peer_of(server) as peer:
            await until(lambda: protocols)
            server.close()
            waiting = loop.create_task(server.wait_closed())
            # What the connection serves meanwhile comes in a later turn.
            peer.send(b"x")
            await until(lambda: protocols[0].data)
            assert not waiting.done()
            peer.close()
            await waiting

    run(loop, main())


@pytest.mark.filterwarnings("ignore:unclosed <StreamWriter:ResourceWarning")
def test_server_does_not_wait_for_a_stream_that_nobody_can_end(loop):
    async def main():
        accepted = loop.create_future()
        server = await asyncio.start_server(lambda *_: accepted.set_result(None), LOOPBACK, 0)
        with peer_of(server) as peer:
            await accepted
            peer.shutdown(socket.SHUT_WR)
            server.close()
            await server.wait_closed()

    run(loop, main())


def test_server_waits_for_a_stream_whose_writer_is_kept(loop):
    async def main():
        accepted = loop.create_future()
        server = await asyncio.start_server(lambda *pair: accepted.set_result(pair), LOOPBACK, 0)
        with peer_of(server) as peer:
            reader, writer = await accepted
            server.close()
            waiting = loop.create_task(server.wait_closed())
            peer.send(b"x")
            assert await reader.readexactly(1) == b"x"
            assert not waiting.done()
            writer.close()
            await waiting

    run(loop, main())


@pytest.mark.parametrize("name", ["close_clients", "abort_clients"])
def test_server_ends_all_its_connections(loop, name):
    async def main():
        protocols = []
        server = await serve(loop, protocols)
        with peer_of(server), peer_of(server):
            await until(lambda: len(protocols) == 2)
            server.close()
            getattr(server, name)()
            await server.wait_closed()
        assert [each.told[-1] for each in protocols] == [("lost", None)] * 2

    run(loop, main())


def test_drained_server_lets_connections_end_by_themselves(loop):
    async def main():
        protocols = []
        server = await serve(loop, protocols)
        with peer_of(server) as peer:
            await until(lambda: protocols)
            loop.call_later(0.01, peer.close)
            assert await server.drain(DEADLINE) is True
        assert not server.is_serving()

    run(loop, main())


def test_drained_server_aborts_at_the_deadline_what_is_still_open(loop):
    async def main():
        protocols = []
        server = await serve(loop, protocols)
        with peer_of(server):
            await until(lambda: protocols)
            assert await server.drain(0.01) is False
        assert protocols[0].told[-1] == ("lost", None)

    run(loop, main())


def test_server_listens_when_it_is_told_to(loop):
    async def main():
        server = await loop.create_server(Recorder, LOOPBACK, 0, start_serving=False)
        assert not server.is_serving()
        await server.start_serving()
        assert server.is_serving()
        server.close()

    run(loop, main())


def test_connection_for_which_the_factory_has_no_protocol_is_closed_and_not_waited_for(loop):
    async def main():
        server = await loop.create_server(lambda: None, LOOPBACK, 0)
        with peer_of(server) as peer:
            assert await loop.sock_recv(peer, 1) == b""
            server.close()
            await server.wait_closed()

    run(loop, main())


def test_server_counts_connections_of_which_it_is_not_told_more(loop):
    async def main():
        server = await loop.create_server(Recorder, LOOPBACK, 0)
        connection = () if sys.version_info < (3, 13) else (mock.Mock(spec=asyncio.Transport),)
        server._attach(*connection)
        server.close()
        waiting = loop.create_task(server.wait_closed())
        await asyncio.sleep(0)
        assert not waiting.done()
        server._detach(*connection)
        await waiting

    run(loop, main())
