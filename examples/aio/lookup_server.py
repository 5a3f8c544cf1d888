r"""A server of callbacks that asks PostgreSQL by asyncpg, and Redis by redis-py before it, in one thread.

    pip install asyncpg redis
    python examples/aio/lookup_server.py --postgres postgres://postgres@localhost/ --redis redis://localhost
    printf 'tcp=transmission control protocol\ntcp\n' | nc -q1 127.0.0.1 7000

A line ``word`` is answered with what the word means, or ``?``; ``word=meaning`` keeps it. A callback starts a
task that answers the lines that have come; more of them wait in the connection's stream, which stops reading
when it is full. SIGTERM ends the server once the questions on their way are answered, Ctrl-C at once.
"""

import argparse
import asyncio
import signal
import sys

import asyncpg
import redis.asyncio

from asynctcp import (
    AsyncIOStream,
    Socket,
    TcpEof,
    TcpServerBindError,
    aio,
    default_event_handler,
    tcp_server,
)

TABLE = "create table if not exists words (word text primary key, meaning text not null)"
KEEP = "insert into words values ($1, $2) on conflict (word) do update set meaning = excluded.meaning"
FIND = "select meaning from words where word = $1"
SECONDS = 60  # for which Redis remembers
MAX_LINE = 4096  # bytes, its end included


class Dictionary:
    """What words mean."""

    def __init__(self, pool: asyncpg.Pool, cache: redis.asyncio.Redis) -> None:
        self.pool = pool
        self.cache = cache

    async def answer(self, line: str) -> str:
        word, is_new, meaning = line.partition("=")
        key = f"words:{word}"
        if is_new:
            await self.pool.execute(KEEP, word, meaning)
            await self.cache.delete(key)
            return "ok"
        if (found := await self.cache.get(key)) is None:
            found = await self.pool.fetchval(FIND, word)
            if found is not None:
                await self.cache.set(key, found, ex=SECONDS)
        return "?" if found is None else str(found)


class Client:
    """What a connection's ``data`` is."""

    is_answered = False  # a task does
    has_ended = False  # nothing more comes from it


class Server:
    """The callbacks of all connections."""

    def __init__(self, dictionary: Dictionary) -> None:
        self.dictionary = dictionary
        self.tasks: set[asyncio.Task[None]] = set()
        self.is_ending = False

    def on_connect(self, socket: Socket) -> None:
        socket.data = Client()

    def on_read(self, socket: Socket, stream: AsyncIOStream) -> None:
        if not socket.data.is_answered and not self.is_ending:
            socket.data.is_answered = True
            task = asyncio.create_task(self.answer_lines(socket, stream))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def answer_lines(self, socket: Socket, stream: AsyncIOStream) -> None:
        while not self.is_ending and (line := stream.readline(MAX_LINE)):
            try:
                answer = await self.dictionary.answer(line.decode(errors="replace").strip())
            except (OSError, asyncpg.PostgresError, redis.RedisError) as error:
                answer = f"! {error}"
            if socket.closed:
                return
            socket.write(answer + "\n")
        socket.data.is_answered = False
        if socket.data.has_ended:
            socket.close()  # what was written still goes out

    def on_event(self, condition: Exception) -> None:
        match condition:
            case TcpEof(socket=Socket() as socket):
                socket.data.has_ended = True
                if not socket.data.is_answered:
                    socket.close()
            case _:
                default_event_handler(condition)

    async def finish(self) -> None:
        """Answer the questions that are on their way."""
        self.is_ending = True
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def serve(options: argparse.Namespace) -> None:
    """Serve until SIGTERM."""
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    connections = redis.asyncio.BlockingConnectionPool.from_url(
        options.redis, decode_responses=True, max_connections=10
    )
    cache = redis.asyncio.Redis.from_pool(connections)
    async with cache, asyncpg.create_pool(options.postgres) as pool:
        await pool.execute(TABLE)
        server = Server(Dictionary(pool, cache))
        listening = tcp_server(
            options.host,
            options.port,
            server.on_read,
            server.on_event,
            connect_cb=server.on_connect,
            stream=True,
            allow_half_open=True,
        )
        print(f"listening on {listening.host}:{listening.port}", flush=True)
        await ending.wait()
        listening.close()
        await server.finish()
    print("ended")


def main() -> int:
    """Run the server until a signal ends it; return the exit status."""
    parser = argparse.ArgumentParser(description="A server that says what words mean.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=7000, help="port, 0 for any free one (%(default)s)")
    parser.add_argument("--postgres", default="postgres://postgres@localhost/", help="where (%(default)s)")
    parser.add_argument("--redis", default="redis://localhost", help="where (%(default)s)")
    options = parser.parse_args()
    try:
        aio.run(serve(options))
    except KeyboardInterrupt:
        print("\nended")
    except TcpServerBindError as error:
        print(f"cannot listen on {options.host}:{options.port}: {error.errmsg}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
