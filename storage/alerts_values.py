"""Figures behind alerts that need more than the newest quote: earlier prices, extremes, platforms side by side."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row, Select, and_, func, select

from storage import tables as t
from storage.engine import Database
from storage.market_many import SERIES_AT_ONCE
from storage.tables_portfolio import holding

_DAY = 86_400


class Extremes(NamedTuple):
    """Lowest and highest price of a series over some time, and the time of the first price in it."""

    low: float
    high: float
    first: int


async def _rows(db: Database, query: Select[Any]) -> Sequence[Row[Any]]:
    async with db.read() as conn:
        found: Sequence[Row[Any]] = (await conn.execute(query)).all()
    return found


async def extremes(
    db: Database, series_ids: Collection[int], start: int, end: int, flagged: int
) -> dict[int, Extremes]:
    """Extremes with start <= time < *end* (epoch seconds): of whole UTC days by rollup, of the last two by raw quote.

    Args:
        flagged: bits of ``flags`` that make a price unfit for comparison.
    """
    raw_from = max(start, end - end % _DAY - _DAY)
    day, quote = t.rollup_day, t.quote
    found: dict[int, Extremes] = {}
    ids = sorted(series_ids)
    for first in range(0, len(ids), SERIES_AT_ONCE):
        part = ids[first : first + SERIES_AT_ONCE]
        days = (
            select(
                day.c.series_id,
                func.min(func.coalesce(day.c.price_min, day.c.price)),
                func.max(func.coalesce(day.c.price_max, day.c.price)),
                func.min(day.c.ts),
            )
            .where(day.c.series_id.in_(part), day.c.ts >= start, day.c.ts < raw_from, day.c.price.is_not(None))
            .group_by(day.c.series_id)
        )
        raw = (
            select(quote.c.series_id, func.min(quote.c.all_median), func.max(quote.c.all_median), func.min(quote.c.ts))
            .where(
                quote.c.series_id.in_(part),
                quote.c.ts >= raw_from,
                quote.c.ts < end,
                quote.c.all_median.is_not(None),
                quote.c.flags.op("&")(flagged) == 0,
            )
            .group_by(quote.c.series_id)
        )
        for query in (days, raw):
            for row in await _rows(db, query):
                series_id, low, high, since = tuple(row)
                other = found.get(series_id)
                found[series_id] = (
                    Extremes(low, high, since)
                    if other is None
                    else Extremes(min(low, other.low), max(high, other.high), min(since, other.first))
                )
    return found


async def newest_of(db: Database, series_ids: Collection[int], since: int) -> Sequence[Row[Any]]:
    """The newest quote of each series from *since* on, with the document that it comes from."""
    quote = t.quote
    newest = (
        select(quote.c.series_id, func.max(quote.c.ts).label("ts"))
        .where(quote.c.series_id.in_(series_ids), quote.c.ts >= since)
        .group_by(quote.c.series_id)
        .subquery()
    )
    query = (
        select(*quote.c, t.market_update.c.feed, t.market_update.c.fetched_at, t.source.c.slug.label("source"))
        .join(newest, and_(newest.c.series_id == quote.c.series_id, newest.c.ts == quote.c.ts))
        .join(t.market_update, t.market_update.c.id == quote.c.update_id)
        .join(t.source, t.source.c.id == quote.c.source_id)
    )
    return await _rows(db, query)


async def headline_series(db: Database, gpu: str, tier: str) -> dict[int, str]:
    """Platforms of the worldwide series of a model and tier, by series id."""
    s = t.series
    query = select(s.c.id, s.c.platform).where(
        s.c.gpu == gpu, s.c.tier == tier, s.c.region == "global", s.c.verification == "any", s.c.segment == "any"
    )
    return {row.id: row.platform for row in await _rows(db, query)}


async def newest_model(db: Database, platform: str) -> int:
    """Id of the newest worldwide series of a platform; 0 when it has none. Series are never forgotten."""
    s = t.series
    query = select(func.max(s.c.id)).where(
        s.c.platform == platform, s.c.region == "global", s.c.verification == "any", s.c.segment == "any"
    )
    rows = await _rows(db, query)
    return int(rows[0][0] or 0)


async def models_since(db: Database, platform: str, series_id: int, since: int) -> list[str]:
    """Models with a quote from *since* on whose first series on the platform came after *series_id*."""
    s, quote = t.series, t.quote
    older = select(s.c.gpu).where(s.c.platform == platform, s.c.id <= series_id)
    query = (
        select(s.c.gpu)
        .join(quote, and_(quote.c.series_id == s.c.id, quote.c.ts >= since))
        .where(s.c.platform == platform, s.c.id > series_id, s.c.region == "global", s.c.segment == "any")
        .where(s.c.verification == "any", s.c.gpu.not_in(older))
        .distinct()
        .order_by(s.c.gpu)
    )
    return [row.gpu for row in await _rows(db, query)]


async def list_times(db: Database, platform: str, limit: int = 6) -> list[int]:
    """Source times of the newest lists of machines of a platform (epoch seconds), newest first."""
    m, u = t.machine, t.market_update
    sources = select(m.c.source_id).where(m.c.platform == platform).limit(1).scalar_subquery()
    query = (
        select(u.c.source_time_ms)
        .where(u.c.feed == "machines", u.c.source_id == sources)
        .order_by(u.c.source_time_ms.desc())
        .limit(limit)
    )
    return [row[0] // 1000 for row in await _rows(db, query)]


async def previous_update(db: Database, update_id: int) -> tuple[int, int] | None:
    """The update of the same document before an update: models read, and source time (epoch seconds)."""
    u = t.market_update
    this = select(u.c.source_id, u.c.feed, u.c.source_time_ms).where(u.c.id == update_id).subquery()
    query = (
        select(u.c.read, u.c.source_time_ms)
        .join(this, and_(this.c.source_id == u.c.source_id, this.c.feed == u.c.feed))
        .where(u.c.source_time_ms < this.c.source_time_ms)
        .order_by(u.c.source_time_ms.desc())
        .limit(1)
    )
    for row in await _rows(db, query):
        return int(row.read), int(row.source_time_ms) // 1000
    return None


async def holders(db: Database, members: Collection[int], gpus: Collection[str]) -> set[int]:
    """Members among *members* who hold one of *gpus*."""
    found: set[int] = set()
    ids = sorted(members)
    for first in range(0, len(ids), SERIES_AT_ONCE):
        query = (
            select(holding.c.member_id)
            .where(
                holding.c.member_id.in_(ids[first : first + SERIES_AT_ONCE]),
                holding.c.gpu.in_(sorted(gpus)),
                holding.c.removed_at.is_(None),
            )
            .distinct()
        )
        found |= {row.member_id for row in await _rows(db, query)}
    return found
