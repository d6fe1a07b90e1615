"""The worker: claims jobs, runs their handlers, renews leases, retries what fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.engine import Database
from storage.errors import LeaseLost
from storage.job_model import DEFAULT_BACKOFF, Backoff, Job
from storage.jobs import JobStore

log = structlog.get_logger(__name__)

LEASE_SECONDS = 60.0
RENEW_SECONDS = 20.0
POLL_SECONDS = 1.0
"""How often other processes' jobs are looked for; jobs of this process wake the worker at once."""


class JobFailed(Exception):
    """A handler's failure with a say in the retry.

    Args:
        permanent: no retry can mend it; the job goes to the dead letters now.
        retry_after: seconds the peer asked us to wait.
    """

    def __init__(self, message: str, *, permanent: bool = False, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after = retry_after


class JobRun:
    """One run of a job, as its handler sees it."""

    def __init__(self, job: Job, jobs: JobStore) -> None:
        self.job = job
        self._jobs = jobs
        self.finished = False

    async def finish(self, conn: AsyncConnection) -> None:
        """Finish the job in the transaction of its effect; without this call the worker finishes it afterwards."""
        await self._jobs.finish(conn, self.job)
        self.finished = True


Handler = Callable[[JobRun], Awaitable[None]]


class Worker:
    """Runs the jobs of the kinds it has handlers for, up to *concurrency* at a time.

    Every run is a task owned here: it is awaited, and on :meth:`stop` gets *grace* seconds to end before it is
    cancelled and its job given back.
    """

    def __init__(
        self,
        db: Database,
        jobs: JobStore,
        handlers: Mapping[str, Handler],
        *,
        concurrency: int = 4,
        backoff: Mapping[str, Backoff] | None = None,
        grace: float = 4.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._db = db
        self._jobs = jobs
        self._handlers = dict(handlers)
        self._concurrency = concurrency
        self._backoff = dict(backoff or {})
        self._grace = grace
        self._clock = clock
        self._wake = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._loop: asyncio.Task[None] | None = None
        self._stopping = False

    def wake(self) -> None:
        """Look for jobs now instead of at the next poll."""
        self._wake.set()

    def start(self) -> None:
        """Begin to work."""
        self._loop = asyncio.create_task(self._work(), name="worker")

    async def stop(self) -> None:
        """Take no more jobs; let running ones end within the grace, then cancel them and give them back."""
        self._stopping = True
        self._wake.set()
        if self._loop is not None:
            await asyncio.gather(self._loop, return_exceptions=True)
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=self._grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _work(self) -> None:
        kinds = tuple(self._handlers)
        while not self._stopping:
            self._wake.clear()
            try:
                free = self._concurrency - len(self._running)
                claimed = await self._jobs.claim(kinds, free, LEASE_SECONDS) if free > 0 else []
            except Exception:
                # The database may be away for a while; jobs stay where they are.
                log.exception("worker_claim_failed")
                claimed = []
            for job in claimed:
                task = asyncio.create_task(self._run(job), name=f"job-{job.kind}-{job.id}")
                self._running.add(task)
                task.add_done_callback(self._running.discard)
                task.add_done_callback(lambda _task: self._wake.set())
            if not claimed:
                try:
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._wake.wait()
                except TimeoutError:
                    continue

    async def _run(self, job: Job) -> None:
        run = JobRun(job, self._jobs)
        renewer = asyncio.create_task(self._renew(job), name=f"lease-{job.id}")
        started = self._clock()
        try:
            await self._handlers[job.kind](run)
            if not run.finished:
                async with self._db.write() as conn:
                    await run.finish(conn)
            log.debug("job_done", job=job.id, kind=job.kind, seconds=(self._clock() - started).total_seconds())
        except asyncio.CancelledError:
            await self._give_back(run)
            raise
        except LeaseLost:
            log.warning("job_lease_lost", job=job.id, kind=job.kind)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises, its job is settled and logged
            await self._failed(run, error)
        finally:
            renewer.cancel()
            await asyncio.gather(renewer, return_exceptions=True)

    async def _renew(self, job: Job) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                await self._jobs.renew(job, LEASE_SECONDS)
            except LeaseLost:
                return
            except Exception:
                # One missed renewal is no loss: the lease outlasts two of them.
                log.exception("job_renew_failed", job=job.id, kind=job.kind)

    async def _give_back(self, run: JobRun) -> None:
        if run.finished:
            return
        try:
            async with self._db.write() as conn:
                await self._jobs.release(conn, run.job)
        except LeaseLost:
            log.warning("job_lease_lost", job=run.job.id, kind=run.job.kind)

    async def _failed(self, run: JobRun, error: Exception) -> None:
        job = run.job
        if run.finished:
            log.error("job_failed_after_finish", job=job.id, kind=job.kind, exc_info=error)
            return
        known = isinstance(error, JobFailed)
        log.warning(
            "job_failed",
            job=job.id,
            kind=job.kind,
            attempt=job.attempts,
            error=str(error),
            exc_info=None if known else error,
        )
        try:
            async with self._db.write() as conn:
                if isinstance(error, JobFailed) and error.permanent:
                    await self._jobs.bury(conn, job, error)
                else:
                    await self._jobs.retry(
                        conn,
                        job,
                        error,
                        backoff=self._backoff.get(job.kind, DEFAULT_BACKOFF),
                        retry_after=error.retry_after if isinstance(error, JobFailed) else None,
                    )
        except LeaseLost:
            log.warning("job_lease_lost", job=job.id, kind=job.kind)
        except Exception:
            # The lease runs out and the job is claimed again.
            log.exception("job_settle_failed", job=job.id, kind=job.kind)
