"""Whom a certificate in ``ca_file`` makes trusted, and what issuers may do (docs/contract.md, "TLS")."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from asynctcp import TlsCertificateError, TlsConfig, TlsConfigError, exit_event_loop, tcp_connect, tcp_server
from certificates import authority, load
from helpers import LOOPBACK, SOON, ignore, run
from test_tls_certificates import DAY, NOW, Entity, attempt, refusal

CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH


def key_usage(*allowed):
    every = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment"]
    every += ["key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"]
    return x509.KeyUsage(**{each: each in allowed for each in every})


SIGNS_DATA, SIGNS_LISTS = key_usage("digital_signature"), key_usage("crl_sign")
SIGNS_CERTIFICATES = key_usage("digital_signature", "key_cert_sign")


@pytest.fixture(scope="module")
def root():
    return Entity("root", ca=True)


def asked(own, ca_data, **keywords):
    """What a server that trusts `ca_data` says of a client with this certificate; None: nothing."""

    def start():
        config = authority().server(client_certs="required", ca_data=ca_data, **keywords)
        server = tcp_server(LOOPBACK, 0, None, end, connect_cb=lambda _socket: end(None), tls=config)
        client = authority().client(cert_data=own.chain)
        tcp_connect(LOOPBACK, server.port, None, ignore, tls=client)

    def end(condition):
        results.append(condition)
        exit_event_loop()

    results = []
    run(start)
    return results[0] and results[0].reason


def test_key_of_a_server_that_was_given_signs_no_others():
    given = Entity("given", names=["a.example"])
    forged = Entity("forged", given)
    assert refusal(forged.chain, given.pem) == "unknown-issuer"


def test_key_of_a_client_that_was_given_signs_no_others():
    given = Entity("given", usage=CLIENT)
    assert asked(given, given.pem) is None
    assert asked(Entity("forged", given, usage=CLIENT), given.pem) == "unknown-issuer"


def test_certificate_that_was_given_with_an_authority_does_not_become_one(root):
    given = Entity("given", names=["a.example"])
    both = root.pem + given.pem
    assert refusal(Entity("forged", given).chain, both) == "unknown-issuer"
    assert (
        attempt(TlsConfig.server(cert_data=Entity("fine", root).chain), TlsConfig.client(ca_data=both))
        is None
    )


@pytest.mark.parametrize("usage", [SIGNS_DATA, SIGNS_LISTS])
def test_authority_whose_key_is_not_for_signing_certificates_makes_nobody_trusted(usage):
    given = Entity("given", ca=True, critical=usage)
    assert refusal(Entity("server", given).chain, given.pem) == "unknown-issuer"


@pytest.mark.parametrize("ca", [False, True])
def test_certificate_of_a_client_that_was_given_is_trusted_as_it_is(ca):
    own = Entity("me", ca=ca, usage=CLIENT)
    assert asked(own, own.pem) is None


def test_certificate_of_a_client_that_was_given_is_trusted_whoever_has_issued_it(root):
    own = Entity("me", root, usage=CLIENT)
    assert asked(own, own.pem) is None


@pytest.mark.parametrize(
    ("keywords", "reason"),
    [
        ({"days": (-30, -1)}, "expired"),
        ({"days": (1, 30)}, "not-yet-valid"),
        ({"usage": ExtendedKeyUsageOID.SERVER_AUTH}, "bad-usage"),
        ({"critical": key_usage("key_encipherment")}, "bad-usage"),
    ],
)
def test_certificate_of_a_client_that_was_given_is_trusted_in_its_time_and_for_its_use(keywords, reason):
    own = Entity("me", **{"usage": CLIENT, **keywords})
    assert asked(own, own.pem) == reason


def test_certificate_that_was_given_and_revoked_is_refused(root):
    own = Entity("me", root, usage=CLIENT)
    assert asked(own, own.pem, crl_data=revocation(root, own)) == "revoked"
    assert asked(own, own.pem, crl_data=revocation(root, Entity("other", root))) is None


def revocation(issuer, entity):
    entry = x509.RevokedCertificateBuilder().serial_number(entity.certificate.serial_number)
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.certificate.subject)
    builder = builder.last_update(NOW - DAY).next_update(NOW + DAY)
    builder = builder.add_revoked_certificate(entry.revocation_date(NOW).build())
    crl = builder.add_extension(x509.CRLNumber(1), critical=False).sign(issuer.key, hashes.SHA256())
    return crl.public_bytes(serialization.Encoding.PEM)


def test_intermediate_whose_key_is_not_for_signing_certificates_is_refused(root):
    between = Entity("between", root, ca=True, critical=SIGNS_DATA)
    assert refusal(Entity("server", between).chain, root.pem) == "bad-usage"
    assert asked(Entity("me", between, usage=CLIENT), root.pem) == "bad-usage"


def test_intermediate_whose_key_is_for_signing_certificates_is_accepted(root):
    between = Entity("between", root, ca=True, critical=SIGNS_CERTIFICATES)
    server = TlsConfig.server(cert_data=Entity("server", between).chain)
    assert attempt(server, TlsConfig.client(ca_data=root.pem)) is None
    assert asked(Entity("me", between, usage=CLIENT), root.pem) is None


def test_certificate_that_was_given_and_cannot_be_used_is_not_refused_as_a_strangers(spawn):
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    given = Entity("given", critical=unknown)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load(context, given.chain)

    def serve(listener):
        raw, _ = listener.accept()
        # The client refuses it.
        with raw, contextlib.suppress(OSError):
            context.wrap_socket(raw, server_side=True)

    def start(port):
        tls = TlsConfig.client(ca_data=given.pem)
        tcp_connect("localhost", port, None, told, tls=tls)

    def told(condition):
        conditions.append(condition)
        exit_event_loop()

    conditions = []
    with socket.create_server((LOOPBACK, 0)) as listener:
        listener.settimeout(SOON)
        spawn(lambda: serve(listener))
        run(lambda: start(listener.getsockname()[1]))
    assert conditions[0].reason == "bad-usage"
    assert conditions[0].verify_message == "the certificate has a critical extension that is not known"


def test_other_way_to_the_root_is_taken_where_one_intermediate_may_not_sign(root):
    bad = Entity("between", root, ca=True, critical=SIGNS_DATA)
    good = Entity("between", root, ca=True, key=bad.key)
    pem = Entity("server", bad).chain + good.pem
    assert attempt(TlsConfig.server(cert_data=pem), TlsConfig.client(ca_data=root.pem)) is None


@pytest.mark.parametrize(
    ("allowed", "server", "client"),
    [
        ("digital_signature", None, None),
        ("key_encipherment", None, "bad-usage"),
        ("key_agreement", None, None),
        ("crl_sign", "bad-usage", "bad-usage"),
        ("data_encipherment", "bad-usage", "bad-usage"),
    ],
)
def test_key_usage_of_the_peers_own_certificate_counts(root, allowed, server, client):
    # As in OpenSSL's `-purpose sslserver` and `sslclient`.
    usage = key_usage(allowed)
    pem = Entity("server", root, critical=usage).chain
    told = attempt(TlsConfig.server(cert_data=pem), TlsConfig.client(ca_data=root.pem))
    assert (told and told.reason) == server
    assert asked(Entity("me", root, usage=CLIENT, critical=usage), root.pem) == client


@pytest.mark.parametrize(("days", "reason"), [((-30, -1), "expired"), ((1, 30), "not-yet-valid")])
def test_authority_is_trusted_in_its_time_only(days, reason):
    root = Entity("root", ca=True, days=days)
    assert refusal(Entity("server", root).chain, root.pem) == reason
    assert asked(Entity("me", root, usage=CLIENT), root.pem) == reason


def test_authority_that_has_renewed_its_certificate_is_trusted_by_the_new_one():
    old = Entity("root", ca=True, days=(-30, -1))
    new = Entity("root", ca=True, key=old.key)
    server = TlsConfig.server(cert_data=Entity("server", new).chain)
    for pem in (old.pem + new.pem, new.pem + old.pem):
        assert attempt(server, TlsConfig.client(ca_data=pem)) is None


def test_store_of_the_system_is_the_one_that_the_environment_names_now(root, tmp_path, monkeypatch):
    server = TlsConfig.server(cert_data=Entity("server", root).chain)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(written(tmp_path / "other.pem", authority().pem)))
    assert attempt(server, TlsConfig.client()).reason == "unknown-issuer"
    monkeypatch.setenv("SSL_CERT_FILE", str(written(tmp_path / "root.pem", root.pem)))
    assert attempt(server, TlsConfig.client()) is None
    monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
    with pytest.raises(TlsConfigError, match="no store of trusted certificates"):
        TlsConfig.client()
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert attempt(server, TlsConfig.client()) is None


def written(path, content):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "odd",
    [
        x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
        x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x05\x00"),
        x509.DirectoryName(x509.Name([])),
    ],
)
def test_names_of_kinds_that_are_no_text_hide_no_others(root, odd):
    def start():
        config = TlsConfig.server(cert_data=Entity("server", root, names=["localhost", odd, LOOPBACK]).chain)
        server = tcp_server(LOOPBACK, 0, None, ignore, tls=config)
        tcp_connect(
            *("localhost", server.port, None, print),
            connect_cb=connected,
            tls=TlsConfig.client(ca_data=root.pem),
        )

    def connected(socket):
        names.append(socket.tls.peer_names)
        exit_event_loop()

    names = []
    run(start)
    assert names == [["localhost", LOOPBACK]]


def findings(root):
    """Whatever is wrong with a server's certificate: its PEM, whom to trust, and what is told."""
    expired, soon = {"days": (-30, -1)}, {"days": (1, 30)}
    forbidden = Entity("between", root, ca=True, critical=SIGNS_DATA)
    narrow = Entity("between", root, ca=True, constraints=["allowed.example"])
    old = Entity("root", ca=True, **expired)
    revoked = Entity("server", root)
    yield Entity("server", root, **expired), root, {}, "the certificate has expired"
    yield Entity("server", old), old, {}, "the certificate of an issuer has expired"
    yield Entity("server", root, **soon), root, {}, "the certificate is not valid yet"
    yield Entity("server", Entity("x", ca=True)), root, {}, "unable to find an issuer of the certificate"
    yield Entity("server"), root, {}, "the certificate is self-signed"
    yield Entity("server", ca=True), root, {}, "the certificate is self-signed"
    yield Entity("x", root, ca=True), root, {}, "the certificate is a CA certificate"
    yield (
        *(Entity("server", root, names=["q", "*.r"]), root, {}),
        'the certificate is for "q", "*.r", not for "localhost"',
    )
    yield Entity("server", root, usage=CLIENT), root, {}, "is not for servers"
    yield Entity("server", root, critical=SIGNS_LISTS), root, {}, "the key usage of the certificate"
    yield Entity("server", forbidden), root, {}, "does not allow it to sign others"
    yield Entity("server", narrow), root, {}, "may not issue for its names"
    yield revoked, root, {"crl_data": revocation(root, revoked)}, "has been revoked"
    stranger = Entity("root", ca=True)
    yield revoked, root, {"crl_data": revocation(stranger, revoked)}, "is not signed by its key"


def test_what_was_found_is_told_in_words(root):
    for entity, trusted, keywords, words in findings(root):
        config = TlsConfig.client(ca_data=trusted.pem, **keywords)
        condition = attempt(TlsConfig.server(cert_data=entity.chain), config)
        assert type(condition) is TlsCertificateError
        assert words in condition.verify_message
        # No names of Rust's.
        assert not re.search(r"[a-z][A-Z]|[({]|::", condition.verify_message)
