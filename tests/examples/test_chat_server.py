"""The chat server, with guests of all kinds."""

import socket
import struct
import sys
import threading
from argparse import Namespace

import pytest

import asynctcp
from helpers import DEADLINE, Oops
from helpers import run as run_loop
from peers import EXAMPLES, MIB, needs, run

sys.path.insert(0, str(EXAMPLES))
import chat_server


class Guest:
    """A raw connection that reads lines."""

    def __init__(self, raw):
        self.raw = raw
        self.file = raw.makefile("rb")

    def say(self, text):
        self.raw.sendall(text.encode() + b"\n")

    def hears(self):
        return self.file.readline().decode().rstrip("\n")

    def close(self):
        self.file.close()
        self.raw.close()


@pytest.fixture
def chat(start_example):
    return start_example("chat_server")


@pytest.fixture
def join(chat):
    """``join(name)`` gives a guest who was let in; without a name, one who is asked for it."""
    guests = []

    def join(name=None):
        guest = Guest(chat.connect())
        guests.append(guest)
        assert guest.hears() == "Who are you?"
        if name is not None:
            guest.say(name)
            assert name in guest.hears().removeprefix("* here: ").split(", ")
        return guest

    yield join
    for guest in guests:
        guest.close()


def test_what_one_says_all_others_read(join):
    ann, bob, eve = join("ann"), join("bob"), join("eve")
    assert [ann.hears(), ann.hears(), bob.hears()] == ["* bob comes", "* eve comes", "* eve comes"]
    ann.say("hello")
    assert [bob.hears(), eve.hears()] == ["<ann> hello"] * 2
    bob.say("hi")
    assert [ann.hears(), eve.hears()] == ["<bob> hi"] * 2


def test_line_that_comes_in_pieces_is_one(join):
    ann, bob = join("ann"), join("bob")
    for piece in (b"hel", b"lo\nwor", b"ld\n"):
        bob.raw.sendall(piece)
    assert [ann.hears() for _ in range(3)] == ["* bob comes", "<bob> hello", "<bob> world"]


@pytest.mark.parametrize("name", ["", "two words", "x" * 21, "\x1b[2J", "/who"])
def test_bad_name_is_refused_and_a_good_one_taken_afterwards(name, join):
    guest = join()
    guest.say(name)
    assert guest.hears().startswith("A name has up to 20 letters")
    guest.say("ann")
    assert guest.hears() == "* here: ann"


def test_name_that_is_taken_is_refused(join):
    join("ann")
    guest = join()
    guest.say("ann")
    assert guest.hears() == "ann is here already. Who are you?"


def test_name_is_free_again_when_its_guest_has_gone(join):
    ann, bob = join("ann"), join("bob")
    ann.close()
    assert bob.hears() == "* ann leaves"
    join("ann")


def test_who_lists_the_guests(join):
    join("bob")
    ann = join("ann")
    ann.say("/who")
    assert ann.hears() == "* here: ann, bob"


def test_unknown_command_is_for_nobody_else(join):
    ann = join("ann")
    ann.say("/dance")
    assert ann.hears() == "* there are /who and /quit"


def test_quit_leaves_and_what_follows_is_not_said(join):
    ann, bob = join("ann"), join("bob")
    assert ann.hears() == "* bob comes"
    bob.raw.sendall(b"/quit\nafterwards\n")
    assert bob.hears() == ""
    assert ann.hears() == "* bob leaves"
    ann.say("/who")
    assert ann.hears() == "* here: ann"


def test_reset_leaves(join):
    ann, bob = join("ann"), join("bob")
    assert ann.hears() == "* bob comes"
    bob.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    bob.close()
    assert ann.hears() == "* bob leaves"


def test_control_characters_do_not_reach_the_others(join):
    ann, bob = join("ann"), join("bob")
    assert ann.hears() == "* bob comes"
    bob.raw.sendall(b"a\x1b[2Jb\xff\xc2\x9bc\r\n")
    assert ann.hears() == "<bob> a [2Jb\N{REPLACEMENT CHARACTER} c"


def test_line_without_an_end_puts_its_guest_out(join):
    ann, bob = join("ann"), join("bob")
    assert ann.hears() == "* bob comes"
    bob.raw.sendall(b"x" * 2000)
    assert bob.hears() == ""
    assert ann.hears() == "* bob says too much at a time"


@pytest.mark.slow
def test_guest_who_does_not_read_is_put_out_and_holds_up_nobody(chat, join):
    ann, _bob, eve = join("ann"), join("bob"), join("eve")
    line = b"x" * 1000 + b"\n"
    for _ in range(20_000):
        ann.raw.sendall(line)
        said = eve.hears()
        while said != "<ann> " + "x" * 1000:
            assert said in ("* bob does not listen", "* eve comes")
            if said.endswith("listen"):
                assert chat.memory() < 128 * MIB
                return
            said = eve.hears()
    pytest.fail("bob is still there")


@needs("nc")
def test_nc_joins(chat):
    heard = run("nc", *chat.address, stdin="ann\n/who\n/quit\n")
    assert heard == "Who are you?\n* here: ann\n* here: ann\n"


class Crashing(chat_server.Room):
    """A room with a bug."""

    def on_line(self, guest, line):
        if line == "crash":
            raise Oops
        super().on_line(guest, line)


def test_name_is_free_again_after_a_bug_in_its_guests_callback(monkeypatch, caplog):
    def talk(host, port):
        try:
            ann, bob = (Guest(socket.create_connection((host, port), DEADLINE)) for _ in range(2))
            with ann.raw, bob.raw:
                bob.say("bob")
                assert [bob.hears(), bob.hears()] == ["Who are you?", "* here: bob"]
                ann.say("ann")
                ann.say("crash")
                heard.extend([bob.hears(), bob.hears()])
            with socket.create_connection((host, port), DEADLINE) as raw:
                again = Guest(raw)
                again.say("ann")
                heard.extend([again.hears(), again.hears()])
        finally:
            loop.call_soon_threadsafe(asynctcp.exit_event_loop)

    def listening(text, **_):
        host, port = text.removeprefix("listening on ").split(":")
        threads.append(threading.Thread(target=talk, args=(host, int(port))))
        threads[0].start()

    heard, threads = [], []
    monkeypatch.setattr(chat_server, "Room", Crashing)
    monkeypatch.setattr(chat_server, "print", listening, raising=False)
    loop = asynctcp.EventLoop(catch_app_errors=True)
    run_loop(lambda: chat_server.serve(Namespace(host="127.0.0.1", port=0)), loop=loop)
    threads[0].join()
    assert heard == ["* ann comes", "* ann leaves", "Who are you?", "* here: ann, bob"]
    assert "Oops" in caplog.text
