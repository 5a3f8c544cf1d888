"""Certificates for tests of TLS: an authority that trusts itself, and whom it knows."""

from __future__ import annotations

import datetime as dt
import functools
import ssl

import trustme

from asynctcp import TlsConfig

#: Whom the ordinary certificate is for.
NAMES = ("localhost", "127.0.0.1", "::1")


class Authority:
    """An authority, and configurations of those that trust it."""

    def __init__(self):
        self.ca = trustme.CA()

    @property
    def pem(self):
        """Its own certificate."""
        return self.ca.cert_pem.bytes()

    def issue(self, *names, days=365, **keywords):
        """Chain and key, in one, of a certificate for ``names`` that expires after so many days."""
        until = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
        if days < 0:
            keywords["not_before"] = until - dt.timedelta(days=365)
        issued = self.ca.issue_cert(*(names or NAMES), not_after=until, **keywords)
        return issued.private_key_and_cert_chain_pem.bytes()

    @functools.cached_property
    def usual(self):
        """The ordinary certificate with its key."""
        return self.issue()

    def server(self, pem=None, **keywords):
        """What a server says."""
        return TlsConfig.server(cert_data=pem or self.usual, **keywords)

    def client(self, **keywords):
        """What a client says that trusts this authority."""
        return TlsConfig.client(ca_data=self.pem, **keywords)

    def server_context(self, pem=None):
        """The same for Python's own ``ssl``."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        load(context, pem or self.usual)
        return context

    def client_context(self):
        """The same for a client."""
        return ssl.create_default_context(cadata=self.pem.decode())


def load(context, pem):
    """Give a context of ``ssl`` the certificate and the key that are in ``pem``: it reads files only."""
    with trustme.Blob(pem).tempfile() as path:
        context.load_cert_chain(path)


@functools.cache
def authority():
    """One for all tests: keys cost time."""
    return Authority()
