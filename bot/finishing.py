"""Marking jobs done in groups: jobs that end while a transaction is under way share the next one.

Only for jobs whose effect is not a row of ours: an effect is committed with the end of its own job.
"""

from __future__ import annotations

import asyncio
from typing import Final

from storage.engine import Database
from storage.errors import LeaseLost
from storage.job_model import Job
from storage.jobs import JobStore

MOST: Final = 200
"""Jobs in one transaction."""


class Finisher:
    """Finishes jobs; whoever comes first does it for all who wait."""

    def __init__(self, db: Database, jobs: JobStore) -> None:
        self._db = db
        self._jobs = jobs
        self._waiting: list[tuple[Job, asyncio.Future[None]]] = []
        self._turn = asyncio.Lock()

    async def finish(self, job: Job) -> None:
        """Mark *job* done.

        Raises:
            LeaseLost: it is no longer ours.
            Exception: the database's; the job is as it was.
        """
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((job, ended))
        try:
            async with self._turn:
                if not ended.done():
                    await self._finish_all()
            await ended
        finally:
            self._waiting = [entry for entry in self._waiting if entry[1] is not ended]
            if not ended.cancelled() and ended.done():
                ended.exception()  # seen, also where the caller was cancelled

    async def _finish_all(self) -> None:
        group = self._waiting[:MOST]
        self._waiting = self._waiting[MOST:]
        try:
            async with self._db.write() as conn:
                done = await self._jobs.finish_many(conn, [job for job, _ in group])
        except Exception as error:  # noqa: BLE001 - each of them gets it
            for _, ended in group:
                if not ended.done():
                    ended.set_exception(error)
            return
        except BaseException:
            # This one is cancelled, the others are not: one of them does it.
            self._waiting = [*group, *self._waiting]
            raise
        for job, ended in group:
            if ended.done():
                continue
            if job.id in done:
                ended.set_result(None)
            else:
                ended.set_exception(LeaseLost(f"job {job.id} ({job.kind}) is no longer held by this worker"))
