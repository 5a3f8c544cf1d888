"""Connections that are closed while bytes of the peer are unread, or bytes for it wait in the kernel.

The system would reset them, for what is unread or what the peer sends later, and a reset destroys what it has
not received yet (RFC 9293, 3.10.4). So one is kept a while: the sending side ends, and what still comes is
dropped until the peer has all.
"""

import fcntl
import socket
import struct
import termios
from contextlib import suppress
from typing import Any

#: Seconds until the first look whether the peer has all, and most of those to the next one.
FIRST, MOST = 0.01, 1.0
#: Seconds in which the peer takes nothing, after which it is given up, by a reset.
PATIENCE = 30.0
RESET = struct.pack("ii", 1, 0)
#: Bytes that are dropped at once.
MUCH = 65536


class Lingering:
    """One of them; it closes the socket that it is given."""

    def __init__(self, loop: Any, sock: socket.socket) -> None:
        self._loop = loop
        self._sock = sock
        self._left = -1  # bytes that the peer has not received
        self._since = loop.time()  # when that changed
        self._pause = FIRST
        self._timer: Any = None
        loop._lingering.add(self)
        with suppress(OSError):
            sock.shutdown(socket.SHUT_WR)
        loop._add_reader(sock.fileno(), self._drop)
        self._look()

    def _drop(self) -> None:
        try:
            ended = not self._sock.recv(MUCH)
        except BlockingIOError:
            return
        except OSError:
            ended = True
        if ended:
            self.close()

    def _look(self) -> None:
        count = fcntl.ioctl(self._sock.fileno(), termios.TIOCOUTQ, bytes(4))
        (left,) = struct.unpack("i", count)
        now = self._loop.time()
        if left != self._left:
            self._left, self._since = left, now
        if not left:
            self.close()
        elif now - self._since > PATIENCE:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.close()
        else:
            self._timer = self._loop.call_later(self._pause, self._look)
            self._pause = min(2 * self._pause, MOST)

    def close(self) -> None:
        """Let go of it, whatever the peer has."""
        self._loop._lingering.discard(self)
        self._loop._remove_reader(self._sock.fileno())
        if self._timer is not None:
            self._timer.cancel()
        self._sock.close()
