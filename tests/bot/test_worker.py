"""The worker on real job rows: retries, dead letters, leases that are kept, lost and given back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from bot.worker import Handler, JobFailed, JobRun, Worker
from storage.engine import Database
from storage.errors import LeaseLost
from storage.job_model import Backoff, Job
from storage.jobs import JobStore
from storage.state import AppState
from storage.tables import job as jobs_table

AT_ONCE = {"work": Backoff(base=0.0, cap=0.0)}
KIND = "work"


class Desk:
    """A job table and the workers of a test, all stopped at its end."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.jobs = JobStore(db)
        self.workers: list[Worker] = []

    def worker(self, handler: Handler, **options: Any) -> Worker:
        settings: dict[str, Any] = {"backoff": AT_ONCE, "poll": 0.02, "grace": 5.0} | options
        worker = Worker(self.db, self.jobs, {KIND: handler}, **settings)
        self.workers.append(worker)
        worker.start()
        return worker

    async def add(self, payload: dict[str, Any] | None = None, **options: Any) -> int:
        async with self.db.write() as conn:
            job = await self.jobs.enqueue(conn, KIND, payload or {}, **options)
        assert job is not None
        return job

    async def get(self, job_id: int) -> Job:
        job = await self.jobs.get(job_id)
        assert job is not None
        return job

    async def until(self, job_id: int, state: str) -> Job:
        async def reached() -> bool:
            return (await self.get(job_id)).state == state

        await eventually(reached)
        return await self.get(job_id)


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():
            await asyncio.sleep(0.01)


@pytest.fixture
async def desk(db: Database) -> AsyncIterator[Desk]:
    desk = Desk(db)
    yield desk
    for worker in desk.workers:
        await worker.stop()


async def test_a_job_is_run_once_and_done(desk: Desk) -> None:
    seen: list[Any] = []

    async def handler(run: JobRun) -> None:
        seen.append(run.job.payload["n"])

    ids = [await desk.add({"n": n}) for n in range(6)]
    desk.worker(handler)
    for job_id in ids:
        assert (await desk.until(job_id, "done")).attempts == 1
    assert sorted(seen) == list(range(6))


async def test_the_effect_and_the_end_of_the_job_are_one_transaction(desk: Desk) -> None:
    state = AppState(desk.db)
    tries: list[int] = []

    async def handler(run: JobRun) -> None:
        tries.append(run.job.attempts)
        async with desk.db.write() as conn:
            await state.set("effect", run.job.attempts, conn=conn)
            await run.finish(conn)
            if run.job.attempts == 1:
                raise RuntimeError("the disk is full")

    job = await desk.until((desk.worker(handler), await desk.add())[1], "done")
    # The first try rolled back with its finish, and the job was tried again at once, not when its lease ran out.
    assert tries == [1, 2] and job.attempts == 2
    assert await state.get("effect") == 2


async def test_a_failure_after_the_commit_does_not_repeat_the_effect(desk: Desk) -> None:
    runs: list[int] = []

    async def handler(run: JobRun) -> None:
        runs.append(run.job.attempts)
        async with desk.db.write() as conn:
            await run.finish(conn)
        raise RuntimeError("too late to matter")

    job_id = await desk.add()
    worker = desk.worker(handler)
    await desk.until(job_id, "done")
    await worker.stop()
    assert runs == [1] and (await desk.get(job_id)).state == "done"


async def test_a_failing_job_is_tried_again_and_then_dead(desk: Desk) -> None:
    async def handler(_run: JobRun) -> None:
        raise ValueError("no luck, token=abcdef123456")

    job_id = await desk.add(max_attempts=3)
    desk.worker(handler)
    job = await desk.until(job_id, "dead")
    assert job.attempts == 3
    assert job.last_error is not None and "no luck" in job.last_error and "abcdef123456" not in job.last_error


async def test_a_permanent_failure_is_not_tried_again(desk: Desk) -> None:
    async def handler(_run: JobRun) -> None:
        raise JobFailed("closed DMs", permanent=True)

    job_id = await desk.add()
    desk.worker(handler)
    assert (await desk.until(job_id, "dead")).attempts == 1


async def test_the_wait_that_a_peer_asked_for_is_kept(desk: Desk) -> None:
    async def handler(_run: JobRun) -> None:
        raise JobFailed("slow down", retry_after=500)

    job_id = await desk.add()
    worker = desk.worker(handler)

    async def failed() -> bool:
        return (await desk.get(job_id)).last_error is not None

    await eventually(failed)
    await worker.stop()
    job = await desk.get(job_id)
    assert job.state == "ready" and job.run_at > datetime.now(UTC) + timedelta(seconds=450)


async def test_a_handler_that_cancels_itself_has_failed(desk: Desk) -> None:
    async def handler(_run: JobRun) -> None:
        raise asyncio.CancelledError

    job_id = await desk.add(max_attempts=1)
    desk.worker(handler)
    assert "cancelled from within" in ((await desk.until(job_id, "dead")).last_error or "")


async def test_the_lease_of_a_long_job_is_renewed(desk: Desk) -> None:
    go_on = asyncio.Event()
    runs: list[int] = []

    async def handler(run: JobRun) -> None:
        runs.append(run.job.attempts)
        await go_on.wait()

    job_id = await desk.add()
    desk.worker(handler, lease=4.0)
    desk.worker(handler, lease=4.0)  # would take it over
    first = (await desk.until(job_id, "running")).lease_until
    assert first is not None

    async def outlived() -> bool:
        job = await desk.get(job_id)
        return datetime.now(UTC) > first + timedelta(seconds=0.5) and (job.lease_until or first) > first

    await eventually(outlived)
    go_on.set()
    await desk.until(job_id, "done")
    assert runs == [1]


async def test_a_run_whose_lease_went_to_another_is_ended_and_settles_nothing(desk: Desk) -> None:
    cancelled = asyncio.Event()

    async def handler(_run: JobRun) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    job_id = await desk.add()
    worker = desk.worker(handler, lease=0.3)
    await desk.until(job_id, "running")
    async with desk.db.write() as conn:
        far = datetime.now(UTC) + timedelta(hours=1)
        await conn.execute(
            update(jobs_table).where(jobs_table.c.id == job_id).values(lease_token="another", lease_until=far)
        )
    async with asyncio.timeout(30):
        await cancelled.wait()
    await worker.stop()
    job = await desk.get(job_id)
    assert (job.state, job.lease_token) == ("running", "another")


async def test_a_run_that_cannot_renew_ends_when_its_lease_does(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled = asyncio.Event()

    async def handler(_run: JobRun) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def away(*_: object) -> datetime:
        raise ConnectionError("the database is away")

    monkeypatch.setattr(desk.jobs, "renew", away)
    await desk.add()
    desk.worker(handler, lease=0.3)
    async with asyncio.timeout(30):
        await cancelled.wait()


async def test_a_hung_job_is_ended_and_tried_again(desk: Desk) -> None:
    async def handler(run: JobRun) -> None:
        if run.job.attempts == 1:
            await asyncio.Event().wait()

    job_id = await desk.add()
    desk.worker(handler, lease=1.5, limit=0.5)
    job = await desk.until(job_id, "done")
    assert job.attempts == 2


async def test_stopping_waits_for_what_ends_in_time(desk: Desk) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def handler(_run: JobRun) -> None:
        begun.set()
        await go_on.wait()

    job_id = await desk.add()
    worker = desk.worker(handler, grace=20.0)
    await begun.wait()  # its row says so a moment before: a worker that is stopped then begins no more
    stopping = asyncio.create_task(worker.stop())
    await asyncio.sleep(0)
    go_on.set()
    await stopping
    assert (await desk.get(job_id)).state == "done"


async def test_stopping_gives_back_what_does_not_end_without_counting_the_attempt(desk: Desk) -> None:
    begun = asyncio.Event()

    async def handler(_run: JobRun) -> None:
        begun.set()
        await asyncio.Event().wait()

    job_id = await desk.add()
    worker = desk.worker(handler, grace=0.1)
    await begun.wait()
    await worker.stop()
    job = await desk.get(job_id)
    assert (job.state, job.attempts, job.lease_token) == ("ready", 0, None)


async def test_a_job_claimed_while_stopping_is_given_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    claim, reached, go_on = desk.jobs.claim, asyncio.Event(), asyncio.Event()

    async def slow(*args: Any, **options: Any) -> list[Job]:
        reached.set()
        await go_on.wait()
        return await claim(*args, **options)

    async def handler(_run: JobRun) -> None:
        raise AssertionError("no job begins any more")

    monkeypatch.setattr(desk.jobs, "claim", slow)
    job_id = await desk.add()
    worker = desk.worker(handler, grace=20.0)
    await reached.wait()
    stopping = asyncio.create_task(worker.stop())
    await asyncio.sleep(0)
    go_on.set()
    await stopping
    job = await desk.get(job_id)
    assert (job.state, job.attempts) == ("ready", 0)


async def test_a_database_that_hangs_does_not_keep_the_process(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    reached = asyncio.Event()

    async def hangs(*_: Any, **__: Any) -> list[Job]:
        reached.set()
        await asyncio.Event().wait()
        return []

    async def handler(_run: JobRun) -> None: ...

    monkeypatch.setattr(desk.jobs, "claim", hangs)
    worker = desk.worker(handler, grace=0.2)
    await reached.wait()
    async with asyncio.timeout(20):
        await worker.stop()


async def test_a_database_that_was_away_is_used_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    claim, failures = desk.jobs.claim, [ConnectionError("away"), ConnectionError("away")]

    async def flaky(*args: Any, **options: Any) -> list[Job]:
        if failures:
            raise failures.pop()
        return await claim(*args, **options)

    async def handler(_run: JobRun) -> None: ...

    monkeypatch.setattr(desk.jobs, "claim", flaky)
    job_id = await desk.add()
    desk.worker(handler)
    await desk.until(job_id, "done")


async def test_at_most_so_many_at_a_time_and_the_next_at_once(desk: Desk) -> None:
    running, most = 0, 0

    async def handler(_run: JobRun) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1

    ids = [await desk.add() for _ in range(7)]
    desk.worker(handler, concurrency=2, poll=600.0)  # only ends of jobs wake it
    for job_id in ids:
        await desk.until(job_id, "done")
    assert most == 2


async def test_waking_finds_a_job_before_the_next_poll(desk: Desk) -> None:
    async def handler(_run: JobRun) -> None: ...

    worker = desk.worker(handler, poll=600.0)
    await asyncio.sleep(0)
    job_id = await desk.add()
    worker.wake()
    await desk.until(job_id, "done")


async def test_jobs_of_one_key_never_overlap(desk: Desk) -> None:
    running: list[int] = []

    async def handler(run: JobRun) -> None:
        assert not running
        running.append(run.job.id)
        await asyncio.sleep(0.01)
        running.clear()

    ids = [await desk.add(concurrency_key="market", max_attempts=1) for _ in range(4)]
    desk.worker(handler)
    desk.worker(handler)
    for job_id in ids:
        await desk.until(job_id, "done")


async def test_losing_the_lease_in_the_transaction_rolls_the_effect_back(desk: Desk) -> None:
    state = AppState(desk.db)
    ended = asyncio.Event()

    async def handler(run: JobRun) -> None:
        async with desk.db.write() as conn:
            await conn.execute(update(jobs_table).values(lease_token="another"))
        try:
            async with desk.db.write() as conn:
                await state.set("effect", 1, conn=conn)
                await run.finish(conn)
        except LeaseLost:
            ended.set()
            raise

    await desk.add()
    desk.worker(handler)
    async with asyncio.timeout(30):
        await ended.wait()
    assert await state.get("effect") is None
