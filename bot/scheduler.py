"""The scheduler: APScheduler's ticks become job rows, nothing else.

Ticks coalesce (a job that waits already is not added twice), overlapping runs are impossible (one concurrency key
for all market work), and among many processes only the holder of the scheduler's lease inserts.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import select

from gpuscout.market.machines import MACHINES_JOB
from gpuscout.market.trends import MARKET_WORK
from storage.engine import Database
from storage.errors import LeaseLost
from storage.jobs import JobStore
from storage.leases import Lease, LeaseStore
from storage.machines import FEED as MACHINES_FEED
from storage.market import MarketStore
from storage.tables import job as job_table

log = structlog.get_logger(__name__)

INGEST_JOB = "market.ingest"
TRENDS_JOB = "market.trends"
LEASE_NAME = "scheduler"
LEASE_SECONDS = 30.0
RENEW_SECONDS = 10.0
_SLACK = timedelta(seconds=5)
TICK_SECONDS = 3.0
"""How long an end waits for a tick that is under way: one short transaction."""


class Scheduler:
    """Inserts ingest and trend jobs at their intervals.

    Args:
        shared: True when other processes may schedule too (then the lease decides who does).
        also: further kinds of jobs and their intervals; each kind is a concurrency key of its own.
        on_job: called after a job was inserted (wakes this process's worker).
        renew: seconds between looks at the lease and the clock.
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
        also: Mapping[str, timedelta] | None = None,
        renew: float = RENEW_SECONDS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._db = db
        self._jobs = jobs
        self._leases = leases
        self._store = store
        self._also = dict(also or {})
        self._every = {INGEST_JOB: ingest_every, TRENDS_JOB: trends_every, **self._also}
        self._shared = shared
        self._on_job = on_job
        self._clock = clock
        self._holder = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._lease: Lease | None = None
        self._scheduler: Any = None
        self._renew = renew
        self._keeper: asyncio.Task[None] | None = None
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
        if not self._shared:
            await self._begin()
        self._keeper = asyncio.create_task(self._keep(), name="scheduler-keeper")

    async def stop(self) -> None:
        """End; the lease is given back so that another process can go on at once."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        await self._end()
        if self._lease is not None:
            await self._leases.release(self._lease)
            self._lease = None

    async def _keep(self) -> None:
        while True:
            if self._shared:
                await self._lead()
            self._follow_clock()
            await asyncio.sleep(self._renew)

    async def _lead(self) -> None:
        """Win the lease, or keep it."""
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

    def _follow_clock(self) -> None:
        """A tick that lies further off than its interval was set before the clock was: it is due now.

        APScheduler's ticks are times of the wall clock; one that is set back a day would end the market for a day.
        """
        if self._scheduler is None:
            return
        now = datetime.now(UTC)
        for job in self._scheduler.get_jobs():
            if job.next_run_time is not None and job.next_run_time - now > self._every[job.id] + _SLACK:
                log.warning("scheduler_clock_set_back", kind=job.id, planned=job.next_run_time.isoformat())
                job.modify(next_run_time=now)

    async def _begin(self) -> None:
        from apscheduler.schedulers.asyncio import AsyncIOScheduler

        await self._end()
        first = {kind: await self._first_run(kind, every) for kind, every in self._every.items()}
        # Without a wait from here on: what a stop finds is running.
        scheduler = AsyncIOScheduler(timezone=UTC)
        for kind, every in self._every.items():
            scheduler.add_job(
                self._tick,
                "interval",
                args=[kind],
                id=kind,
                seconds=every.total_seconds(),
                coalesce=True,
                max_instances=1,
                misfire_grace_time=None,
                next_run_time=first[kind],
            )
        scheduler.start()
        self._scheduler = scheduler

    async def _first_run(self, kind: str, every: timedelta) -> datetime:
        """Now when the data are older than an interval (or missing), else when they will be."""
        now = datetime.now(UTC)
        if kind not in (INGEST_JOB, MACHINES_JOB):
            return now + min(every, timedelta(seconds=60))
        updates = await self._store.newest_updates()
        fetched = [row.fetched_at for row in updates if (row.feed == MACHINES_FEED) == (kind == MACHINES_JOB)]
        age = self._clock() - max(fetched) if fetched else every
        # Data from the future were fetched under a clock that has been set back since.
        return now + min(every, max(timedelta(0), every - age))

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
                if self._lease is not None:
                    # A process that slept past its lease learns here that another one schedules.
                    await self._leases.check(conn, self._lease)
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
                    concurrency_key=kind if kind in self._also else MARKET_WORK,
                    max_attempts=3,
                )
        except LeaseLost:
            log.warning("scheduler_lease_lost", kind=kind)
        except Exception:
            # The next tick tries again; a scheduler that dies of one bad moment would end the market.
            log.exception("scheduler_tick_failed", kind=kind)
        else:
            self._on_job()
