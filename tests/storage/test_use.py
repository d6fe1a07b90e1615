"""Usage events and servers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from storage.engine import Database
from storage.guilds import GuildStore
from storage.tables import guild, usage_event
from storage.usage import UsageEvent, UsageStore

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def event(name: str = "price", **more: object) -> UsageEvent:
    return UsageEvent(at=T0, name=name, surface="slash", outcome="ok", **more)  # type: ignore[arg-type]


async def stored(db: Database) -> int:
    async with db.read() as conn:
        return int((await conn.execute(select(func.count()).select_from(usage_event))).scalar_one())


async def until_stored(db: Database, count: int) -> None:
    async with asyncio.timeout(30):
        while await stored(db) < count:
            await asyncio.sleep(0.01)


async def test_written_behind_after_the_interval(db: Database) -> None:
    store = UsageStore(db, interval=0.05)
    await store.start()
    store.record(event(latency_ms=12.5, member_hash="a" * 32, locale="de"))
    await until_stored(db, 1)
    async with db.read() as conn:
        row = (await conn.execute(select(usage_event))).one()
    assert (row.at, row.name, row.latency_ms, row.plan, row.locale) == (T0, "price", 12.5, "free", "de")
    await store.aclose()


async def test_a_full_batch_is_written_at_once(db: Database) -> None:
    store = UsageStore(db, interval=60, batch=10)
    await store.start()
    for _ in range(10):
        store.record(event())
    await until_stored(db, 10)
    await store.aclose()


async def test_a_clean_shutdown_loses_nothing(db: Database) -> None:
    store = UsageStore(db, interval=60, batch=100_000)
    await store.start()
    for _ in range(1234):
        store.record(event())
    await store.aclose()
    assert await stored(db) == 1234
    assert (store.waiting, store.dropped) == (0, 0)
    store.record(event())
    assert store.dropped == 1
    await store.aclose()


async def test_beyond_the_bound_events_are_counted_not_kept(db: Database) -> None:
    store = UsageStore(db, bound=5)
    for _ in range(8):
        store.record(event())
    assert (store.waiting, store.dropped) == (5, 3)
    await store.aclose()
    assert await stored(db) == 5


async def test_an_outage_loses_nothing_that_fits(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    store = UsageStore(db, interval=0.02, batch=2)
    write = db.write
    tries = 0

    def away() -> object:
        nonlocal tries
        tries += 1
        raise OperationalError("BEGIN", {}, Exception("the server is gone"))

    monkeypatch.setattr(db, "write", away)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await store.start()
    for _ in range(6):
        store.record(event())
        await asyncio.sleep(0.01)
    while not tries:
        await asyncio.sleep(0.01)
    # Pauses grow, 0.04 s, 0.08 s and so on; new events, which fill a batch again and again, do not make it try harder.
    assert sum(0.04 * 2**number for number in range(tries - 1)) <= loop.time() - began + 0.001
    assert store.waiting == 6
    monkeypatch.setattr(db, "write", write)
    await until_stored(db, 6)
    await store.aclose()
    assert await stored(db) == 6


async def test_one_bad_event_does_not_take_the_others_along(db: Database) -> None:
    store = UsageStore(db, interval=60)
    store.record(event("a"))
    store.record(UsageEvent(at=datetime(2026, 1, 1), name="naive", surface="web", outcome="ok"))  # noqa: DTZ001
    store.record(event("b"))
    await store.flush()
    assert await stored(db) == 2
    assert store.dropped == 1
    await store.aclose()


async def test_a_server_is_greeted_once_in_its_life(db: Database) -> None:
    guilds = GuildStore(db)
    assert sum(await asyncio.gather(*(guilds.claim_greeting(7, T0) for _ in range(8)))) == 1
    await guilds.left(7, T0 + timedelta(days=1))
    assert await guilds.count() == 0
    await guilds.joined(7, T0 + timedelta(days=2))
    assert not await guilds.claim_greeting(7, T0 + timedelta(days=2))
    assert await guilds.count() == 1


async def test_joins_and_leaves_are_noted(db: Database) -> None:
    guilds = GuildStore(db)
    big = 2**62  # a Discord id does not fit into 32 bits
    await guilds.joined(big, T0)
    await guilds.joined(big, T0 + timedelta(days=1))
    await guilds.left(99, T0)
    assert await guilds.claim_greeting(big, T0 + timedelta(days=2))
    async with db.read() as conn:
        [row] = (await conn.execute(select(guild))).all()
    assert (row.id, row.joined_at, row.greeted_at, row.left_at) == (big, T0, T0 + timedelta(days=2), None)
