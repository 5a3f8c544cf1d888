"""The port scanner, on ports of loopback whose state is known."""

import contextlib
import re
import socket
import time

import pytest

from peers import DEADLINE, LOOPBACK, run_example


def scan(*arguments):
    """Return the status, the open ports, the last line, and the complaints."""
    done = run_example("port_scanner", *map(str, arguments))
    lines = done.stdout.splitlines()
    ports = [int(line.split()[0]) for line in lines if re.match(r"\d+ *[a-z-]*$", line)]
    return done.returncode, ports, lines[-1] if lines else "", done.stderr


@pytest.fixture
def listeners():
    """Five ports that are open."""
    with contextlib.ExitStack() as stack:
        yield sorted(
            stack.enter_context(socket.create_server((LOOPBACK, 0))).getsockname()[1] for _ in range(5)
        )


def test_open_ports_are_told_and_closed_ones_counted(listeners, peers):
    ports = ",".join(map(str, [*listeners, peers.free_port()]))
    status, found, summary, complaints = scan(LOOPBACK, ports)
    assert (status, sorted(found), summary, complaints) == (0, listeners, "1 closed, 5 open", "")


def test_range_is_scanned_a_few_at_a_time(listeners):
    first = listeners[0]
    last = min(first + 2000, 65535)
    status, found, summary, _ = scan(LOOPBACK, f"{first}-{last}", "--at-once", 20)
    assert status == 0
    assert first in found
    assert sum(map(int, re.findall(r"\d+", summary))) == last - first + 1


def test_port_without_an_answer_is_given_up_after_its_time(peers):
    host, port = peers.black_hole()
    begun = time.monotonic()
    status, found, summary, _ = scan(host, port, "--timeout", 0.2)
    assert (status, found, summary) == (1, [], "1 without an answer")
    assert time.monotonic() - begun < DEADLINE / 2


def test_name_is_looked_up_once():
    done = run_example("port_scanner", "localhost", "1-50")
    assert re.match(r"localhost is (127\.0\.0\.1|::1)\n", done.stdout)
    assert done.stdout.count("localhost") == 1


def test_name_that_is_not_found_is_said_with_status_1():
    status, found, _, complaints = scan("no-such-host.invalid", 80)
    assert (status, found) == (1, [])
    assert complaints.startswith("no-such-host.invalid is not found: ")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["a b"],
        [LOOPBACK, "0"],
        [LOOPBACK, "http"],
        [LOOPBACK, "65536"],
        [LOOPBACK, "9-8"],
        [LOOPBACK, "80", "--timeout", "nan"],
    ],
    ids=repr,
)
def test_wrong_arguments_are_said_with_status_2(arguments):
    status, found, _, complaints = scan(*arguments)
    assert (status, found) == (2, [])
    assert complaints.startswith("usage: ")
