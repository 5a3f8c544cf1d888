"""A Redis client that pipelines: commands are sent without waiting for the replies of those before.

    python examples/redis_client.py 127.0.0.1 6379 'SET colour red' 'INCR visits' 'GET colour'
    python examples/redis_client.py 127.0.0.1 6379 < commands

Replies are printed in the order of the commands. It shows a parser that takes from an ``AsyncIOStream`` what
is there and is resumed when there is more, as a generator: it reads like one that blocks.
"""

import argparse
import shlex
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import TypeAlias

from asynctcp import AsyncIOStream, Socket, TcpError, event_loop, exit_event_loop, tcp_connect

MAX_LINE = 65536  # bytes of a reply's line
AT_ONCE = 1000  # commands that may wait for their replies
EXAMPLES = """\
examples:
  %(prog)s 127.0.0.1 6379 'SET colour red' 'INCR visits' 'GET colour'
  %(prog)s 127.0.0.1 6379 < commands

exit status: 0 each reply is good, 1 one is an error or the connection failed, 2 wrong arguments, 130 Ctrl-C
"""


class RedisError(Exception):
    """A reply that says what was wrong with the command."""


class ProtocolError(Exception):
    """What came is no reply."""


Reply: TypeAlias = "str | bytes | int | RedisError | list[Reply] | None"
Parsing: TypeAlias = Generator[None, None, Reply]  # yields when more has to come first

# The protocol (RESP2) --------------------------------------------------------------------------------------


def encode(arguments: list[str]) -> bytes:
    """Write a command: an array of strings."""
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        data = argument.encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


def read_reply(stream: AsyncIOStream) -> Parsing:
    line = yield from read_line(stream)
    kind, rest = line[:1], line[1:]
    match kind:
        case b"+":
            return rest.decode(errors="replace")
        case b"-":
            return RedisError(rest.decode(errors="replace"))
        case b":":
            return number(rest)
        case b"$":
            size = number(rest)
            return None if size < 0 else (yield from read_bytes(stream, size))
        case b"*":
            replies: list[Reply] = []
            for _ in range(number(rest)):  # -1: no array, which is shown as an empty one
                replies.append((yield from read_reply(stream)))  # noqa: PERF401 - no comprehension can yield
            return replies
    raise ProtocolError(f"no reply begins with {line[:20]!r}")


def read_line(stream: AsyncIOStream) -> Generator[None, None, bytes]:
    while (line := stream.readline(MAX_LINE)) is None:
        yield
    if not line.endswith(b"\r\n"):
        raise ProtocolError(f"no line: {line[:20]!r}")
    return line[:-2]


def read_bytes(stream: AsyncIOStream, size: int) -> Generator[None, None, bytes]:
    """Read that many bytes and the end of the line after them, in the pieces that come."""
    data = bytearray()
    while len(data) < size + 2:
        piece = stream.read(size + 2 - len(data))
        if piece:
            data += piece
        else:
            yield
    return bytes(data[:size])


def number(text: bytes) -> int:
    try:
        return int(text)
    except ValueError:
        raise ProtocolError(f"no number: {text[:20]!r}") from None


# The client ------------------------------------------------------------------------------------------------


class Redis:
    """A connection. ``call`` may be called at any time; replies come in the order of the calls."""

    def __init__(self, host: str, port: int, on_failure: Callable[[str], object]) -> None:
        self.on_failure = on_failure
        self.callbacks: deque[Callable[[Reply], object]] = deque()
        self.stream = tcp_connect(host, port, self.on_read, self.on_event, stream=True, read_timeout=30)
        self.parsing = read_reply(self.stream)

    def call(self, callback: Callable[[Reply], object], *arguments: str) -> None:
        """Send a command; ``callback(reply)`` later. Commands of one callback of the loop go out together."""
        self.callbacks.append(callback)
        self.stream.write(encode(list(arguments)))

    def close(self) -> None:
        self.stream.close()

    def on_read(self, _socket: Socket, stream: AsyncIOStream) -> None:
        """Hand out the replies that are whole."""
        while stream.buffered and not stream.closed:
            try:
                next(self.parsing)
            except StopIteration as whole:
                self.parsing = read_reply(stream)
                self.callbacks.popleft()(whole.value)
            except ProtocolError as error:
                self.close()
                self.on_failure(str(error))
            else:
                return  # more has to come first

    def on_event(self, condition: Exception) -> None:
        self.on_failure(condition.errmsg if isinstance(condition, TcpError) else "the server ended it")


# The program -----------------------------------------------------------------------------------------------


class Program:
    """Sends commands, at most `AT_ONCE` without a reply, and prints the replies."""

    def __init__(self, host: str, port: int, commands: list[list[str]]) -> None:
        self.commands = iter(commands)
        self.waiting = 0
        self.status = 0
        self.redis = Redis(host, port, self.on_failure)
        for _ in range(AT_ONCE):
            self.send_next()

    def send_next(self) -> None:
        command = next(self.commands, None)
        if command is not None:
            self.waiting += 1
            self.redis.call(self.on_reply, *command)

    def on_reply(self, reply: Reply) -> None:
        if isinstance(reply, RedisError):
            self.status = 1
        print("\n".join(show(reply)))
        self.waiting -= 1
        self.send_next()
        if not self.waiting:
            self.redis.close()

    def on_failure(self, reason: str) -> None:
        print(f"lost the connection, or could not make it: {reason}", file=sys.stderr)
        self.status = 1
        exit_event_loop()


def show(reply: Reply) -> Iterator[str]:
    """Write a reply in lines, much as redis-cli does."""
    match reply:
        case None:
            yield "(nil)"
        case int():
            yield f"(integer) {reply}"
        case RedisError():
            yield f"(error) {reply}"
        case list():
            for place, each in enumerate(reply, 1):
                yield from (f"{place}) {line}" for line in show(each))
            if not reply:
                yield "(empty)"
        case bytes():
            yield reply.decode(errors="backslashreplace")
        case _:
            yield reply


def main() -> int:
    """Send all commands; return the exit status."""
    parser = argparse.ArgumentParser(
        description="Sends commands to Redis, pipelined, and prints the replies.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument(
        "commands", nargs="*", metavar="command", help="with its arguments; none: lines of the input"
    )
    options = parser.parse_args()
    try:
        lines = options.commands or sys.stdin.read().splitlines()
        commands = [words for words in map(shlex.split, lines) if words]
        if not commands:
            return 0
        with event_loop():
            program = Program(options.host, options.port, commands)
    except ValueError as error:  # a quotation that does not end, no host name, no port
        parser.error(str(error))
    except KeyboardInterrupt:
        print("\nended", file=sys.stderr)
        return 130
    return program.status


if __name__ == "__main__":
    sys.exit(main())
