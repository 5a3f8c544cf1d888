"""What a stream has received and the app has not read, in work that is linear in its bytes."""

from asynctcp._core import Reservation

#: Reading from the network pauses at this many unread bytes, and goes on at half of it.
UNREAD_LIMIT = 16 * 1024 * 1024


class ReadBuffer:
    """Received bytes in order. It knows neither its stream nor the socket, so it makes no cycle with them.

    A piece that finds the buffer empty is kept as it came, and given as it came to who reads all. One that
    comes to a shorter rest is joined with it (which costs no more than twice the piece); the others are
    appended to a ``bytearray``, which takes and lets go of bytes at either end in constant time each.
    """

    __slots__ = ("_data", "_reservation", "_searched", "_start", "ended", "full", "size", "was_read")

    def __init__(self, reservation: Reservation) -> None:
        self._reservation = reservation
        self._data: bytes | bytearray = b""
        self._start = 0  # bytes of `_data` that were read; 0 for a bytearray
        self._searched = 0  # unread bytes that hold no newline
        self.size = 0  # unread bytes
        self.full = False  # reading from the network has to wait
        self.was_read = False
        self.ended = False

    def feed(self, piece: bytes) -> None:
        """Add what was received."""
        if not self.size:
            self._data = piece
        elif self.size <= len(piece):
            self._data = self.peek(self.size) + piece
        else:
            if isinstance(self._data, bytes):
                self._data = bytearray(memoryview(self._data)[self._start :])
            self._data += piece
        self._start = 0
        self.size += len(piece)
        self._reservation.grow(len(piece))
        if self.size >= UNREAD_LIMIT and not self.full:
            self.full = True
            self._reservation.pause()

    def take(self, n: int) -> bytes:
        """Remove and return the first ``n`` bytes (all, if there are fewer)."""
        taken = self.peek(n)
        n = len(taken)
        self.was_read = True
        self.size -= n
        if not self.size:
            self._data = b""
            self._start = self._searched = 0
        else:
            if isinstance(self._data, bytes):
                self._start += n
            else:
                del self._data[:n]
            self._searched = max(0, self._searched - n)
        self._reservation.shrink(n)
        if self.full and self.size <= UNREAD_LIMIT // 2:
            self.full = False
            self._reservation.resume()
        return taken

    def peek(self, n: int) -> bytes:
        """Return the first ``n`` bytes (all, if there are fewer) and leave them there."""
        if isinstance(self._data, bytes):
            return self._data[self._start : self._start + n]
        with memoryview(self._data) as view:
            return bytes(view[:n])

    def line_length(self) -> int:
        """Return the length of the first line with its newline; 0: its end is not there."""
        end = self._data.find(b"\n", self._start + self._searched)
        if end < 0:
            self._searched = self.size
            return 0
        self._searched = end - self._start
        return self._searched + 1

    def clear(self) -> None:
        """Let go of everything."""
        self.take(self.size)
