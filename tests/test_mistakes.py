"""What a newcomer does wrong at first: each message says what to do instead."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
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
    (
        "makes_a_config_of_files",
        lambda: asynctcp.TlsConfig("cert.pem", "key.pem"),
        "TlsConfig.server(cert_file=..., key_file=...)",
    ),
    (
        "makes_a_config_by_keywords",
        lambda: asynctcp.TlsConfig(ca_file="ca.pem"),
        "TlsConfig.client(ca_file=...)",
    ),
    ("misspells_a_keyword_of_a_timer", lambda: asynctcp.delay(ignore, tme=1), "Did you mean 'time'?"),
    ("guesses_a_keyword_of_a_timer", lambda: asynctcp.delay(ignore, seconds=1), "Did you mean 'time'?"),
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
    (
        "gives_the_port_with_the_host",
        lambda: asynctcp.tcp_server("127.0.0.1:7000", 7000, ignore),
        "bind_address must be a host alone, the port being an argument of its own, not '127.0.0.1:7000'",
    ),
    (
        "gives_the_port_with_a_name",
        lambda: asynctcp.tcp_connect("localhost:7000", 7000, ignore),
        "host must be a host alone, the port being an argument of its own, not 'localhost:7000'",
    ),
    (
        "gives_the_port_with_an_ipv6_address",
        lambda: asynctcp.tcp_connect("[::1]:7000", 7000, ignore),
        "host must be a host alone, the port being an argument of its own, not '[::1]:7000'",
    ),
    (
        "puts_an_ipv6_address_in_brackets",
        lambda: asynctcp.tcp_connect("[::1]", 7000, ignore),
        "host must be an IPv6 address without brackets, not '[::1]'",
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
    (
        "misspells_a_keyword",
        serve(ignore, readtimeout=5),
        "tcp_server() got an unexpected keyword argument 'readtimeout'. Did you mean 'read_timeout'?",
    ),
    (
        "guesses_a_keyword",
        connect(ignore, timeout=5),
        "'timeout'. Did you mean 'read_timeout' or 'write_timeout'?",
    ),
    (
        "guesses_a_keyword_of_a_server",
        serve(ignore, timeout=5),
        "Did you mean 'read_timeout' or 'write_timeout'?",
    ),
    (
        "gives_a_timeout_for_connecting",
        connect(ignore, connect_timeout=5),
        "Did you mean 'read_timeout' (of a client it bounds connecting, too)?",
    ),
    ("gives_ssl_to_a_server", serve(ignore, ssl=True), "'ssl'. Did you mean 'tls' (a TlsConfig)?"),
    ("gives_ssl_to_a_connection", connect(ignore, ssl=True), "'ssl'. Did you mean 'tls' (a TlsConfig)?"),
    (
        "gives_the_name_that_a_server_must_have",
        connect(ignore, server_hostname="localhost"),
        "Did you mean 'tls' (TlsConfig.client(server_name=...))?",
    ),
    (
        "gives_hostname",
        lambda: asynctcp.tcp_connect(hostname=LOOPBACK, port=1, read_cb=ignore),
        "Did you mean 'host'?",
    ),
    (
        "gives_host_to_a_server",
        lambda: asynctcp.tcp_server(host=LOOPBACK, port=0, read_cb=ignore),
        "Did you mean 'bind_address'?",
    ),
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


@pytest.mark.parametrize("keyword", ["colour", "x"])
def test_keyword_like_no_other_is_named_alone(keyword):
    message = said(serve(ignore, **{keyword: 1}))
    assert message == f"TypeError: tcp_server() got an unexpected keyword argument '{keyword}'"


@pytest.mark.parametrize(
    ("function", "elsewhere", "here"),
    [
        (asynctcp.tcp_server, "certfile", "'tls' (a TlsConfig with cert_file=... and key_file=...)"),
        (asynctcp.tcp_server, "sock", "'fd'"),
        (asynctcp.tcp_server, "client_connected_cb", "'connect_cb'"),
        (asynctcp.tcp_server, "callback", "'read_cb'"),
        (asynctcp.tcp_server, "limit", "'max_line'"),
        (asynctcp.tcp_connect, "local_addr", "'local_address'"),
        (asynctcp.tcp_connect, "bind_address", "'host'"),
        (asynctcp.interval, "func", "'callback'"),
    ],
)
def test_keyword_of_another_library_is_translated(function, elsewhere, here):
    assert said(lambda: function(**{elsewhere: None})).endswith(f"'{elsewhere}'. Did you mean {here}?")


def test_keyword_that_was_meant_is_told_at_a_call_that_runs_often():
    # The interpreter calls a function that is called often at one place in another way.
    for _ in range(100):
        assert "Did you mean 'port'?" in said(lambda: asynctcp.reverse_dns_lookup(LOOPBACK, ignore, prt=1))


def test_function_that_tells_keywords_is_the_modules_own():
    assert pickle.loads(pickle.dumps(asynctcp.tcp_server)) is asynctcp.tcp_server
    assert repr(asynctcp.tcp_server) == "<built-in function tcp_server>"


def test_error_of_a_keywords_value_is_not_taken_for_one_of_its_name():
    class Number:
        def __index__(self):
            raise TypeError("tcp_server() got something else")

    error = said(lambda: in_loop(lambda: asynctcp.tcp_server(LOOPBACK, 0, ignore, max_connections=Number())))
    assert error.startswith("TypeError: max_connections must be")


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
