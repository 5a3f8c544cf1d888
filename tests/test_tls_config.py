"""What a ``TlsConfig`` takes, what it refuses, and what it never shows (docs/contract.md, "TLS")."""

from __future__ import annotations

import copy
import logging
import os
import pickle
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

import asynctcp
from asynctcp import TlsConfig, TlsConfigError, exit_event_loop, tcp_connect, tcp_server
from helpers import LOOPBACK, ignore, run


@pytest.fixture
def pem_file(tmp_path, ca):
    path = tmp_path / "server.pem"
    path.write_bytes(ca.usual)
    return path


def works(server, client):
    """Whether a connection comes about."""

    def start():
        serving = tcp_server(LOOPBACK, 0, None, ignore, tls=server)
        tcp_connect("localhost", serving.port, None, end, connect_cb=lambda _ours: end(None), tls=client)

    def end(result):
        results.append(result)
        exit_event_loop()

    results = []
    run(start)
    return results == [None]


@pytest.mark.parametrize("kind", [str, Path, os.fsencode])
def test_files_are_paths_of_each_kind(pem_file, ca, kind):
    assert works(TlsConfig.server(kind(pem_file)), ca.client())


def test_key_may_be_in_a_file_of_its_own(tmp_path, ca):
    text = ca.usual.decode()
    start = text.index("-----BEGIN CERT")
    (tmp_path / "chain").write_text(text[start:])
    (tmp_path / "key").write_text(text[:start])
    assert works(TlsConfig.server(tmp_path / "chain", tmp_path / "key"), ca.client())


@pytest.mark.parametrize("password", ["secret", b"secret"])
def test_encrypted_key_is_opened_by_its_password(ca, password):
    key = serialization.load_pem_private_key(ca.usual, None)
    form = serialization.PrivateFormat.PKCS8
    locked = key.private_bytes(
        serialization.Encoding.PEM, form, serialization.BestAvailableEncryption(b"secret")
    )
    config = TlsConfig.server(cert_data=ca.usual, key_data=locked, key_password=password)
    assert works(config, ca.client())
    with pytest.raises(TlsConfigError, match="key_password does not fit"):
        TlsConfig.server(cert_data=ca.usual, key_data=locked, key_password="wrong")
    with pytest.raises(TlsConfigError, match="key_password is needed"):
        TlsConfig.server(cert_data=ca.usual, key_data=locked)


def locked_by_openssl(key, folder, *options):
    """The key, encrypted by OpenSSL with the password "secret"."""
    (folder / "key").write_bytes(key)
    command = ["openssl", "pkcs8", "-topk8", "-in", "key", "-passout", "pass:secret", *options]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=30).stdout


@pytest.mark.parametrize(
    "options",
    [
        ["-v2", "aes-256-cbc"],
        ["-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512"],
        # The default of OpenSSL before 1.1, and of 1.1.0.
        ["-v2", "des3", "-v2prf", "hmacWithSHA1"],
        ["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA1"],
        ["-scrypt"],
    ],
)
def test_key_that_openssl_encrypted_is_opened_by_its_password(ca, tmp_path, options):
    locked = locked_by_openssl(ca.usual, tmp_path, *options)
    assert works(TlsConfig.server(cert_data=ca.usual, key_data=locked, key_password="secret"), ca.client())
    with pytest.raises(TlsConfigError, match=r"key_password does not fit the key$"):
        TlsConfig.server(cert_data=ca.usual, key_data=locked, key_password="wrong")


def test_key_that_is_encrypted_by_version_1_of_pkcs_5_is_refused_with_what_to_do(ca, tmp_path):
    locked = locked_by_openssl(ca.usual, tmp_path, "-v1", "PBE-SHA1-3DES")
    with pytest.raises(
        TlsConfigError, match="not supported; convert it: openssl pkcs8 -topk8 -v2 aes-256-cbc"
    ):
        TlsConfig.server(cert_data=ca.usual, key_data=locked, key_password="secret")


def test_key_that_is_encrypted_in_openssls_old_way_is_named_as_such(ca):
    head, tail = b"-----BEGIN RSA PRIVATE KEY-----\n", b"\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"
    old = head + b"Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00" + tail
    with pytest.raises(TlsConfigError, match=r"old way .*; convert it: openssl pkcs8 -topk8 -v2 "):
        TlsConfig.server(cert_data=ca.usual, key_data=old, key_password="x")


#: PEM of what is no certificate.
BAD_CERTIFICATE = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
#: PEM of what is no list.
BAD_CRL = b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({}, "needs cert_file or cert_data"),
        ({"cert_data": b""}, "cert_data: it holds no certificate"),
        ({"cert_data": "CERT"}, "it holds no private key"),
        ({"cert_data": "CERT", "key_data": "OTHER"}, "the key is not that of the certificate"),
        ({"cert_file": "/nowhere/at all"}, "cert_file '/nowhere/at all': No such file"),
        ({"cert_data": "BOTH", "client_certs": "required"}, "needs ca_file or ca_data"),
        (
            {"cert_data": "BOTH", "client_certs": "required", "ca_data": b"x"},
            "ca_data: it holds no certificate",
        ),
        (
            {"cert_data": "BOTH", "crl_data": b"x", "client_certs": "required", "ca_data": "BOTH"},
            "crl_data: it holds",
        ),
        ({"key_data": "BOTH"}, "a key without a certificate"),
        (
            {"cert_data": "BOTH", "crl_data": BAD_CRL, "client_certs": "required", "ca_data": "BOTH"},
            "crl_data: it holds a revocation list that cannot be read",
        ),
        # The key is not to blame.
        ({"cert_data": BAD_CERTIFICATE, "key_data": "BOTH"}, "cert_data: it holds a certificate that cannot"),
        ({"cert_data": "BROKEN CHAIN"}, "cert_data: it holds a certificate that cannot be read"),
        ({"cert_data": "BOTH", "ca_data": BAD_CERTIFICATE}, "ca_data: it holds a certificate that cannot be"),
        # Also what is not needed, as nobody asks for certificates.
        ({"cert_data": "BOTH", "ca_data": b"x"}, "ca_data: it holds no certificate"),
        ({"cert_data": "BOTH", "crl_data": b"x"}, "crl_data: it holds no revocation list"),
    ],
)
def test_what_is_wrong_is_named(ca, keywords, message):
    text = ca.usual.decode()
    values = {"BOTH": text, "CERT": text[text.index("-----BEGIN CERT") :], "OTHER": ca.issue("other")}
    values["BROKEN CHAIN"] = text + BAD_CERTIFICATE
    keywords = {name: values.get(value, value) for name, value in keywords.items()}
    with pytest.raises(TlsConfigError, match=message):
        TlsConfig.server(**keywords)
    assert issubclass(TlsConfigError, ValueError)


@pytest.mark.parametrize("verify", [False, None, "none", 0, 1, "insecure"])
def test_verifying_is_switched_off_by_one_word_only(verify):
    with pytest.raises(ValueError, match="verify must be True or 'insecure-none'"):
        TlsConfig.client(verify=verify)


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({"min_version": "1.1"}, ValueError, "min_version must be '1.2' or '1.3'"),
        ({"max_version": 1.3}, ValueError, "max_version must be"),
        ({"min_version": "1.3", "max_version": "1.2"}, ValueError, "is above"),
        ({"alpn": "h2"}, TypeError, "alpn must be a sequence"),
        ({"alpn": [1]}, TypeError, "a protocol of alpn must be bytes or str"),
        ({"alpn": [""]}, ValueError, "1 to 255 bytes"),
        ({"alpn": ["x" * 256]}, ValueError, "1 to 255 bytes"),
        ({"ca_file": 1}, TypeError, "ca_file must be a path"),
        ({"ca_data": 1}, TypeError, "ca_data must be bytes or str"),
        ({"ca_file": "a", "ca_data": b"a"}, TypeError, "exclude each other"),
        ({"key_password": 1, "cert_data": b""}, TypeError, "key_password must be"),
        ({"server_name": 1}, TypeError, "server_name must be a str"),
        ({"server_name": "no name"}, ValueError, "not a name that a certificate can be for"),
        ({"handshake_timeout": "1"}, TypeError, "handshake_timeout must be a number"),
        ({"ca_file": "nul\0"}, TlsConfigError, "null"),
        ({"ca_data": BAD_CERTIFICATE}, TlsConfigError, "ca_data: it holds a certificate that cannot be read"),
        ({"crl_data": BAD_CRL}, TlsConfigError, "crl_data: it holds a revocation list that cannot be read"),
        ({"sessions": 1}, TypeError, "sessions must be True or False, not 1"),
        ({"allow_truncation": "x"}, TypeError, "allow_truncation must be True or False, not 'x'"),
        ({"key_log": None}, TypeError, "key_log must be True or False, not None"),
    ],
)
def test_wrong_arguments_of_a_client_are_named(keywords, error, message):
    with pytest.raises(error, match=message):
        TlsConfig.client(**keywords)


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({"client_certs": "yes"}, ValueError, "client_certs must be 'none', 'optional' or 'required'"),
        ({"names": {"a": None}}, TypeError, r"names\['a'\] must be a TlsConfig"),
        ({"names": {1: None}}, TypeError, "a host of names must be a str"),
        ({"names": [1]}, TypeError, r"names must be a mapping of hosts to TlsConfigs, not \[1\]"),
        ({"names": {"a": "CLIENT"}}, ValueError, "must be a TlsConfig.server"),
    ],
)
def test_wrong_arguments_of_a_server_are_named(ca, keywords, error, message):
    if keywords.get("names") == {"a": "CLIENT"}:
        keywords = {"names": {"a": ca.client()}}
    with pytest.raises(error, match=message):
        TlsConfig.server(cert_data=ca.usual, **keywords)


def test_config_shows_no_key_and_is_no_copy(ca):
    config = ca.server()
    assert repr(config) == "<asynctcp.TlsConfig server>"
    assert repr(ca.client()) == "<asynctcp.TlsConfig client>"
    with pytest.raises(TypeError, match="holds a key"):
        pickle.dumps(config)
    assert copy.copy(config) is config is copy.deepcopy(config)
    assert not hasattr(config, "__dict__")


def test_config_cannot_be_changed_and_is_its_own_equal(ca):
    config = ca.server()
    with pytest.raises(AttributeError):
        config.alpn = ["h2"]
    with pytest.raises(AttributeError):
        del config._context
    assert {config: 1}[config] == 1
    assert config != ca.server()
    with pytest.raises(TypeError, match=r"TlsConfig\.client"):
        TlsConfig()


def test_expired_certificate_of_ones_own_is_told_by_the_log(ca, caplog):
    with caplog.at_level(logging.WARNING, "asynctcp"):
        ca.server(ca.issue(days=-1))
    assert "cert_data has expired" in caplog.text


def test_secrets_are_logged_only_where_that_is_asked_for(ca, tmp_path, monkeypatch):
    path = tmp_path / "keys"
    monkeypatch.setenv("SSLKEYLOGFILE", str(path))
    assert works(ca.server(), ca.client())
    assert not path.exists()
    assert works(ca.server(), ca.client(key_log=True))
    assert "CLIENT_HANDSHAKE_TRAFFIC_SECRET" in path.read_text()


def test_file_for_secrets_that_cannot_be_opened_is_logged_once(ca, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "missing" / "keys"))
    with caplog.at_level(logging.WARNING, "asynctcp"):
        ca.client()
        assert caplog.messages == []
        for _ in range(2):
            ca.client(key_log=True)
            ca.server(key_log=True)
    (message,) = caplog.messages
    assert str(tmp_path) in message
    assert "No such file" in message


@pytest.mark.parametrize("tls", [1, "yes", object()])
def test_what_is_no_config_is_refused_at_the_call(ca, tls):
    def start():
        with pytest.raises(TypeError, match=r"tls must be a TlsConfig\.client"):
            tcp_connect(LOOPBACK, 1, None, tls=tls)
        with pytest.raises(TypeError, match=r"tls must be a TlsConfig\.server"):
            tcp_server(LOOPBACK, 0, None, tls=tls)
        with pytest.raises(TypeError, match=r"tls must be a TlsConfig\.client"):
            tcp_connect(LOOPBACK, 1, None, tls=ca.server())
        with pytest.raises(TypeError, match=r"tls must be a TlsConfig\.server"):
            tcp_server(LOOPBACK, 0, None, tls=ca.client())
        with pytest.raises(TypeError, match=r"tls must be a TlsConfig\.server"):
            tcp_server(LOOPBACK, 0, None, tls=True)
        with pytest.raises(ValueError, match="max_handshakes"):
            tcp_server(LOOPBACK, 0, None, max_handshakes=0)
        exit_event_loop()

    run(start)


def test_config_is_used_by_loops_one_after_the_other(ca):
    server, client = ca.server(), ca.client()
    assert works(server, client)
    assert works(server, client)


def test_conditions_survive_pickling():
    condition = asynctcp.TlsCertificateError(
        71, "the peer's certificate was refused: why", None, "expired", "bad"
    )
    condition.peer = "1.2.3.4:5"
    twin = pickle.loads(pickle.dumps(condition))
    assert (twin.reason, twin.alert, twin.verify_message, twin.peer) == ("expired", "bad", "why", "1.2.3.4:5")
    assert str(twin) == "expired: the peer's certificate was refused: why (peer 1.2.3.4:5)"
