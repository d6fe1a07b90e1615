"""The job table: once, in order, fenced, never lost."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.exc import StatementError

from storage.engine import Database
from storage.errors import LeaseLost
from storage.job_model import Backoff, Job
from storage.jobs import JobStore
from storage.state import AppState

T0 = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = T0

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(db: Database, clock: Clock) -> JobStore:
    return JobStore(db, clock=clock, rng=random.Random(1))


async def put(db: Database, store: JobStore, kind: str = "work", **options: object) -> int:
    async with db.write() as conn:
        job_id = await store.enqueue(conn, kind, {"n": 1}, **options)  # type: ignore[arg-type]
    assert job_id is not None
    return job_id


async def finish(db: Database, store: JobStore, job: Job) -> None:
    async with db.write() as conn:
        await store.finish(conn, job)


async def test_enqueue_claim_finish(db: Database, store: JobStore) -> None:
    job_id = await put(db, store)
    [job] = await store.claim(["work"], 10, 30)
    assert (job.id, job.payload, job.attempts, job.lease_until) == (job_id, {"n": 1}, 1, T0 + timedelta(seconds=30))
    assert await store.claim(["work"], 10, 30) == []
    await finish(db, store, job)
    done = await store.get(job_id)
    assert done is not None
    assert (done.state, done.finished_at, done.lease_token) == ("done", T0, None)
    assert await store.counts() == {"ready": 0, "running": 0, "done": 1, "dead": 0, "discarded": 0}


async def test_a_job_lives_and_dies_with_the_transaction(db: Database, store: JobStore) -> None:
    with pytest.raises(RuntimeError):
        async with db.write() as conn:
            await store.enqueue(conn, "work", {})
            raise RuntimeError
    assert await store.claim(["work"], 1, 30) == []
    await put(db, store)
    [job] = await store.claim(["work"], 1, 30)
    with pytest.raises(RuntimeError):
        async with db.write() as conn:
            await store.finish(conn, job)
            raise RuntimeError
    assert (await store.counts())["running"] == 1


async def test_a_second_job_of_a_dedupe_key_is_ignored_until_purged(
    db: Database, store: JobStore, clock: Clock
) -> None:
    await put(db, store, dedupe_key="poll:1")
    async with db.write() as conn:
        assert await store.enqueue(conn, "work", {}, dedupe_key="poll:1") is None
        assert await store.enqueue(conn, "work", {}, dedupe_key="poll:2") is not None  # the transaction goes on
    for job in await store.claim(["work"], 10, 30):
        await finish(db, store, job)
    async with db.write() as conn:
        assert await store.enqueue(conn, "work", {}, dedupe_key="poll:1") is None
    clock.pass_(3600)
    assert await store.purge_done(timedelta(hours=2)) == 0
    assert await store.purge_done(timedelta(minutes=30), batch=1) == 2
    await put(db, store, dedupe_key="poll:1")


async def test_only_due_jobs_of_the_asked_kinds_oldest_first(db: Database, store: JobStore, clock: Clock) -> None:
    late = await put(db, store, run_at=T0 + timedelta(seconds=60))
    second = await put(db, store, run_at=T0 - timedelta(seconds=1))
    first = await put(db, store, run_at=T0 - timedelta(seconds=2))
    await put(db, store, kind="other")
    assert [j.id for j in await store.claim(["work"], 10, 30)] == [first, second]
    clock.pass_(60)
    # The two leases ran out meanwhile as well.
    assert [j.id for j in await store.claim(["work"], 10, 30)] == [first, second, late]
    assert await store.claim([], 10, 30) == []
    assert await store.claim(["work"], 0, 30) == []


async def test_one_of_a_concurrency_key_at_a_time_oldest_first(db: Database, store: JobStore) -> None:
    a1 = await put(db, store, concurrency_key="a")
    a2 = await put(db, store, concurrency_key="a")
    b1 = await put(db, store, concurrency_key="b")
    free = await put(db, store)
    first = await store.claim(["work"], 10, 30)
    assert [j.id for j in first] == [a1, b1, free]
    assert await store.claim(["work"], 10, 30) == []
    await finish(db, store, first[0])
    assert [j.id for j in await store.claim(["work"], 10, 30)] == [a2]


async def test_a_job_in_backoff_does_not_block_its_key(db: Database, store: JobStore) -> None:
    await put(db, store, concurrency_key="a")
    [job] = await store.claim(["work"], 1, 30)
    second = await put(db, store, concurrency_key="a")
    async with db.write() as conn:
        await store.retry(conn, job, "later", delay=timedelta(hours=1))
    assert [j.id for j in await store.claim(["work"], 10, 30)] == [second]


async def test_two_processes_never_run_two_jobs_of_a_key(postgres_url: str) -> None:
    one, two = Database(postgres_url), Database(postgres_url)
    stores = [JobStore(one), JobStore(two)]
    running: set[str] = set()
    done: list[int] = []
    try:
        async with one.write() as conn:
            for n in range(90):
                # Later ids that are due earlier: what invites two claimers to pick different jobs of one key.
                when = datetime.now(UTC) + timedelta(milliseconds=(n * 37) % 200 - 100)
                await stores[0].enqueue(conn, "work", {}, concurrency_key=f"k{n % 3}", run_at=when)

        async def work(db: Database, store: JobStore) -> None:
            while len(done) < 90:
                for job in await store.claim(["work"], 2, 30):
                    assert job.concurrency_key is not None
                    assert job.concurrency_key not in running
                    running.add(job.concurrency_key)
                    await asyncio.sleep(0.001)
                    running.discard(job.concurrency_key)
                    await finish(db, store, job)
                    done.append(job.id)
                await asyncio.sleep(0.001)

        async with asyncio.timeout(120):
            await asyncio.gather(*(work(db, s) for db, s in zip((one, two) * 2, stores * 2, strict=True)))
        assert len(done) == len(set(done)) == 90
    finally:
        await one.close()
        await two.close()


async def test_after_the_lease_someone_else_has_it(db: Database, store: JobStore, clock: Clock) -> None:
    job_id = await put(db, store)
    [slow] = await store.claim(["work"], 1, 30)
    clock.pass_(29)
    assert await store.claim(["work"], 1, 30) == []
    clock.pass_(1)
    [taken] = await store.claim(["work"], 1, 30)
    assert (taken.id, taken.attempts) == (job_id, 2)
    assert "lease" in (taken.last_error or "")
    state = AppState(db, clock=clock)
    with pytest.raises(LeaseLost):
        async with db.write() as conn:
            await state.set("effect", "twice", conn=conn)
            await store.finish(conn, slow)
    assert await state.get("effect") is None
    for call in (store.retry, store.bury):
        with pytest.raises(LeaseLost):
            async with db.write() as conn:
                await call(conn, slow, "error")
    with pytest.raises(LeaseLost):
        await store.renew(slow, 30)
    await finish(db, store, taken)


async def test_renewing_keeps_it(db: Database, store: JobStore, clock: Clock) -> None:
    await put(db, store)
    [job] = await store.claim(["work"], 1, 30)
    for _ in range(3):
        clock.pass_(20)
        assert await store.renew(job, 30) == clock.now + timedelta(seconds=30)
        assert await store.claim(["work"], 1, 30) == []
    await finish(db, store, job)


async def test_retries_then_dead_then_requeued_or_discarded(db: Database, store: JobStore, clock: Clock) -> None:
    job_id = await put(db, store, max_attempts=2)
    [job] = await store.claim(["work"], 1, 30)
    async with db.write() as conn:
        assert await store.retry(conn, job, ValueError("first"), delay=timedelta(seconds=10)) == "ready"
    assert await store.claim(["work"], 1, 30) == []
    clock.pass_(10)
    [job] = await store.claim(["work"], 1, 30)
    assert job.last_error == "ValueError: first"
    async with db.write() as conn:
        assert await store.retry(conn, job, ValueError("second")) == "dead"
    [dead] = await store.list_dead()
    assert (dead.id, dead.last_error, dead.attempts, dead.finished_at) == (job_id, "ValueError: second", 2, clock.now)
    assert await store.claim(["work"], 1, 30) == []

    assert await store.requeue(job_id)
    assert not await store.requeue(job_id)
    assert not await store.discard(job_id)
    [job] = await store.claim(["work"], 1, 30)
    assert job.attempts == 1
    async with db.write() as conn:
        await store.bury(conn, job, "no use in trying")
    assert await store.discard(job_id)
    assert await store.list_dead() == []
    assert (await store.counts())["discarded"] == 1


async def test_a_job_that_kills_its_worker_every_time_dies(db: Database, store: JobStore, clock: Clock) -> None:
    job_id = await put(db, store, max_attempts=3)
    for _ in range(3):
        assert len(await store.claim(["work"], 1, 30)) == 1
        clock.pass_(31)
    assert await store.claim(["work"], 1, 30) == []
    [dead] = await store.list_dead()
    assert (dead.id, dead.state, dead.attempts) == (job_id, "dead", 3)


async def test_giving_back_at_shutdown_costs_no_attempt(db: Database, store: JobStore) -> None:
    await put(db, store, max_attempts=1)
    [job] = await store.claim(["work"], 1, 30)
    async with db.write() as conn:
        await store.release(conn, job)
    [job] = await store.claim(["work"], 1, 30)
    assert job.attempts == 1


async def test_errors_are_stored_short_and_without_secrets(db: Database, store: JobStore) -> None:
    await put(db, store)
    [job] = await store.claim(["work"], 1, 30)
    text = "POST https://u:hunter2@x/ token=abc123 \x00" + "x" * 5000
    async with db.write() as conn:
        await store.bury(conn, job, RuntimeError(text))
    [dead] = await store.list_dead()
    assert dead.last_error is not None
    assert len(dead.last_error) <= 1000
    assert "hunter2" not in dead.last_error
    assert "abc123" not in dead.last_error


async def test_dead_letters_are_paged(db: Database, store: JobStore) -> None:
    for _ in range(5):
        await put(db, store)
    await put(db, store, kind="other")
    async with db.write() as conn:
        pass
    for job in await store.claim(["work", "other"], 10, 30):
        async with db.write() as conn:
            await store.bury(conn, job, "bad")
    page = await store.list_dead(2)
    rest = await store.list_dead(10, before_id=page[-1].id)
    assert [j.id for j in page + rest] == [6, 5, 4, 3, 2, 1]
    assert [j.kind for j in await store.list_dead(10, kind="other")] == ["other"]


async def test_when_the_next_job_is_due(db: Database, store: JobStore, clock: Clock) -> None:
    assert await store.next_run_at(["work"]) is None
    await put(db, store, run_at=T0 + timedelta(seconds=50), kind="other")
    await put(db, store, run_at=T0 + timedelta(seconds=20))
    assert await store.next_run_at(["work"]) == T0 + timedelta(seconds=20)
    assert await store.next_run_at(["work", "other"]) == T0 + timedelta(seconds=20)
    clock.pass_(20)
    await store.claim(["work"], 1, 30)
    assert await store.next_run_at(["work"]) == T0 + timedelta(seconds=50)  # the end of its lease


async def test_a_job_behind_a_running_one_does_not_keep_the_worker_spinning(db: Database, store: JobStore) -> None:
    await put(db, store, concurrency_key="a")
    await put(db, store, concurrency_key="a")
    await store.claim(["work"], 1, 30)
    assert await store.next_run_at(["work"]) == T0 + timedelta(seconds=30)


def test_full_jitter_stays_in_its_band_and_honours_retry_after() -> None:
    backoff, rng = Backoff(base=2, cap=60), random.Random(7)
    for attempts, ceiling in ((1, 2), (2, 4), (3, 8), (5, 32), (9, 60), (5000, 60)):
        waits = [backoff.delay(attempts, rng=rng).total_seconds() for _ in range(200)]
        assert 0 <= min(waits) < ceiling * 0.1
        assert ceiling * 0.9 < max(waits) <= ceiling
    assert 120 <= backoff.delay(1, retry_after=120, rng=rng).total_seconds() <= 121


async def test_enqueue_refuses_nonsense(db: Database, store: JobStore) -> None:
    async with db.write() as conn:
        with pytest.raises(ValueError, match="max_attempts"):
            await store.enqueue(conn, "work", {}, max_attempts=0)
        with pytest.raises(StatementError, match="naive"):
            await store.enqueue(conn, "work", {}, run_at=datetime(2026, 1, 1))  # noqa: DTZ001


async def test_eight_producers_and_four_workers(db: Database) -> None:
    store, state = JobStore(db), AppState(db)
    total = 8 * 25
    failed_once: set[int] = set()

    async def produce(number: int) -> None:
        for n in range(25):
            async with db.write() as conn:
                await store.enqueue(
                    conn, "work", {"n": n}, dedupe_key=f"{number}:{n}", concurrency_key=f"c{n % 5}", max_attempts=3
                )

    async def work() -> None:
        while True:
            batch = await store.claim(["work"], 5, 30)
            if not batch and (await store.counts())["done"] == total:
                return
            for job in batch:
                async with db.write() as conn:
                    if job.id % 10 == 0 and job.id not in failed_once:
                        failed_once.add(job.id)
                        await store.retry(conn, job, "try again", delay=timedelta())
                    else:
                        await state.bump_version(conn, "effects")
                        await store.finish(conn, job)
            await asyncio.sleep(0)

    async with asyncio.timeout(180), asyncio.TaskGroup() as group:
        for number in range(8):
            group.create_task(produce(number))
        for _ in range(4):
            group.create_task(work())
    assert await state.version("effects") == total
    assert (await store.counts())["done"] == total
