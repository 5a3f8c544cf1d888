"""What ``get_extra_info`` knows of a session of a ``TlsConfig``'s, by the names that asyncio has for it."""

import ipaddress
from typing import Any

from asynctcp._tls import TlsConfig, TlsInfo

#: What is known once the handshake is done.
NAMES = frozenset({"tls", "peercert", "cipher", "compression", "ssl_object"})


class SessionView:
    """Answers what programs ask an ``ssl.SSLObject``: what was agreed on."""

    def __init__(self, info: TlsInfo, context: TlsConfig) -> None:
        self._info = info
        self.context = context
        self.server_hostname = info.server_name
        self.server_side = context._context.role == "server"
        self.session_reused = info.resumed

    def version(self) -> str:
        """Return ``"TLSv1.3"`` or ``"TLSv1.2"``."""
        return self._info.version

    def cipher(self) -> tuple[str, str, int]:
        """Return the suite by IANA's name, the version, and the bits of the key."""
        name = self._info.cipher
        return name, self._info.version, 128 if "128" in name else 256

    def compression(self) -> None:
        """Return None: there is none."""

    def selected_alpn_protocol(self) -> str | None:
        """Return the protocol that was agreed on by ALPN."""
        return self._info.alpn

    def getpeercert(self, binary_form: bool = False) -> dict[str, Any] | bytes | None:
        """Return the peer's certificate: its names, or all of it as DER; None: it sent none."""
        if binary_form or self._info.peer_certificate is None:
            return self._info.peer_certificate
        return {"subjectAltName": tuple((_kind(name), name) for name in self._info.peer_names)}


def _kind(name: str) -> str:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "DNS"
    return "IP Address"


def described(info: TlsInfo, context: TlsConfig) -> dict[str, Any]:
    """Return what each of ``NAMES`` is."""
    view = SessionView(info, context)
    return {
        "tls": info,
        "peercert": view.getpeercert(),
        "cipher": view.cipher(),
        "compression": None,
        "ssl_object": view,
    }
