"""What ``market.updated`` is made of: updates since the last look, and their headline quotes."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, Select, func, select

from storage.engine import Database
from storage.tables import market_update, quote, series, source


async def last_update(db: Database) -> int:
    """Id of the newest update; 0 before the first."""
    async with db.read() as conn:
        return int(await conn.scalar(select(func.max(market_update.c.id))) or 0)


async def updates_after(db: Database, after: int, limit: int) -> list[Row[Any]]:
    """(id, source_id, source, source_time_ms, fetched_at) of updates with quotes above id *after*, newest first."""
    query: Select[Any] = (
        select(
            market_update.c.id,
            market_update.c.source_id,
            source.c.slug.label("source"),
            market_update.c.source_time_ms,
            market_update.c.fetched_at,
        )
        .join(source, source.c.id == market_update.c.source_id)
        .where(market_update.c.id > after, market_update.c.stored > 0)
        .order_by(market_update.c.id.desc())
        .limit(limit)
    )
    async with db.read() as conn:
        return [*(await conn.execute(query))]


async def headline_quotes(db: Database, update_id: int, source_id: int, ts: int) -> list[Row[Any]]:
    """Quotes of one update for whole models: worldwide, every verification, no segment."""
    query: Select[Any] = (
        select(
            series.c.platform,
            series.c.gpu,
            series.c.tier,
            quote.c.all_median,
            quote.c.all_count,
            quote.c.rented_count,
            quote.c.available_count,
            quote.c.utilization,
            quote.c.flags,
        )
        .join(series, series.c.id == quote.c.series_id)
        .where(
            quote.c.ts == ts,
            quote.c.source_id == source_id,
            quote.c.update_id == update_id,
            series.c.region == "global",
            series.c.verification == "any",
            series.c.segment == "any",
        )
        .order_by(series.c.platform, series.c.gpu, series.c.tier)
    )
    async with db.read() as conn:
        return [*(await conn.execute(query))]
