"""The trend jobs: hourly and daily rollups, and the purge of raw quotes that are rolled up.

A watermark a tier says up to where everything is rolled up. It moves in the transaction that writes the rows, and a
late update moves it back in the transaction that stores the update: whatever process dies, the next run goes on
from there and writes the same rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from gpuscout.market.rollup import SECONDS, roll_up
from storage.market import MarketStore
from storage.state import AppState

log = structlog.get_logger(__name__)

MARKET_WORK = "market"
"""Concurrency key of all market jobs: ingest, rollups and purge never run beside each other."""
MIN_RAW_HOURS = 48
_ROWS_A_READ = 2_000
_PURGE_BATCH_SECONDS = 1_800
_REJECTED_DAYS = 7
_WATERMARK = "market.rolled_until"
_MAX_BUCKETS_A_RUN = 24 * 40


async def mark_changed(state: AppState, conn: AsyncConnection, ts: int, oldest_raw: int | None) -> None:
    """Raw quotes at *ts* (epoch seconds) were stored: what is rolled up from there on is to be done again.

    Args:
        oldest_raw: time of the oldest other raw quote. An update before it lies where raw quotes are purged: its
            buckets stay as they are, since they could only be computed from a part of what they stand for.
    """
    marks: dict[str, int] | None = await state.get(_WATERMARK, conn=conn)
    if not marks or oldest_raw is None or ts < oldest_raw:
        return
    changed = {tier: min(until, ts - ts % SECONDS[tier]) for tier, until in marks.items()}
    if changed != marks:
        await state.set(_WATERMARK, changed, conn=conn)


async def set_rolled_until(state: AppState, conn: AsyncConnection, hour: int, day: int) -> None:
    """Declare everything before these bucket starts rolled up (after a backfill wrote the rollups itself)."""
    await state.set(_WATERMARK, {"hour": hour, "day": day}, conn=conn)


class Trends:
    """Keeps the rollups and the retention of raw quotes.

    Args:
        interval: ingest interval; sizes the reads so that none holds the event loop.
        retention: how long raw quotes stay; never under 48 hours.
        version_name: the data version that new rollups change.
    """

    def __init__(
        self,
        store: MarketStore,
        state: AppState,
        *,
        interval: timedelta,
        retention: timedelta,
        version_name: str = "market",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._state = state
        self._interval = interval
        self._retention = max(retention, timedelta(hours=MIN_RAW_HOURS))
        self._version_name = version_name
        self._clock = clock

    async def roll_hours(self, until_ts: int | None = None) -> int:
        """Roll up the headline series' closed hours before *until_ts*; returns the hours done."""
        return await self._roll("hour", until_ts)

    async def roll_days(self, until_ts: int | None = None) -> int:
        """Roll up all series' closed days (UTC) before *until_ts*; returns the days done."""
        return await self._roll("day", until_ts)

    async def _roll(self, tier: str, until_ts: int | None) -> int:
        bucket = SECONDS[tier]
        newest = await self._store.newest_source_time()
        if newest is None:
            return 0
        until = min(until_ts if until_ts is not None else newest, newest)
        until -= until % bucket
        start = await self._start(tier)
        if start is None:
            return 0
        series = await self._store.all_series(headline_only=tier == "hour")
        done = 0
        while start < until and done < _MAX_BUCKETS_A_RUN:
            await self._roll_bucket(tier, start, series)
            start += bucket
            done += 1
        return done

    async def _start(self, tier: str) -> int | None:
        marks: dict[str, int] = await self._state.get(_WATERMARK) or {}
        if tier in marks:
            return int(marks[tier])
        oldest = await self._store.oldest_raw()
        return None if oldest is None else oldest - oldest % SECONDS[tier]

    async def _roll_bucket(self, tier: str, start: int, series: list[int]) -> None:
        bucket = SECONDS[tier]
        a_series = max(1, bucket // max(1, int(self._interval.total_seconds())))
        batch = max(1, min(500, _ROWS_A_READ // a_series))
        for first in range(0, len(series), batch):
            rows = await self._store.raw_for_rollup(start, start + bucket, series[first : first + batch])
            if rows:
                rolled: list[dict[str, Any]] = await asyncio.to_thread(roll_up, rows, bucket)
                async with self._store.db.write() as conn:
                    await self._store.store_rollups(conn, tier, rolled)
        async with self._store.db.write() as conn:
            marks: dict[str, int] = await self._state.get(_WATERMARK, conn=conn) or {}
            # Market work is serial, so nothing moved the mark back since it was read.
            await self._state.set(_WATERMARK, {**marks, tier: start + bucket}, conn=conn)
            await self._state.bump_version(conn, self._version_name)

    async def purge(self) -> int:
        """Delete raw quotes past their retention, but only what both tiers have rolled up; returns how many."""
        marks: dict[str, int] = await self._state.get(_WATERMARK) or {}
        if not {"hour", "day"} <= marks.keys():
            return 0
        now = self._clock()
        keep_from = int((now - self._retention).timestamp())
        before = min(keep_from, marks["hour"], marks["day"])
        before -= before % SECONDS["day"]  # whole days, so that a day can always be rolled up again from all of it
        deleted = 0
        while True:
            async with self._store.db.write() as conn:
                gone = await self._store.purge_raw(conn, before, _PURGE_BATCH_SECONDS)
            deleted += gone
            if not gone:
                break
        async with self._store.db.write() as conn:
            await self._store.purge_rejected(conn, now - timedelta(days=_REJECTED_DAYS))
        return deleted

    async def run(self) -> dict[str, int]:
        """All of it: hours, days, purge."""
        hours = await self.roll_hours()
        days = await self.roll_days()
        purged = await self.purge()
        log.info("trends_done", hours=hours, days=days, purged=purged)
        return {"hours": hours, "days": days, "purged": purged}
