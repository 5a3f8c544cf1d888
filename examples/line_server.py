r"""A store of names and values with a protocol of lines, read from an ``AsyncIOStream``.

Run it, and ask it from another terminal:

    python examples/line_server.py --port 7000
    printf 'set colour red\nget colour\nquit\n' | nc 127.0.0.1 7000

Requests are ``set NAME VALUE``, ``get NAME``, ``delete NAME``, ``names`` and ``quit``; each answer is a
line that begins with ``ok`` or ``error``. Ctrl-C ends it. It shows what a stream is good for: bytes stay in
it until a whole line is there, and what the peer sent before its end can still be read.
"""

import argparse
import sys

from _shared import run, server_parser
from asynctcp import AsyncIOStream, Socket, TcpEof, default_event_handler, tcp_server

MAX_LINE = 4096  # bytes, its end included
MAX_NAMES = 100_000
MUCH = 65536  # bytes of answers not taken: where no more lines are answered


class RequestError(Exception):
    """What is wrong with a request; the client is told."""


class Store:
    """Names and values, and the callbacks of all connections."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    # The protocol ------------------------------------------------------------------------------------------

    def answer(self, line: bytes) -> str:
        """Return what is to be sent for a line."""
        try:
            return f"ok {self.perform(line.decode().strip())}".rstrip() + "\n"
        except UnicodeDecodeError:
            return "error not UTF-8\n"
        except RequestError as error:
            return f"error {error}\n"

    def perform(self, request: str) -> str:
        match request.split(" ", 2):  # a value may have blanks
            case ["set", name, value]:
                if name not in self.values and len(self.values) == MAX_NAMES:
                    raise RequestError("no room")
                self.values[name] = value
            case ["get" | "delete", name] if name not in self.values:
                raise RequestError("no such name")
            case ["get", name]:
                return self.values[name]
            case ["delete", name]:
                del self.values[name]
            case ["names"]:
                return " ".join(sorted(self.values))
            case _:
                raise RequestError("there are: set NAME VALUE, get NAME, delete NAME, names, quit")
        return ""

    # The connections ---------------------------------------------------------------------------------------

    def on_read(self, socket: Socket, stream: AsyncIOStream) -> None:
        """Answer each line that is whole: called each time that the stream has more."""
        while socket.write_buffer_size < MUCH:
            line = stream.readline(MAX_LINE)
            if line is None:
                return
            if not line.endswith(b"\n"):
                socket.write("error line too long\n")
                socket.close()  # what was written still goes out
                return
            if line.strip() == b"quit":
                socket.write("ok\n")
                socket.close()
                return
            socket.write(self.answer(line), write_cb=self.on_written)
        # Who asks and does not take the answers is not read from. The other lines stay in the stream.
        socket.disable(read=True)

    def on_written(self, socket: Socket) -> None:
        """Go on: the kernel has taken all answers."""
        assert socket.stream is not None
        socket.enable(read=True)
        self.on_read(socket, socket.stream)

    def on_event(self, condition: Exception) -> None:
        match condition:
            case TcpEof(socket=Socket(stream=AsyncIOStream(buffered=left) as stream)) if left:
                # A last line without its end. The socket closes after this callback, and sends what it wrote.
                stream.write(self.answer(stream.read() or b""))
            case _:
                default_event_handler(condition)


def serve(options: argparse.Namespace) -> None:
    """Listen, and say where."""
    store = Store()
    server = tcp_server(options.host, options.port, store.on_read, store.on_event, stream=True)
    print(f"listening on {server.host}:{server.port}", flush=True)


if __name__ == "__main__":
    parser = server_parser("A store of names and values.", port=7000)
    sys.exit(run(serve, parser))
