"""OpenSSL's own library as a peer, for what Python's ``ssl`` does not offer: updates of keys."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import socket
import struct

from helpers import DEADLINE

_NOT_REQUESTED, _REQUESTED = 0, 1


@functools.cache
def library():
    """``libssl``, or None where it is not there."""
    name = ctypes.util.find_library("ssl")
    if name is None:
        return None
    ssl = ctypes.CDLL(name)
    for function in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
        getattr(ssl, function).restype = ctypes.c_void_p
    return ssl


class LibsslClient:
    """A client that blocks, with a deadline; it believes any certificate. For one thread."""

    def __init__(self, raw):
        raw.setblocking(True)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            raw.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", int(DEADLINE), 0))
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.raw = raw
        self._lib = library()
        self._context = ctypes.c_void_p(self._lib.SSL_CTX_new(ctypes.c_void_p(self._lib.TLS_client_method())))
        self._ssl = ctypes.c_void_p(self._lib.SSL_new(self._context))
        self._lib.SSL_set_fd(self._ssl, raw.fileno())
        self._check("SSL_connect", self._lib.SSL_connect(self._ssl))

    def _check(self, call, result):
        if result <= 0:
            raise OSError(f"{call}: {self._lib.SSL_get_error(self._ssl, result)}")
        return result

    def update_keys(self, *, ask=False):
        """From the next record on it uses new keys; ``ask``: the peer shall, too. Said at once."""
        kind = _REQUESTED if ask else _NOT_REQUESTED
        self._check("SSL_key_update", self._lib.SSL_key_update(self._ssl, kind))
        self._check("SSL_do_handshake", self._lib.SSL_do_handshake(self._ssl))

    def sendall(self, data):
        self._check("SSL_write", self._lib.SSL_write(self._ssl, data, len(data)))

    def recv(self, size):
        buffer = ctypes.create_string_buffer(size)
        count = self._check("SSL_read", self._lib.SSL_read(self._ssl, buffer, size))
        return buffer.raw[:count]

    def close(self):
        """Say close_notify, and forget the session; the socket is the caller's."""
        self._lib.SSL_shutdown(self._ssl)
        self._lib.SSL_free(self._ssl)
        self._lib.SSL_CTX_free(self._context)
