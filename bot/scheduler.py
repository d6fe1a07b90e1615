"""The scheduler: APScheduler's ticks become job rows, nothing else.

Ticks coalesce (a job that waits already is not added twice), overlapping runs are impossible (one concurrency key
for all market work), and among many processes only the holder of the scheduler's lease inserts.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import select

from gpuscout.market.trends import MARKET_WORK
from storage.engine import Database
from storage.jobs import JobStore
from storage.leases import Lease, LeaseStore
from storage.market import MarketStore
from storage.tables import job as job_table

log = structlog.get_logger(__name__)

INGEST_JOB = "market.ingest"
TRENDS_JOB = "market.trends"
LEASE_NAME = "scheduler"
LEASE_SECONDS = 30.0
RENEW_SECONDS = 10.0
TICK_SECONDS = 3.0
"""How long an end waits for a tick that is under way: one short transaction."""


class Scheduler:
    """Inserts ingest and trend jobs at their intervals.

    Args:
        shared: True when other processes may schedule too (then the lease decides who does).
        on_job: called after a job was inserted (wakes this process's worker).
    """

    def __init__(
        self,
        db: Database,
        jobs: JobStore,
        leases: LeaseStore,
        store: MarketStore,
        *,
        ingest_every: timedelta,
        trends_every: timedelta,
        shared: bool,
        on_job: Callable[[], None],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._db = db
        self._jobs = jobs
        self._leases = leases
        self._store = store
        self._every = {INGEST_JOB: ingest_every, TRENDS_JOB: trends_every}
        self._shared = shared
        self._on_job = on_job
        self._clock = clock
        self._holder = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._lease: Lease | None = None
        self._scheduler: Any = None
        self._leader: asyncio.Task[None] | None = None
        self._ticking: set[asyncio.Task[Any]] = set()

    @property
    def leading(self) -> bool:
        """True while this process inserts the jobs."""
        return not self._shared or self._lease is not None

    def next_poll_in(self) -> timedelta | None:
        """Time until this process's next ingest tick, or None when it schedules none."""
        job = self._scheduler.get_job(INGEST_JOB) if self._scheduler is not None else None
        if job is None or job.next_run_time is None:
            return None
        wait: timedelta = job.next_run_time - datetime.now(UTC)
        return max(timedelta(0), wait)

    async def start(self) -> None:
        """Begin: at once on the embedded default, else when the lease is won."""
        if self._shared:
            self._leader = asyncio.create_task(self._lead(), name="scheduler-lease")
        else:
            await self._begin()

    async def stop(self) -> None:
        """End; the lease is given back so that another process can go on at once."""
        if self._leader is not None:
            self._leader.cancel()
            await asyncio.gather(self._leader, return_exceptions=True)
        await self._end()
        if self._lease is not None:
            await self._leases.release(self._lease)
            self._lease = None

    async def _lead(self) -> None:
        while True:
            try:
                if self._lease is None:
                    self._lease = await self._leases.acquire(LEASE_NAME, self._holder, LEASE_SECONDS)
                    if self._lease is not None:
                        log.info("scheduler_leading", fence=self._lease.fence)
                        await self._begin()
                else:
                    self._lease = await self._leases.renew(self._lease, LEASE_SECONDS)
                    if self._lease is None:
                        log.warning("scheduler_lease_lost")
                        await self._end()
            except Exception:
                # Without the database nobody can say who leads: stop until it answers.
                log.exception("scheduler_lease_failed")
                await self._end()
                self._lease = None
            await asyncio.sleep(RENEW_SECONDS)

    async def _begin(self) -> None:
        from apscheduler.schedulers.asyncio import AsyncIOScheduler

        await self._end()
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        for kind, every in self._every.items():
            self._scheduler.add_job(
                self._tick,
                "interval",
                args=[kind],
                id=kind,
                seconds=every.total_seconds(),
                coalesce=True,
                max_instances=1,
                misfire_grace_time=None,
                next_run_time=await self._first_run(kind, every),
            )
        self._scheduler.start()

    async def _first_run(self, kind: str, every: timedelta) -> datetime:
        """Now when the data are older than an interval (or missing), else when they will be."""
        now = datetime.now(UTC)
        if kind != INGEST_JOB:
            return now + min(every, timedelta(seconds=60))
        fetched = [row.fetched_at for row in await self._store.newest_updates()]
        age = self._clock() - max(fetched) if fetched else every
        return now if age >= every else now + (every - age)

    async def _end(self) -> None:
        """No tick begins any more; one that is under way may end, for APScheduler would cancel it with an error."""
        scheduler, self._scheduler = self._scheduler, None
        if scheduler is None:
            return
        scheduler.pause()
        await asyncio.sleep(0)  # what was due a moment ago begins now
        if self._ticking:
            await asyncio.wait(self._ticking, timeout=TICK_SECONDS)
        scheduler.shutdown(wait=False)

    async def _tick(self, kind: str) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - APScheduler runs coroutines as tasks
        self._ticking.add(task)
        try:
            await self._insert(kind)
        finally:
            self._ticking.discard(task)

    async def _insert(self, kind: str) -> None:
        try:
            if not self.leading:
                return
            async with self._db.write() as conn:
                waiting = select(job_table.c.id).where(job_table.c.kind == kind, job_table.c.state == "ready").limit(1)
                if (await conn.execute(waiting)).first() is not None:
                    log.info("scheduler_coalesced", kind=kind)
                    return
                at = self._clock()
                await self._jobs.enqueue(
                    conn,
                    kind,
                    {},
                    dedupe_key=f"{kind}:{at:%Y-%m-%dT%H:%M:%S}",
                    concurrency_key=MARKET_WORK,
                    max_attempts=3,
                )
        except Exception:
            # The next tick tries again; a scheduler that dies of one bad moment would end the market.
            log.exception("scheduler_tick_failed", kind=kind)
        else:
            self._on_job()
