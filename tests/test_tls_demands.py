"""A ticket of one server is no way into another that asks more of its clients (docs/contract.md, "TLS")."""

from __future__ import annotations

import pytest

from asynctcp import exit_event_loop, tcp_connect, tcp_server
from certificates import Authority
from helpers import ignore, run


def visits(first, second, client, *, reload=False):
    """Whether the second server resumed the session of the first; a condition where it let nobody in."""

    def read(ours, _data):
        results.append(ours.tls.resumed)
        ours.close()
        if len(results) == 2:
            return exit_event_loop()
        if reload:
            servers[0].reload_tls(second)
        tcp_connect("localhost", servers[-1].port, read, told, tls=client)
        return None

    def told(condition):
        results.append(condition)
        exit_event_loop()

    def welcome(ours):
        ours.write(b"the ticket has come")

    def start():
        servers.extend(
            tcp_server("localhost", 0, None, ignore, connect_cb=welcome, tls=config)
            for config in ([first] if reload else [first, second])
        )
        tcp_connect("localhost", servers[0].port, read, told, tls=client)

    servers, results = [], []
    run(start)
    assert results[0] is False
    return results[1]


VERSIONS = pytest.mark.parametrize("version", ["1.2", "1.3"])


@VERSIONS
def test_servers_that_ask_the_same_take_each_others_tickets(ca, version):
    asking = {"client_certs": "required", "ca_data": ca.pem}
    client = ca.client(cert_data=ca.issue("me@example.org"), max_version=version)
    assert visits(ca.server(), ca.server(), ca.client(max_version=version)) is True
    assert visits(ca.server(**asking), ca.server(ca.issue(), **asking), client) is True


@VERSIONS
@pytest.mark.parametrize("reload", [False, True])
@pytest.mark.parametrize("before", ["none", "optional"])
def test_ticket_of_who_asked_for_no_certificate_lets_nobody_in_where_one_is_required(
    ca, version, reload, before
):
    first = ca.server() if before == "none" else ca.server(client_certs="optional", ca_data=ca.pem)
    second = ca.server(client_certs="required", ca_data=ca.pem)
    condition = visits(first, second, ca.client(max_version=version), reload=reload)
    assert condition.reason == "certificate-required"


@VERSIONS
def test_ticket_of_who_trusts_another_authority_lets_nobody_in(ca, version):
    other = Authority()
    first = ca.server(client_certs="required", ca_data=other.pem)
    second = ca.server(client_certs="required", ca_data=ca.pem)
    client = ca.client(cert_data=other.issue("me@example.org"), max_version=version)
    assert visits(first, second, client).reason in ("unknown-issuer", "certificate-refused", "bad-signature")


def test_ticket_of_another_name_lets_nobody_in_where_a_certificate_is_required(ca):
    """Both names are of one server; a client that resumes asks for the other one."""
    strict = ca.server(client_certs="required", ca_data=ca.pem)
    assert (
        visits(ca.server(), ca.server(names={"localhost": strict}), ca.client()).reason
        == "certificate-required"
    )
