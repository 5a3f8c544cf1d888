"""A chat server: who connects gives a name, and what one says all others read.

Run it, and join from two other terminals:

    python examples/chat_server.py --port 7000
    nc 127.0.0.1 7000

A line is for all; ``/who`` lists who is there, ``/quit`` leaves. Ctrl-C ends it. It shows how lines that come
in any pieces are put together, what to do with a guest who does not read (he is put out, so that he costs no
memory and holds up nobody), and where to forget a guest: in the ``close_cb``, which runs once for each,
however his connection ended, also by a bug in a callback.
"""

import argparse
import re
import sys

from _shared import run, server_parser
from asynctcp import Socket, TcpBufferFull, default_event_handler, tcp_server

NAME = re.compile(r"[A-Za-z0-9_-]{1,20}")
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f]+")  # a guest must not move the cursors of the others
MAX_LINE = 1024  # bytes
HIGH, LOW = 256 * 1024, 64 * 1024  # bytes that a guest has not taken: at the first he is put out


class Guest:
    """A connection, and who is at its other end."""

    def __init__(self, socket: Socket) -> None:
        self.socket = socket
        self.name: str | None = None  # until a good one was given
        self.rest = b""  # the beginning of a line
        self.why = "leaves"  # what the others are told of his end

    def tell(self, text: str) -> None:
        if not self.socket.closed:
            self.socket.write(text + "\n")

    def lines(self, data: bytes) -> list[str]:
        """Return the lines that are whole now that ``data`` came, made fit to be shown."""
        *whole, self.rest = (self.rest + data).split(b"\n")
        return [UNPRINTABLE.sub(" ", line.decode(errors="replace")).strip() for line in whole]


class Room:
    """The callbacks of all connections."""

    def __init__(self) -> None:
        self.guests: dict[str, Guest] = {}  # those with a name

    def on_connect(self, socket: Socket) -> None:
        socket.data = guest = Guest(socket)
        socket.set_write_buffer_limits(HIGH, LOW)
        socket.set_keepalive(True, idle=60)  # a guest whose computer was switched off is noticed
        guest.tell("Who are you?")

    def on_read(self, socket: Socket, data: bytes) -> None:
        guest: Guest = socket.data
        for line in guest.lines(data):
            if socket.closed:  # by an earlier line
                return
            self.on_line(guest, line)
        if len(guest.rest) > MAX_LINE:
            self.put_out(guest, "says too much at a time")

    def on_line(self, guest: Guest, line: str) -> None:
        if guest.name is None:
            self.welcome(guest, line)
        elif line == "/quit":
            self.put_out(guest, "leaves")
        elif line == "/who":
            guest.tell("* here: " + ", ".join(sorted(self.guests)))
        elif line.startswith("/"):
            guest.tell("* there are /who and /quit")
        elif line:
            self.tell_all(f"<{guest.name}> {line}", but=guest)

    def welcome(self, guest: Guest, name: str) -> None:
        if NAME.fullmatch(name) is None:
            guest.tell("A name has up to 20 letters, digits, - and _. Who are you?")
        elif name in self.guests:
            guest.tell(f"{name} is here already. Who are you?")
        else:
            guest.name = name
            self.guests[name] = guest
            guest.tell("* here: " + ", ".join(sorted(self.guests)))
            self.tell_all(f"* {name} comes", but=guest)

    def tell_all(self, text: str, but: Guest) -> None:
        for guest in self.guests.values():
            if guest is not but:
                guest.tell(text)

    def put_out(self, guest: Guest, why: str) -> None:
        guest.why = why
        guest.socket.close(force=why == "does not listen")  # who does not read gets no last words

    def on_close(self, socket: Socket, _reason: object) -> None:
        guest: Guest | None = socket.data
        if guest is not None and guest.name is not None:
            del self.guests[guest.name]
            self.tell_all(f"* {guest.name} {guest.why}", but=guest)

    def on_event(self, condition: Exception) -> None:
        if isinstance(condition, TcpBufferFull) and condition.socket is not None:
            self.put_out(condition.socket.data, "does not listen")
        else:
            default_event_handler(condition)  # logs what is an error, or a bug in a callback


def serve(options: argparse.Namespace) -> None:
    """Listen, and say where."""
    room = Room()
    server = tcp_server(
        options.host,
        options.port,
        room.on_read,
        room.on_event,
        connect_cb=room.on_connect,
        close_cb=room.on_close,
    )
    print(f"listening on {server.host}:{server.port}", flush=True)


if __name__ == "__main__":
    parser = server_parser("A chat server.", port=7000)
    sys.exit(run(serve, parser))
