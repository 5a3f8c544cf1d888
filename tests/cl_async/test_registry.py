"""cl-async's tests of its registries (``base``, ``util``, ``dns``), as far as an app can see into these."""

from __future__ import annotations

import weakref

import pytest

import asynctcp
from asynctcp import delay, dns_lookup, reverse_dns_lookup, stats, tcp_connect
from helpers import LOOPBACK, run, when


def test_stats_count_the_timers_that_wait():
    """``data-and-fn-pointers``: there the registries' entries are counted, here the timers themselves."""
    counted = []

    def start():
        timers = [delay(int, 60) for _ in range(3)]
        counted.append(stats()["timers"])
        for timer in timers:
            timer.cancel()
        counted.append(stats()["timers"])

    asynctcp.start_event_loop(start)
    assert counted == [3, 0]


def test_all_callbacks_get_the_object_that_the_connect_returned(peers):
    """``data-pointers``: what stands for a connection is the same thing each time it is given out."""
    seen = []

    def connected(ours):
        seen.append(ours)
        raw = peers.accept(ours)
        raw.sendall(b"x")
        raw.close()

    def start():
        returned.append(
            tcp_connect(
                *peers.address,
                lambda ours, _data: seen.append(ours),
                lambda condition: seen.append(condition.socket),
                connect_cb=connected,
                write_cb=seen.append,
                data=b"hello",
            )
        )

    returned = []
    run(start)
    assert {id(ours) for ours in seen} == {id(returned[0])}
    assert len(seen) == 4


def test_callback_runs_while_the_socket_is_open_and_is_let_go_when_it_is_closed(peers):
    """``pointer-callbacks``."""
    told = []
    callback = []

    def start():
        def read(ours, data):
            told.append(data)
            ours.close()
            delay(lambda: told.append(callback[0]()))

        callback.append(weakref.ref(read))
        peers.link(lambda _ours, raw: raw.sendall(b"x"), read)

    run(start)
    assert told == [b"x", None]


def test_data_of_the_app_stays_with_its_socket_and_goes_with_it(peers):
    """``pointer-data``: here it goes with the socket object, and can be asked for after the close."""

    class Data:
        pass

    def start():
        ours = peers.link(lambda ours, _raw: ours.close())
        ours.data = Data()
        data.append(weakref.ref(ours.data))
        assert asynctcp.socket_data(ours) is data[0]()

    data = []
    run(start)
    assert data[0]() is None


@pytest.mark.parametrize(
    ("lookup", "subject"),
    [
        pytest.param(dns_lookup, "localhost", id="dns-lookup-mem-leak"),
        pytest.param(reverse_dns_lookup, LOOPBACK, id="reverse-dns-lookup-mem-leak"),
    ],
)
def test_answered_lookup_leaves_nothing_behind(lookup, subject):
    """``dns-lookup-mem-leak`` and ``reverse-dns-lookup-mem-leak``."""
    left = []
    callback = []

    def start():
        def answered(*_answer):
            when(lambda: callback[0]() is None, lambda: left.append(stats()["open_dns_queries"]))

        callback.append(weakref.ref(answered))
        lookup(subject, answered)
        assert stats()["open_dns_queries"] == 1

    run(start)
    assert left == [0]
