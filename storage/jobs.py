"""Jobs are rows: written in the transaction that causes them, run at least once, fenced by a lease.

A worker claims a job (a lease with a random token), does the work, and finishes the job in the same transaction as
the work's effect. When its lease runs out meanwhile, the token no longer matches, :class:`LeaseLost` is raised and
the effect rolls back. So an effect in our database happens once; effects outside it happen at least once.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Select, and_, case, or_, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.errors import LeaseLost
from storage.job_board import JobBoard, job_of
from storage.job_model import DEFAULT_BACKOFF, Job, RetryStrategy
from storage.redact import redact
from storage.tables import job as jobs

log = structlog.get_logger(__name__)

DEFAULT_MAX_ATTEMPTS = 8
ERROR_LIMIT = 1000
_CLAIM_TRIES = 5
DEAD_JOB = "operator.dead"
"""Tells the owners that jobs of a kind have become dead letters: at most once a kind and hour."""
_UNTOLD = (DEAD_JOB, "operator.notice", "delivery.dm")
"""Kinds of which nobody is told: the telling itself."""


class JobStore(JobBoard):
    """The job table: enqueue, claim, finish, retry; for looking and for operators see :class:`JobBoard`.

    Args:
        db: the database.
        clock: aware UTC now; replaced in tests. Processes that share jobs need clocks that agree to within a small
            part of the shortest lease.
        rng: source of jitter.
    """

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
        row = self._new(kind, payload, dedupe_key, concurrency_key, run_at, max_attempts)
        statement = self._db.insert(jobs).values(row)
        result = await conn.execute(
            statement.on_conflict_do_nothing(index_elements=["dedupe_key"]).returning(jobs.c.id)
        )
        found = result.one_or_none()
        return None if found is None else int(found.id)

    async def enqueue_many(
        self,
        conn: AsyncConnection,
        kind: str,
        wanted: Sequence[tuple[Mapping[str, Any], str, str | None, datetime | None]],
        *,
        max_attempts: int = DEFAULT_MAX_ATTEMPTS,
    ) -> None:
        """Add jobs of one kind, as :meth:`enqueue` does, in one statement.

        Args:
            wanted: (payload, dedupe key, concurrency key, run at) of each.
        """
        if wanted:
            await conn.execute(
                self._db.insert(jobs).on_conflict_do_nothing(index_elements=["dedupe_key"]),
                [self._new(kind, *job, max_attempts) for job in wanted],
            )

    def _new(
        self,
        kind: str,
        payload: Mapping[str, Any],
        dedupe_key: str | None,
        concurrency_key: str | None,
        run_at: datetime | None,
        max_attempts: int,
    ) -> dict[str, Any]:
        now = self._clock()
        return {
            "kind": kind,
            "payload": dict(payload),
            "dedupe_key": dedupe_key,
            "concurrency_key": concurrency_key,
            "state": "ready",
            "run_at": now if run_at is None else run_at,
            "attempts": 0,
            "max_attempts": max_attempts,
            "created_at": now,
        }

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
                    await self._give_back(conn, jobs.c.id.in_(_expired(kinds, moment)))
                    return await self._take(conn, kinds, limit, lease_seconds, moment)
            except IntegrityError:
                # Two processes took different jobs of one concurrency key at the same instant; the unique index
                # let one through. Look again.
                continue
        log.info("job_claim_contended", kinds=list(kinds))
        return []

    async def _give_back(self, conn: AsyncConnection, which: ColumnElement[bool]) -> int:
        """Put running jobs whose worker is gone back into the queue, or bury those that had their last try."""
        spent = jobs.c.attempts >= jobs.c.max_attempts
        now = self._clock()
        result = await conn.execute(
            update(jobs)
            .where(which)
            .values(
                state=case((spent, "dead"), else_="ready"),
                finished_at=case((spent, now), else_=None),
                last_error="The worker did not finish: it was killed, hung beyond its lease or lost the database.",
                lease_token=None,
                lease_until=None,
            )
            .returning(jobs.c.id, jobs.c.kind, jobs.c.state, jobs.c.attempts)
        )
        rows = result.all()
        for row in rows:
            log.warning("job_abandoned", job=row.id, kind=row.kind, state=row.state, attempts=row.attempts)
            if row.state == "dead":
                await self._tell(conn, row.kind, "its worker was killed or hung at every try")
        return len(rows)

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
        return sorted((job_of(row) for row in result), key=lambda j: (j.run_at, j.id))

    async def finish(self, conn: AsyncConnection, job: Job) -> None:
        """Mark *job* done, in the transaction that holds its effect.

        Raises:
            LeaseLost: the lease ran out and the job went to someone else; let it roll the effect back.
        """
        await self._settle(conn, job, state="done", finished_at=self._clock(), last_error=None)

    async def finish_many(self, conn: AsyncConnection, done: Sequence[Job]) -> set[int]:
        """Mark several jobs done that have no effect of their own in the database; the ids of those that were ours."""
        held = tuple_(jobs.c.id, jobs.c.lease_token, jobs.c.attempts).in_(
            [(job.id, job.lease_token, job.attempts) for job in done]
        )
        result = await conn.execute(
            update(jobs)
            .where(jobs.c.state == "running", held)
            .values(state="done", finished_at=self._clock(), last_error=None, lease_token=None, lease_until=None)
            .returning(jobs.c.id)
        )
        return set(result.scalars())

    async def retry(
        self,
        conn: AsyncConnection,
        job: Job,
        error: BaseException | str,
        *,
        delay: timedelta | None = None,
        backoff: RetryStrategy = DEFAULT_BACKOFF,
        retry_after: float | None = None,
        at_most: float | None = None,
    ) -> str:
        """Put a failed job back, or bury it after its last try.

        Args:
            delay: wait exactly this long instead of *backoff* with full jitter.
            retry_after: seconds that the peer asked us to wait; a lower bound on the backoff.
            at_most: an upper bound in seconds on a wait that nobody asked for.

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
        if delay is None:
            await self.bury(conn, job, error)
            return "dead"
        if at_most is not None:
            delay = min(delay, timedelta(seconds=max(at_most, retry_after or 0.0)))
        await self._settle(conn, job, state="ready", run_at=self._clock() + delay, last_error=_describe(error))
        return "ready"

    async def bury(self, conn: AsyncConnection, job: Job, error: BaseException | str) -> None:
        """Make *job* ``dead`` at once: for failures that no retry can mend.

        Raises:
            LeaseLost: the job is no longer ours.
        """
        await self._settle(conn, job, state="dead", finished_at=self._clock(), last_error=_describe(error))
        log.error("job_dead", job=job.id, kind=job.kind, attempts=job.attempts, error=_describe(error))
        await self._tell(conn, job.kind, _describe(error))

    async def _tell(self, conn: AsyncConnection, kind: str, error: str) -> None:
        """Have the owners told of a dead letter, unless they were this hour."""
        if kind in _UNTOLD:
            return
        payload = {"kind": kind, "error": error[:300], "at": self._clock().isoformat()}
        await self.enqueue(conn, DEAD_JOB, payload, dedupe_key=f"{DEAD_JOB}:{kind}:{self._clock():%Y-%m-%dT%H}")

    async def release(self, conn: AsyncConnection, job: Job) -> None:
        """Give an unfinished job back without counting the attempt: for a clean shutdown.

        Raises:
            LeaseLost: the job is no longer ours.
        """
        await self._settle(conn, job, state="ready", attempts=max(job.attempts - 1, 0))

    async def sleep(self, conn: AsyncConnection, job: Job, until: datetime) -> None:
        """Put *job* back until a later time without counting the attempt: it was claimed too early.

        Raises:
            LeaseLost: the job is no longer ours.
        """
        await self._settle(conn, job, state="ready", run_at=until, attempts=max(job.attempts - 1, 0))

    async def release_all(self) -> int:
        """Give every running job back at once; returns how many. Only for a process that knows it is alone.

        On the embedded database nobody else works, so what is running at the start died with the last process. The
        attempt counts: a job that kills the process every time ends ``dead``.
        """
        async with self._db.write() as conn:
            return await self._give_back(conn, jobs.c.state == "running")

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
            raise self.lost(job)

    @staticmethod
    def lost(job: Job) -> LeaseLost:
        """The error of a job that is no longer ours."""
        return LeaseLost(f"job {job.id} ({job.kind}) is no longer held by this worker")

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
                raise self.lost(job)
        return until


def _expired(kinds: Sequence[str], now: datetime) -> Select[tuple[int]]:
    found = jobs.alias("found")
    expired = (
        select(found.c.id)
        .where(found.c.state == "running", found.c.lease_until <= now, found.c.kind.in_(kinds))
        .with_for_update(skip_locked=True)
        .cte("expired")
    )
    return select(expired.c.id)


def _describe(error: BaseException | str) -> str:
    message = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    return redact(message, ERROR_LIMIT)
