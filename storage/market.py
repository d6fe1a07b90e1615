"""The market's rows: series ids, updates with their quotes, and what readers select.

Works on plain rows so that it stays below the domain: a series is its six texts in the order of
:data:`SERIES_COLUMNS`, times are epoch seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from statistics import median
from typing import Any, NamedTuple

from sqlalchemy import Row, Select, Table, and_, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import tables as t
from storage.engine import Database

SeriesTexts = tuple[str, str, str, str, str, str]
SERIES_COLUMNS = ("platform", "gpu", "region", "tier", "verification", "segment")
_MAX_REJECT_SAMPLES = 20
_SAMPLE_CHARS = 2000
_DAY = 86_400
_PART = 500
"""Rows taken at a time from a long answer."""

_SIDES = ("rented", "available", "all")
QUOTE_VALUE_COLUMNS: tuple[str, ...] = (
    *(f"{side}_{part}" for side in _SIDES for part in ("count", "median", "p10", "p90")),
    "demand",
    "flags",
    "utilization",
)

_QUOTE_COLUMNS = ("ts", "series_id", "source_id", "update_id", *QUOTE_VALUE_COLUMNS)
"""The columns of ``quote`` in the order of the table, which is the order of an insert's values."""

_POINT_COLUMNS = (
    "ts",
    "price",
    "p10",
    "p90",
    "rented_price",
    "available_price",
    "rented",
    "total",
    "samples",
    "utilization",
    "source_id",
    "demand",
)
_RAW_POINT_COLUMNS = (
    "ts",
    *(f"all_{part}" for part in ("median", "p10", "p90")),
    "rented_median",
    "available_median",
    "rented_count",
    "all_count",
    "flags",
    "utilization",
    "source_id",
    "demand",
)


class QuoteValues(NamedTuple):
    """The measured part of a quote row, in the order of :data:`QUOTE_VALUE_COLUMNS`."""

    rented_count: int
    rented_median: float | None
    rented_p10: float | None
    rented_p90: float | None
    available_count: int
    available_median: float | None
    available_p10: float | None
    available_p90: float | None
    all_count: int
    all_median: float | None
    all_p10: float | None
    all_p90: float | None
    demand: float | None
    flags: int
    utilization: float | None = None


class Rejected(NamedTuple):
    """An item that did not pass validation: why, and what it was."""

    reason: str
    sample: str


class UnknownName(NamedTuple):
    """A GPU name that the catalogue does not know."""

    slug: str
    name: str


class UpdateRows(NamedTuple):
    """One document of a source, ready to be stored."""

    source: str
    feed: str
    source_time_ms: int
    fetched_at: datetime
    method: int
    read: int
    quotes: Sequence[tuple[SeriesTexts, QuoteValues]]
    rejected: Sequence[Rejected]
    unknown: Sequence[UnknownName]


class MarketStore:
    """Reads and writes of the market tables. One instance a process: it keeps the ids of series in memory."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._series_ids: dict[SeriesTexts, int] = {}
        self._series_texts: dict[int, SeriesTexts] = {}
        self._source_ids: dict[str, int] = {}
        self._source_slugs: dict[int, str] = {}
        self._quote_sql: str | None = None

    async def _rows(self, query: Select[Any]) -> Sequence[Row[Any]]:
        async with self.db.read() as conn:
            rows: Sequence[Row[Any]] = (await conn.execute(query)).all()
        return rows

    # --- identities ---

    async def source_id(self, conn: AsyncConnection, slug: str) -> int:
        """Id of a source, created when new."""
        if slug not in self._source_ids:
            await conn.execute(self.db.insert(t.source).values(slug=slug).on_conflict_do_nothing())
            self._source_ids[slug] = (
                await conn.execute(select(t.source.c.id).where(t.source.c.slug == slug))
            ).scalar_one()
        return self._source_ids[slug]

    async def source_names(self, ids: Collection[int]) -> dict[int, str]:
        """Slugs of sources by id, in the order of *ids*."""
        if any(source_id not in self._source_slugs for source_id in ids):
            rows = await self._rows(select(t.source.c.id, t.source.c.slug))
            self._source_slugs.update((row.id, row.slug) for row in rows)
        return {source_id: self._source_slugs[source_id] for source_id in ids if source_id in self._source_slugs}

    async def series_ids(self, conn: AsyncConnection, keys: Sequence[SeriesTexts]) -> dict[SeriesTexts, int]:
        """Ids of *keys*, created when new; runs in the caller's write transaction.

        Ids enter the memory only from rows read back: a rolled-back creation leaves a wrong id in nobody's cache,
        because :meth:`forget` is called on failure.
        """
        missing = [key for key in dict.fromkeys(keys) if key not in self._series_ids]
        if missing:
            await self._load_series(conn)
            missing = [key for key in missing if key not in self._series_ids]
        if missing:
            rows = [dict(zip(SERIES_COLUMNS, key, strict=True)) for key in missing]
            await conn.execute(self.db.insert(t.series).on_conflict_do_nothing(), rows)
            await self._load_series(conn)
        return {key: self._series_ids[key] for key in keys}

    async def _load_series(self, conn: AsyncConnection) -> None:
        for row in await conn.execute(select(t.series)):
            texts: SeriesTexts = (row.platform, row.gpu, row.region, row.tier, row.verification, row.segment)
            self._series_ids[texts] = row.id
            self._series_texts[row.id] = texts

    def forget(self) -> None:
        """Drop remembered ids (after a rolled-back transaction)."""
        self._series_ids.clear()
        self._series_texts.clear()
        self._source_ids.clear()
        self._source_slugs.clear()

    async def find_series(self, key: SeriesTexts) -> int | None:
        """Id of a stored series, or None."""
        if key not in self._series_ids:
            query = select(t.series.c.id).where(
                *(t.series.c[name] == text for name, text in zip(SERIES_COLUMNS, key, strict=True))
            )
            async with self.db.read() as conn:
                found = (await conn.execute(query)).scalar_one_or_none()
            if found is None:
                return None
            self._series_ids[key], self._series_texts[found] = found, key
            return int(found)
        return self._series_ids[key]

    async def series_texts(self, series_id: int) -> SeriesTexts:
        """The six texts of a series id."""
        if series_id not in self._series_texts:
            async with self.db.read() as conn:
                await self._load_series(conn)
        return self._series_texts[series_id]

    # --- writing ---

    async def store_update(self, conn: AsyncConnection, rows: UpdateRows) -> int | None:
        """Store one document with its quotes in the caller's transaction.

        Returns:
            The update's id, or None when this update is already stored (then nothing is changed).
        """
        source_id = await self.source_id(conn, rows.source)
        inserted = await conn.execute(
            self.db.insert(t.market_update)
            .values(
                source_id=source_id,
                feed=rows.feed,
                source_time_ms=rows.source_time_ms,
                fetched_at=rows.fetched_at,
                method=rows.method,
                read=rows.read,
                rejected=len(rows.rejected),
                stored=len(rows.quotes),
            )
            .on_conflict_do_nothing()
            .returning(t.market_update.c.id)
        )
        update_id: int | None = inserted.scalar_one_or_none()
        if update_id is None:
            return None
        await self.insert_quotes(conn, rows.source_time_ms // 1000, source_id, update_id, rows.quotes)
        await self._store_rejected(conn, source_id, rows)
        await self._store_unknown(conn, source_id, rows)
        return update_id

    async def insert_quotes(
        self,
        conn: AsyncConnection,
        ts: int,
        source_id: int,
        update_id: int,
        quotes: Sequence[tuple[SeriesTexts, QuoteValues]],
    ) -> None:
        """Insert the quotes of one update; a quote that is there already stays as it is."""
        if not quotes:
            return
        ids = await self.series_ids(conn, [key for key, _ in quotes])
        if self._quote_sql is None:
            statement = self.db.insert(t.quote).on_conflict_do_nothing()
            self._quote_sql = str(statement.compile(dialect=conn.dialect, column_keys=list(_QUOTE_COLUMNS)))
        # Numbers need no conversion, so plain tuples go to the driver: naming and converting 18 values a row costs
        # more than storing them.
        await conn.exec_driver_sql(
            self._quote_sql, [(ts, ids[key], source_id, update_id, *values) for key, values in quotes]
        )

    async def _store_rejected(self, conn: AsyncConnection, source_id: int, rows: UpdateRows) -> None:
        if rows.rejected:
            await conn.execute(
                t.rejected_item.insert(),
                [
                    {
                        "source_id": source_id,
                        "feed": rows.feed,
                        "seen_at": rows.fetched_at,
                        "reason": item.reason[:200],
                        "sample": item.sample[:_SAMPLE_CHARS],
                    }
                    for item in rows.rejected[:_MAX_REJECT_SAMPLES]
                ],
            )

    async def _store_unknown(self, conn: AsyncConnection, source_id: int, rows: UpdateRows) -> None:
        if not rows.unknown:
            return
        insert = self.db.insert(t.unknown_gpu)
        await conn.execute(
            insert.on_conflict_do_update(
                index_elements=["slug"],
                set_={"last_seen": insert.excluded.last_seen, "times": t.unknown_gpu.c.times + 1},
            ),
            [
                {
                    "slug": item.slug,
                    "name": item.name[:200],
                    "source_id": source_id,
                    "first_seen": rows.fetched_at,
                    "last_seen": rows.fetched_at,
                    "times": 1,
                }
                for item in rows.unknown
            ],
        )

    # --- current quotes ---

    def _quote_select(self) -> Select[Any]:
        return (
            select(
                t.quote.c.ts,
                t.quote.c.series_id,
                *(t.quote.c[name] for name in QUOTE_VALUE_COLUMNS),
                t.source.c.slug.label("source"),
                t.market_update.c.fetched_at,
                t.market_update.c.method,
                t.market_update.c.feed,
            )
            .join(t.source, t.source.c.id == t.quote.c.source_id)
            .join(t.market_update, t.market_update.c.id == t.quote.c.update_id)
        )

    async def latest_quotes(self, since_ts: int) -> Sequence[Row[Any]]:
        """The newest quote of every series that has one at or after *since_ts* (epoch seconds)."""
        newest = (
            select(t.quote.c.series_id, func.max(t.quote.c.ts).label("ts"))
            .where(t.quote.c.ts >= since_ts)
            .group_by(t.quote.c.series_id)
            .subquery()
        )
        query = self._quote_select().join(
            newest, and_(newest.c.series_id == t.quote.c.series_id, newest.c.ts == t.quote.c.ts)
        )
        return await self._rows(query)

    async def newest_source_time(self, besides: str | None = None) -> int | None:
        """Newest source time stored (epoch seconds), or None before the first update.

        Args:
            besides: a feed that does not count.
        """
        query = select(func.max(t.market_update.c.source_time_ms))
        if besides is not None:
            query = query.where(t.market_update.c.feed != besides)
        async with self.db.read() as conn:
            newest = (await conn.execute(query)).scalar_one()
        return None if newest is None else newest // 1000

    async def newest_updates(self) -> Sequence[Row[Any]]:
        """The newest update of every (source, feed)."""
        newest = (
            select(
                t.market_update.c.source_id,
                t.market_update.c.feed,
                func.max(t.market_update.c.source_time_ms).label("newest"),
            )
            .group_by(t.market_update.c.source_id, t.market_update.c.feed)
            .subquery()
        )
        query = (
            select(t.source.c.slug.label("source"), t.market_update)
            .join(t.source, t.source.c.id == t.market_update.c.source_id)
            .join(
                newest,
                and_(
                    newest.c.source_id == t.market_update.c.source_id,
                    newest.c.feed == t.market_update.c.feed,
                    newest.c.newest == t.market_update.c.source_time_ms,
                ),
            )
        )
        return await self._rows(query)

    async def update_near(self, source: str, feed: str, at_ts: int, tolerance: int) -> int | None:
        """Source time (epoch seconds) of the stored update of a feed nearest to *at_ts* within *tolerance* seconds."""
        column = t.market_update.c.source_time_ms
        query = (
            select(column)
            .join(t.source, t.source.c.id == t.market_update.c.source_id)
            .where(
                t.source.c.slug == source,
                t.market_update.c.feed == feed,
                column >= (at_ts - tolerance) * 1000,
                column < (at_ts + tolerance + 1) * 1000,
            )
            .order_by(func.abs(column - at_ts * 1000))
            .limit(1)
        )
        async with self.db.read() as conn:
            found = (await conn.execute(query)).scalar_one_or_none()
        return None if found is None else found // 1000

    async def counts_at(self, ts: int) -> dict[SeriesTexts, tuple[int, int]]:
        """(rented, all) GPUs by series of the quotes at exactly *ts*."""
        query = select(t.quote.c.series_id, t.quote.c.rented_count, t.quote.c.all_count).where(t.quote.c.ts == ts)
        async with self.db.read() as conn:
            rows = (await conn.execute(query)).all()
            if any(row.series_id not in self._series_texts for row in rows):
                await self._load_series(conn)
        return {self._series_texts[row.series_id]: (row.rented_count, row.all_count) for row in rows}

    # --- history ---

    async def raw_rows(self, series_id: int, start_ts: int, end_ts: int) -> Sequence[Row[Any]]:
        """Raw quotes of one series with start <= ts < end, oldest first."""
        query = (
            self._quote_select()
            .where(t.quote.c.series_id == series_id, t.quote.c.ts >= start_ts, t.quote.c.ts < end_ts)
            .order_by(t.quote.c.ts)
        )
        return await self._rows(query)

    async def newest_rows(self, series_id: int, limit: int, since_ts: int) -> Sequence[Row[Any]]:
        """The newest raw quotes of one series, newest first."""
        query = (
            self._quote_select()
            .where(t.quote.c.series_id == series_id, t.quote.c.ts >= since_ts)
            .order_by(t.quote.c.ts.desc())
            .limit(limit)
        )
        return await self._rows(query)

    async def rollup_rows(self, tier: str, series_id: int, start_ts: int, end_ts: int) -> Sequence[Row[Any]]:
        """Rollup rows of one series with start <= ts < end, oldest first; *tier* is ``hour`` or ``day``."""
        table = rollup_table(tier)
        query: Select[Any] = (
            select(*table.c)
            .where(table.c.series_id == series_id, table.c.ts >= start_ts, table.c.ts < end_ts)
            .order_by(table.c.ts)
        )
        return await self._rows(query)

    async def history_rows(
        self, tier: str | None, series_id: int, start_ts: int, end_ts: int, bucket: int
    ) -> tuple[Sequence[Any], Sequence[Any]]:
        """Rollups of one series from *start_ts* on, and the raw quotes after the last of them, in one snapshot.

        Args:
            tier: ``hour`` or ``day``; None reads raw quotes alone.
            bucket: seconds of a bucket of the tier; the one that holds *start_ts* is read as well.

        Returns:
            Rollups as (ts, price, p10, p90, rented_price, available_price, rented, total, samples, utilization,
            source_id, demand), and quotes as (ts, all_median, all_p10, all_p90, rented_median, available_median,
            rented_count, all_count, flags, utilization, source_id, demand), each with ts < *end_ts*, oldest first.
        """
        rolled: Sequence[Any] = ()
        async with self.db.read() as conn:
            if tier is not None:
                table = rollup_table(tier)
                query: Select[Any] = select(*(table.c[name] for name in _POINT_COLUMNS)).where(
                    table.c.series_id == series_id, table.c.ts >= start_ts - start_ts % bucket, table.c.ts < end_ts
                )
                rolled = (await conn.execute(query.order_by(table.c.ts))).all()
            raw_from = max(start_ts, rolled[-1][0] + bucket) if rolled else start_ts
            query = (
                select(*(t.quote.c[name] for name in _RAW_POINT_COLUMNS))
                .where(t.quote.c.series_id == series_id, t.quote.c.ts >= raw_from, t.quote.c.ts < end_ts)
                .order_by(t.quote.c.ts)
            )
            return rolled, (await conn.execute(query)).all()

    async def raw_for_rollup(self, start_ts: int, end_ts: int, series_ids: Sequence[int]) -> Sequence[Row[Any]]:
        """What the rollup function needs of some series' raw quotes with start <= ts < end, in (series, time) order."""
        query: Select[Any] = (
            select(
                t.quote.c.series_id,
                t.quote.c.ts,
                t.quote.c.source_id,
                *(t.quote.c[name] for name in QUOTE_VALUE_COLUMNS),
            )
            .where(t.quote.c.series_id.in_(series_ids), t.quote.c.ts >= start_ts, t.quote.c.ts < end_ts)
            .order_by(t.quote.c.series_id, t.quote.c.ts)
        )
        return await self._rows(query)

    async def all_series(self, *, headline_only: bool) -> list[int]:
        """Ids of all series, or of the worldwide ones without a segment."""
        query = select(t.series.c.id).order_by(t.series.c.id)
        if headline_only:
            query = query.where(t.series.c.segment == "any", t.series.c.region == "global")
        async with self.db.read() as conn:
            return list((await conn.execute(query)).scalars())

    async def store_rollups(
        self, conn: AsyncConnection, tier: str, rows: Sequence[Mapping[str, Any]], batch: int = 500
    ) -> None:
        """Write rollup rows; a row that is there already is replaced (same input, same row)."""
        table = rollup_table(tier)
        insert = self.db.insert(table)
        keys = ("series_id", "ts")
        statement = insert.on_conflict_do_update(
            index_elements=list(keys),
            set_={column.name: insert.excluded[column.name] for column in table.c if column.name not in keys},
        )
        for first in range(0, len(rows), batch):
            await conn.execute(statement, list(rows[first : first + batch]))

    async def reference_prices(self, since_ts: int, before_ts: int) -> dict[SeriesTexts, list[float]]:
        """Daily prices of every series with since <= ts < before, for the outlier rule.

        A day of which every quote was flagged has no price of its own: the median of its flagged quotes stands for
        it while they are kept, so that a lasting change becomes the usual price.
        """
        day, quote = t.rollup_day, t.quote
        within = and_(day.c.ts >= since_ts, day.c.ts < before_ts)
        priced: Select[Any] = select(day.c.series_id, day.c.price).where(within, day.c.price.is_not(None))
        flagged: Select[Any] = (
            select(day.c.series_id, day.c.ts, quote.c.all_median)
            .join(
                quote,
                and_(
                    quote.c.series_id == day.c.series_id,
                    quote.c.ts >= day.c.ts,
                    quote.c.ts < day.c.ts + _DAY,
                    quote.c.all_median.is_not(None),
                ),
            )
            .where(within, day.c.price.is_(None))
        )
        by_id: dict[int, list[float]] = {}
        days: dict[tuple[int, int], list[float]] = {}
        async with self.db.read() as conn:
            # In pieces: tens of thousands of rows at once would hold the event loop.
            async with conn.stream(priced) as priced_rows:
                async for part in priced_rows.partitions(_PART):
                    for series_id, price in part:
                        by_id.setdefault(series_id, []).append(price)
            async with conn.stream(flagged) as flagged_rows:
                async for part in flagged_rows.partitions(_PART):
                    for series_id, ts, price in part:
                        days.setdefault((series_id, ts), []).append(price)
            for (series_id, _), medians in days.items():
                by_id.setdefault(series_id, []).append(median(medians))
            if any(series_id not in self._series_texts for series_id in by_id):
                await self._load_series(conn)
        return {self._series_texts[series_id]: prices for series_id, prices in by_id.items()}

    # --- retention ---

    async def oldest_raw(
        self, conn: AsyncConnection | None = None, *, besides: int | None = None, since_ts: int = 0
    ) -> int | None:
        """Source time of the oldest raw quote from *since_ts* on (epoch seconds) that is not at *besides*, or None."""
        if conn is None:
            async with self.db.read() as own:
                return await self.oldest_raw(own, besides=besides, since_ts=since_ts)
        query = select(t.quote.c.ts).where(t.quote.c.ts >= since_ts).order_by(t.quote.c.ts).limit(1)
        if besides is not None:
            query = query.where(t.quote.c.ts != besides)
        oldest: int | None = (await conn.execute(query)).scalar_one_or_none()
        return oldest

    async def purge_raw(self, conn: AsyncConnection, before_ts: int, batch_seconds: int = 6 * 3600) -> int:
        """Delete raw quotes older than *before_ts*, at most one batch of time; returns the number deleted."""
        oldest = (await conn.execute(select(func.min(t.quote.c.ts)))).scalar_one()
        if oldest is None or oldest >= before_ts:
            return 0
        until = min(before_ts, oldest + batch_seconds)
        return (await conn.execute(delete(t.quote).where(t.quote.c.ts < until))).rowcount

    async def purge_rejected(self, conn: AsyncConnection, before: datetime) -> None:
        """Forget samples of rejected items older than *before*."""
        await conn.execute(delete(t.rejected_item).where(t.rejected_item.c.seen_at < before))

    async def rejected_samples(self, limit: int = 20) -> Sequence[Row[Any]]:
        """Newest samples of rejected items, for the operator."""
        query = (
            select(t.rejected_item, t.source.c.slug.label("source"))
            .join(t.source, t.source.c.id == t.rejected_item.c.source_id)
            .order_by(t.rejected_item.c.id.desc())
            .limit(limit)
        )
        return await self._rows(query)

    async def unknown_names(self) -> Sequence[Row[Any]]:
        """GPU names that the catalogue does not know, most often seen first."""
        return await self._rows(select(t.unknown_gpu).order_by(t.unknown_gpu.c.times.desc()))


def rollup_table(tier: str) -> Table:
    """Table of a rollup tier.

    Raises:
        KeyError: for anything but ``hour`` and ``day``.
    """
    return {"hour": t.rollup_hour, "day": t.rollup_day}[tier]
