"""Running jobs: the worker against the bare SQL that claims and finishes as many, on SQLite and PostgreSQL.

Ours is the process's own worker with :data:`CONCURRENCY` places, and a handler that does nothing, until every job is
done: leases, fencing tokens, expired jobs taken back, per-key order, a task and a log line a job. The bare way claims
as many rows at a time by one ``UPDATE … RETURNING`` over the same columns (``SKIP LOCKED`` on PostgreSQL) through
SQLAlchemy Core and marks each done in a transaction of its own, as many at a time.

Run ``python -m benchmarks jobs_throughput [--quick]``. ``vs_bare`` is ours to the bare way in jobs a second, at least
0.7.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, event, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from benchmarks.market_fixture import postgres_databases, sqlite_databases
from benchmarks.measure import emit, in_turns, median_ratio, say
from benchmarks.poll_writers import _set_pragmas
from bot.worker import JobRun, Worker
from storage.engine import Database
from storage.jobs import JobStore
from storage.tables import job as jobs
from tests.services import ServiceMissing, running_postgres

LIMIT = 0.7
CONCURRENCY = 16
KIND = "bench"


async def fill(db: Database, count: int) -> None:
    """Jobs that are due, each of a key of its own."""
    store = JobStore(db)
    for begin in range(0, count, 500):
        async with db.write() as conn:
            for number in range(begin, min(begin + 500, count)):
                await store.enqueue(conn, KIND, {"n": number}, concurrency_key=f"member:{number}")


async def ours(db: Database, count: int) -> None:
    """The worker, until it has done them all."""
    done = asyncio.Event()
    left = count

    def ended() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            done.set()

    async def handler(_run: JobRun) -> None:
        return

    worker = Worker(db, JobStore(db), {KIND: handler}, concurrency=CONCURRENCY, on_done=ended)
    worker.start()
    async with asyncio.timeout(300):
        await done.wait()
    await worker.stop()


def bare_engine(url: str) -> AsyncEngine:
    """An engine with the same durability."""
    sqlite = url.startswith("sqlite")
    options: dict[str, Any] = {"connect_args": {"isolation_level": None}} if sqlite else {"pool_size": CONCURRENCY}
    engine = create_async_engine(url, **options)
    if sqlite:
        event.listen(engine.sync_engine, "connect", _set_pragmas)
        event.listen(engine.sync_engine, "begin", lambda conn: conn.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


async def bare(engine: AsyncEngine, count: int) -> None:
    """The SQL alone."""
    due = (
        select(jobs.c.id)
        .where(jobs.c.state == "ready", jobs.c.run_at <= bindparam("now"), jobs.c.kind == KIND)
        .order_by(jobs.c.run_at, jobs.c.id)
        .limit(CONCURRENCY)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    claim = (
        update(jobs)
        .where(jobs.c.id.in_(select(due.c.id)))
        .values(state="running", attempts=jobs.c.attempts + 1, lease_until=bindparam("until"), lease_token="t" * 32)
        .returning(*jobs.c)
    )
    finish = (
        update(jobs)
        .where(jobs.c.id == bindparam("job"), jobs.c.state == "running")
        .values(state="done", finished_at=bindparam("at"), lease_token=None, lease_until=None)
    )
    gate = asyncio.Lock() if engine.dialect.name == "sqlite" else None

    async def end(job: int) -> None:
        if gate is not None:
            async with gate, engine.begin() as conn:
                await conn.execute(finish, {"job": job, "at": datetime.now(UTC)})
            return
        async with engine.begin() as conn:
            await conn.execute(finish, {"job": job, "at": datetime.now(UTC)})

    done = 0
    while done < count:
        now = datetime.now(UTC)
        async with engine.begin() as conn:
            claimed = (await conn.execute(claim, {"now": now, "until": now + timedelta(seconds=60)})).all()
        await asyncio.gather(*(end(row.id) for row in claimed))
        done += len(claimed)


async def compare(name: str, our_url: str, bare_url: str, count: int, rounds: int) -> None:
    """Both ways in turns."""
    db, other = Database(our_url), Database(bare_url)
    engine = bare_engine(bare_url)

    def timed(work: Callable[[], Awaitable[None]], where: Database) -> Callable[[int], Awaitable[float]]:
        async def run(_number: int) -> float:
            await fill(where, count)
            begun = time.perf_counter()
            await work()
            milliseconds = (time.perf_counter() - begun) * 1000
            async with where.write() as conn:
                left = (await conn.execute(select(jobs.c.id).where(jobs.c.state != "done").limit(1))).first()
                await conn.execute(jobs.delete())
            if left is not None:
                raise AssertionError("a job was not done")
            return milliseconds

        return run

    try:
        times = await in_turns(
            {"ours": timed(lambda: ours(db, count), db), "bare": timed(lambda: bare(engine, count), other)},
            rounds,
            warm_up=1,
        )
    finally:
        await engine.dispose()
        await db.close()
        await other.close()
    for way, values in times.items():
        emit(f"jobs_throughput.{name}.{way}", count / statistics.median(values) * 1000, "jobs/s")
    share = median_ratio(times, "bare", "ours")
    emit(f"jobs_throughput.{name}.vs_bare", share, "ratio", LIMIT, share, at_least=True)


async def run(quick: bool) -> None:
    """Both databases."""
    count, rounds = (200, 3) if quick else (2000, 7)

    async def nothing(_db: Database) -> None:
        return

    say(f"SQLite, {count} jobs a round")
    async with sqlite_databases(("ours", "bare"), nothing) as urls:
        await compare("sqlite", urls["ours"], urls["bare"], count, rounds)
    try:
        with running_postgres() as server:
            say(f"PostgreSQL, {count} jobs a round")
            async with postgres_databases(server, ("ours", "bare"), nothing) as urls:
                await compare("postgresql", urls["ours"], urls["bare"], count, rounds)
    except ServiceMissing as missing:
        say(f"PostgreSQL is left out: {missing}")


def main(*, quick: bool = False) -> None:
    """Run it."""
    asyncio.run(run(quick))
