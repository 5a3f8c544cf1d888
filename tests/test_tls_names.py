"""Names in TLS: who is asked for, and who is served (docs/contract.md, "TLS")."""

from __future__ import annotations

import pytest

from asynctcp import TlsConfig, exit_event_loop, tcp_connect, tcp_server
from certificates import authority
from helpers import LOOPBACK, fail, run


@pytest.fixture
def ca():
    return authority()


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
