"""Jobs are rows: written in the transaction that causes them, run at least once, fenced by a lease.

A worker claims a job (a lease with a random token), does the work, and finishes the job in the same transaction as
the work's effect. When its lease runs out meanwhile, the token no longer matches, :class:`LeaseLost` is raised and
the effect rolls back. So an effect in our database happens once; effects outside it happen at least once.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Row, and_, case, delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.engine import Database
from storage.errors import LeaseLost
from storage.job_model import DEFAULT_BACKOFF, STATES, Backoff, Job, JobState, utc_now
from storage.redact import redact
from storage.tables import job as jobs

log = structlog.get_logger(__name__)

DEFAULT_MAX_ATTEMPTS = 8
ERROR_LIMIT = 1000
_CLAIM_TRIES = 5


class JobStore:
    """The job table.

    Args:
        db: the database.
        clock: aware UTC now; replaced in tests. Processes that share jobs need clocks that agree to within a small
            part of the shortest lease.
        rng: source of jitter.
    """

    def __init__(
        self, db: Database, *, clock: Callable[[], datetime] = utc_now, rng: random.Random | None = None
    ) -> None:
        self._db = db
        self._clock = clock
        self._rng = rng

    async def enqueue(
        self,
        conn: AsyncConnection,
        kind: str,
        payload: Mapping[str, Any],
        *,
        dedupe_key: str | None = None,
        concurrency_key: str | None = None,
        run_at: datetime | None = None,
        max_attempts: int = DEFAULT_MAX_ATTEMPTS,
    ) -> int | None:
        """Add a job inside the caller's write transaction: it exists exactly if that commits.

        Args:
            dedupe_key: at most one job of this key, until :meth:`purge_done` removes a finished one.
            concurrency_key: at most one job of this key runs at a time, the oldest due first.
            run_at: not before this time; now if not given.

        Returns:
            The job's id, or None when a job with *dedupe_key* already exists.
        """
        if max_attempts < 1:
            raise ValueError("max_attempts must be at least 1")
        now = self._clock()
        statement = self._db.insert(jobs).values(
            kind=kind,
            payload=dict(payload),
            dedupe_key=dedupe_key,
            concurrency_key=concurrency_key,
            state="ready",
            run_at=now if run_at is None else run_at,
            attempts=0,
            max_attempts=max_attempts,
            created_at=now,
        )
        result = await conn.execute(
            statement.on_conflict_do_nothing(index_elements=["dedupe_key"]).returning(jobs.c.id)
        )
        row = result.one_or_none()
        return None if row is None else int(row.id)

    async def claim(
        self, kinds: Sequence[str], limit: int, lease_seconds: float, now: datetime | None = None
    ) -> list[Job]:
        """Take up to *limit* due jobs of *kinds* for *lease_seconds*, oldest first.

        Due is what is ready and whose time has come, or was running when its lease ran out. Claiming counts as an
        attempt, so a job that kills its worker every time ends ``dead`` too.
        """
        if limit < 1 or not kinds:
            return []
        for _ in range(_CLAIM_TRIES):
            moment = self._clock() if now is None else now
            try:
                async with self._db.write() as conn:
                    await self._reap(conn, kinds, moment)
                    return await self._take(conn, kinds, limit, lease_seconds, moment)
            except IntegrityError:
                # Two processes took different jobs of one concurrency key at the same instant; the unique index
                # let one through. Look again.
                continue
        log.info("job_claim_contended", kinds=list(kinds))
        return []

    async def _reap(self, conn: AsyncConnection, kinds: Sequence[str], now: datetime) -> None:
        """Give jobs whose lease ran out back to the queue, or bury those that had their last try."""
        found = jobs.alias("found")
        expired = (
            select(found.c.id)
            .where(found.c.state == "running", found.c.lease_until <= now, found.c.kind.in_(kinds))
            .with_for_update(skip_locked=True)
            .cte("expired")
        )
        spent = jobs.c.attempts >= jobs.c.max_attempts
        result = await conn.execute(
            update(jobs)
            .where(jobs.c.id.in_(select(expired.c.id)))
            .values(
                state=case((spent, "dead"), else_="ready"),
                finished_at=case((spent, now), else_=None),
                last_error="The worker did not finish within its lease: it was killed, hung or lost the database.",
                lease_token=None,
                lease_until=None,
            )
            .returning(jobs.c.id, jobs.c.kind, jobs.c.state, jobs.c.attempts)
        )
        for row in result:
            log.warning("job_lease_expired", job=row.id, kind=row.kind, state=row.state, attempts=row.attempts)

    async def _take(
        self, conn: AsyncConnection, kinds: Sequence[str], limit: int, lease_seconds: float, now: datetime
    ) -> list[Job]:
        found, other = jobs.alias("found"), jobs.alias("other")
        older_due = and_(
            other.c.state == "ready", other.c.run_at <= now, other.c.kind.in_(kinds), other.c.id < found.c.id
        )
        blocked = (
            select(other.c.id)
            .where(other.c.concurrency_key == found.c.concurrency_key, or_(other.c.state == "running", older_due))
            .correlate(found)
            .exists()
        )
        # A common table expression is evaluated once; a plain subquery with LIMIT … FOR UPDATE may be planned to run
        # again for every row and so take more than the limit.
        due = (
            select(found.c.id)
            .where(
                found.c.state == "ready",
                found.c.run_at <= now,
                found.c.kind.in_(kinds),
                or_(found.c.concurrency_key.is_(None), ~blocked),
            )
            .order_by(found.c.run_at, found.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True, of=found)
            .cte("due")
        )
        result = await conn.execute(
            update(jobs)
            .where(jobs.c.id.in_(select(due.c.id)))
            .values(
                state="running",
                attempts=jobs.c.attempts + 1,
                lease_until=now + timedelta(seconds=lease_seconds),
                # One token a claim is enough: every finish also names the job.
                lease_token=secrets.token_hex(16),
            )
            .returning(*jobs.c)
        )
        return sorted((_job(row) for row in result), key=lambda j: (j.run_at, j.id))

    async def finish(self, conn: AsyncConnection, job: Job) -> None:
        """Mark *job* done, in the transaction that holds its effect.

        Raises:
            LeaseLost: the lease ran out and the job went to someone else; let it roll the effect back.
        """
        await self._settle(conn, job, state="done", finished_at=self._clock(), last_error=None)

    async def retry(
        self,
        conn: AsyncConnection,
        job: Job,
        error: BaseException | str,
        *,
        delay: timedelta | None = None,
        backoff: Backoff = DEFAULT_BACKOFF,
        retry_after: float | None = None,
    ) -> str:
        """Put a failed job back, or bury it after its last try.

        Args:
            delay: wait exactly this long instead of *backoff* with full jitter.
            retry_after: seconds that the peer asked us to wait; a lower bound on the backoff.

        Returns:
            The job's new state, ``ready`` or ``dead``.

        Raises:
            LeaseLost: the job is no longer ours.
        """
        if job.last_try:
            await self.bury(conn, job, error)
            return "dead"
        if delay is None:
            delay = backoff.delay(job.attempts, retry_after, self._rng)
        await self._settle(conn, job, state="ready", run_at=self._clock() + delay, last_error=_describe(error))
        return "ready"

    async def bury(self, conn: AsyncConnection, job: Job, error: BaseException | str) -> None:
        """Make *job* ``dead`` at once: for failures that no retry can mend.

        Raises:
            LeaseLost: the job is no longer ours.
        """
        await self._settle(conn, job, state="dead", finished_at=self._clock(), last_error=_describe(error))
        log.error("job_dead", job=job.id, kind=job.kind, attempts=job.attempts, error=_describe(error))

    async def release(self, conn: AsyncConnection, job: Job) -> None:
        """Give an unfinished job back without counting the attempt: for a clean shutdown.

        Raises:
            LeaseLost: the job is no longer ours.
        """
        await self._settle(conn, job, state="ready", attempts=max(job.attempts - 1, 0))

    async def _settle(self, conn: AsyncConnection, job: Job, **values: Any) -> None:
        result = await conn.execute(
            update(jobs)
            .where(
                jobs.c.id == job.id,
                jobs.c.state == "running",
                jobs.c.lease_token == job.lease_token,
                jobs.c.attempts == job.attempts,
            )
            .values(lease_token=None, lease_until=None, **values)
        )
        if result.rowcount != 1:
            raise LeaseLost(f"job {job.id} ({job.kind}) is no longer held by this worker")

    async def renew(self, job: Job, lease_seconds: float) -> datetime:
        """Prolong the lease of a long job, in a transaction of its own.

        Returns:
            The new end of the lease. The same *job* goes on being valid for :meth:`finish`.

        Raises:
            LeaseLost: the job is no longer ours.
        """
        until = self._clock() + timedelta(seconds=lease_seconds)
        async with self._db.write() as conn:
            result = await conn.execute(
                update(jobs)
                .where(jobs.c.id == job.id, jobs.c.state == "running", jobs.c.lease_token == job.lease_token)
                .values(lease_until=until)
            )
            if result.rowcount != 1:
                raise LeaseLost(f"job {job.id} ({job.kind}) is no longer held by this worker")
        return until

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
        return None if row is None else _job(row)

    async def list_dead(self, limit: int = 50, *, kind: str | None = None, before_id: int | None = None) -> list[Job]:
        """Dead jobs, newest first; page on with ``before_id`` = the last id seen."""
        query = select(jobs).where(jobs.c.state == "dead").order_by(jobs.c.id.desc()).limit(limit)
        if kind is not None:
            query = query.where(jobs.c.kind == kind)
        if before_id is not None:
            query = query.where(jobs.c.id < before_id)
        async with self._db.read() as conn:
            return [_job(row) for row in await conn.execute(query)]

    async def counts(self) -> dict[JobState, int]:
        """How many jobs are in each state (every state is present)."""
        async with self._db.read() as conn:
            rows = await conn.execute(select(jobs.c.state, func.count().label("jobs")).group_by(jobs.c.state))
            found = {row.state: int(row.jobs) for row in rows}
        return {state: found.get(state, 0) for state in STATES}

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


def _describe(error: BaseException | str) -> str:
    message = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    return redact(message, ERROR_LIMIT)


def _job(row: Row[Any]) -> Job:
    return Job(**row._mapping)
