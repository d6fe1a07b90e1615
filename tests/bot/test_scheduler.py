"""Ticks become job rows: once each, from one process, whatever the clock does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from bot.scheduler import INGEST_JOB, LEASE_NAME, TRENDS_JOB, Scheduler
from storage import tables as t
from storage.engine import Database
from storage.jobs import JobStore
from storage.leases import LeaseStore
from storage.market import MarketStore, UpdateRows

LONG = timedelta(hours=1)


class Desk:
    """Schedulers around one database, all stopped at the test's end."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.jobs = JobStore(db)
        self.store = MarketStore(db)
        self.schedulers: list[Scheduler] = []
        self.woken = 0

    async def start(self, *, every: timedelta = LONG, shared: bool = False, **options: Any) -> Scheduler:
        scheduler = Scheduler(
            self.db,
            self.jobs,
            LeaseStore(self.db),
            self.store,
            ingest_every=every,
            trends_every=LONG,
            shared=shared,
            on_job=self._wake,
            **({"renew": 0.05} | options),
        )
        self.schedulers.append(scheduler)
        await scheduler.start()
        return scheduler

    def _wake(self) -> None:
        self.woken += 1

    async def waiting(self, kind: str = INGEST_JOB) -> list[Any]:
        async with self.db.read() as conn:
            rows = await conn.execute(select(t.job).where(t.job.c.kind == kind).order_by(t.job.c.id))
            return list(rows.all())

    async def stored(self, fetched_at: datetime) -> None:
        rows = UpdateRows("500.farm", "v1", int(fetched_at.timestamp() * 1000), fetched_at, 1, 0, (), (), ())
        async with self.db.write() as conn:
            await self.store.store_update(conn, rows)


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():
            await asyncio.sleep(0.01)


@pytest.fixture
async def desk(db: Database) -> AsyncIterator[Desk]:
    desk = Desk(db)
    yield desk
    for scheduler in desk.schedulers:
        await scheduler.stop()


async def _has_ingest(desk: Desk) -> bool:
    return bool(await desk.waiting())


async def _woken(desk: Desk) -> bool:
    """The worker is told a moment after the row is there."""
    return desk.woken > 0


async def test_the_first_poll_is_at_once_when_nothing_is_stored(desk: Desk) -> None:
    scheduler = await desk.start()
    await eventually(lambda: _has_ingest(desk))
    await eventually(lambda: _woken(desk))
    [job] = await desk.waiting()
    assert job.concurrency_key == "market" and job.max_attempts == 3
    wait = scheduler.next_poll_in()
    assert wait is not None and timedelta(minutes=55) < wait <= LONG
    assert desk.woken == 1
    assert await desk.waiting(TRENDS_JOB) == []  # a minute later


@pytest.mark.parametrize(
    ("age", "least", "most"),
    [
        (timedelta(minutes=20), timedelta(minutes=38), timedelta(minutes=40)),
        (timedelta(hours=2), timedelta(0), timedelta(0)),
        (timedelta(days=-2), timedelta(minutes=58), LONG),  # fetched under a clock that has been set back since
    ],
)
async def test_the_first_poll_is_when_the_data_are_an_interval_old(
    desk: Desk, age: timedelta, least: timedelta, most: timedelta
) -> None:
    await desk.stored(datetime.now(UTC) - age)
    scheduler = await desk.start()
    if most:
        wait = scheduler.next_poll_in()
        assert wait is not None and least < wait <= most
        assert await desk.waiting() == []
    else:
        await eventually(lambda: _has_ingest(desk))


async def test_ticks_coalesce_while_a_job_waits(desk: Desk) -> None:
    scheduler = await desk.start(every=timedelta(seconds=0.1))
    await eventually(lambda: _has_ingest(desk))
    await eventually(lambda: _woken(desk))
    for _ in range(3):
        await scheduler._tick(INGEST_JOB)
    assert len(await desk.waiting()) == 1 and desk.woken >= 1
    [job] = await desk.jobs.claim([INGEST_JOB], 1, 60)

    async def again() -> bool:
        return len(await desk.waiting()) == 2

    # One runs: the next tick leaves one more to wait, and no third.
    await eventually(again)
    for _ in range(3):
        await scheduler._tick(INGEST_JOB)
    assert [row.state for row in await desk.waiting()] == ["running", "ready"]
    assert await desk.jobs.claim([INGEST_JOB], 1, 60) == [], "two polls at a time"
    async with desk.db.write() as conn:
        await desk.jobs.finish(conn, job)


async def test_a_bad_moment_does_not_end_the_ticks(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    enqueue, failures = desk.jobs.enqueue, [RuntimeError("disk full")]

    async def flaky(*args: Any, **options: Any) -> int | None:
        if failures:
            raise failures.pop()
        return await enqueue(*args, **options)

    monkeypatch.setattr(desk.jobs, "enqueue", flaky)
    await desk.start(every=timedelta(seconds=0.2))
    await eventually(lambda: _has_ingest(desk))
    assert not failures


async def test_only_the_holder_of_the_lease_inserts_and_the_next_goes_on_at_once(desk: Desk) -> None:
    first = await desk.start(shared=True)

    async def leads(scheduler: Scheduler) -> bool:
        return scheduler.leading

    await eventually(lambda: leads(first))
    await eventually(lambda: _has_ingest(desk))
    second = await desk.start(shared=True)
    await second._tick(INGEST_JOB)
    assert not second.leading and second.next_poll_in() is None
    assert len(await desk.waiting()) == 1
    await first.stop()
    await eventually(lambda: leads(second))


async def test_a_process_that_slept_past_its_lease_inserts_nothing(desk: Desk) -> None:
    sleeper = await desk.start(shared=True, renew=600.0)

    async def leads() -> bool:
        return sleeper.leading

    await eventually(leads)
    await eventually(lambda: _has_ingest(desk))
    await eventually(lambda: _woken(desk))
    async with desk.db.write() as conn:
        past = datetime.now(UTC) - timedelta(seconds=1)
        await conn.execute(update(t.lease).where(t.lease.c.name == LEASE_NAME).values(until=past))
        await conn.execute(update(t.job).values(state="done"))
    woken = desk.woken
    await sleeper._tick(INGEST_JOB)
    assert len(await desk.waiting()) == 1 and desk.woken == woken


async def test_a_clock_that_is_set_back_does_not_end_the_market(desk: Desk) -> None:
    await desk.stored(datetime.now(UTC))
    scheduler = await desk.start(renew=0.02)
    # What APScheduler holds after the clock was set back by a day: a tick a day ahead.
    scheduler._scheduler.get_job(INGEST_JOB).modify(next_run_time=datetime.now(UTC) + timedelta(days=1))
    await eventually(lambda: _has_ingest(desk))
    wait = scheduler.next_poll_in()
    assert wait is not None and wait <= LONG


async def test_stopping_ends_everything(desk: Desk) -> None:
    scheduler = await desk.start(shared=True)
    before = asyncio.all_tasks()
    await scheduler.stop()
    assert scheduler.next_poll_in() is None
    assert not [task for task in before if "scheduler" in task.get_name() and not task.done()]
    await scheduler.stop()
