"""What the app says of TLS, and what the two ends agreed on: ``TlsConfig`` and ``TlsInfo``."""

import dataclasses
import os
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Never, NoReturn, Self, final

from asynctcp import _core
from asynctcp._handlers import logger
from asynctcp._plain_types import FilePath, Pem
from asynctcp.conditions import TlsConfigError

_VERSIONS = ("1.2", "1.3")
_INSECURE = "insecure-none"


@final
class TlsConfig:
    """How a client or a server speaks TLS (RFC 8446, RFC 5246): made by ``client`` or ``server``.

    Immutable, hashable by identity, usable from any thread and loop; made once and used for many sockets.
    Making one reads all files and checks everything. It never shows a key, and cannot be pickled.
    """

    __slots__ = ("_context",)

    _context: _core._TlsContext

    # ``Never``: to a type checker it takes nothing.
    def __init__(self, *_given: Never, **_named: Never) -> None:
        raise TypeError(
            "a TlsConfig is made by TlsConfig.client(...) or TlsConfig.server(...): "
            "TlsConfig.client(ca_file=...), TlsConfig.server(cert_file=..., key_file=...)"
        )

    @classmethod
    def _of(cls, context: _core._TlsContext) -> Self:
        self = object.__new__(cls)
        object.__setattr__(self, "_context", context)
        return self

    @classmethod
    def client(
        cls,
        *,
        verify: Literal[True, "insecure-none"] = True,
        ca_file: FilePath | None = None,
        ca_data: Pem | None = None,
        cert_file: FilePath | None = None,
        key_file: FilePath | None = None,
        cert_data: Pem | None = None,
        key_data: Pem | None = None,
        key_password: str | bytes | None = None,
        server_name: str | None = None,
        alpn: Iterable[str | bytes] = (),
        min_version: str = "1.2",
        max_version: str = "1.3",
        sessions: bool = True,
        handshake_timeout: float | None = 10,
        allow_truncation: bool = False,
        crl_file: FilePath | None = None,
        crl_data: Pem | None = None,
        key_log: bool = False,
    ) -> Self:
        """Describe what a client requires of servers, and who the client is.

        Args:
            verify: True: the server's certificate must be valid, and be for ``server_name``;
                ``"insecure-none"``: any certificate will do, so anybody can sit in between.
            ca_file, ca_data: whom to trust, in place of the system's store: authorities, and servers' own
                certificates, each of which is trusted as it is.
            cert_file, key_file, cert_data, key_data: the client's own certificate with its chain, and its
                key; if not given, the key is read from the certificate's file or data.
            key_password: for a key that is encrypted (PKCS #8).
            server_name: in place of the host that is connected to. The certificate is checked for it, and
                it is sent as SNI (RFC 6066), unless it is an IP address.
            alpn: protocols, the preferred one first (RFC 7301).
            min_version, max_version: ``"1.2"`` or ``"1.3"``.
            sessions: resume earlier sessions with the same server.
            handshake_timeout: seconds; None, 0, negative or infinite: none.
            allow_truncation: an end of stream without close_notify is an end like any other.
            crl_file, crl_data: revocation lists; only certificates whose issuer has a list here are checked
                for revocation.
            key_log: append the secrets to the file that the environment's ``SSLKEYLOGFILE`` names; one that
                cannot be opened is logged.

        Files and ``*_data`` hold PEM. Raises ``TlsConfigError``, which names what is wrong, ``TypeError``,
        ``ValueError``.
        """
        if verify is not True and verify != _INSECURE:
            raise ValueError(f"verify must be True or {_INSECURE!r}, not {verify!r}")
        if server_name is not None:
            _host("server_name", server_name)
        common = _common(
            chain=_source("cert_file", cert_file, "cert_data", cert_data),
            key=_source("key_file", key_file, "key_data", key_data),
            trusted=_source("ca_file", ca_file, "ca_data", ca_data),
            revoked=_source("crl_file", crl_file, "crl_data", crl_data),
            password=None if key_password is None else _bytes("key_password", key_password),
            alpn=_protocols(alpn),
            versions=_range(min_version, max_version),
            limit=handshake_timeout,
            sessions=_flag("sessions", sessions),
            truncation=_flag("allow_truncation", allow_truncation),
            key_log=_flag("key_log", key_log),
        )
        context = _core._tls_client(common, verify is True, server_name)
        _tell_what_is_amiss(context, common)
        return cls._of(context)

    @classmethod
    def server(
        cls,
        cert_file: FilePath | None = None,
        key_file: FilePath | None = None,
        *,
        cert_data: Pem | None = None,
        key_data: Pem | None = None,
        key_password: str | bytes | None = None,
        client_certs: Literal["none", "optional", "required"] = "none",
        ca_file: FilePath | None = None,
        ca_data: Pem | None = None,
        alpn: Iterable[str | bytes] = (),
        names: Mapping[str, "TlsConfig"] | None = None,
        min_version: str = "1.2",
        max_version: str = "1.3",
        sessions: bool = True,
        handshake_timeout: float | None = 10,
        allow_truncation: bool = False,
        crl_file: FilePath | None = None,
        crl_data: Pem | None = None,
        key_log: bool = False,
    ) -> Self:
        """Describe a server's identity and what it requires of clients.

        Args:
            cert_file, cert_data: its certificate, then the chain up to an authority that clients know.
            key_file, key_data: its key; if not given, it is read from the certificate's file or data.
            client_certs: whether clients are asked for a certificate; ``"optional"``: they may have none,
                but not a bad one.
            ca_file, ca_data: the authorities that sign those, and clients' own certificates, each of which is
                trusted as it is; needed if clients are asked for one.
            names: other configs by the name that a client asks for (SNI): a host, or ``"*.host"``, whose star
                stands for one label. A client that asks for none of these names, or for no name, gets this
                config. All of the chosen config applies, its ``handshake_timeout`` too (from the handshake's
                begin).

        All else is as in ``client``; a client that offers no protocol by ``alpn`` is served without one.
        Tickets let clients resume (RFC 8446, 4.6.1); servers of one process that require the same of clients
        take each other's.

        Raises ``TlsConfigError``, which names what is wrong, ``TypeError``, ``ValueError``.
        """
        if client_certs not in ("none", "optional", "required"):
            raise ValueError(f"client_certs must be 'none', 'optional' or 'required', not {client_certs!r}")
        common = _common(
            chain=_source("cert_file", cert_file, "cert_data", cert_data),
            key=_source("key_file", key_file, "key_data", key_data),
            trusted=_source("ca_file", ca_file, "ca_data", ca_data),
            revoked=_source("crl_file", crl_file, "crl_data", crl_data),
            password=None if key_password is None else _bytes("key_password", key_password),
            alpn=_protocols(alpn),
            versions=_range(min_version, max_version),
            limit=handshake_timeout,
            sessions=_flag("sessions", sessions),
            truncation=_flag("allow_truncation", allow_truncation),
            key_log=_flag("key_log", key_log),
        )
        others = [
            (_host("a host of names", host), _context_of(host, config))
            for host, config in _mapping("names", names or {}).items()
        ]
        context = _core._tls_server(common, client_certs, others)
        _tell_what_is_amiss(context, common)
        return cls._of(context)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a TlsConfig cannot be changed: {name}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a TlsConfig cannot be changed: {name}")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a TlsConfig cannot be pickled or copied: it holds a key")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    def __repr__(self) -> str:
        return f"<asynctcp.TlsConfig {self._context.role}>"


@final
@dataclasses.dataclass(frozen=True)
class TlsInfo:
    """What the two ends of a connection agreed on: ``socket.tls``."""

    #: ``"TLSv1.3"`` or ``"TLSv1.2"``.
    version: str
    #: IANA's name of the cipher suite, such as ``"TLS_AES_256_GCM_SHA384"``.
    cipher: str
    #: IANA's name of the key exchange's group, such as ``"X25519"``; None where there was no exchange.
    group: str | None
    #: The protocol (ALPN, RFC 7301), or None.
    alpn: str | None
    #: The name that the client asked for (SNI), or None.
    server_name: str | None
    #: The peer's certificate, DER, or None.
    peer_certificate: bytes | None
    #: The same and those above it, as the peer sent them.
    peer_chain: list[bytes]
    #: Whether an earlier session was resumed.
    resumed: bool
    #: The peer's names, as its certificate has them (SAN), be they hosts, IP or mail addresses, or URIs.
    peer_names: list[str]


def _common(**common: Any) -> dict[str, Any]:
    """What clients and servers have in common, as the native side reads it."""
    if common["chain"] is None and common["key"] is not None:
        raise TlsConfigError(f"{common['key'][0]}: a key without a certificate, cert_file or cert_data")
    return common


def _source(
    file_name: str, file: FilePath | None, data_name: str, data: Pem | None
) -> tuple[str, bytes] | None:
    """Return what a message calls it, and what it holds."""
    if data is not None:
        if file is not None:
            raise TypeError(f"{file_name} and {data_name} exclude each other")
        return data_name, _bytes(data_name, data)
    if file is None:
        return None
    try:
        path = os.fsdecode(file)
    except TypeError:
        raise TypeError(f"{file_name} must be a path, not {file!r}") from None
    try:
        # Importing pathlib would be a tenth of the time that importing asynctcp takes.
        with open(path, "rb") as source:  # noqa: PTH123
            return f"{file_name} {path!r}", source.read()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise TlsConfigError(f"{file_name} {path!r}: {reason}") from error


def _bytes(name: str, value: str | bytes) -> bytes:
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError:
            # Without the value: it may be a secret, and the error that it hides has it, too.
            raise ValueError(f"{name} must be a str without surrogates") from None
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise TypeError(f"{name} must be bytes or str, not {type(value).__name__}")


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, not {value!r}")
    return value


def _mapping(name: str, value: Any) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a mapping of hosts to TlsConfigs, not {value!r}")
    return value


def _protocols(alpn: Iterable[str | bytes]) -> list[bytes]:
    if isinstance(alpn, (str, bytes)):
        raise TypeError(f"alpn must be a sequence of protocols, not {alpn!r}")
    protocols = [_bytes("a protocol of alpn", protocol) for protocol in alpn]
    for protocol in protocols:
        if not 0 < len(protocol) < 256:
            raise ValueError(f"a protocol of alpn must have 1 to 255 bytes, not {protocol!r}")
    return protocols


def _range(least: str, most: str) -> tuple[bool, bool]:
    """Whether TLS 1.2 is allowed, and TLS 1.3."""
    for name, version in (("min_version", least), ("max_version", most)):
        if version not in _VERSIONS:
            raise ValueError(f"{name} must be '1.2' or '1.3', not {version!r}")
    if least > most:
        raise ValueError(f"min_version {least} is above max_version {most}")
    return least == "1.2", most == "1.3"


def _host(name: str, host: str) -> str:
    """Check what native code takes from here on: it has the rules of names (UTS 46)."""
    if not isinstance(host, str):
        raise TypeError(f"{name} must be a str, not {host!r}")
    if any("\ud800" <= character <= "\udfff" for character in host):
        raise ValueError(f"{name} must be a str without surrogates, not {host!r}")
    return host


def _context_of(host: str, config: TlsConfig) -> _core._TlsContext:
    if not isinstance(config, TlsConfig):
        raise TypeError(f"names[{host!r}] must be a TlsConfig, not {config!r}")
    return config._context


# Files that cannot be written to, and that was logged.
_bad_key_logs: set[str] = set()


def _tell_what_is_amiss(context: _core._TlsContext, common: dict[str, Any]) -> None:
    if context.expired:
        logger.warning("the certificate of %s has expired", common["chain"][0])
    path = os.environ.get("SSLKEYLOGFILE")
    if common["key_log"] and path and path not in _bad_key_logs:
        try:
            # The native side, which opens it as well, has no way to tell.
            with open(path, "ab"):  # noqa: PTH123
                pass
        except OSError as error:
            _bad_key_logs.add(path)
            logger.warning("key_log: %s (SSLKEYLOGFILE) cannot be written to: %s", path, error.strerror)
