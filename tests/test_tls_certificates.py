"""Which certificates are accepted, which are refused and why (docs/contract.md, "TLS")."""

from __future__ import annotations

import datetime as dt
import ipaddress
import subprocess
import tempfile
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from asynctcp import TlsCertificateError, TlsConfig, exit_event_loop, tcp_connect, tcp_server
from certificates import authority
from helpers import LOOPBACK, ignore, run

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


def key_of(kind):
    match kind:
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case "p256":
            return ec.generate_private_key(ec.SECP256R1())
        case "p384":
            return ec.generate_private_key(ec.SECP384R1())
    return rsa.generate_private_key(65537, int(kind.removeprefix("rsa")))


class Entity:
    """A certificate with its key, and what it issues."""

    def __init__(
        self,
        name,
        issuer=None,
        *,
        kind="p256",
        ca=False,
        days=(-1, 30),
        names=("localhost", LOOPBACK),
        usage=ExtendedKeyUsageOID.SERVER_AUTH,
        digest=None,
        constraints=None,
        critical=None,
        key=None,
    ):
        self.key = key or key_of(kind)
        self.issuer = issuer
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.certificate.subject if issuer else subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + days[0] * DAY)
            .not_valid_after(NOW + days[1] * DAY)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if not ca:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([alternative(each) for each in names]), False
            )
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if critical:
            builder = builder.add_extension(critical, critical=True)
        if constraints:
            allowed = [x509.DNSName(each) for each in constraints]
            builder = builder.add_extension(x509.NameConstraints(allowed, None), critical=True)
        signer = issuer.key if issuer else self.key
        if digest is None and not isinstance(signer, ed25519.Ed25519PrivateKey):
            digest = hashes.SHA256()
        self.certificate = builder.sign(signer, digest)

    @property
    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self):
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        return self.key.private_bytes(encoding, form, serialization.NoEncryption())

    @property
    def chain(self):
        """The key, the certificate, and those above it but for the root."""
        above, pem = self.issuer, self.key_pem + self.pem
        while above and above.issuer:
            above, pem = above.issuer, pem + above.pem
        return pem


def alternative(name):
    if isinstance(name, x509.GeneralName):
        return name
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@pytest.fixture(scope="module")
def root():
    return Entity("root", ca=True)


def attempt(server, client, host="localhost"):
    """What the client was told, or None where it was connected."""

    def start():
        serving = tcp_server(LOOPBACK, 0, None, ignore, tls=server)
        config = client if client.__class__ is TlsConfig else client(serving)
        tcp_connect(host, serving.port, None, told, connect_cb=lambda _ours: end(None), tls=config)

    def told(condition):
        end(condition)

    def end(result):
        results.append(result)
        exit_event_loop()

    results = []
    run(start)
    return results[0]


def refusal(pem, root_pem, host="localhost", **keywords):
    """Whatever of an entity's is served, why the client refuses it."""
    config = TlsConfig.client(ca_data=root_pem, **keywords)
    condition = attempt(TlsConfig.server(cert_data=pem), config, host)
    assert type(condition) is TlsCertificateError
    assert condition.verify_message
    return condition.reason


@pytest.mark.parametrize("kind", ["rsa2048", "rsa4096", "p256", "p384", "ed25519"])
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_certificate_with_each_kind_of_key_is_accepted(root, kind, version):
    pem = Entity("server", root, kind=kind).chain
    config = TlsConfig.client(ca_data=root.pem, min_version=version, max_version=version)
    assert attempt(TlsConfig.server(cert_data=pem), config) is None


def test_certificate_behind_an_intermediate_is_accepted_if_that_is_sent(root):
    between = Entity("between", root, ca=True)
    pem = Entity("server", between).chain
    assert attempt(TlsConfig.server(cert_data=pem), TlsConfig.client(ca_data=root.pem)) is None


def test_expired_certificate_is_refused(root):
    assert refusal(Entity("server", root, days=(-30, -1)).chain, root.pem) == "expired"


def test_certificate_of_tomorrow_is_refused(root):
    assert refusal(Entity("server", root, days=(1, 30)).chain, root.pem) == "not-yet-valid"


def test_expired_intermediate_is_refused(root):
    between = Entity("between", root, ca=True, days=(-30, -1))
    assert refusal(Entity("server", between).chain, root.pem) == "expired"


def test_missing_intermediate_is_refused(root):
    server = Entity("server", Entity("between", root, ca=True))
    assert refusal(server.key_pem + server.pem, root.pem) == "unknown-issuer"


def test_certificate_for_another_host_is_refused(root):
    assert refusal(Entity("server", root, names=["other.example"]).chain, root.pem) == "wrong-name"


def test_certificate_for_another_ip_address_is_refused(root):
    pem = Entity("server", root, names=["localhost", "127.0.0.2"]).chain
    assert refusal(pem, root.pem, host=LOOPBACK) == "wrong-name"


def test_certificate_for_the_ip_address_is_accepted(root):
    pem = Entity("server", root, names=[LOOPBACK]).chain
    assert attempt(TlsConfig.server(cert_data=pem), TlsConfig.client(ca_data=root.pem), LOOPBACK) is None


def test_self_signed_certificate_is_refused(root):
    assert refusal(Entity("server").chain, root.pem) == "self-signed"


@pytest.mark.parametrize("ca", [False, True])
def test_self_signed_certificate_that_was_given_is_trusted(ca):
    server = Entity("server")
    if ca:
        server = _AuthorityThatServes("server")
    config = TlsConfig.client(ca_data=server.pem)
    assert attempt(TlsConfig.server(cert_data=server.chain), config) is None


class _AuthorityThatServes(Entity):
    def __init__(self, name):
        super().__init__(name, ca=True)
        names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.certificate.subject)
            .issuer_name(self.certificate.subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - DAY)
            .not_valid_after(NOW + DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(names, critical=False)
        )
        self.certificate = builder.sign(self.key, hashes.SHA256())


def test_self_signed_certificate_that_was_given_is_for_its_names_only():
    server = Entity("server", names=["other.example"])
    assert refusal(server.chain, server.pem) == "wrong-name"


@pytest.mark.parametrize(("days", "reason"), [((-30, -1), "expired"), ((1, 30), "not-yet-valid")])
def test_self_signed_certificate_that_was_given_is_trusted_in_its_time(days, reason):
    server = Entity("server", days=days)
    assert refusal(server.chain, server.pem) == reason


def test_self_signed_certificate_that_was_given_is_trusted_for_its_use():
    server = Entity("server", usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    assert refusal(server.chain, server.pem) == "bad-usage"


def test_certificate_of_an_authority_that_is_not_known_is_refused(root):
    pem = Entity("server", Entity("stranger", ca=True)).chain
    assert refusal(pem, root.pem) == "unknown-issuer"


def test_certificate_for_clients_is_refused_as_a_servers(root):
    pem = Entity("server", root, usage=ExtendedKeyUsageOID.CLIENT_AUTH).chain
    assert refusal(pem, root.pem) == "bad-usage"


def test_certificate_outside_of_its_issuers_names_is_refused(root):
    between = Entity("between", root, ca=True, constraints=["allowed.example"])
    assert refusal(Entity("server", between, names=["localhost"]).chain, root.pem) == "wrong-name"


def test_certificate_that_is_signed_by_sha1_is_refused(root):
    # cryptography makes none, and OpenSSL's is what a stranger would have.
    pem = _sha1(root)
    assert refusal(pem, root.pem) == "bad-signature"


def _sha1(root):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        (path / "ca.pem").write_bytes(root.pem)
        (path / "ca.key").write_bytes(root.key_pem)
        (path / "ext").write_text("subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n")

        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=30)

        openssl(
            "req", "-newkey", "rsa:2048", "-nodes", "-keyout", "key", "-out", "csr", "-subj", "/CN=server"
        )
        openssl(
            *("x509", "-req", "-in", "csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-sha1"),
            *("-out", "cert", "-days", "5", "-extfile", "ext"),
        )
        return (path / "key").read_bytes() + (path / "cert").read_bytes()


def test_revoked_certificate_is_refused_where_the_list_was_given(root):
    server = Entity("server", root)
    revoked = (
        x509.RevokedCertificateBuilder().serial_number(server.certificate.serial_number).revocation_date(NOW)
    )
    builder = x509.CertificateRevocationListBuilder().issuer_name(root.certificate.subject)
    builder = builder.last_update(NOW - DAY).next_update(NOW + DAY).add_revoked_certificate(revoked.build())
    builder = builder.add_extension(x509.CRLNumber(1), critical=False)
    crl = builder.sign(root.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    assert refusal(server.chain, root.pem, crl_data=crl) == "revoked"
    other = Entity("other", root)
    config = TlsConfig.client(ca_data=root.pem, crl_data=crl)
    assert attempt(TlsConfig.server(cert_data=other.chain), config) is None


def test_nothing_is_verified_where_the_app_says_so():
    pem = Entity("server", days=(-30, -1), names=["other.example"]).chain
    assert attempt(TlsConfig.server(cert_data=pem), TlsConfig.client(verify="insecure-none")) is None


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda root: Entity("me", root, usage=ExtendedKeyUsageOID.CLIENT_AUTH, days=(-30, -1)), "expired"),
        (lambda root: Entity("me", root, usage=ExtendedKeyUsageOID.SERVER_AUTH), "bad-usage"),
        (lambda _: Entity("me", usage=ExtendedKeyUsageOID.CLIENT_AUTH), "self-signed"),
        (
            lambda _: Entity("me", Entity("stranger", ca=True), usage=ExtendedKeyUsageOID.CLIENT_AUTH),
            "unknown-issuer",
        ),
    ],
)
@pytest.mark.parametrize("asked", ["optional", "required"])
def test_bad_certificate_of_a_client_is_refused_by_the_server(root, make, reason, asked):
    def start():
        config = TlsConfig.server(cert_data=authority().usual, client_certs=asked, ca_data=root.pem)
        server = tcp_server(LOOPBACK, 0, None, told, tls=config)
        own = make(root).chain
        tcp_connect(server.host, server.port, None, ignore, tls=authority().client(cert_data=own))

    def told(condition):
        conditions.append(condition)
        exit_event_loop()

    conditions = []
    run(start)
    assert (type(conditions[0]), conditions[0].reason) == (TlsCertificateError, reason)


def test_client_may_have_no_certificate_where_one_is_optional(root):
    config = TlsConfig.server(cert_data=authority().usual, client_certs="optional", ca_data=root.pem)
    assert attempt(config, authority().client()) is None


def test_key_and_chain_may_be_given_apart():
    ca = trustme.CA()
    issued = ca.issue_cert("localhost")
    config = TlsConfig.server(
        cert_data=b"".join(each.bytes() for each in issued.cert_chain_pems),
        key_data=issued.private_key_pem.bytes(),
    )
    assert attempt(config, TlsConfig.client(ca_data=ca.cert_pem.bytes().decode())) is None
