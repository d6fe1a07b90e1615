"""Marking jobs done in groups: jobs that end while a transaction is under way share the next one.

Only for jobs whose effect is not a row of ours: an effect is committed with the end of its own job.
"""

from __future__ import annotations

from collections.abc import Sequence

from storage.engine import Database
from storage.grouping import Grouped
from storage.job_model import Job
from storage.jobs import JobStore


class Finisher:
    """Finishes jobs; whoever comes first does it for all who wait."""

    def __init__(self, db: Database, jobs: JobStore) -> None:
        self._db = db
        self._jobs = jobs
        self._finish = Grouped(self._all)

    async def finish(self, job: Job) -> None:
        """Mark *job* done.

        Raises:
            storage.errors.LeaseLost: it is no longer ours.
            Exception: the database's; the job is as it was.
        """
        await self._finish(job)

    async def _all(self, done: Sequence[Job]) -> Sequence[Exception | None]:
        async with self._db.write() as conn:
            held = await self._jobs.finish_many(conn, done)
        return [None if job.id in held else self._jobs.lost(job) for job in done]
