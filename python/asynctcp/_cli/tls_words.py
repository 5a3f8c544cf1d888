"""What came of TLS, in words: whom one talks to and how, or why not."""

import hashlib
from typing import NamedTuple

from asynctcp import TlsCertificateError, TlsError, TlsInfo

_TRUST = "--ca FILE names whom to trust; --insecure trusts anybody, to look at the certificate"
_IS_IT_TLS = "whether there is TLS at that port; some protocols begin in the clear (STARTTLS)"


class _Why(NamedTuple):
    """What a reason means, and what to try."""

    words: str
    hint: str


_WHY = {
    "unknown-issuer": _Why("its certificate was signed by nobody who is trusted here", _TRUST),
    "self-signed": _Why("its certificate is self-signed and not trusted here", _TRUST),
    "wrong-name": _Why(
        "its certificate is for other names", "one of its names as HOST, or as --server-name NAME"
    ),
    "expired": _Why("its certificate has expired", "the server needs a new one, if the clock here is right"),
    "not-yet-valid": _Why("its certificate is not valid yet", "whether the clock here is right"),
    "revoked": _Why("its certificate was revoked", "the server needs a new one"),
    "bad-signature": _Why(
        "a signature of its certificates is wrong, or of a kind that is not taken any more",
        "the server needs a new one",
    ),
    "bad-usage": _Why(
        "its certificate is not for servers",
        "a certificate of the server's own that a CA has signed, and no CA's",
    ),
    "certificate-required": _Why(
        "it wants to see a certificate of ours", "--cert FILE, and --key FILE if the key is elsewhere"
    ),
    "certificate-refused": _Why(
        "it refused our certificate", "a --cert FILE that is signed by somebody whom the server trusts"
    ),
    "no-application-protocol": _Why("it speaks none of the protocols of --alpn", "another --alpn NAME"),
    "protocol-version": _Why(
        "it speaks no version of TLS in common with us",
        "a server with TLS 1.2 or 1.3: no older one is spoken",
    ),
    "unrecognized-name": _Why("it knows no such name", "another --server-name NAME"),
    "not-tls": _Why("its answer is not TLS", _IS_IT_TLS),
    "bad-message": _Why("its answer is not valid TLS", _IS_IT_TLS),
    "unexpected-message": _Why("its answer is not what TLS expects there", _IS_IT_TLS),
    "truncated": _Why(
        "it ended the connection without saying so in TLS: something may be missing", _IS_IT_TLS
    ),
    "handshake-timeout": _Why("it did not finish the handshake in time", _IS_IT_TLS),
}


def describe(info: TlsInfo, *, is_verified: bool) -> str:
    """Lines about a connection: how it is secured, and the certificates that the peer showed."""
    trust = "verified" if is_verified else "not verified: anybody may have shown this (--insecure)"
    rows = [
        ("TLS", f"{info.version}, {info.cipher}, {info.group or 'no key exchange'}"),
        ("ALPN", info.alpn or "none"),
        ("peer", trust),
        ("names", ", ".join(map(_printable, info.peer_names)) or "none"),
    ]
    for number, certificate in enumerate(info.peer_chain, 1):
        digest = hashlib.sha256(certificate).hexdigest()
        rows.append((f"chain {number}", f"SHA-256 {digest}, {len(certificate)} bytes"))
    return _table(rows)


def explain(error: TlsError) -> str:
    """Lines about a failure; the first says it in plain words, without a capital."""
    why = _WHY.get(error.reason)
    found = error.verify_message if isinstance(error, TlsCertificateError) else error.errmsg
    rows = [("reason", error.reason), ("found", found)]
    if error.alert is not None:
        rows.insert(1, ("alert", error.alert))
    if why is None:
        return f"TLS failed\n{_table(rows)}"
    return f"{why.words}\n{_table([*rows, ('try', why.hint)])}"


def _printable(name: str) -> str:
    """A name that a stranger chose: nothing that a terminal would obey."""
    return name if name.isprintable() else ascii(name)


def _table(rows: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"  {name:<{width}}  {value}" for name, value in rows)
