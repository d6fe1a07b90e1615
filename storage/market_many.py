"""Questions about many series at once: what they were at an earlier instant, and since when they are known.

One statement answers for up to :data:`SERIES_AT_ONCE` series; asking for each in turn would cost hundreds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row, Select, and_, case, func, or_, select

from storage import tables as t
from storage.engine import Database
from storage.market import SERIES_COLUMNS, SeriesTexts, rollup_table

SERIES_AT_ONCE = 1000
"""Series of one statement: each is one of its parameters, of which databases allow some 32,000."""


_RAW_FIGURES = ("all_median", "rented_count", "all_count", "utilization", "demand")
_ROLLUP_FIGURES = ("price", "rented", "total", "utilization", "demand")


class Instant(NamedTuple):
    """A series and a time of interest to it (epoch seconds)."""

    series_id: int
    ts: int


async def _gather(db: Database, statements: Sequence[Select[Any]]) -> list[Row[Any]]:
    rows: list[Row[Any]] = []
    async with db.read() as conn:
        for statement in statements:
            rows += (await conn.execute(statement)).all()
    return rows


def _together(instants: Iterable[Instant]) -> Iterator[tuple[int, Sequence[int]]]:
    """The instants by time, with the series of each in portions: nearly all series of a platform share one.

    A list of ids goes into a statement that is compiled once; a table of instants would be compiled anew for each.
    """
    by_time: dict[int, list[int]] = {}
    for instant in instants:
        by_time.setdefault(instant.ts, []).append(instant.series_id)
    for at, ids in sorted(by_time.items()):
        for first in range(0, len(ids), SERIES_AT_ONCE):
            yield at, ids[first : first + SERIES_AT_ONCE]


async def ids_of(db: Database, keys: Collection[SeriesTexts]) -> dict[SeriesTexts, int]:
    """Ids of the series among *keys* that are stored."""
    wanted = set(keys)
    models = sorted({key[SERIES_COLUMNS.index("gpu")] for key in wanted})
    columns = [t.series.c[name] for name in SERIES_COLUMNS]
    found: dict[SeriesTexts, int] = {}
    for first in range(0, len(models), SERIES_AT_ONCE):
        query: Select[Any] = select(t.series.c.id, *columns).where(
            t.series.c.gpu.in_(models[first : first + SERIES_AT_ONCE])
        )
        for row in await _gather(db, [query]):
            key: SeriesTexts = (row.platform, row.gpu, row.region, row.tier, row.verification, row.segment)
            if key in wanted:
                found[key] = row.id
    return found


async def raw_near(db: Database, instants: Sequence[Instant], tolerance: int, flagged: int) -> list[Row[Any]]:
    """Raw quotes nearest to each instant, at most *tolerance* seconds away.

    Args:
        flagged: bits of ``flags`` that make a price unfit for comparison.

    Returns:
        Up to two rows a series with (series_id, nearest, priced, all_median, rented_count, all_count, utilization,
        demand): the nearest quote (``nearest`` is 1) and the nearest one with a price that is fit (``priced`` is 1),
        which may be the same. Of two that are equally near the earlier one counts.
    """

    quote, series = t.quote, t.quote.c.series_id
    fit = and_(quote.c.all_median.is_not(None), quote.c.flags.op("&")(flagged) == 0)

    def statement(at: int, ids: Sequence[int]) -> Select[Any]:
        order = (func.abs(quote.c.ts - at), quote.c.ts, quote.c.source_id)
        near = (
            select(
                series,
                func.row_number().over(partition_by=series, order_by=order).label("nearest"),
                func.row_number().over(partition_by=series, order_by=(case((fit, 0), else_=1), *order)).label("place"),
                case((fit, 1), else_=0).label("fit"),
                *(quote.c[name] for name in _RAW_FIGURES),
            )
            .where(series.in_(ids), quote.c.ts >= at - tolerance, quote.c.ts <= at + tolerance)
            .subquery()
        )
        priced = and_(near.c.place == 1, near.c.fit == 1)
        return select(
            near.c.series_id,
            near.c.nearest,
            case((priced, 1), else_=0).label("priced"),
            *(near.c[name] for name in _RAW_FIGURES),
        ).where(or_(near.c.nearest == 1, priced))

    return await _gather(db, [statement(at, ids) for at, ids in _together(instants)])


async def rollups_at(db: Database, tier: str, instants: Sequence[Instant]) -> list[Row[Any]]:
    """The rollups (``hour`` or ``day``) that begin exactly at the instants.

    Returns:
        (series_id, price, rented, total, utilization, demand) of each that there is.
    """
    table = rollup_table(tier)
    columns = (table.c.series_id, *(table.c[name] for name in _ROLLUP_FIGURES))
    return await _gather(
        db,
        [select(*columns).where(table.c.series_id.in_(ids), table.c.ts == at) for at, ids in _together(instants)],
    )


async def lifetimes(db: Database, platforms: Collection[str], region: str) -> list[Row[Any]]:
    """Since when and until when the headline series of *platforms* were listed: with GPUs, or with a price at least.

    Returns:
        (series_id, platform, gpu, region, tier, verification, segment, first_raw, first_day, last_raw, last_hour),
        the last four in epoch seconds, of raw quotes and of rollups, each None where there is none.
    """

    def end_of(table: Any, count: Any, price: Any, *, first: bool) -> Any:
        query = select(table.c.ts).where(table.c.series_id == t.series.c.id, or_(count > 0, price.is_not(None)))
        query = query.order_by(table.c.ts if first else table.c.ts.desc()).limit(1)
        return query.correlate(t.series).scalar_subquery()

    quote, hour, day = t.quote, t.rollup_hour, t.rollup_day
    query: Select[Any] = select(
        t.series.c.id.label("series_id"),
        *(t.series.c[name] for name in ("platform", "gpu", "region", "tier", "verification", "segment")),
        end_of(quote, quote.c.all_count, quote.c.all_median, first=True).label("first_raw"),
        end_of(day, day.c.total, day.c.price, first=True).label("first_day"),
        end_of(quote, quote.c.all_count, quote.c.all_median, first=False).label("last_raw"),
        end_of(hour, hour.c.total, hour.c.price, first=False).label("last_hour"),
    ).where(
        t.series.c.platform.in_(sorted(platforms)),
        t.series.c.region == region,
        t.series.c.verification == "any",
        t.series.c.segment == "any",
    )
    return await _gather(db, [query])
