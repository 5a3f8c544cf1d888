"""How a ``TlsConfig``'s session fails: our conditions, which are also what asyncio and ``ssl`` raise."""

import errno
import ssl

from asynctcp.conditions import TlsCertificateError, TlsError


class TlsSslError(TlsError, ssl.SSLError):
    """A ``TlsError`` for programs that expect an ``ssl.SSLError``."""

    library = "rustls"


class TlsSslCertificateError(TlsCertificateError, ssl.SSLCertVerificationError):  # type: ignore[override]
    """A ``TlsCertificateError`` for programs that expect an ``ssl.SSLCertVerificationError``."""

    library = "rustls"
    #: OpenSSL's X509_V_ERR_UNSPECIFIED.
    verify_code = 1


class TlsReset(TlsError, ConnectionResetError):
    """The peer has ended the connection without an end of TLS."""


class TlsAborted(TlsError, ConnectionAbortedError):
    """The handshake was not done in time."""


def failure(errcode: int, message: str, reason: str, alert: str | None, certificate: bool) -> TlsError:
    """Return the exception for why a session failed."""
    if certificate:
        return TlsSslCertificateError(errcode, message, None, reason, alert)
    kind = TlsReset if reason == "truncated" else TlsSslError
    return kind(errcode, message, None, reason, alert)


def late(message: str) -> TlsError:
    """Return the exception for a handshake that took too long."""
    return TlsAborted(errno.EPROTO, message, None, "handshake-timeout")
