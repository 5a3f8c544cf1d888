"""What becomes of exceptions of callbacks, and the default event handler (docs/contract.md, section 1)."""

from __future__ import annotations

import gc
import logging
import traceback

import pytest

import asynctcp
from asynctcp import TcpAppError, delay
from helpers import Oops, fail, ignore, oops, reset, run, wait_until

WIRES = ("tcp", "tls", "unix")


def raises_in(kind, peers, event_cb=None):
    """Let the callback ``kind`` raise `Oops`; the other callbacks do what brings it about."""

    def use(ours, raw):
        if kind == "connect_cb":
            raise Oops
        if kind == "write_cb":
            ours.write(b"x", write_cb=oops)
        if kind == "read_cb":
            raw.sendall(b"x")
        if kind == "event_cb":
            raw.close()

    if kind == "delay":
        return asynctcp.delay(oops, event_cb=event_cb)
    if kind == "start_fn":
        raise Oops
    return peers.link(use, oops, oops if kind == "event_cb" else event_cb)


KINDS = ["start_fn", "connect_cb", "read_cb", "write_cb", "event_cb", "delay"]
OF_SOCKETS = ["connect_cb", "read_cb", "write_cb"]


@pytest.mark.parametrize("kind", KINDS)
def test_exception_comes_out_of_start_unchanged(kind, peers):
    with pytest.raises(Oops):
        run(lambda: raises_in(kind, peers, fail))


def test_exception_that_comes_out_is_the_same_object():
    error = Oops("mine")

    def start():
        raise error

    with pytest.raises(Oops) as caught:
        run(start)
    assert caught.value is error


@pytest.mark.parametrize("base", [KeyboardInterrupt, SystemExit])
def test_interrupt_that_is_an_exception_too_ends_a_loop_that_catches(base):
    class Both(base, Exception):
        pass

    def raise_both():
        raise Both

    with pytest.raises(Both):
        run(lambda: delay(raise_both), catch_app_errors=True)


@pytest.mark.parametrize("kind", KINDS)
def test_exception_comes_out_after_everything_was_closed(kind, peers):
    kept = []

    def start():
        kept.append(asynctcp.tcp_server("127.0.0.1", 0, None))
        raises_in(kind, peers)

    with pytest.raises(Oops):
        run(start)
    assert kept[0].closed


@pytest.mark.parametrize("kind", [*OF_SOCKETS, "delay"])
def test_caught_exception_lets_the_loop_go_on(kind, peers, caplog):
    told = []

    def start():
        delay(lambda: told.append("goes on"), 0.02)
        raises_in(kind, peers)

    run(start, catch_app_errors=True)
    assert told == ["goes on"]
    assert caplog.text.count("Oops") >= 1


@pytest.mark.parametrize("kind", [*OF_SOCKETS, "delay"])
def test_caught_exception_goes_to_the_event_cb_once(kind, peers):
    seen = []
    run(lambda: raises_in(kind, peers, seen.append), catch_app_errors=True)
    assert [(type(error), type(error.__cause__)) for error in seen] == [(TcpAppError, Oops)]


@pytest.mark.parametrize("kind", [*OF_SOCKETS, "delay"])
def test_exception_that_an_event_cb_gets_has_its_traceback(kind, peers):
    seen = []
    run(lambda: raises_in(kind, peers, seen.append), catch_app_errors=True)
    frames = traceback.extract_tb(seen[0].__cause__.__traceback__)
    assert frames[-1].name in ("oops", "use")


def test_exception_that_a_close_cb_gets_has_its_traceback(peers):
    reasons = []
    run(
        lambda: peers.link(oops, close_cb=lambda _socket, reason: reasons.append(reason)),
        catch_app_errors=True,
    )
    assert traceback.extract_tb(reasons[0].__cause__.__traceback__) != []


@pytest.mark.parametrize("kind", OF_SOCKETS)
def test_app_error_of_a_socket_names_socket_peer_callback_and_function(kind, peers):
    seen, kept = [], []
    run(lambda: kept.append(raises_in(kind, peers, seen.append)), catch_app_errors=True)
    (error,) = seen
    assert (error.socket, error.callback) == (kept[0], kind)
    assert error.peer == peers.name
    assert error.function == ("helpers.oops" if kind != "connect_cb" else error.function)


@pytest.mark.parametrize(
    ("begin", "name"),
    [
        (lambda event_cb: delay(oops, event_cb=event_cb), "delay"),
        (lambda event_cb: asynctcp.dns_lookup("127.0.0.1", oops, event_cb=event_cb), "dns_lookup"),
        (
            lambda event_cb: asynctcp.reverse_dns_lookup("127.0.0.1", oops, event_cb=event_cb),
            "reverse_dns_lookup",
        ),
    ],
)
def test_app_error_of_what_has_no_socket_has_none(begin, name):
    seen = []
    run(lambda: begin(seen.append), catch_app_errors=True)
    (error,) = seen
    assert (error.socket, error.peer, error.callback, error.function) == (None, None, name, "helpers.oops")


def test_app_error_of_an_interval_says_so():
    def event(error):
        seen.append(error.callback)
        timer.cancel()

    seen = []

    def start():
        nonlocal timer
        timer = asynctcp.interval(oops, 0.001, event_cb=event)

    timer = None
    run(start, catch_app_errors=True)
    assert seen == ["interval"]


@pytest.mark.parametrize("kind", [*OF_SOCKETS, "event_cb"])
def test_caught_exception_closes_its_socket(kind, peers):
    kept = []
    run(lambda: kept.append(raises_in(kind, peers, ignore)), catch_app_errors=True)
    assert kept[0].closed


@pytest.mark.parametrize("kind", [*OF_SOCKETS, "delay"])
def test_caught_exception_is_logged_with_traceback_if_not_sent_to_event_cb(kind, peers, caplog):
    run(lambda: raises_in(kind, peers, fail), catch_app_errors=True, send_errors_to_event_cb=False)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("asynctcp", logging.ERROR)
    assert record.exc_info[0] is Oops
    assert traceback.extract_tb(record.exc_info[2]) != []
    assert f"{kind} " in record.getMessage()
    if kind != "connect_cb":
        assert "helpers.oops" in record.getMessage()
    if kind != "delay":
        assert peers.name in record.getMessage()


@pytest.mark.parametrize("kind", KINDS)
def test_function_for_app_errors_gets_the_exception(kind, peers):
    seen = []
    run(lambda: raises_in(kind, peers, fail), catch_app_errors=seen.append)
    assert [type(error) for error in seen] == [Oops]


def test_function_for_app_errors_that_raises_ends_the_loop():
    def worse(_error):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(lambda: delay(oops), catch_app_errors=worse)


def test_socket_is_closed_though_the_function_for_its_app_error_raises(peers):
    def worse(_error):
        raise ZeroDivisionError

    def pump():
        try:
            loop.pump(0.01)
        except ZeroDivisionError:
            return True

    kept = []
    loop = asynctcp.EventLoop(catch_app_errors=worse)
    loop.call_soon_threadsafe(lambda: kept.append(raises_in("read_cb", peers, fail)))
    wait_until(pump)
    assert kept[0].closed
    loop.exit()
    # The socket's reason has a traceback, whose frames have the socket.
    kept.clear()
    gc.collect()


@pytest.mark.parametrize("mode", [True, fail], ids=["True", "function"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("kind", ["read_cb", "delay"])
def test_exit_exceptions_end_the_loop_in_every_mode(mode, error, kind, peers):
    def leave(*_):
        raise error

    def start():
        if kind == "delay":
            delay(leave, event_cb=fail)
        else:
            peers.link(lambda _ours, raw: raw.sendall(b"x"), leave, fail)

    with pytest.raises(error):
        run(start, catch_app_errors=mode)


def test_exception_of_an_event_cb_given_an_app_error_is_not_sent_there_again(peers, caplog):
    seen = []

    def event(error):
        seen.append(type(error))
        raise ValueError

    run(lambda: raises_in("read_cb", peers, event), catch_app_errors=True)
    assert seen == [TcpAppError]
    assert "ValueError" in caplog.text


def test_interrupt_of_an_event_cb_given_an_app_error_ends_the_loop(peers):
    def event(_error):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(lambda: raises_in("read_cb", peers, event), catch_app_errors=True)


def test_socket_can_be_closed_by_the_event_cb_that_is_given_an_app_error(peers):
    kept = []
    run(
        lambda: kept.append(raises_in("read_cb", peers, lambda _: kept[0].close())),
        catch_app_errors=True,
    )
    assert kept[0].closed


def test_what_was_written_before_a_caught_exception_is_sent(peers, log):
    def use(ours, raw):
        log.told.append(raw)
        ours.write(b"last words")
        raise Oops

    run(lambda: peers.link(use, None, ignore), catch_app_errors=True)
    assert log.told[0].recv(100) == b"last words"


def test_app_error_of_one_socket_does_not_disturb_another(peers, log):
    def start():
        raises_in("read_cb", peers, ignore)
        peers.link(lambda _ours, raw: (raw.sendall(b"sound"), raw.close()), log.read, log.event)

    run(start, catch_app_errors=True)
    assert log.told == [b"sound", "TcpEof"]


# --- the default event handler ------------------------------------------------------------------------------


@pytest.mark.can_reset
def test_default_handler_logs_an_error_with_peer_and_code(peers, caplog):
    run(lambda: peers.link(lambda _ours, raw: reset(raw)))
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("asynctcp", logging.WARNING)
    assert peers.name in record.getMessage()
    assert "104" in record.getMessage()


def test_default_handler_ignores_an_end_of_stream(peers, caplog):
    run(lambda: peers.link(lambda _ours, raw: raw.close()))
    assert caplog.records == []


def test_default_handler_logs_an_error_of_the_apps_with_its_traceback(caplog):
    with pytest.raises(Oops) as caught:
        oops()
    asynctcp.default_event_handler(caught.value)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info == (Oops, caught.value, caught.value.__traceback__)


@pytest.mark.parametrize("condition", [asynctcp.TcpEof(), asynctcp.TcpBufferFull(), asynctcp.EventInfo()])
def test_default_handler_ignores_what_is_no_error(condition, caplog):
    asynctcp.default_event_handler(condition)
    assert caplog.records == []


def test_replaced_default_handler_is_told_what_has_no_event_cb(peers, log):
    asynctcp.set_default_event_handler(log.event)
    run(lambda: peers.link(lambda _ours, raw: raw.close()))
    assert log.told == ["TcpEof"]


@pytest.mark.can_reset
def test_replaced_default_handler_is_told_an_error_that_has_no_event_cb(peers, log):
    asynctcp.set_default_event_handler(log.event)
    run(lambda: peers.link(lambda _ours, raw: reset(raw)))
    assert log.told == ["TcpReset"]


def test_replaced_default_handler_is_not_told_what_has_an_event_cb(peers, log):
    asynctcp.set_default_event_handler(fail)
    run(lambda: peers.link(lambda _ours, raw: raw.close(), None, log.event))
    assert log.told == ["TcpEof"]


@pytest.mark.can_reset
def test_default_handler_none_restores_the_librarys(peers, caplog):
    asynctcp.set_default_event_handler(fail)
    asynctcp.set_default_event_handler(None)
    run(lambda: peers.link(lambda _ours, raw: reset(raw)))
    assert "TcpReset" in caplog.text


@pytest.mark.can_reset
def test_replaced_default_handler_that_raises_ends_the_loop(peers):
    asynctcp.set_default_event_handler(oops)
    with pytest.raises(Oops):
        run(lambda: peers.link(lambda _ours, raw: reset(raw)))


@pytest.mark.tcp_only
def test_refused_connection_without_event_cb_does_not_end_the_loop(peers, caplog):
    run(lambda: asynctcp.tcp_connect("127.0.0.1", peers.free_port(), None))
    assert "TcpRefused" in caplog.text


@pytest.mark.tcp_only
def test_default_handler_names_what_could_not_be_connected_to(peers, caplog):
    port = peers.free_port()
    run(lambda: asynctcp.tcp_connect("127.0.0.1", port, None))
    assert f"TcpRefused from 127.0.0.1:{port}: [111]" in caplog.text


def test_default_handler_names_the_host_of_a_lookup(caplog):
    run(lambda: asynctcp.dns_lookup("no-such-host.invalid", fail))
    assert "DnsError from no-such-host.invalid: [-" in caplog.text


def test_default_handler_logs_an_app_error_with_traceback(caplog):
    asynctcp.default_event_handler(Oops("here"))
    (record,) = caplog.records
    assert (record.levelno, record.exc_info[0]) == (logging.ERROR, Oops)


def test_default_handler_logs_the_cause_of_an_app_error_with_its_traceback(caplog):
    error = asynctcp.TcpAppError("read_cb", oops)
    error.__cause__ = Oops("here")
    asynctcp.default_event_handler(error)
    (record,) = caplog.records
    assert (record.levelno, record.exc_info[0]) == (logging.ERROR, Oops)
    assert record.getMessage() == "read_cb helpers.oops raised Oops: here"


def test_default_handler_logs_an_app_error_without_a_cause(caplog):
    asynctcp.default_event_handler(asynctcp.TcpAppError("read_cb"))
    (record,) = caplog.records
    assert record.getMessage() == "read_cb raised an exception"


def test_default_handler_ignores_an_info_that_is_no_error(caplog):
    asynctcp.default_event_handler(asynctcp.TcpEof())
    assert caplog.records == []


def test_caught_exception_without_event_cb_is_logged_and_not_the_default_handlers(caplog):
    asynctcp.set_default_event_handler(fail)
    run(lambda: delay(oops), catch_app_errors=True)
    assert [record.exc_info[0] for record in caplog.records] == [Oops]


@pytest.mark.tcp_only
def test_exception_of_a_connect_cb_goes_to_the_servers_event_cb(peers, log):
    def welcome(_ours):
        server.close()
        raise Oops

    def start():
        nonlocal server
        server = asynctcp.tcp_server("127.0.0.1", 0, None, log.event, connect_cb=welcome)
        peers.connect(server)

    server = None
    run(start, catch_app_errors=True)
    assert log.told == ["TcpAppError"]


@pytest.mark.parametrize("lookup", [asynctcp.dns_lookup, asynctcp.reverse_dns_lookup])
def test_exception_of_a_lookups_callback_goes_to_its_event_cb(lookup, log):
    run(lambda: lookup("127.0.0.1", oops, event_cb=log.event), catch_app_errors=True)
    assert log.told == ["TcpAppError"]


@pytest.mark.parametrize("to_event_cb", [True, False])
def test_exception_of_start_fn_comes_out_though_errors_are_caught(to_event_cb):
    kept = []

    def start():
        kept.append(asynctcp.tcp_server("127.0.0.1", 0, None))
        raise Oops

    with pytest.raises(Oops):
        asynctcp.start_event_loop(start, catch_app_errors=True, send_errors_to_event_cb=to_event_cb)
    assert kept[0].closed


def test_exception_of_start_fn_goes_to_the_function_for_errors():
    told = []
    asynctcp.start_event_loop(oops, catch_app_errors=told.append)
    assert [type(error) for error in told] == [Oops]


def test_result_of_the_start_function_in_its_place_is_named_as_the_likely_mistake():
    async def main():
        """Do nothing."""

    coroutine = main()
    for result in (None, coroutine):
        with pytest.raises(TypeError, match=r"start_event_loop\(main\)"):
            asynctcp.start_event_loop(result)
    coroutine.close()
    with pytest.raises(asynctcp.EventLoopError, match=r"start_event_loop\(main\)"):
        asynctcp.start_event_loop(asynctcp.tcp_server("127.0.0.1", 0, None))
