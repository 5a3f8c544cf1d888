"""What a PROXY header says of an accepted connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from asynctcp.typing import Address, ProxyTls


class ProxyInfo(NamedTuple):
    """What the PROXY header of a balancer's connection says: ``socket.proxy``."""

    #: 1 or 2.
    version: int
    #: Whether the balancer speaks for itself, as health checks do.
    local: bool
    #: The client's address, as ``socket.peername``; None where the header does not say.
    source: Address | str | None
    #: The address that the client connected to; None where the header does not say.
    destination: Address | str | None
    #: All that version 2 says apart from addresses, by type; of a type that comes more than once, the last.
    tlvs: dict[int, bytes]
    #: The host name that the client asked for (SNI).
    authority: str | None
    #: The protocol that was agreed on by ALPN.
    alpn: str | None
    #: What names the connection in the balancer's logs.
    unique_id: bytes | None
    #: The TLS between client and balancer; None if there is none, or if the balancer does not say.
    tls: ProxyTls | None
