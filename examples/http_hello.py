"""A small HTTP/1.1 server that greets: keep-alive, pipelining, and requests that come in any pieces.

Run it, and ask it from another terminal:

    python examples/http_hello.py --port 8080
    curl -v http://127.0.0.1:8080/
    wrk -t1 -c100 -d5s http://127.0.0.1:8080/

Ctrl-C ends it. It shows how a parser keeps what it needs between two reads in ``socket.data``, and how all
replies to one read go out in one write.
"""

import argparse
import re
import sys
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple

from _shared import run, server_parser
from asynctcp import (
    Socket,
    TcpBufferDrained,
    TcpBufferFull,
    TcpReset,
    TcpTimeout,
    default_event_handler,
    tcp_server,
)

MAX_HEAD = 8192  # bytes of a request line and its fields
HIGH, LOW = 65536, 16384  # bytes of replies not taken: where reading pauses, and where it goes on
PATIENCE = 60  # seconds that a client may be silent, or not take its replies

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") [!-~]+ HTTP/1\.([0-9])")
FIELD = re.compile(rb"(" + TOKEN + rb"):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class RequestError(Exception):
    """A request that gets an error for its answer, after which the connection ends."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status)
        self.status = status


class Request(NamedTuple):
    """What the server wants to know of a request's head."""

    reply: bytes
    body: int  # bytes that follow the head
    waits: bool  # the client sends the body only when it is told to go on
    last: bool  # the connection ends after the reply


class Connection:
    """What has to be remembered between two reads."""

    __slots__ = ("body", "head", "request")

    def __init__(self) -> None:
        self.head = b""  # the beginning of a request
        self.request: Request | None = None  # a request whose body has not all come yet
        self.body = 0  # how many bytes of it are still to come


def render(status: HTTPStatus, text: str, connection: bytes = b"", *, with_body: bool = True) -> bytes:
    body = text.encode()
    head = b"HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n%s\r\n"
    return head % (status, status.phrase.encode(), len(body), connection) + (body if with_body else b"")


# Parsing ---------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)  # most clients send the same head again and again
def parse_head(head: bytes) -> Request:
    """Understand a head, given without its empty line; raise RequestError if that cannot be done."""
    first, *lines = head.split(b"\r\n")
    line = REQUEST_LINE.fullmatch(first)
    if line is None:
        raise RequestError(HTTPStatus.BAD_REQUEST)
    fields = parse_fields(lines)
    if b"transfer-encoding" in fields:
        raise RequestError(HTTPStatus.NOT_IMPLEMENTED)
    options = {option.strip().lower() for option in fields.get(b"connection", b"").split(b",")}
    old = line[2] == b"0"
    last = b"close" in options or (old and b"keep-alive" not in options)
    # HTTP/1.0 clients close unless told otherwise, newer ones keep the connection.
    connection = b"Connection: close\r\n" if last else b"Connection: keep-alive\r\n" if old else b""
    reply = render(HTTPStatus.OK, "Hello, world!\n", connection, with_body=line[1] != b"HEAD")
    waits = not old and fields.get(b"expect", b"").lower() == b"100-continue"
    return Request(reply, content_length(fields), waits, last)


def parse_fields(lines: list[bytes]) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for line in lines:
        match = FIELD.fullmatch(line)
        if match is None:
            raise RequestError(HTTPStatus.BAD_REQUEST)
        name, value = match[1].lower(), match[2].rstrip(b" \t")
        # A name that comes twice is a list, as HTTP has it.
        fields[name] = fields[name] + b"," + value if name in fields else value
    return fields


def content_length(fields: dict[bytes, bytes]) -> int:
    text = fields.get(b"content-length", b"0")
    # Not int() alone, to which b"+1" and b"1_0" are numbers too. Two lengths have a comma between them.
    if not text.isdigit() or len(text) > 18:
        raise RequestError(HTTPStatus.BAD_REQUEST)
    return int(text)


def check_beginning(head: bytes) -> None:
    """Refuse an unfinished head that no more bytes can make a request, or that is too long."""
    line, newline, _ = head.partition(b"\n")
    if newline:
        refused = not (line.endswith(b"\r") and REQUEST_LINE.fullmatch(line[:-1]))
    else:
        refused = bool(line) and line != b"\r" and re.match(TOKEN, line) is None
    if refused:
        raise RequestError(HTTPStatus.BAD_REQUEST)
    if len(head) > MAX_HEAD + 3:  # up to three bytes of the empty line that ends it may be there
        raise RequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)


def answer(connection: Connection, data: bytes, out: list[bytes]) -> bool:
    """Append to ``out`` what is to be sent now that ``data`` came; return whether the connection then ends.

    What is unfinished stays in ``connection``.
    """
    if connection.head:
        data = connection.head + data
        connection.head = b""
    at = 0
    while True:
        request = connection.request
        if request is not None:
            skipped = min(connection.body, len(data) - at)
            at += skipped
            connection.body -= skipped
            if connection.body:
                return False
            connection.request = None
            out.append(request.reply)
            if request.last:
                return True
        while data.startswith(b"\r\n", at):  # some clients send an empty line after a body
            at += 2
        end = data.find(b"\r\n\r\n", at)
        if end < 0:
            connection.head = data[at:]
            check_beginning(connection.head)
            return False
        if end - at > MAX_HEAD:
            raise RequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        request = parse_head(data[at:end])
        connection.request, connection.body = request, request.body
        at = end + 4
        if request.waits and at == len(data):
            out.append(CONTINUE)


# Serving ---------------------------------------------------------------------------------------------------


def on_connect(socket: Socket) -> None:
    socket.data = Connection()
    socket.set_write_buffer_limits(HIGH, LOW)


def on_read(socket: Socket, data: bytes) -> None:
    out: list[bytes] = []
    try:
        last = answer(socket.data, data, out)
    except RequestError as error:
        text = f"{error.status} {error.status.phrase}\n"
        out.append(render(error.status, text, b"Connection: close\r\n"))
        last = True
    if out:
        socket.write(b"".join(out))
    if last:
        socket.close()  # what was written still goes out


def on_event(condition: Exception) -> None:
    match condition:
        case TcpBufferFull(socket=Socket() as socket):
            socket.disable(read=True)  # who asks and does not take the answers is not read from
        case TcpBufferDrained(socket=Socket() as socket):
            socket.enable(read=True)
        case TcpReset() | TcpTimeout():
            pass  # clients go as they please
        case _:
            default_event_handler(condition)


def serve(options: argparse.Namespace) -> None:
    """Listen, and say where."""
    server = tcp_server(
        options.host,
        options.port,
        on_read,
        on_event,
        connect_cb=on_connect,
        read_timeout=PATIENCE,
        write_timeout=PATIENCE,
    )
    print(f"listening on {server.host}:{server.port}", flush=True)


if __name__ == "__main__":
    parser = server_parser("An HTTP server that greets.", port=8080)
    sys.exit(run(serve, parser))
