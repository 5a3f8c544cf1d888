"""A TLS client by hand, for tests that say which bytes are sent when."""

from __future__ import annotations

import ssl

import pytest


class RawTlsClient:
    """A session of Python's ``ssl`` with ``localhost`` over a raw socket."""

    def __init__(self, raw, ca):
        self.raw = raw
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.session = ca.client_context().wrap_bio(
            self._incoming, self._outgoing, server_hostname="localhost"
        )

    def sealed(self):
        """What the session has to say."""
        return self._outgoing.read()

    def hello(self):
        """The first flight of the handshake."""
        with pytest.raises(ssl.SSLWantReadError):
            self.session.do_handshake()
        return self.sealed()

    def seal(self, data):
        """The records of ``data``, behind what the session has to say."""
        self.session.write(data)
        return self.sealed()

    def drive(self, step):
        """What ``step()`` gives, once all has been sent and received that it needs."""
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self.raw.sendall(self.sealed())
                self._incoming.write(self.raw.recv(1 << 16))

    def shake_hands(self):
        """Its last flight goes with what is sealed next."""
        self.drive(self.session.do_handshake)
