"""Charts for an async program: drawn in worker processes, cached, and never waited for too long.

Own processes instead of ``ProcessPoolExecutor``: before Python 3.14 that has no public
way to kill one hung worker, breaks every chart in flight when one worker dies, and
leaves its workers behind when the parent is killed.
"""

from __future__ import annotations

import asyncio
import pickle
import time
from collections import OrderedDict
from dataclasses import dataclass

import structlog

from gpuscout.charts.model import ChartSpec
from gpuscout.charts.process import DrawingFailed, Worker, WorkerDied

log = structlog.get_logger(__name__)

#: A worker is replaced after so many charts, which bounds whatever a library may leak.
CHARTS_PER_WORKER = 5000

_MIME = {"webp": "image/webp", "png": "image/png"}
_STOP_PATIENCE = 1.0
_LONGEST_PAUSE = 60.0


class ChartUnavailable(Exception):
    """No chart can be had now; answer in text instead. The message says why, for the operator."""


@dataclass(frozen=True, slots=True)
class ChartImage:
    """A drawn chart. ``key`` is the spec's cache key and serves as an ETag."""

    data: bytes
    mime: str
    extension: str
    key: str


@dataclass(frozen=True, slots=True)
class RendererStats:
    """Counters since the start and present sizes, for metrics.

    ``joined`` requests waited for a chart already being drawn; ``failures`` are requests
    that raised ``ChartUnavailable``; ``timeouts`` are workers killed for taking too
    long; ``starts`` are worker processes started. ``drawing_seconds`` sums the time in
    workers over ``drawn`` charts.
    """

    hits: int
    misses: int
    joined: int
    drawn: int
    failures: int
    timeouts: int
    starts: int
    drawing_seconds: float
    queued: int
    workers: int
    cached_images: int
    cached_bytes: int


@dataclass(slots=True, eq=False)
class _Flight:
    """A chart on its way, and how many callers wait for it."""

    task: asyncio.Task[ChartImage]
    waiting: int = 0


class ChartRenderer:
    """Draws charts in up to ``workers`` processes; the first starts with the first chart.

    ``timeout`` (seconds) bounds both how long a caller waits and how long a worker
    may draw before it is killed. ``queue_limit`` bounds the charts drawn or waiting at
    once, ``cache_bytes`` the images kept. Belongs to one event loop; close it with
    ``aclose()`` or ``async with``.
    """

    def __init__(
        self,
        workers: int = 2,
        timeout: float = 5.0,
        cache_bytes: int = 32 * 1024 * 1024,
        *,
        queue_limit: int = 64,
        start_timeout: float = 30.0,
    ) -> None:
        if workers < 1 or queue_limit < 1 or timeout <= 0 or start_timeout <= 0 or cache_bytes < 0:
            raise ValueError("workers, timeouts and queue_limit must be positive, cache_bytes not negative")
        self._timeout = timeout
        self._start_timeout = start_timeout
        self._queue_limit = queue_limit
        self._slots = asyncio.Semaphore(workers)
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()
        self._flights: dict[str, _Flight] = {}
        self._cache: OrderedDict[str, ChartImage] = OrderedDict()
        self._cache_limit = cache_bytes
        self._cached_bytes = 0
        self._closed = False
        self._failed_starts = 0
        self._no_start_before = 0.0
        self._hits = self._misses = self._joined = self._drawn = 0
        self._failures = self._timeouts = self._starts = 0
        self._drawing_seconds = 0.0

    async def __aenter__(self) -> ChartRenderer:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def render(self, spec: ChartSpec) -> ChartImage:
        """The image for ``spec``, from the cache or drawn; equal specs at once are drawn once.

        Raises ``ChartUnavailable`` within ``timeout`` seconds when it can't be had. A
        chart that only waited too long is still finished while others wait for it.
        """
        key = spec.cache_key()
        if image := self._cache.get(key):
            self._cache.move_to_end(key)
            self._hits += 1
            return image
        try:
            flight = self._board(key, spec)
            flight.waiting += 1
            try:
                async with asyncio.timeout(self._timeout):
                    # Shielded: others may wait for the same chart when this caller leaves.
                    return await asyncio.shield(flight.task)
            finally:
                flight.waiting -= 1
        except TimeoutError:
            self._failures += 1
            raise ChartUnavailable(f"no chart within {self._timeout:g} s") from None
        except ChartUnavailable:
            self._failures += 1
            raise
        except asyncio.CancelledError:
            if self._closed and not _being_cancelled():
                self._failures += 1
                raise ChartUnavailable("the chart renderer was closed") from None
            raise

    async def warm(self, workers: int = 1) -> None:
        """Starts workers until so many live, so that the first charts need not wait for them.

        Raises ``ChartUnavailable`` when one can't be started.
        """
        for _ in range(workers):
            async with self._slots:
                if len(self.worker_pids) >= workers or self._closed:
                    return
                self._idle.append(await self._start())

    def stats(self) -> RendererStats:
        """Counters and sizes now."""
        return RendererStats(
            hits=self._hits,
            misses=self._misses,
            joined=self._joined,
            drawn=self._drawn,
            failures=self._failures,
            timeouts=self._timeouts,
            starts=self._starts,
            drawing_seconds=self._drawing_seconds,
            queued=len(self._flights),
            workers=len(self.worker_pids),
            cached_images=len(self._cache),
            cached_bytes=self._cached_bytes,
        )

    @property
    def worker_pids(self) -> tuple[int, ...]:
        """Process ids of the workers that live now."""
        return tuple(worker.pid for worker in (*self._busy, *self._idle) if worker.alive)

    async def aclose(self) -> None:
        """Ends workers and charts in flight (their callers get ``ChartUnavailable``); within 2 s."""
        self._closed = True
        flights = [flight.task for flight in self._flights.values()]
        for task in flights:
            task.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        idle, self._idle = self._idle, []
        await asyncio.gather(*(worker.stop(_STOP_PATIENCE) for worker in idle))
        self._cache.clear()
        self._cached_bytes = 0

    def _board(self, key: str, spec: ChartSpec) -> _Flight:
        if self._closed:
            raise ChartUnavailable("the chart renderer is closed")
        flight = self._flights.get(key)
        if flight and not flight.task.done():
            self._joined += 1
            return flight
        if len(self._flights) >= self._queue_limit:
            raise ChartUnavailable(f"{self._queue_limit} charts are waiting already")
        self._misses += 1
        flight = _Flight(asyncio.create_task(self._fly(key, spec), name=f"chart-{key[:8]}"))
        self._flights[key] = flight
        flight.task.add_done_callback(lambda _: self._land(key, flight))
        return flight

    def _land(self, key: str, flight: _Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        # Every failure was logged where it happened; asking marks it as seen when all callers left.
        if not flight.task.cancelled():
            flight.task.exception()

    async def _fly(self, key: str, spec: ChartSpec) -> ChartImage:
        async with self._slots:
            if not self._flights[key].waiting:
                raise ChartUnavailable("nobody waits for the chart any more")
            payload = pickle.dumps(spec, protocol=pickle.HIGHEST_PROTOCOL)
            try:
                data = await self._draw(payload)
            except WorkerDied as error:
                # It may have died long before, idle; a chart that kills a fresh worker too is given up.
                log.warning("chart_worker_died", error=str(error), chart=key)
                try:
                    data = await self._draw(payload)
                except WorkerDied as again:
                    log.error("chart_failed", error=str(again), chart=key)
                    raise ChartUnavailable(str(again)) from again
        image = ChartImage(data, _MIME[spec.format], spec.format, key)
        self._keep(image)
        return image

    async def _draw(self, payload: bytes) -> bytes:
        worker = await self._take()
        self._busy.add(worker)
        sound = False
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout):
                data = await worker.draw(payload)
            sound = True
        except TimeoutError:
            self._timeouts += 1
            log.error("chart_worker_hung", pid=worker.pid, seconds=self._timeout)
            raise ChartUnavailable(f"the chart took over {self._timeout:g} s") from None
        except DrawingFailed as error:
            sound = True
            log.error("chart_failed", error=str(error))
            raise ChartUnavailable(f"the chart could not be drawn: {error}") from error
        finally:
            self._busy.discard(worker)
            if sound and not self._closed and worker.drawn < CHARTS_PER_WORKER:
                self._idle.append(worker)
            else:
                await worker.kill()
        self._drawn += 1
        self._drawing_seconds += time.perf_counter() - begun
        return data

    async def _take(self) -> Worker:
        while self._idle:
            worker = self._idle.pop()
            if worker.alive:
                return worker
            log.warning("chart_worker_died", pid=worker.pid)
            await worker.kill()
        return await self._start()

    async def _start(self) -> Worker:
        now = time.monotonic()
        if now < self._no_start_before:
            raise ChartUnavailable("chart workers fail to start; the next try is due in a moment")
        try:
            worker = await Worker.start(self._start_timeout, watchdog=self._timeout * 2 + 5)
        except (WorkerDied, OSError) as error:
            self._failed_starts += 1
            pause = min(2.0 ** (self._failed_starts - 1), _LONGEST_PAUSE)
            self._no_start_before = time.monotonic() + pause
            log.error("chart_worker_start_failed", error=str(error), next_try_seconds=pause)
            raise ChartUnavailable(f"no chart worker could be started: {error}") from error
        if self._closed:
            await worker.kill()
            raise ChartUnavailable("the chart renderer is closed")
        self._failed_starts = 0
        self._starts += 1
        log.info("chart_worker_started", pid=worker.pid, seconds=round(time.monotonic() - now, 3))
        return worker

    def _keep(self, image: ChartImage) -> None:
        if len(image.data) > self._cache_limit or self._closed:
            return
        self._cache[image.key] = image
        self._cached_bytes += len(image.data)
        while self._cached_bytes > self._cache_limit:
            _, old = self._cache.popitem(last=False)
            self._cached_bytes -= len(old.data)


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
