"""Drivers of databases and queues do their work on our loop as on asyncio's own, with the real servers."""

from __future__ import annotations

import asyncio
import os

import pytest

from certificates import authority
from loops import run
from services import needs_package


def url_of(address, scheme="postgres", user="postgres@"):
    return "{}://{}{}:{}/".format(scheme, user, *address)


# --- asyncpg ---


@needs_package("asyncpg")
def test_asyncpg_asks_over_a_pool(loop, postgres_server):
    import asyncpg

    async def main():
        async with asyncpg.create_pool(url_of(postgres_server), min_size=4, max_size=10) as pool:
            squares = [pool.fetchval("select $1::int * $1", number) for number in range(200)]
            assert await asyncio.gather(*squares) == [number * number for number in range(200)]
            rows = await pool.fetch("select n, repeat('x', 1000) from generate_series(1, 5000) n")
            assert [row[0] for row in rows] == list(range(1, 5001))

    run(loop, main())


@needs_package("asyncpg")
def test_asyncpg_copies_in_and_out_in_a_transaction(loop, postgres_server):
    import asyncpg

    pieces = []

    async def keep(piece):
        pieces.append(bytes(piece))

    async def main():
        connection = await asyncpg.connect(url_of(postgres_server))
        records = [(number, os.urandom(500)) for number in range(3000)]
        async with connection.transaction():
            await connection.execute("create temp table copied (n int, b bytea) on commit drop")
            await connection.copy_records_to_table("copied", records=records)
            assert [tuple(row) for row in await connection.fetch("select * from copied")] == records
            await connection.copy_from_query("select n from copied", output=keep)
        await connection.close()

    run(loop, main())
    assert b"".join(pieces).split() == [b"%d" % number for number in range(3000)]


@needs_package("asyncpg")
def test_question_that_asyncpg_gives_up_is_cancelled_in_the_server(loop, postgres_server):
    import asyncpg

    async def main():
        connection = await asyncpg.connect(url_of(postgres_server))
        with pytest.raises(TimeoutError):
            await connection.execute("select pg_sleep(30)", timeout=0.1)
        question = asyncio.ensure_future(connection.execute("select pg_sleep(30)"))
        await asyncio.sleep(0)
        question.cancel()
        with pytest.raises(asyncio.CancelledError):
            await question
        assert await connection.fetchval("select 1") == 1
        await connection.close()

    run(loop, main())


@needs_package("asyncpg")
def test_asyncpg_is_notified(loop, postgres_server):
    import asyncpg

    async def main():
        told = loop.create_future()
        listener = await asyncpg.connect(url_of(postgres_server))
        await listener.add_listener("news", lambda *said: told.set_result(said[2:]))
        speaker = await asyncpg.connect(url_of(postgres_server))
        await speaker.execute("select pg_notify('news', 'it works')")
        said = await told
        await speaker.close()
        await listener.close()
        return said

    assert run(loop, main()) == ("news", "it works")


@needs_package("asyncpg")
def test_asyncpg_speaks_tls(loop, postgres_server):
    import asyncpg

    async def main():
        context = authority().client_context()
        connection = await asyncpg.connect(url_of(postgres_server), ssl=context)
        query = "select version from pg_stat_ssl where pid = pg_backend_pid()"
        version = await connection.fetchval(query)
        data = os.urandom(1 << 20)
        assert await connection.fetchval("select $1::bytea", data) == data
        await connection.close()
        return version

    assert run(loop, main()) == "TLSv1.3"


@needs_package("asyncpg")
def test_session_that_postgres_ends_is_an_error_of_the_question(loop, postgres_server):
    import asyncpg

    async def main():
        first = await asyncpg.connect(url_of(postgres_server))
        second = await asyncpg.connect(url_of(postgres_server))
        question = asyncio.ensure_future(first.execute("select pg_sleep(30)"))
        await asyncio.sleep(0)
        await second.execute("select pg_terminate_backend($1)", first.get_server_pid())
        with pytest.raises(asyncpg.PostgresError, match="terminating connection"):
            await question
        await second.close()
        await first.close()

    run(loop, main())


# --- redis-py ---


def redis_at(address):
    import redis.asyncio

    return redis.asyncio.Redis(host=address[0], port=address[1], decode_responses=True)


@needs_package("redis")
def test_redis_py_pipelines(loop, redis_server):
    async def main():
        async with redis_at(redis_server) as client:
            await client.delete("n")
            async with client.pipeline(transaction=False) as pipeline:
                for _ in range(2000):
                    pipeline.incr("n")
                assert await pipeline.execute() == list(range(1, 2001))
            values = await asyncio.gather(*(client.get("n") for _ in range(50)))
            big = "x" * (1 << 20)
            await client.set("big", big)
            assert await client.get("big") == big
            return set(values)

    assert run(loop, main()) == {"2000"}


@needs_package("redis")
def test_redis_py_is_told_what_is_published(loop, redis_server):
    async def main():
        async with redis_at(redis_server) as client, client.pubsub() as listener:
            await listener.subscribe("news")
            while (await listener.get_message(timeout=5) or {}).get("type") != "subscribe":
                pass
            await client.publish("news", "it works")
            return (await listener.get_message(ignore_subscribe_messages=True, timeout=5))["data"]

    assert run(loop, main()) == "it works"


@needs_package("redis")
def test_redis_py_waits_in_the_server_until_it_gives_up(loop, redis_server):
    async def main():
        async with redis_at(redis_server) as client:
            waiting = asyncio.ensure_future(client.blpop(["empty"], timeout=30))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await waiting
            assert await client.ping()

    run(loop, main())


@needs_package("redis")
def test_redis_py_connects_anew_after_the_server_has_ended_its_connection(loop, redis_server):
    async def main():
        async with redis_at(redis_server) as client, redis_at(redis_server) as other:
            number = await client.client_id()
            await other.client_kill_filter(_id=number)
            assert await client.ping()
            return number, await client.client_id()

    before, after = run(loop, main())
    assert before != after


# --- nats-py ---


def nats_at(address, **options):
    import nats

    return nats.connect(url_of(address, "nats", ""), **options)


@needs_package("nats")
def test_nats_py_has_each_message_in_order(loop, nats_server):
    got = []

    async def main():
        done = loop.create_future()

        async def take(message):
            got.append(int(message.data))
            if len(got) == 2000:
                done.set_result(None)

        client = await nats_at(nats_server)
        await client.subscribe("numbers", cb=take)
        for number in range(2000):
            await client.publish("numbers", b"%d" % number)
        await done
        await client.drain()

    run(loop, main())
    assert got == list(range(2000))


@needs_package("nats")
def test_nats_py_requests_and_answers(loop, nats_server):
    async def main():
        async def answer(message):
            await message.respond(message.data.upper())

        server, client = await nats_at(nats_server), await nats_at(nats_server)
        await server.subscribe("shout", "workers", cb=answer)
        await server.flush()
        answers = await asyncio.gather(
            *(client.request("shout", b"word%d" % n, timeout=5) for n in range(100))
        )
        large = await client.request("shout", b"x" * 500_000, timeout=5)
        await client.close()
        await server.drain()
        return [message.data for message in answers], large.data

    answers, large = run(loop, main())
    assert answers == [b"WORD%d" % n for n in range(100)]
    assert large == b"X" * 500_000
