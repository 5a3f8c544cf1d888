"""Names in TLS: who is asked for, and who is served (docs/contract.md, "TLS")."""

from __future__ import annotations

import socket
import ssl
import time

import pytest

from asynctcp import EventLoop, TlsConfig, exit_event_loop, tcp_connect, tcp_server
from certificates import authority
from helpers import LOOPBACK, Log, fail, run, wait_until


def met(server, client, **keywords):
    """What the server's end says of the session that comes about."""

    def welcome(ours):
        told.append(ours.tls)
        exit_event_loop()

    def start():
        serving = tcp_server(LOOPBACK, 0, None, fail, connect_cb=welcome, tls=server)
        tcp_connect(LOOPBACK, serving.port, None, fail, tls=client, **keywords)

    told = []
    run(start)
    return told[0]


@pytest.mark.parametrize(
    ("listed", "asked", "certified"),
    [
        ("bücher.example", "bücher.example", "bücher.example"),
        ("BÜCHER.Example", "xn--bcher-kva.example", "bücher.example"),
        ("xn--bcher-kva.example", "Bücher.example", "bücher.example"),
        ("*.bücher.example", "www.bücher.example", "*.bücher.example"),
        ("*.example", "bücher.example", "bücher.example"),
        ("bücher。example", "bücher.example", "bücher.example"),
        ("faß.example", "faß.example", "xn--fa-hia.example"),
        ("a.example.", "a.example", "a.example"),
    ],
)
def test_internationalised_name_is_served_and_verified(ca, listed, asked, certified):
    server = ca.server(names={listed: ca.server(ca.issue(certified))})
    info = met(server, ca.client(server_name=asked))
    assert info.server_name in ("a.example", "xn--fa-hia.example") or info.server_name.endswith(
        "xn--bcher-kva.example"
    )


def test_name_of_start_tls_may_be_internationalised(ca):
    def read(ours, _data):
        told.append(ours.tls.server_name)
        exit_event_loop()

    def start():
        config = ca.server(ca.issue("bücher.example"))
        server = tcp_server(
            LOOPBACK,
            0,
            read,
            fail,
            connect_cb=lambda ours: ours.start_tls(config),
        )
        tcp_connect(
            LOOPBACK,
            server.port,
            None,
            fail,
            connect_cb=lambda ours: (
                ours.start_tls(ca.client(), server_name="bücher.example"),
                ours.write("x"),
            ),
        )

    told = []
    run(start)
    assert told == ["xn--bcher-kva.example"]


@pytest.mark.parametrize("name", ["", "*", "*.", "a b", "a..example", "*.*.example", "\ud800", "\xad"])
def test_host_that_no_client_can_ask_for_is_refused(ca, name):
    with pytest.raises(ValueError, match="names"):
        ca.server(names={name: ca.server()})


@pytest.mark.parametrize("name", ["", "a b", "*.", "\ud800", "\xad"])
def test_server_name_that_cannot_be_is_refused(name):
    with pytest.raises(ValueError, match="name"):
        TlsConfig.client(server_name=name)


def test_text_that_cannot_be_encoded_is_refused_by_its_name_alone():
    with pytest.raises(ValueError, match="key_password must be") as raised:
        TlsConfig.client(key_password="secret\ud800")
    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is None
    with pytest.raises(ValueError, match="a protocol of alpn must be"):
        TlsConfig.client(alpn=["\ud800"])


# --- what the config of the name says -----------------------------------------------------------------------


class Client:
    """A handshake of Python's ``ssl`` with ``localhost``, a flight at a time."""

    def __init__(self, raw):
        self.raw = raw
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = authority().client_context()
        self.session = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    def greet(self):
        """Send a hello."""
        with pytest.raises(ssl.SSLWantReadError):
            self.session.do_handshake()
        self.raw.sendall(self.outgoing.read())

    def hear(self):
        """Wait for the answer."""
        self.incoming.write(self.raw.recv(1 << 16))
        self.session.do_handshake()

    def finish(self):
        """Send what ends the handshake."""
        self.raw.sendall(self.outgoing.read())


class Ending(Log):
    """The first condition ends the loop."""

    def event(self, condition):
        super().event(condition)
        exit_event_loop()


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize("threads", [0, 1])
def test_end_without_close_notify_is_what_the_config_of_the_name_says(peers, spawn, ca, allowed, threads):
    named = ca.server(allow_truncation=allowed)
    config = ca.server(allow_truncation=not allowed, names={"localhost": named})
    log = Ending()

    def talk(client):
        client.greet()
        client.hear()
        client.finish()
        client.raw.shutdown(socket.SHUT_WR)

    def start():
        client = Client(peers.connect(tcp_server(LOOPBACK, 0, fail, log.event, tls=config)))
        spawn(lambda: talk(client))

    run(start, loop=EventLoop(io_threads=threads))
    assert log.told == ["TcpEof" if allowed else "TlsError"]


@pytest.mark.parametrize("started", [False, True], ids=["at once", "STARTTLS"])
def test_handshake_timeout_is_that_of_the_config_of_the_name(peers, ca, started):
    named = ca.server(handshake_timeout=0.05)
    config = ca.server(handshake_timeout=None, names={"localhost": named})
    log = Ending()

    def start():
        options = {"connect_cb": lambda ours: ours.start_tls(config)} if started else {"tls": config}
        Client(peers.connect(tcp_server(LOOPBACK, 0, fail, log.event, **options))).greet()

    run(start)
    assert [condition.reason for condition in log.conditions] == ["handshake-timeout"]


def test_handshake_that_the_config_of_the_name_lets_take_longer_is_done(peers, spawn, ca):
    config = ca.server(handshake_timeout=0.2, names={"localhost": ca.server(handshake_timeout=None)})

    def talk(client):
        client.hear()
        begun = time.monotonic()
        # Longer than the other's: the time is what this is about.
        wait_until(lambda: time.monotonic() - begun > 0.3)
        client.finish()

    def start():
        server = tcp_server(LOOPBACK, 0, None, fail, connect_cb=lambda _: exit_event_loop(), tls=config)
        client = Client(peers.connect(server))
        client.greet()
        spawn(lambda: talk(client))

    run(start)
