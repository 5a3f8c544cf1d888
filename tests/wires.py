"""Raw peers over each kind of wire: TCP, TLS, Unix; a test with ``peers`` runs over those of its file.

A file says so by ``WIRES = ("tcp", "tls", "unix")``; a test that is about TCP itself is marked ``tcp_only``,
one that needs a reset ``can_reset``: over Unix sockets there is none.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import tempfile
import threading
from pathlib import Path

import asynctcp
from certificates import authority
from helpers import DEADLINE, Peers


class SecuredPeer:
    """A raw socket that speaks TLS: blocks like one, and says close_notify where that would send its FIN."""

    def __init__(self, raw):
        self.raw = raw
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = authority().server_context()
        self._session = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._do(self._session.do_handshake)

    def _do(self, work):
        """What ``work()`` gives, once all is there that it needs; an end is an `ssl.SSLError`."""
        while True:
            try:
                return work()
            except ssl.SSLWantReadError:
                self._flush()
                if piece := self.raw.recv(1 << 16):
                    self._incoming.write(piece)
                else:
                    self._incoming.write_eof()
            finally:
                self._flush()

    def _flush(self):
        if waiting := self._outgoing.read():
            self.raw.sendall(waiting)

    def recv(self, size):
        try:
            return self._do(lambda: self._session.read(min(size, 1 << 16)))
        except ssl.SSLZeroReturnError:
            return b""

    def sendall(self, data):
        view = memoryview(data)
        for start in range(0, len(view), 1 << 16):
            self._session.write(view[start : start + (1 << 16)])
            self._flush()

    def send(self, data):
        self.sendall(data)
        return len(data)

    def shutdown(self, how):
        if how != socket.SHUT_RD:
            self._finish()
        self.raw.shutdown(how)

    def _finish(self):
        with contextlib.suppress(ssl.SSLError):
            # It wants the peer's close_notify, too, which is no concern of ours.
            self._session.unwrap()
        self._flush()

    def close(self):
        with contextlib.suppress(OSError, ValueError):
            self._finish()
        self.raw.close()

    def __getattr__(self, name):
        return getattr(self.raw, name)


class TlsPeers(Peers):
    """Peers whose connections speak TLS."""

    def __init__(self):
        super().__init__()
        self._secured = {}
        self._closed = False
        self._came = threading.Condition()
        self._errors = []

    @property
    def address(self):
        first = self._listener is None
        address = super().address
        if first:
            threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()
        return address

    def _serve(self, listener):
        listener.settimeout(None)
        with contextlib.suppress(OSError):
            while True:
                raw = listener.accept()[0]
                raw.settimeout(DEADLINE)
                # What a test sends would wait until the tickets are acknowledged.
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                name = raw.getpeername()
                try:
                    peer = SecuredPeer(raw)
                except (OSError, ssl.SSLError):
                    raw.close()
                    continue
                with self._came:
                    if self._closed:
                        raw.close()
                        continue
                    self._secured[name] = peer
                    self._came.notify_all()

    def accept(self, ours=None):
        with self._came:
            found = self._came.wait_for(lambda: ours is None or ours.sockname in self._secured, DEADLINE)
            assert found, "no peer came"
            name = ours.sockname if ours else next(iter(self._secured))
            self._open.append(peer := self._secured.pop(name))
            return peer

    def link(self, use, read_cb=None, event_cb=None, **keywords):
        """Timeouts begin with the connection: a short one is not for the handshake, which load holds up."""
        timeouts = [keywords.pop(f"{way}_timeout", None) for way in ("read", "write")]

        def use_in_time(ours, raw):
            if timeouts != [None, None]:
                ours.set_timeouts(*timeouts)
            use(ours, raw)

        return super().link(use_in_time, read_cb, event_cb, tls=authority().client(), **keywords)

    def close(self):
        with self._came:
            # Those whose test ended before it took them.
            self._closed = True
            for peer in self._secured.values():
                peer.raw.close()
        if self._listener:
            # A thread waits in its accept, which a close would not end.
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
        super().close()


class UnixPeers(Peers):
    """Peers over Unix sockets."""

    def __init__(self):
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._path = None

    @property
    def name(self):
        return self._path

    def accept(self, _ours=None):
        return self.keep(self._listener.accept()[0])

    def link(self, use, read_cb=None, event_cb=None, **keywords):
        if self._listener is None:
            self._path = str(Path(self._folder.name) / "socket")
            self._listener = self.keep(socket.socket(socket.AF_UNIX))
            self._listener.bind(self._path)
            self._listener.listen()
        return asynctcp.pipe_connect(
            self._path, read_cb, event_cb, connect_cb=lambda ours: use(ours, self.accept(ours)), **keywords
        )

    def close(self):
        super().close()
        self._folder.cleanup()


WIRES = {"tcp": Peers, "tls": TlsPeers, "unix": UnixPeers}
