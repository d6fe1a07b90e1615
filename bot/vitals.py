"""What the process measures of itself every few seconds: jobs, sources, gateway latency."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import structlog

from bot.parts import Parts
from gpuscout.market.reader import MarketReader
from gpuscout.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

SECONDS = 15.0


class Vitals:
    """An owned task that fills the metrics which nobody else would.

    Args:
        latencies: heartbeat latency of each shard in seconds; empty without a gateway.
    """

    def __init__(
        self, parts: Parts, market: MarketReader, metrics: Metrics, latencies: Callable[[], Mapping[int, float]]
    ) -> None:
        self._parts = parts
        self._market = market
        self._metrics = metrics
        self._latencies = latencies
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to measure."""
        self._task = asyncio.create_task(self._run(), name="vitals")

    async def stop(self) -> None:
        """End the task."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                await self.measure()
            except Exception:
                # The database may be away: the next round tries again.
                log.exception("vitals_failed")
            await asyncio.sleep(SECONDS)

    async def measure(self) -> None:
        """One round."""
        self._metrics.jobs({str(state): count for state, count in (await self._parts.jobs.counts()).items()})
        oldest = await self._parts.jobs.oldest_due()
        late = 0.0 if oldest is None else max(0.0, (self._parts.clock() - oldest).total_seconds())
        self._metrics.job_oldest_ready(late)
        for status in await self._market.sources():
            self._metrics.external_up(status.source, status.problem is None)
            self._metrics.breaker_state(status.source, status.breaker)
            if status.last_source_time is not None:
                self._metrics.market_data_at(status.source, status.last_source_time)
        stats = self._parts.cache.stats()
        self._metrics.cache_requests(stats.hits, stats.misses)
        for shard, seconds in self._latencies().items():
            self._metrics.gateway_latency(shard, seconds)
