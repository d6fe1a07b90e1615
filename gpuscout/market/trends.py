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
_PURGED = "purged"
"""Beside the tiers' marks: raw quotes before this time are gone."""
RAW_VERSION = "market.raw"
"""Counted up by every transaction that changes raw quotes or the marks, so that each sees the others."""
_MAX_BUCKETS_A_RUN = 24 * 40


async def mark_changed(state: AppState, conn: AsyncConnection, ts: int, oldest_raw: int | None) -> None:
    """Raw quotes at *ts* (epoch seconds) were stored: what is rolled up from there on is to be done again.

    Args:
        oldest_raw: time of the oldest other raw quote. An update before it, or where raw quotes were purged, changes
            no bucket: they could only be computed from a part of what they stand for.
    """
    # First of all: a rollup or purge that runs in another process ends before this, or sees that this came between.
    await state.bump_version(conn, RAW_VERSION)
    marks: dict[str, int] | None = await state.get(_WATERMARK, conn=conn)
    if not marks or oldest_raw is None or ts < max(oldest_raw, marks.get(_PURGED, 0)):
        return
    changed = {**marks, **{tier: min(marks[tier], ts - ts % size) for tier, size in SECONDS.items() if tier in marks}}
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
        done = 0
        for _ in range(_MAX_BUCKETS_A_RUN):
            start = await self._start(tier)
            if start is None or start >= until:
                break
            done += await self._roll_bucket(tier, start)
        return done

    async def _start(self, tier: str) -> int | None:
        """Start of the first bucket with raw quotes that is not rolled up, or None when there is none."""
        marks: dict[str, int] = await self._state.get(_WATERMARK) or {}
        mark = int(marks.get(tier, 0))
        oldest = await self._store.oldest_raw(since_ts=mark)
        return None if oldest is None else oldest - oldest % SECONDS[tier]

    async def _roll_bucket(self, tier: str, start: int) -> bool:
        """Roll up one bucket. False when its raw quotes changed meanwhile: then it is to be done again."""
        bucket = SECONDS[tier]
        seen = await self._state.version(RAW_VERSION)
        series = await self._store.all_series(headline_only=tier == "hour")
        a_series = max(1, bucket // max(1, int(self._interval.total_seconds())))
        batch = max(1, min(500, _ROWS_A_READ // a_series))
        for first in range(0, len(series), batch):
            rows = await self._store.raw_for_rollup(start, start + bucket, series[first : first + batch])
            if rows:
                rolled: list[dict[str, Any]] = await asyncio.to_thread(roll_up, rows, bucket)
                async with self._store.db.write() as conn:
                    await self._store.store_rollups(conn, tier, rolled)
        async with self._store.db.write() as conn:
            if await self._state.bump_version(conn, RAW_VERSION) != seen + 1:
                return False
            marks: dict[str, int] = await self._state.get(_WATERMARK, conn=conn) or {}
            await self._state.set(_WATERMARK, {**marks, tier: start + bucket}, conn=conn)
            await self._state.bump_version(conn, self._version_name)
        return True

    async def purge(self) -> int:
        """Delete raw quotes past their retention, but only what both tiers have rolled up; returns how many.

        Retention counts back from the newest source time: neither a long outage nor a clock that jumps ahead takes
        the last 48 hours away.
        """
        newest = await self._store.newest_source_time()
        if newest is None:
            return 0
        now = self._clock()
        keep_from = min(newest, int(now.timestamp())) - int(self._retention.total_seconds())
        deleted = 0
        while gone := await self._purge_batch(keep_from):
            deleted += gone
        async with self._store.db.write() as conn:
            await self._store.purge_rejected(conn, now - timedelta(days=_REJECTED_DAYS))
        return deleted

    async def _purge_batch(self, keep_from: int) -> int:
        async with self._store.db.write() as conn:
            await self._state.bump_version(conn, RAW_VERSION)
            marks: dict[str, int] = await self._state.get(_WATERMARK, conn=conn) or {}
            if not SECONDS.keys() <= marks.keys():
                return 0
            before = min(keep_from, marks["hour"], marks["day"])
            before -= before % SECONDS["day"]  # whole days, so that a day is always rolled up from all of it
            gone = await self._store.purge_raw(conn, before, _PURGE_BATCH_SECONDS)
            if gone:
                purged = max(before, marks.get(_PURGED, 0))
                await self._state.set(_WATERMARK, {**marks, _PURGED: purged}, conn=conn)
            return gone

    async def run(self) -> dict[str, int]:
        """All of it: hours, days, purge."""
        hours = await self.roll_hours()
        days = await self.roll_days()
        purged = await self.purge()
        log.info("trends_done", hours=hours, days=days, purged=purged)
        return {"hours": hours, "days": days, "purged": purged}
