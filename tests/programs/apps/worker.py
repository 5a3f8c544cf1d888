"""A client in whose question SIGTERM comes: worker.py LOOP asyncpg|redis|nats|aiohttp HOST PORT FILE."""

import asyncio
import signal
import sys

import _app

_, _, kind, host, port, file = sys.argv


class Asyncpg:
    """Waits in PostgreSQL."""

    async def connect(self):
        import asyncpg

        self.pool = await asyncpg.create_pool(f"postgres://postgres@{host}:{port}/", min_size=1)

    async def ask(self):
        print("begun", flush=True)
        await self.pool.execute("select pg_advisory_lock(17)")  # held by whoever releases the request
        return "done"

    async def close(self):
        await self.pool.close()


class Redis:
    """Waits for an entry of a list in Redis."""

    async def connect(self):
        import redis.asyncio

        self.client = redis.asyncio.Redis(host=host, port=int(port), decode_responses=True, client_name=file)

    async def ask(self):
        print("begun", flush=True)
        while not (found := await self.client.blpop([file], timeout=20)):
            pass
        return found[1]

    async def close(self):
        await self.client.aclose()


class Nats:
    """Answers a request, later, over a NATS server."""

    async def connect(self):
        import nats

        self.client = await nats.connect(f"nats://{host}:{port}")
        self.answered = asyncio.Event()

    async def ask(self):
        async def answer(message):
            await message.respond((await _app.released(file)).encode())

        subscription = await self.client.subscribe("question", cb=answer)
        text = (await self.client.request("question", timeout=20)).data.decode()
        await subscription.unsubscribe()
        return text

    async def close(self):
        await self.client.close()


class Aiohttp:
    """Asks a server of HTTP."""

    async def connect(self):
        import aiohttp

        self.session = aiohttp.ClientSession()

    async def ask(self):
        print("begun", flush=True)
        async with self.session.get(f"http://{host}:{port}/slow", params={"file": file}) as response:
            return await response.text()

    async def close(self):
        await self.session.close()


async def main():
    client = {"asyncpg": Asyncpg, "redis": Redis, "nats": Nats, "aiohttp": Aiohttp}[kind]()
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await client.connect()
    question = asyncio.ensure_future(client.ask())
    try:
        await stopping.wait()
        print("stopping", flush=True)
        print(await question, flush=True)
    finally:
        while not question.done():  # redis-py may lose a cancellation, on each loop
            question.cancel()
            await asyncio.wait([question], timeout=0.1)
        await client.close()
        print("closed", flush=True)


_app.run(main)
