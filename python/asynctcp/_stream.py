"""``AsyncIOStream``: a socket as a non-blocking raw stream of Python's ``io``."""

import io
from collections import deque
from collections.abc import Iterable
from operator import index
from typing import Any

from asynctcp._core import Socket

#: Reading from the network pauses at this many unread bytes, and goes on at half of it.
UNREAD_LIMIT = 16 * 1024 * 1024


def _most(size: int | None) -> int:
    """Return a bound on bytes as a whole number, negative for none. ``TypeError`` for anything else."""
    return -1 if size is None else index(size)


class AsyncIOStream(io.RawIOBase):
    """An ``io.RawIOBase`` over a ``Socket`` that never blocks.

    ``tcp_connect(stream=True)`` returns one. ``AsyncIOStream(socket)`` wraps an existing socket: data that
    arrives later goes to the stream's buffer only if the socket does not drain (``dont_drain_read_buffer``);
    otherwise the stream is for writing.

    As in raw streams, ``None`` means that nothing is there now and ``b""`` that the stream has ended. What
    was buffered when the peer closed can still be read. Reading from the network pauses at 16 MiB unread and
    goes on at half of it. Raises ``TypeError`` for what is no ``Socket``. cl-async: ``async-io-stream``.
    """

    def __init__(self, socket: Socket) -> None:
        if not isinstance(socket, Socket):
            raise TypeError(f"socket must be a Socket, not {type(socket).__name__}: {socket!r}")
        super().__init__()
        self._socket = socket
        self._chunks: deque[bytes] = deque()
        self._start = 0  # bytes of the first chunk that were read
        self._buffered = 0
        self._ended = False
        self._paused = False
        socket._attach(self)

    def __del__(self) -> None:
        """Do nothing: a stream that is let go must not close the socket, as io's own finalizer would."""

    @property
    def socket(self) -> Socket:
        """The socket below."""
        return self._socket

    @property
    def closed(self) -> bool:
        """Whether ``close()`` was called. A peer's end leaves it open, to read what is left."""
        return super().closed

    @property
    def buffered(self) -> int:
        """Bytes that are ready to be read."""
        return self._buffered

    # --- the socket's side ----------------------------------------------------------------------------------

    def _feed(self, data: bytes) -> None:
        self._chunks.append(data)
        self._buffered += len(data)
        if not self._paused and self._buffered >= UNREAD_LIMIT:
            self._paused = True
            self._socket._pause_for_stream(True)

    def _end(self) -> None:
        self._ended = True

    # --- reading --------------------------------------------------------------------------------------------

    def readable(self) -> bool:
        """Return True: data can be read as long as the stream is not closed. ``ValueError`` if it is."""
        self._check()
        return True

    def read(self, n: int | None = -1, /) -> bytes | None:
        """Return up to ``n`` bytes (negative or None: all that are there) without waiting.

        ``None``: nothing is there now. ``b""``: the stream has ended (or ``n`` is 0). ``ValueError`` after
        ``close()``.
        """
        self._check()
        most = _most(n)
        if most == 0:
            return b""
        if not self._buffered:
            return self._nothing()
        return self._take(self._buffered if most < 0 else most)

    def readall(self) -> bytes | None:  # type: ignore[override]
        """Return all bytes that are there, as ``read()``: it does not wait for the end of the stream."""
        return self.read()

    def readinto(self, buffer: Any, /) -> int | None:
        """Fill ``buffer`` (writable, bytes-like) as far as data is there; return the number of bytes.

        ``None``: nothing is there now. ``0``: the stream has ended. ``ValueError`` after ``close()``.
        """
        view = memoryview(buffer).cast("B")
        if view.readonly:
            raise TypeError(f"buffer must be writable: {buffer!r}")
        data = self.read(len(view))
        if data is None:
            return None
        view[: len(data)] = data
        return len(data)

    def readline(self, size: int | None = -1, /) -> bytes | None:  # type: ignore[override]
        r"""Return a line with its ``b"\n"``, or ``None`` until the line (or the stream) has ended.

        At the end of the stream: what is left, then ``b""``. ``size``: most bytes to return; negative or
        None: no bound. ``ValueError`` after ``close()``.
        """
        self._check()
        most = _most(size)
        if most == 0:
            return b""
        length = self._line_length()
        if length is None:
            if 0 < most <= self._buffered:
                length = most
            elif self._ended:
                length = self._buffered
            else:
                return None
        if most > 0:
            length = min(length, most)
        return self._take(length) if length else b""

    def __next__(self) -> bytes:
        """Return the next whole line; stops where ``readline()`` has none now."""
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def peek(self, n: int = 1, /) -> bytes | None:
        """Return up to ``n`` bytes (negative: all) and leave them there; otherwise as ``read``, errors too.

        ``ValueError`` after ``close()``.
        """
        self._check()
        n = index(n)
        if not self._buffered:
            return self._nothing()
        self._join()
        first = self._chunks[0]
        return first[self._start :] if n < 0 else first[self._start : self._start + n]

    def _nothing(self) -> bytes | None:
        return b"" if self._ended or self._socket.closed else None

    def _line_length(self) -> int | None:
        self._join()
        if not self._chunks:
            return None
        end = self._chunks[0].find(b"\n", self._start)
        return None if end < 0 else end + 1 - self._start

    def _join(self) -> None:
        if len(self._chunks) > 1:
            whole = b"".join(self._chunks)
            self._chunks.clear()
            self._chunks.append(whole)

    def _take(self, n: int) -> bytes:
        first = self._chunks[0]
        available = len(first) - self._start
        if n < available:
            data = first[self._start : self._start + n]
            self._start += n
        elif n == available or len(self._chunks) == 1:
            data = first[self._start :] if self._start else first
            self._chunks.popleft()
            self._start = 0
        else:
            self._join()
            return self._take(n)
        self._buffered -= len(data)
        if self._paused and self._buffered <= UNREAD_LIMIT // 2:
            self._paused = False
            self._socket._pause_for_stream(False)
        return data

    # --- writing --------------------------------------------------------------------------------------------

    def writable(self) -> bool:
        """Return True: data can be written as long as the stream is not closed. ``ValueError`` if it is."""
        self._check()
        return True

    def write(self, b: Any, /) -> int:
        """Buffer all of ``b`` (bytes-like or str), as ``Socket.write``; return its number of bytes.

        ``ValueError`` after ``close()``, ``SocketClosed`` on a closed socket.
        """
        self._check()
        return self._socket._write_counted(b)

    def writelines(self, lines: Iterable[Any], /) -> None:
        """Write each of ``lines``. Errors as in ``write``."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Do nothing: the loop sends when its batch of callbacks ends. Errors as in ``read``."""
        self._check()

    def fileno(self) -> int:
        """Return the socket's descriptor; -1 before it is connected. Errors as in ``write``."""
        self._check()
        return self._socket.fileno()

    def close(self) -> None:
        """Close the stream and its socket; what was written is still sent. Closing again does nothing."""
        if self.closed:
            return
        super().close()
        if not self._socket.closed:
            self._socket.close()

    def _check(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed stream")

    def __repr__(self) -> str:
        """Tell state and peer."""
        state = "closed " if self.closed else ""
        return f"<asynctcp.AsyncIOStream {state}{self._buffered} bytes buffered, {self._socket!r}>"
