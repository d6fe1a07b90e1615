"""Rows of the daily fix: written once, never changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import tables as t
from storage.engine import Database
from storage.market import SERIES_COLUMNS, SeriesTexts


class FixRow(NamedTuple):
    """A row of ``daily_fix``."""

    series_id: int
    day: int
    """Start of the day (UTC), epoch seconds."""
    value: float
    samples: int
    thin: bool
    method: int
    content_hash: str
    computed_at: datetime


class FixStore:
    """Reads raw quotes for fixes, and fixes."""

    def __init__(self, db: Database) -> None:
        self.db = db

    async def headline_series(self, start_ts: int, end_ts: int) -> list[tuple[int, SeriesTexts]]:
        """Worldwide series of all machines with a raw quote in start <= ts < end."""
        query = (
            select(t.series.c.id, *(t.series.c[name] for name in SERIES_COLUMNS))
            .where(
                t.series.c.region == "global",
                t.series.c.verification == "any",
                t.series.c.segment == "any",
                select(t.quote.c.ts)
                .where(t.quote.c.series_id == t.series.c.id, t.quote.c.ts >= start_ts, t.quote.c.ts < end_ts)
                .exists(),
            )
            .order_by(t.series.c.id)
        )
        async with self.db.read() as conn:
            return [(row[0], (row[1], row[2], row[3], row[4], row[5], row[6])) for row in await conn.execute(query)]

    async def raw_rows(self, start_ts: int, end_ts: int, series_ids: Sequence[int]) -> Sequence[Row[Any]]:
        """(series_id, ts, source, all_median, all_count, flags) of raw quotes with start <= ts < end."""
        query: Select[Any] = (
            select(
                t.quote.c.series_id,
                t.quote.c.ts,
                t.source.c.slug.label("source"),
                t.quote.c.all_median,
                t.quote.c.all_count,
                t.quote.c.flags,
            )
            .join(t.source, t.source.c.id == t.quote.c.source_id)
            .where(t.quote.c.series_id.in_(series_ids), t.quote.c.ts >= start_ts, t.quote.c.ts < end_ts)
            .order_by(t.quote.c.series_id, t.quote.c.ts, t.source.c.slug)
        )
        async with self.db.read() as conn:
            rows: Sequence[Row[Any]] = (await conn.execute(query)).all()
        return rows

    async def store(self, conn: AsyncConnection, rows: Sequence[FixRow]) -> None:
        """Store fixes; one that is there stays as it is."""
        if rows:
            await conn.execute(self.db.insert(t.daily_fix).on_conflict_do_nothing(), [row._asdict() for row in rows])

    async def read(
        self, gpu: str, *, platform: str | None, tier: str | None, start: int, end: int, limit: int
    ) -> list[tuple[SeriesTexts, Row[Any]]]:
        """Fixes of a model with start <= day < end, by series and day."""
        query = (
            select(t.daily_fix, *(t.series.c[name] for name in SERIES_COLUMNS))
            .join(t.series, t.series.c.id == t.daily_fix.c.series_id)
            .where(t.series.c.gpu == gpu, t.daily_fix.c.day >= start, t.daily_fix.c.day < end)
            .order_by(*(t.series.c[name] for name in SERIES_COLUMNS), t.daily_fix.c.day)
            .limit(limit)
        )
        if platform is not None:
            query = query.where(t.series.c.platform == platform)
        if tier is not None:
            query = query.where(t.series.c.tier == tier)
        async with self.db.read() as conn:
            rows = (await conn.execute(query)).all()
        return [((row.platform, row.gpu, row.region, row.tier, row.verification, row.segment), row) for row in rows]
