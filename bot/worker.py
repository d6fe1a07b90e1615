"""The worker: claims jobs, runs their handlers, renews leases, retries what fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.finishing import Finisher
from storage.engine import Database
from storage.errors import LeaseLost
from storage.job_model import DEFAULT_BACKOFF, Job, RetryStrategy
from storage.jobs import JobStore

log = structlog.get_logger(__name__)

LEASE_SECONDS = 60.0
LIMIT_SECONDS = 900.0
POLL_SECONDS = 1.0
"""How often other processes' jobs are looked for; jobs of this process wake the worker at once."""
GATHER_SECONDS = 0.01
"""How long a free place waits for others, so that one claim serves them all."""
MOST_SECONDS = 15.0
"""Longest pause between looks while the database does not answer."""


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
    """One run of a job, as its handler sees it.

    Attributes:
        finished: the handler settled the job itself, in a transaction of its own.
    """

    def __init__(self, job: Job, jobs: JobStore, backoff: RetryStrategy = DEFAULT_BACKOFF) -> None:
        self.job = job
        self._jobs = jobs
        self._backoff = backoff
        self.finished = False

    @property
    def attempts(self) -> int:
        """Which try this is, from 1."""
        return self.job.attempts

    async def finish(self, conn: AsyncConnection) -> None:
        """Finish the job in the transaction of its effect; without this call the worker finishes it afterwards."""
        await self._jobs.finish(conn, self.job)
        self.finished = True

    async def again(
        self, conn: AsyncConnection, error: str, *, retry_after: float | None = None, at_most: float | None = None
    ) -> str:
        """Put the job back in the transaction that notes why; ``ready``, or ``dead`` when this was its last try.

        Args:
            retry_after: seconds the peer asked us to wait.
            at_most: longest wait in seconds, unless the peer asked for more.
        """
        state = await self._jobs.retry(
            conn, self.job, error, backoff=self._backoff, retry_after=retry_after, at_most=at_most
        )
        self.finished = True
        return state

    async def bury(self, conn: AsyncConnection, error: str) -> None:
        """To the dead letters, in the transaction that notes why."""
        await self._jobs.bury(conn, self.job, error)
        self.finished = True

    async def sleep_until(self, conn: AsyncConnection, at: datetime) -> None:
        """Put the job back until *at*; this try does not count."""
        await self._jobs.sleep(conn, self.job, at)
        self.finished = True


Handler = Callable[[JobRun], Awaitable[None]]


class Worker:
    """Runs the jobs of the kinds it has handlers for, up to *concurrency* at a time.

    Every run is a task owned here: it is awaited, and on :meth:`stop` gets *grace* seconds to end before it is
    cancelled and its job given back.

    Args:
        lease: seconds for which a job is claimed; renewed three times as often. A run whose lease went to another
            worker, or may have, is cancelled: no job is worked on twice at a time.
        limit: seconds after which a run counts as hung: it is cancelled and its job tried again.
        poll: how often other processes' jobs are looked for.
        on_done: called when a job ended: it may have caused jobs of another worker.
    """

    def __init__(
        self,
        db: Database,
        jobs: JobStore,
        handlers: Mapping[str, Handler],
        *,
        concurrency: int = 4,
        backoff: Mapping[str, RetryStrategy] | None = None,
        grace: float = 4.0,
        lease: float = LEASE_SECONDS,
        limit: float = LIMIT_SECONDS,
        poll: float = POLL_SECONDS,
        on_done: Callable[[], None] = lambda: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._db = db
        self._jobs = jobs
        self._on_done = on_done
        self._handlers = dict(handlers)
        self._concurrency = concurrency
        self._backoff = dict(backoff or {})
        self._grace = grace
        self._lease = lease
        self._limit = limit
        self._poll = poll
        self._clock = clock
        self._finisher = Finisher(db, jobs)
        self._wake = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._loop: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    def wake(self) -> None:
        """Look for jobs now instead of at the next poll."""
        self._wake.set()

    def start(self) -> None:
        """Begin to work."""
        self._loop = asyncio.create_task(self._work(), name="worker")

    async def stop(self) -> None:
        """Take no more jobs; let running ones end within the grace, then cancel them and give them back."""
        self._stopping.set()
        self._wake.set()
        try:
            if self._loop is not None:
                # A claim ends quickly, unless the database hangs.
                await asyncio.wait({self._loop}, timeout=self._grace / 4)
            if self._running:
                await asyncio.wait(self._running, timeout=self._grace)
        finally:
            late = [*self._running, *([self._loop] if self._loop is not None else [])]
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _work(self) -> None:
        kinds = tuple(self._handlers)
        failures = 0
        full = False
        while not self._stopping.is_set():
            if full:
                await self._let_places_free()
            self._wake.clear()
            claimed: list[Job] = []
            try:
                free = self._concurrency - len(self._running)
                if free > 0:
                    claimed = await self._jobs.claim(kinds, free, self._lease)
                full = bool(claimed) and len(claimed) == free
                failures = 0
            except Exception as error:
                full = False
                # The database may be away for a while; jobs stay where they are.
                failures += 1
                log.error("worker_claim_failed", failures=failures, exc_info=error if failures == 1 else None)
            if self._stopping.is_set():
                await self._return(claimed)
                return
            for job in claimed:
                task = asyncio.create_task(self._run(job), name=f"job-{job.kind}-{job.id}")
                self._running.add(task)
                task.add_done_callback(self._running.discard)
                task.add_done_callback(self._ended)
            if not claimed:
                await self._pause(min(MOST_SECONDS, self._poll * 2.0 ** min(failures, 10)))

    async def _let_places_free(self) -> None:
        """While more jobs wait than there are places: claim for several places at once, if they are free soon."""
        ends = time.monotonic() + GATHER_SECONDS
        while self._concurrency - len(self._running) < (self._concurrency + 1) // 2 and not self._stopping.is_set():
            left = ends - time.monotonic()
            if left <= 0:
                return
            self._wake.clear()
            await self._pause(left)

    def _ended(self, _task: asyncio.Task[None]) -> None:
        self._wake.set()
        self._on_done()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _run(self, job: Job) -> None:
        run = JobRun(job, self._jobs, self._backoff.get(job.kind, DEFAULT_BACKOFF))
        started = time.monotonic()
        work = asyncio.create_task(self._handle(run), name=f"handler-{job.kind}-{job.id}")
        try:
            ended = await self._attend(job, work, started)
        except asyncio.CancelledError:
            await _cancel(work)
            await self._return([job])
            raise
        seconds = round(time.monotonic() - started, 3)
        if ended is not None:
            await _cancel(work)
        if isinstance(ended, LeaseLost):
            log.warning("job_lease_lost", job=job.id, kind=job.kind, seconds=seconds)
        elif work.cancelled() or ended is not None:
            await self._failed(run, ended or JobFailed("the handler was cancelled from within"))
        elif isinstance(error := work.exception(), LeaseLost):
            log.warning("job_lease_lost", job=job.id, kind=job.kind, seconds=seconds)
        elif error is not None:
            await self._failed(run, error)
        else:
            log.debug("job_done", job=job.id, kind=job.kind, seconds=seconds)

    async def _handle(self, run: JobRun) -> None:
        await self._handlers[run.job.kind](run)
        if not run.finished:
            await self._finisher.finish(run.job)
            run.finished = True

    async def _attend(self, job: Job, work: asyncio.Task[None], started: float) -> Exception | None:
        """Keep the lease while *work* goes on; the reason to end it, or None when it ended by itself."""
        held_until = started + self._lease
        while True:
            await asyncio.wait({work}, timeout=self._lease / 3)
            now = time.monotonic()
            if work.done():
                return None
            if now - started >= self._limit:
                return JobFailed(f"the job did not end within {self._limit:g} s")
            try:
                await self._jobs.renew(job, self._lease)
                held_until = now + self._lease
            except LeaseLost as lost:
                return lost
            except Exception as error:  # noqa: BLE001 - one missed renewal is no loss: the lease outlasts two of them
                log.warning("job_renew_failed", job=job.id, kind=job.kind, error=repr(error))
                if now >= held_until:
                    return LeaseLost(f"the lease of job {job.id} could not be renewed")

    async def _return(self, claimed: Sequence[Job]) -> None:
        """Give unfinished jobs back without counting the attempt."""
        for job in claimed:
            try:
                async with self._db.write() as conn:
                    await self._jobs.release(conn, job)
            except LeaseLost:
                # Finished in the last moment, or taken over.
                log.debug("job_not_given_back", job=job.id, kind=job.kind)
            except Exception:
                # The lease runs out, or the next start of an only process takes it back.
                log.exception("job_give_back_failed", job=job.id, kind=job.kind)

    async def _failed(self, run: JobRun, error: BaseException) -> None:
        job = run.job
        known = error if isinstance(error, JobFailed) else None
        log.warning(
            "job_failed",
            job=job.id,
            kind=job.kind,
            attempt=job.attempts,
            error=str(error) or type(error).__name__,
            exc_info=None if known else error,
        )
        try:
            async with self._db.write() as conn:
                if known is not None and known.permanent:
                    await self._jobs.bury(conn, job, error)
                else:
                    await self._jobs.retry(
                        conn,
                        job,
                        error,
                        backoff=self._backoff.get(job.kind, DEFAULT_BACKOFF),
                        retry_after=known.retry_after if known is not None else None,
                    )
        except LeaseLost:
            # Its effect is committed (then it is done, whatever failed afterwards), or somebody else has it.
            log.warning("job_lease_lost", job=job.id, kind=job.kind, finished=run.finished)
        except Exception:
            # The lease runs out and the job is claimed again.
            log.exception("job_settle_failed", job=job.id, kind=job.kind)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
