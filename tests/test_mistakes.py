"""What a newcomer does wrong at first: each message says what to do instead."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor

import pytest

import asynctcp
from asynctcp import aio
from helpers import LOOPBACK, ignore


async def coroutine(*_):
    """Nobody awaits it."""


def in_loop(mistake):
    """Make the mistake in a running loop."""
    loop = asynctcp.EventLoop()

    def main():
        mistake()
        asynctcp.exit_event_loop()

    loop.run(main)


def serve(*arguments, **keywords):
    return lambda: asynctcp.tcp_server(LOOPBACK, 0, *arguments, **keywords)


def connect(*arguments, **keywords):
    return lambda: asynctcp.tcp_connect(LOOPBACK, 1, *arguments, **keywords)


OUTSIDE = [
    ("forgets_the_loop", serve(ignore), "start_event_loop(main)"),
    ("connects_without_a_loop", connect(ignore), "start_event_loop(main)"),
    ("sets_a_timer_without_a_loop", lambda: asynctcp.delay(ignore), "start_event_loop(main)"),
    (
        "calls_main",
        lambda: asynctcp.start_event_loop(ignore()),
        "start_event_loop(main), not start_event_loop(main())",
    ),
    ("starts_a_coroutine_function", lambda: asynctcp.start_event_loop(coroutine), "asynctcp.aio"),
    ("starts_a_number", lambda: asynctcp.start_event_loop(7000), "start_fn must be callable"),
    (
        "runs_a_loop_twice",
        lambda: [loop.run(ignore) for loop in [asynctcp.EventLoop()] * 2],
        "make a new one",
    ),
    ("makes_a_config", asynctcp.TlsConfig, "TlsConfig.client(...) or TlsConfig.server(...)"),
    ("names_a_file_that_is_not_there", lambda: asynctcp.TlsConfig.server("no.pem", "no.key"), "'no.pem'"),
    ("makes_a_socket", asynctcp.Socket, "asynctcp.Socket"),
    ("forgets_the_parentheses", lambda: asynctcp.with_delay(ignore), "@with_delay(seconds)"),
    ("forgets_them_at_an_interval", lambda: asynctcp.with_interval(ignore), "@with_interval(seconds)"),
    ("closes_a_number", lambda: asynctcp.close_tcp_server(5), "server must be a TcpServer, not int: 5"),
    ("removes_a_number", lambda: asynctcp.remove_interval(5), "timer must be a Timer, not int: 5"),
]
INSIDE = [
    ("gives_an_address_as_tuple", lambda: asynctcp.tcp_server((LOOPBACK, 0), ignore), "'read_cb'"),
    (
        "gives_an_address_as_tuple_and_callbacks",
        lambda: asynctcp.tcp_server((LOOPBACK, 0), 0, ignore),
        "the port being an argument of its own",
    ),
    ("gives_no_callback", serve(), "'read_cb'"),
    ("gives_the_port_as_text", lambda: asynctcp.tcp_server(LOOPBACK, "80", ignore), "port must be an int"),
    ("gives_the_port_as_float", lambda: asynctcp.tcp_server(LOOPBACK, 80.0, ignore), "port must be an int"),
    (
        "gives_a_port_that_there_is_not",
        lambda: asynctcp.tcp_server(LOOPBACK, 70000, ignore),
        "from 0 to 65535",
    ),
    ("gives_the_host_as_number", lambda: asynctcp.tcp_server(127, 0, ignore), "bind_address must be a str"),
    ("listens_at_anothers_address", lambda: asynctcp.tcp_server("192.0.2.1", 0, ignore), "192.0.2.1:0"),
    ("gives_a_coroutine_function", serve(coroutine), "use asynctcp.aio"),
    ("gives_a_coroutine_function_for_events", connect(ignore, coroutine), "use asynctcp.aio"),
    ("gives_what_a_callback_returned", connect(ignore, "done"), "event_cb must be callable or None"),
    ("misspells_a_keyword", serve(ignore, readtimeout=5), "'readtimeout'"),
    ("guesses_a_keyword", connect(ignore, timeout=5), "'timeout'"),
    ("gives_a_timeout_as_text", connect(ignore, read_timeout="5"), "number of seconds or None"),
    ("gives_a_number_as_data", connect(ignore, data=5), "bytes-like or str"),
    ("writes_none", lambda: connect(ignore)().write(None), "bytes-like or str"),
    ("writes_a_list", lambda: connect(ignore)().write([1]), "bytes-like or str"),
    ("writes_after_close", lambda: [call() for call in close_and_write()], "socket is closed"),
    ("swaps_the_arguments_of_delay", lambda: asynctcp.delay(1, ignore), "time must be a number of seconds"),
    ("calls_what_is_to_be_delayed", lambda: asynctcp.delay(ignore(), 1), "callback must be callable"),
    ("starts_a_loop_within_a_loop", lambda: asynctcp.start_event_loop(ignore), "runs in this thread already"),
    ("says_true_to_tls_of_a_server", serve(ignore, tls=True), "TlsConfig.server(...)"),
    ("gives_a_path_as_tls", serve(ignore, tls="cert.pem"), "TlsConfig.server(...)"),
    ("gives_a_context_as_tls", connect(ignore, tls=ssl.create_default_context()), "TlsConfig.client(...)"),
    (
        "gives_a_clients_config_to_a_server",
        serve(ignore, tls=asynctcp.TlsConfig.client()),
        "TlsConfig.server(...)",
    ),
    ("gives_a_port_to_a_unix_server", lambda: asynctcp.pipe_server(LOOPBACK, 80, ignore), "read_cb"),
]


def close_and_write():
    sock = connect(ignore)()
    return [sock.close, lambda: sock.write(b"x")]


def said(mistake):
    """The message of what it raises, with the name of the class."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the table says which words
        mistake()
    return f"{type(caught.value).__name__}: {caught.value}"


@pytest.mark.parametrize(
    ("mistake", "cure"), [pytest.param(mistake, cure, id=name) for name, mistake, cure in OUTSIDE]
)
def test_message_says_what_to_do_instead(mistake, cure):
    assert cure in said(mistake)


@pytest.mark.parametrize(
    ("mistake", "cure"), [pytest.param(mistake, cure, id=name) for name, mistake, cure in INSIDE]
)
def test_message_in_a_loop_says_what_to_do_instead(mistake, cure):
    assert cure in said(lambda: in_loop(mistake))


def test_port_in_use_is_named():
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        message = said(lambda: in_loop(lambda: asynctcp.tcp_server(LOOPBACK, port, ignore)))
    assert message.startswith("TcpServerBindError")
    assert "address already in use" in message
    assert f"{LOOPBACK}:{port}" in message


def test_function_in_asyncios_own_loop_names_ours():
    async def main():
        asynctcp.tcp_server(LOOPBACK, 0, ignore)

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        assert "asynctcp.aio.run(main())" in said(lambda: runner.run(main()))


def test_function_in_another_thread_names_call_soon_threadsafe():
    with ThreadPoolExecutor(1) as pool:
        assert "call_soon_threadsafe()" in pool.submit(said, serve(ignore)).result()


@pytest.mark.filterwarnings("ignore:coroutine")
def test_coroutine_function_given_to_run_is_to_be_called():
    with pytest.raises((TypeError, ValueError)) as caught:
        aio.run(coroutine)
    assert caught.value.__notes__ == [
        "call the function: asynctcp.aio.run(main()), not asynctcp.aio.run(main)"
    ]


def test_error_of_the_coroutine_has_no_note():
    async def main():
        raise ValueError

    with pytest.raises(ValueError) as caught:  # noqa: PT011 - it is the coroutine's own
        aio.run(main())
    assert not hasattr(caught.value, "__notes__")


def test_plain_function_as_handler_of_streams_is_named():
    told = []

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
        async with await aio.serve(ignore, LOOPBACK, 0) as server:
            stream = await aio.connect(server.host, server.port)
            with contextlib.suppress(ConnectionError):
                await stream.receive()
            await stream.aclose()

    aio.run(main())
    assert "must be an async def" in str(told[0])


def test_closing_twice_is_no_mistake():
    def main():
        sock = connect(ignore)()
        sock.close()
        sock.close()

    in_loop(main)
