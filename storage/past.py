"""Questions about series that may have no current quotes."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, Select, func, select

from storage import tables as t
from storage.engine import Database
from storage.market import SERIES_COLUMNS, SeriesTexts


async def stored_series(db: Database, gpu: str) -> list[tuple[SeriesTexts, int, int]]:
    """Series of *gpu* that have daily rollups, with the first and the last day (epoch seconds of their starts)."""
    day, series = t.rollup_day, t.series

    def end(which: Any) -> Any:
        # One look at an end of the primary key for each series, however long it is.
        return select(which).where(day.c.series_id == series.c.id).correlate(series).scalar_subquery()

    query: Select[Any] = select(
        *(series.c[name] for name in SERIES_COLUMNS),
        end(func.min(day.c.ts)).label("first"),
        end(func.max(day.c.ts)).label("last"),
    ).where(series.c.gpu == gpu)
    async with db.read() as conn:
        rows = (await conn.execute(query)).all()
    return [((row[0], row[1], row[2], row[3], row[4], row[5]), row[6], row[7]) for row in rows if row[6] is not None]


async def newest_day(db: Database, texts: SeriesTexts) -> Row[Any] | None:
    """The last daily rollup of a series, or None."""
    day, series = t.rollup_day, t.series
    query = (
        select(day)
        .join(series, series.c.id == day.c.series_id)
        .where(*(series.c[name] == text for name, text in zip(SERIES_COLUMNS, texts, strict=True)))
        .order_by(day.c.ts.desc())
        .limit(1)
    )
    async with db.read() as conn:
        return (await conn.execute(query)).one_or_none()


async def stored_platforms(db: Database) -> list[str]:
    """Every platform of which there was ever a series."""
    async with db.read() as conn:
        return sorted((await conn.execute(select(t.series.c.platform).distinct())).scalars())
