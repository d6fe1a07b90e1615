"""Jobs that are marked done in groups: none is lost, none is done that was not ours, whoever is cancelled."""

from __future__ import annotations

import asyncio

import pytest

from bot.finishing import Finisher
from storage.engine import Database
from storage.errors import LeaseLost
from storage.job_model import Job
from storage.jobs import JobStore


async def claimed(db: Database, count: int) -> tuple[JobStore, list[Job]]:
    jobs = JobStore(db)
    async with db.write() as conn:
        for number in range(count):
            await jobs.enqueue(conn, "work", {"n": number})
    return jobs, await jobs.claim(["work"], count, 60.0)


async def test_many_that_end_at_once_share_transactions(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs, held = await claimed(db, 40)
    finisher = Finisher(db, jobs)
    groups: list[int] = []
    many = jobs.finish_many

    async def counted(conn: object, done: list[Job]) -> set[int]:
        groups.append(len(done))
        return await many(conn, done)  # type: ignore[arg-type]

    monkeypatch.setattr(jobs, "finish_many", counted)
    await asyncio.gather(*(finisher.finish(job) for job in held))
    assert sum(groups) == 40 and len(groups) <= 3
    assert (await jobs.counts())["done"] == 40


async def test_one_whose_lease_is_lost_does_not_keep_the_others(db: Database) -> None:
    jobs, held = await claimed(db, 3)
    finisher = Finisher(db, jobs)
    async with db.write() as conn:
        await jobs.release(conn, held[1])
    results = await asyncio.gather(*(finisher.finish(job) for job in held), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), LeaseLost, type(None)]
    assert (await jobs.counts())["done"] == 2


async def test_a_failing_database_is_everybodys_error_and_changes_nothing(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, held = await claimed(db, 3)
    finisher = Finisher(db, jobs)

    async def broken(conn: object, done: list[Job]) -> set[int]:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(jobs, "finish_many", broken)
        results = await asyncio.gather(*(finisher.finish(job) for job in held), return_exceptions=True)
    assert [type(result) for result in results] == [OSError] * 3
    assert (await jobs.counts())["running"] == 3
    await asyncio.gather(*(finisher.finish(job) for job in held))
    assert (await jobs.counts())["done"] == 3


async def test_when_the_first_is_cancelled_another_does_it(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs, held = await claimed(db, 4)
    finisher = Finisher(db, jobs)
    many, begun, blocked = jobs.finish_many, asyncio.Event(), asyncio.Event()

    async def slow(conn: object, done: list[Job]) -> set[int]:
        if not begun.is_set():
            begun.set()
            await blocked.wait()
        return await many(conn, done)  # type: ignore[arg-type]

    monkeypatch.setattr(jobs, "finish_many", slow)
    tasks = [asyncio.create_task(finisher.finish(job)) for job in held]
    await begun.wait()
    tasks[0].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError) and results[1:] == [None, None, None]
    assert (await jobs.counts())["done"] == 3
