"""PROXY headers byte by byte, and a server that takes one."""

from __future__ import annotations

import socket
import struct

from helpers import Log, Serving, run, when

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
CLIENT, SERVICE = ("192.0.2.1", 51234), ("198.51.100.2", 443)
LINE = b"PROXY TCP4 192.0.2.1 198.51.100.2 51234 443\r\n"
HERE, ELSEWHERE = ["127.0.0.0/8"], ["192.0.2.0/24"]


def binary(command=0x21, family=0x11, addresses=None, tlvs=b""):
    """A header of version 2."""
    if addresses is None:
        addresses = (
            socket.inet_aton(CLIENT[0]) + socket.inet_aton(SERVICE[0]) + struct.pack("!HH", 51234, 443)
        )
    block = addresses + tlvs
    return SIGNATURE + struct.pack("!BBH", command, family, len(block)) + block


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


HEADERS = [LINE, binary()]


def served(peers, data, *, then=None, **keywords):
    """What a server tells of a connection that sends ``data`` and its end, and its sockets' facts."""
    log, seen = Log(), []

    def start():
        serving = Serving(log, **{"proxy_protocol": "require", **keywords})
        peer = peers.connect(serving.server)
        seen.append(peer.getsockname())
        if then is None:
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
        else:
            then(peer)
        when(lambda: log.conditions, lambda: finish(serving))

    def finish(serving):
        seen.append([(s.peername, s.sockname, s.transport_peername, s.proxy) for s in serving.sockets])
        seen.append(serving.server.address)
        serving.end()

    run(start)
    raw, sockets, address = seen
    return log, raw, sockets, address
