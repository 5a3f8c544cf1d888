"""``AsyncIOStream``: a socket as a non-blocking raw stream of Python's ``io``."""

import io
from collections.abc import Iterable
from operator import index
from typing import Any, Self

from asynctcp._core import Socket
from asynctcp._read_buffer import UNREAD_LIMIT, ReadBuffer
from asynctcp.conditions import LineTooLong

#: A `LineTooLong` carries at most this many bytes more than the limit.
PARTIAL = 1024 * 1024


def _most(size: int | None) -> int:
    """Return a bound on bytes as a whole number, negative for none. ``TypeError`` for anything else."""
    return -1 if size is None else index(size)


class AsyncIOStream(io.RawIOBase):
    """An ``io.RawIOBase`` over a ``Socket`` that never blocks.

    ``tcp_connect(stream=True)`` returns one. ``AsyncIOStream(socket)`` wraps an existing socket: data that
    arrives later goes to the stream's buffer only if the socket does not drain (``dont_drain_read_buffer``);
    otherwise the stream is for writing only.

    As in raw streams, ``None`` means that nothing is there now and ``b""`` that the stream has ended. What
    was buffered when the socket closed can still be read. Reading from the network pauses at 16 MiB unread in
    any stream over the socket and goes on when all of them are at half of that or gone; the loop's
    ``memory_limit`` counts what is unread. Raises ``TypeError`` for what is no ``Socket``. cl-async:
    ``async-io-stream``.
    """

    def __init__(self, socket: Socket) -> None:
        if not isinstance(socket, Socket):
            raise TypeError(f"socket must be a Socket, not {type(socket).__name__}: {socket!r}")
        super().__init__()
        self._share(socket, ReadBuffer(socket._reserve()))
        socket._attach(self)

    @classmethod
    def _again(cls, socket: Socket, buffer: ReadBuffer) -> Self:
        """Make a stream over what is left of a socket's own, which the app had let go."""
        stream = cls.__new__(cls)
        stream._share(socket, buffer)
        return stream

    def _share(self, socket: Socket, buffer: ReadBuffer) -> None:
        self._socket = socket
        self._buffer = buffer
        self._closed = False
        # For the socket, without a step in between.
        self._feed = buffer.feed

    def __del__(self) -> None:
        """Do nothing: a stream that is let go must not close the socket, as io's own finalizer would."""

    @property
    def socket(self) -> Socket:
        """The socket below."""
        return self._socket

    @property
    def closed(self) -> bool:
        """Whether ``close()`` was called. The peer's end of stream leaves it open, to read what is left."""
        return self._closed

    @property
    def buffered(self) -> int:
        """Bytes that are ready to be read."""
        return self._buffer.size

    @property
    def _was_read(self) -> bool:
        """Whether the app has taken anything."""
        return self._buffer.was_read

    def _end(self) -> None:
        """Take note, for the socket, that nothing more comes."""
        self._buffer.ended = True

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
        there = self._buffer.size
        if not there:
            return self._nothing()
        return self._buffer.take(there if most < 0 else most)

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

    def readline(self, size: int | None = -1, /, *, limit: int | None = None) -> bytes | None:  # type: ignore[override]
        r"""Return a line with its ``b"\n"``, or ``None`` until the line (or the stream) has ended.

        At the end of the stream: what is left, then ``b""``. ``size``: most bytes to return; negative or
        None: no bound. ``limit``: most bytes of a line, its newline not counted (1 or more); None: the
        socket's ``max_line``, or 65536 if none was given, or no limit if ``size`` is given. A longer line
        raises ``LineTooLong`` and stays in the buffer: with a limit that was given as soon as more than that
        is there, with the default of 65536 once the line's end is there. So does a line without an end that
        fills the stream (16 MiB). ``ValueError`` after ``close()``.
        """
        self._check()
        most = _most(size)
        if most == 0:
            return b""
        most_of_line, early = self._line_limit(limit, most)
        there, whole = self._buffer.size, self._buffer.line_length()
        length, line = whole or there, whole - 1 if whole else there
        if most > 0:
            length, line = min(length, most), min(line, most)
        complete = whole > 0 or 0 < most <= there or self._is_over()
        if line > most_of_line and (complete or early):
            raise LineTooLong(self._buffer.peek(min(length, most_of_line + PARTIAL)), most_of_line)
        if complete:
            return self._buffer.take(length)
        if self._buffer.full:
            # The end of the line will never be there: reading from the network waits for us.
            raise LineTooLong(self._buffer.peek(PARTIAL), min(most_of_line, UNREAD_LIMIT))
        return None

    def __next__(self) -> bytes:
        """Return the next line as ``readline()`` does; stop where it has none now. Errors as there."""
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
        there = self._buffer.size
        if not there:
            return self._nothing()
        return self._buffer.peek(there if n < 0 else n)

    def _nothing(self) -> bytes | None:
        return b"" if self._is_over() else None

    def _is_over(self) -> bool:
        return self._buffer.ended or self._socket.closed

    def _line_limit(self, limit: int | None, size: int) -> tuple[int, bool]:
        """Return the most bytes of a line, and whether a longer one is told before its end is there."""
        if limit is not None:
            given = index(limit)
            if given < 1:
                raise ValueError(f"limit must be at least 1, not {given}")
            return given, True
        return (size, True) if size > 0 else self._socket._line_limit()

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
        """Close the stream and its socket; what was written is still sent, what was not read is dropped.

        Closing again does nothing. ``EventLoopError`` in a forked child.
        """
        if self._closed:
            return
        if not self._socket.closed:
            # First: what raises leaves the stream as it was.
            self._socket.close()
        super().close()
        self._closed = True
        self._buffer.clear()

    def _check(self) -> None:
        if self._closed:
            raise ValueError("I/O operation on closed stream")

    def __repr__(self) -> str:
        """Tell state and peer."""
        state = "closed " if self.closed else ""
        return f"<asynctcp.AsyncIOStream {state}{self.buffered} bytes buffered, {self._socket!r}>"
