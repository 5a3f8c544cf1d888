"""The lookups, of names of loopback."""

import socket
import sys

import pytest

from peers import EXAMPLES, LOOPBACK, Program, run_example

#: The program, with lookups that are never answered.
UNANSWERED = f"""
import sys
sys.path.insert(0, {str(EXAMPLES)!r})
import asynctcp, dns_lookup
def ask(*_, **__):
    print("asked", flush=True)
    asynctcp.delay(int, 60)
dns_lookup.dns_lookup = ask
sys.argv = ["dns_lookup", "localhost"]
sys.exit(dns_lookup.main())
"""


def look_up(*arguments):
    """Return the exit status, the lines of output, and those of complaints."""
    done = run_example("dns_lookup", *arguments)
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


def test_name_gives_its_address():
    assert look_up("-4", "localhost") == (0, [f"localhost: {LOOPBACK}"], [])


def test_address_gives_its_name():
    name, _service = socket.getnameinfo((LOOPBACK, 0), 0)
    assert look_up(LOOPBACK) == (0, [f"{LOOPBACK}: {name}"], [])


def test_each_of_many_gets_a_line():
    status, lines, complaints = look_up("-4", LOOPBACK, *["localhost"] * 100)
    assert (status, complaints) == (0, [])
    assert lines.count(f"localhost: {LOOPBACK}") == 100
    assert len(lines) == 101


@pytest.mark.parametrize("bad", ["no-such-host.invalid", "not a name", "192.0.2.1"])
def test_one_that_is_not_found_is_said_with_status_1_and_the_others_are_found(bad):
    status, lines, complaints = look_up("-4", bad, "localhost")
    assert (status, lines) == (1, [f"localhost: {LOOPBACK}"])
    assert len(complaints) == 1
    assert complaints[0].startswith(f"{bad}: not found: ")


def test_family_is_kept_to():
    """Whether localhost has an IPv6 address is the machine's to say."""
    status, lines, complaints = look_up("-6", "localhost")
    assert (status, len(lines), len(complaints)) in [(0, 1, 0), (1, 0, 1)]
    assert LOOPBACK not in "".join(lines)


@pytest.mark.parametrize("arguments", [[], ["-4", "-6", "localhost"], ["--port", "1", "localhost"]], ids=repr)
def test_wrong_arguments_are_said_with_status_2(arguments):
    status, lines, complaints = look_up(*arguments)
    assert (status, lines) == (2, [])
    assert complaints[0].startswith("usage: ")


def test_ctrl_c_ends_it_with_status_130_and_no_traceback():
    with Program(sys.executable, "-c", UNANSWERED) as program:
        program.wait_for("asked")
        assert program.interrupt() == 130
        assert program.output.splitlines() == ["asked", "", "ended"]
