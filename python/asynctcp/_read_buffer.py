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

    __slots__ = ("_data", "_full", "_reservation", "_searched", "_start", "ended")

    def __init__(self, reservation: Reservation) -> None:
        self._reservation = reservation
        self._data: bytes | bytearray = b""
        self._start = 0  # bytes of `_data` that were read; 0 for a bytearray
        self._searched = 0  # unread bytes that hold no newline
        self._full = False
        self.ended = False

    def __len__(self) -> int:
        return len(self._data) - self._start

    @property
    def full(self) -> bool:
        """Whether reading from the network has to wait."""
        return self._full

    def feed(self, piece: bytes) -> None:
        """Add what was received."""
        left = len(self)
        if not left:
            self._data = piece
        elif left <= len(piece):
            self._data = self.peek(left) + piece
        else:
            if isinstance(self._data, bytes):
                self._data = bytearray(memoryview(self._data)[self._start :])
            self._data += piece
        self._start = 0
        self._reservation.grow(len(piece))
        if not self._full and len(self) >= UNREAD_LIMIT:
            self._full = True
            self._reservation.pause()

    def take(self, n: int) -> bytes:
        """Remove and return the first ``n`` bytes (all, if there are fewer)."""
        taken = self.peek(n)
        n = len(taken)
        if n == len(self):
            self._data, self._start = b"", 0
        elif isinstance(self._data, bytes):
            self._start += n
        else:
            del self._data[:n]
        self._searched = max(0, self._searched - n)
        self._reservation.shrink(n)
        if self._full and len(self) <= UNREAD_LIMIT // 2:
            self._full = False
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
            self._searched = len(self)
            return 0
        self._searched = end - self._start
        return self._searched + 1

    def clear(self) -> None:
        """Let go of everything."""
        self.take(len(self))
