"""An SMTP server with STARTTLS that prints who writes to whom, and keeps nothing: to test what sends mail.

    asynctcp certificate
    python examples/smtp_sink.py server.pem server.key --port 2525
    curl --ssl-reqd --cacert ca.pem smtp://localhost:2525 --mail-from a@x.test --mail-rcpt b@x.test -T letter

It takes mail over TLS only. What comes behind STARTTLS in the clear ends the session: somebody in between may
have put it there, to have it taken for what came over TLS (CVE-2011-0411). Ctrl-C ends it.
"""

import argparse
import sys

from _shared import run, server_parser
from asynctcp import (
    AsyncIOStream,
    LineTooLong,
    Socket,
    TcpBufferDrained,
    TcpBufferFull,
    TlsConfig,
    default_event_handler,
    tcp_server,
)

MAX_LINE = 4096  # bytes
MAX_RECIPIENTS = 100
MAX_SIZE = 10 << 20  # bytes of a letter
HIGH, LOW = 65536, 16384  # bytes of answers not taken: where reading pauses, and where it goes on
PATIENCE = 300  # seconds (RFC 5321, 4.5.3.2)


class Session:
    """One client, and what it has said so far."""

    def __init__(self, socket: Socket["Session"], tls: TlsConfig) -> None:
        self.socket = socket
        self.tls = tls
        self.forget()

    def forget(self) -> None:
        self.sender: str | None = None
        self.recipients: list[str] = []
        self.size: int | None = None  # of the letter, once that comes

    def take(self, line: bytes) -> str:
        """Return what is answered to a line, maybe nothing."""
        if self.size is not None:
            return self.take_letter(line, self.size)
        verb, _, rest = line.decode(errors="replace").strip().partition(" ")
        verb = verb.upper()
        if verb in ("MAIL", "RCPT", "DATA") and self.socket.tls is None:
            return "530 Must issue a STARTTLS command first"
        commands = {"EHLO": self.hello, "MAIL": self.mail, "RCPT": self.rcpt, "DATA": self.data}
        commands |= {"NOOP": ok, "QUIT": bye, "RSET": self.reset, "STARTTLS": self.start_tls}
        return commands.get(verb, unknown)(rest)

    def hello(self, _name: str) -> str:
        self.forget()
        return f"250-sink\r\n250 {'STARTTLS' if self.socket.tls is None else f'SIZE {MAX_SIZE}'}"

    def start_tls(self, _nothing: str) -> str:
        assert self.socket.stream is not None
        if self.socket.tls is not None:
            return "503 TLS is there already"
        if self.socket.stream.buffered:
            return "421 Something came behind STARTTLS"
        self.socket.write("220 Go ahead\r\n")  # in the clear, as it was written before
        self.socket.start_tls(self.tls)  # nothing is to be forgotten: no mail was taken in the clear
        return ""

    def mail(self, text: str) -> str:
        if self.sender is not None:
            return "503 Nested MAIL command"
        self.sender = address(text, "FROM:")
        return "501 Syntax: MAIL FROM:<address>" if self.sender is None else "250 OK"

    def rcpt(self, text: str) -> str:
        recipient = address(text, "TO:")
        if self.sender is None or len(self.recipients) == MAX_RECIPIENTS:
            return "503 Need MAIL command" if self.sender is None else "452 Too many recipients"
        if not recipient:
            return "501 Syntax: RCPT TO:<address>"
        self.recipients.append(recipient)
        return "250 OK"

    def data(self, _nothing: str) -> str:
        if not self.recipients:
            return "503 Need RCPT command"
        self.size = 0
        return "354 End with a line that is a dot"

    def take_letter(self, line: bytes, size: int) -> str:
        if line != b".\r\n":
            self.size = size + len(line) - line.startswith(b".")
            return ""
        if size <= MAX_SIZE:
            to = ", ".join(map(repr, self.recipients))
            print(f"from {self.sender!r} to {to}: {size} bytes", flush=True)
        self.forget()
        return "250 OK" if size <= MAX_SIZE else "552 Too much mail data"

    def reset(self, _nothing: str) -> str:
        self.forget()
        return "250 OK"


def ok(_text: str) -> str:
    return "250 OK"


def bye(_text: str) -> str:
    return "221 Bye"


def unknown(_text: str) -> str:
    return "502 Command not implemented"


def address(text: str, word: str) -> str | None:
    """The address of ``FROM:<address>``; what follows it (SIZE=… for one) does not matter here."""
    if not text.upper().startswith(f"{word}<") or ">" not in text:
        return None
    return text[len(word) + 1 : text.index(">")]


def on_read(socket: Socket[Session], stream: AsyncIOStream) -> None:
    """Answer each line that is whole: called each time that the stream has more."""
    try:
        while line := stream.readline(limit=MAX_LINE):
            answer = socket.data.take(line)
            if answer:
                socket.write(f"{answer}\r\n")
            if answer.startswith(("221", "421")):
                socket.close()  # what was written still goes out
                return
    except LineTooLong:
        socket.write("500 Line too long\r\n")
        socket.close()


def on_event(condition: Exception) -> None:
    """Read no more from who asks and does not take the answers."""
    match condition:
        case TcpBufferFull(socket=Socket() as socket):
            socket.disable(read=True)
        case TcpBufferDrained(socket=Socket() as socket):
            socket.enable(read=True)
        case _:
            default_event_handler(condition)


def serve(options: argparse.Namespace) -> None:
    """Listen, and say where."""
    tls = TlsConfig.server(options.cert, options.key)

    def on_connect(socket: Socket[Session]) -> None:
        socket.data = Session(socket, tls)
        socket.set_write_buffer_limits(HIGH, LOW)
        socket.write("220 sink ESMTP\r\n")

    server = tcp_server(
        options.host,
        options.port,
        on_read,
        on_event,
        connect_cb=on_connect,
        stream=True,
        read_timeout=PATIENCE,
        write_timeout=PATIENCE,
    )
    print(f"listening on {server.host}:{server.port}", flush=True)


if __name__ == "__main__":
    parser = server_parser("An SMTP server that keeps nothing.", port=2525)
    parser.add_argument("cert", help="file with the certificate and those above it")
    parser.add_argument("key", help="file with its key")
    sys.exit(run(serve, parser))
