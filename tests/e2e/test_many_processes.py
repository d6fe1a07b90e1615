"""Roles in several processes on PostgreSQL and Redis: one schedules, all agree, a dead one is replaced."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import text

from storage.engine import Database
from tests.e2e.harness import (
    TOKEN,
    Product,
    Web,
    World,
    bare_environment,
    code_of,
    command,
    until,
    web,
    words,
)
from tests.services import PostgresServer, free_port

pytestmark = [pytest.mark.postgres, pytest.mark.redis, pytest.mark.xdist_group("e2e-many")]

_numbers = itertools.count(1)


@pytest.fixture
async def database(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """Address of an empty PostgreSQL database: the product's own command makes the tables."""
    name = f"e2e_{next(_numbers)}"
    async with postgres_server.admin() as conn:
        await conn.execute(f"CREATE DATABASE {name}")
    yield postgres_server.url(name)
    async with postgres_server.admin() as conn:
        await conn.execute(f"DROP DATABASE {name} WITH (FORCE)")


@dataclass
class Farm:
    """Two ingest-and-worker processes and one bot-and-web process."""

    workers: list[Product]
    front: Product
    site: Web

    @property
    def all(self) -> list[Product]:
        return [*self.workers, self.front]


def shared(world: World, folder: Path, database: str, redis_url: str, **more: str) -> dict[str, str]:
    return world.environment(
        folder,
        DATABASE_URL=database,
        REDIS_URL=redis_url,
        SECRET_KEY="the same for every process",
        WEB_PORT=str(free_port()),
        **more,
    )


@contextlib.asynccontextmanager
async def running(world: World, folder: Path, database: str, redis_url: str) -> AsyncIterator[Farm]:
    up = await command(shared(world, folder, database, redis_url), folder, "db", "upgrade")
    assert code_of(up) == 0, up.lines
    async with contextlib.AsyncExitStack() as stack:

        async def start(roles: str) -> Product:
            environment = shared(world, folder, database, redis_url)
            product = await stack.enter_async_context(Product(environment, "run", "--roles", roles, folder=folder))
            return await product.spawn()

        workers = [await start("ingest,worker") for _ in range(2)]
        front = await start("bot,web")
        for product in (*workers, front):
            await product.said("started")
        site = await stack.enter_async_context(web(front.url))
        await site.ready()
        await world.bot_answers()
        yield Farm(workers, front, site)


async def rows(database: str, query: str) -> list[tuple[Any, ...]]:
    db = Database(database)
    try:
        async with db.read() as conn:
            return [tuple(row) for row in await conn.execute(text(query))]
    finally:
        await db.close()


async def test_one_schedules_all_agree_and_one_takes_over(tmp_path: Path, database: str, redis_url: str) -> None:
    async with World() as world, running(world, tmp_path, database, redis_url) as farm:
        # One leads; both work.
        leading = [product for product in farm.workers if product.events("scheduler_leading")]
        assert len(leading) == 1
        [leader] = leading
        [other] = [product for product in farm.workers if product is not leader]

        def cycles() -> int:
            return sum(len(product.events("ingest_done")) for product in farm.workers)

        done = cycles()
        asked = len(world.farm.requests)
        began = time.monotonic()
        await until(lambda: cycles() >= done + 2, "two more cycles")
        seconds = time.monotonic() - began
        # Two documents a cycle: with two schedulers it would be twice as many.
        assert len(world.farm.requests) - asked <= 2 * (seconds / 5 + 2)
        twice = await rows(
            database, "SELECT source_time_ms FROM market_update GROUP BY feed, source_time_ms HAVING count(*) > 1"
        )
        assert twice == []

        # What one process stored, the others show within a second.
        async with world.actor("ada") as ada:
            # Of three updates one may meet a moment in which the machine was busy with something else.
            lags: list[float] = []
            while len(lags) < 3 and len([each for each in lags if each < LATEST]) < 2:
                lags.append(await _agrees(farm, database))
            assert len([each for each in lags if each < LATEST]) == 2, f"the web process lags behind: {lags}"
            card = words(await ada.run(world.channel, "price", {"gpu": "rtx-4090"}, within=30))
            assert "RTX 4090 on Vast.ai" in card
            assert re.search(r"as of <t:\d+:R>", card)

        # A leader that stops hands over.
        await leader.stop()
        await other.said("scheduler_leading", within=20)  # it looks every ten seconds
        count = len(other.events("ingest_done"))
        await other.said("ingest_done", count=count + 1)
        for product in (other, farm.front):
            await product.stop()
        for product in farm.all:
            assert TOKEN not in "\n".join(product.lines)
            assert product.trouble == []


LATEST = 1.0 + 0.5
"""Caches agree within a second (and half a one to look)."""


async def _agrees(farm: Farm, database: str) -> float:
    """Seconds from the commit of an update (the ingest log follows at once) until the web process shows it."""
    counts = [len(product.events("ingest_done")) for product in farm.workers]

    def new() -> bool:
        return any(
            len(product.events("ingest_done")) > count for product, count in zip(farm.workers, counts, strict=True)
        )

    await until(new, "another cycle", every=0.01)
    newest = (await rows(database, "SELECT max(source_time_ms) FROM market_update WHERE feed = 'v1'"))[0][0]
    committed = time.monotonic()

    async def shown() -> bool:
        _, body = await farm.site.get("/api/v1/prices?gpu=rtx-4090")
        return datetime.fromisoformat(body["quotes"][0]["as_of"]).timestamp() >= newest // 1000

    await until(shown, "the web process shows it", every=0.02)
    return time.monotonic() - committed


@pytest.mark.deep
async def test_a_dead_leader_is_replaced(tmp_path: Path, database: str, redis_url: str) -> None:
    async with World() as world, running(world, tmp_path, database, redis_url) as farm:
        [leader] = [product for product in farm.workers if product.events("scheduler_leading")]
        [other] = [product for product in farm.workers if product is not leader]
        await leader.kill()
        # When its lease runs out; then nothing is stuck.
        await other.said("scheduler_leading", within=90)
        count = len(other.events("ingest_done"))
        await other.said("ingest_done", count=count + 2, within=90)
        [(fence,)] = await rows(database, "SELECT fence FROM lease WHERE name = 'scheduler'")
        assert fence >= 2
        assert await rows(database, "SELECT kind, state FROM job WHERE state = 'dead'") == []
        assert await rows(database, "SELECT 1 FROM job WHERE state = 'running' AND lease_until < now()") == []
        await asyncio.gather(other.stop(), farm.front.stop())


async def test_the_owner_is_told_by_a_worker_without_a_gateway(tmp_path: Path, database: str, redis_url: str) -> None:
    """The DM goes out by REST from a process that has no bot, and buttons come back to the one that has."""
    async with World() as world, running(world, tmp_path, database, redis_url) as farm:
        payload = '{"notice": "outage", "source": "500.farm", "problem": "gone", "since": "2026-01-01T00:00:00+00:00"}'
        db = Database(database)
        async with db.write() as conn:
            await conn.execute(
                text(
                    "INSERT INTO job (kind, payload, state, run_at, attempts, max_attempts, created_at) "
                    "VALUES ('operator.notice', CAST(:payload AS jsonb), 'ready', now(), 0, 8, now())"
                ),
                {"payload": payload},
            )
        await db.close()
        await until(world.owner_dms, "the DM")
        [told] = world.owner_dms()
        assert "**500.farm** has been failing since" in told
        # The DM arrives a moment before its sender logs it.
        await until(lambda: [p for p in farm.workers if p.events("dm_sent")], "the sender's own word")
        assert not farm.front.events("dm_sent")
        await asyncio.gather(*(product.stop() for product in farm.all))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "split roles need a shared database: set DATABASE_URL=postgresql+asyncpg://"),
        ({"DATABASE_URL": "postgresql+asyncpg://gpuscout@127.0.0.1:9/x"}, "set REDIS_URL=redis://"),
    ],
    ids=["no-database", "no-redis"],
)
async def test_split_roles_without_what_they_share_are_refused(
    tmp_path: Path, settings: dict[str, str], reason: str
) -> None:
    done = await command(bare_environment(tmp_path) | settings, tmp_path, "run", "--roles", "bot,web")
    assert code_of(done) == 2
    [line] = done.lines
    assert reason in line


async def test_a_database_that_was_not_migrated_is_said(tmp_path: Path, database: str, redis_url: str) -> None:
    async with World() as world:
        environment = shared(world, tmp_path, database, redis_url)
        async with Product(environment, "run", folder=tmp_path) as product:
            await product.spawn()
            async with web(product.url) as site:

                async def refused() -> Any:
                    assert product.process is not None
                    if product.process.returncode is not None:
                        return "\n".join(product.plain_errors)
                    # Not yet there, or gone in the middle of the question.
                    with contextlib.suppress(OSError, aiohttp.ClientError):
                        status, body = await site.get("/readyz")
                        return status == 503 and body["detail"]
                    return None

                said = await until(refused, "it says what is missing")
            assert "gpuscout db upgrade" in said
