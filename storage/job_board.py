"""The job table as an operator sees it: what waits, what died, and what to do about it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, delete, func, or_, select, update

from storage.engine import Database
from storage.job_model import STATES, Job, JobState, utc_now
from storage.tables import job as jobs


class JobBoard:
    """Questions and orders that need no lease."""

    def __init__(
        self, db: Database, *, clock: Callable[[], datetime] = utc_now, rng: random.Random | None = None
    ) -> None:
        self._db = db
        self._clock = clock
        self._rng = rng

    async def requeue(self, job_id: int) -> bool:
        """Give a dead job a fresh set of tries, from now on. False when there is no such dead job."""
        return await self._from_dead(job_id, state="ready", run_at=self._clock(), attempts=0, finished_at=None)

    async def discard(self, job_id: int) -> bool:
        """Close a dead job for good; it stays readable until it is purged. False when there is no such dead job."""
        return await self._from_dead(job_id, state="discarded", finished_at=self._clock())

    async def _from_dead(self, job_id: int, **values: Any) -> bool:
        async with self._db.write() as conn:
            result = await conn.execute(
                update(jobs).where(jobs.c.id == job_id, jobs.c.state == "dead").values(**values)
            )
        return result.rowcount == 1

    async def get(self, job_id: int) -> Job | None:
        """One job, in whatever state."""
        async with self._db.read() as conn:
            row = (await conn.execute(select(jobs).where(jobs.c.id == job_id))).one_or_none()
        return None if row is None else job_of(row)

    async def list_dead(
        self, limit: int = 50, *, kind: str | None = None, before_id: int | None = None, offset: int = 0
    ) -> list[Job]:
        """Dead jobs, newest first; page on with ``before_id`` = the last id seen."""
        query = select(jobs).where(jobs.c.state == "dead").order_by(jobs.c.id.desc()).limit(limit).offset(offset)
        if kind is not None:
            query = query.where(jobs.c.kind == kind)
        if before_id is not None:
            query = query.where(jobs.c.id < before_id)
        async with self._db.read() as conn:
            return [job_of(row) for row in await conn.execute(query)]

    async def counts(self) -> dict[JobState, int]:
        """How many jobs are in each state (every state is present)."""
        async with self._db.read() as conn:
            rows = await conn.execute(select(jobs.c.state, func.count().label("jobs")).group_by(jobs.c.state))
            found = {row.state: int(row.jobs) for row in rows}
        return {state: found.get(state, 0) for state in STATES}

    async def oldest_due(self) -> datetime | None:
        """Since when the oldest job that is due has been waiting; None when none is due."""
        due = select(func.min(jobs.c.run_at)).where(jobs.c.state == "ready", jobs.c.run_at <= self._clock())
        async with self._db.read() as conn:
            found: datetime | None = await conn.scalar(due)
        return found

    async def next_run_at(self, kinds: Sequence[str]) -> datetime | None:
        """When the next job of *kinds* can be claimed (may be in the past), or None when none waits.

        Jobs that wait for a running one of their concurrency key count from the end of its lease.
        """
        other = jobs.alias("other")
        held = (
            select(other.c.id)
            .correlate(jobs)
            .where(other.c.concurrency_key == jobs.c.concurrency_key, other.c.state == "running")
            .exists()
        )
        ready = select(func.min(jobs.c.run_at)).where(
            jobs.c.state == "ready", jobs.c.kind.in_(kinds), or_(jobs.c.concurrency_key.is_(None), ~held)
        )
        running = select(func.min(jobs.c.lease_until)).where(jobs.c.state == "running", jobs.c.kind.in_(kinds))
        async with self._db.read() as conn:
            times = [await conn.scalar(ready), await conn.scalar(running)]
        return min((moment for moment in times if moment is not None), default=None)

    async def purge_done(self, older_than: timedelta, *, batch: int = 500) -> int:
        """Delete done and discarded jobs that ended longer ago than *older_than*; returns how many.

        Their dedupe keys become free again. Works in transactions of *batch* rows. Dead jobs are never purged: a
        person decides about them.
        """
        before = self._clock() - older_than
        total = 0
        while True:
            found = jobs.alias("found")
            old = (
                select(found.c.id)
                .where(found.c.state.in_(("done", "discarded")), found.c.finished_at < before)
                .limit(batch)
                .scalar_subquery()
            )
            async with self._db.write() as conn:
                result = await conn.execute(delete(jobs).where(jobs.c.id.in_(old)))
            total += result.rowcount
            if result.rowcount < batch:
                return total


def job_of(row: Row[Any]) -> Job:
    """A row of the job table as a :class:`Job`."""
    return Job(**row._mapping)
