"""aiosmtpd does its work on our loop as on asyncio's own: in a thread, with smtplib as the client."""

from __future__ import annotations

import contextlib
import smtplib

import pytest

from certificates import authority
from helpers import DEADLINE, LOOPBACK
from loops import LOOPS
from peers import reserved_port
from services import needs_package

pytestmark = needs_package("aiosmtpd")


class Sink:
    """Keeps what comes."""

    def __init__(self):
        self.letters = []

    async def handle_DATA(self, _server, session, envelope):  # noqa: N802 (aiosmtpd's name)
        self.letters.append((envelope.rcpt_tos, envelope.content, session.ssl is not None))
        return "250 taken"


@pytest.fixture
def serve(loop_name):
    """``serve(sink, …)`` gives the address of a server in a thread of its own; the test's end ends it."""
    from aiosmtpd.controller import Controller

    with contextlib.ExitStack() as ending:

        def serve(sink, **options):
            port = ending.enter_context(reserved_port())
            loop = LOOPS[loop_name]()
            controller = Controller(sink, LOOPBACK, port, loop, ready_timeout=DEADLINE, **options)
            controller.start()
            ending.callback(controller.stop)
            return LOOPBACK, port

        yield serve


def test_letters_of_all_sizes_are_taken(serve):
    sink = Sink()
    text = "Subject: much\r\n\r\n" + "line\r\n" * 50_000
    with smtplib.SMTP(*serve(sink), timeout=DEADLINE) as client:
        client.sendmail("me@example.org", ["you@example.org"], "Subject: x\r\n\r\nhello\r\n")
        client.sendmail("me@example.org", ["a@example.org", "b@example.org"], text)
    assert [(to, content.decode()) for to, content, _ in sink.letters] == [
        (["you@example.org"], "Subject: x\r\n\r\nhello\r\n"),
        (["a@example.org", "b@example.org"], text),
    ]


def test_starttls_upgrades_the_connection(serve):
    sink = Sink()
    address = serve(sink, tls_context=authority().server_context(), require_starttls=True)
    with smtplib.SMTP(*address, timeout=DEADLINE) as client:
        client._host = "localhost"
        client.starttls(context=authority().client_context())
        client.sendmail("me@example.org", ["you@example.org"], "secret\r\n")
    assert sink.letters == [(["you@example.org"], b"secret\r\n", True)]


def test_client_that_says_nothing_is_let_go(serve):
    client = smtplib.SMTP(*serve(Sink(), timeout=0.1), timeout=DEADLINE)
    with client, pytest.raises(smtplib.SMTPServerDisconnected):
        client.getreply()
