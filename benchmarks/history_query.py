"""Reading history: two years of five series at 500 points each, among millions of rollup rows.

Ours is ``MarketReader.history``: rollups, the newest end from raw quotes, gaps found, thinned with extremes kept, made
into points. The bare way selects the same rollup rows of the same five series with the same engine and does nothing
with them. DuckDB answers the same question (lowest and highest price of equal stretches) from a file of its own, for
comparison only.

Run ``python -m benchmarks history_query [--quick] [--large]``. ``vs_bare`` may be at most 3; with ``--large`` 50
million rows are read as well, and may take 1.5 times as long as 5 million.
"""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
from sqlalchemy import select, text

from benchmarks.market_fixture import fill_quotes, postgres_databases, series_keys, sqlite_databases
from benchmarks.measure import emit, in_turns, median_ratio, percentile, say
from bot.parts import make_reader, open_parts
from config.settings import Settings
from gpuscout.market.models import SeriesKey
from gpuscout.market.rollup import DAY
from gpuscout.market.rows import texts_of
from storage import tables as t
from storage.engine import Database
from storage.market import MarketStore
from tests.services import ServiceMissing, running_postgres

BARE_LIMIT = 3.0
GROWTH_LIMIT = 1.5
DAYS = 730
POINTS = 500
SERIES = 5
TODAY = datetime(2026, 1, 1, tzinfo=UTC)
NOW = TODAY + timedelta(hours=12)
SPAN = timedelta(days=DAYS)
RAW = [TODAY - timedelta(hours=36) + n * timedelta(minutes=15) for n in range(4 * 48)]

# The same made-up prices in all three dialects; they need only differ.
_FIRST = int(TODAY.timestamp()) - DAYS * DAY
_PRICE = "(0.2 + ((s.id * 7919 + d.n * 104729) % 1009) / 1000.0)"
_ROW = f"s.id, {_FIRST} + d.n * 86400, 96" + "".join(
    f", {_PRICE} * {factor}" for factor in (1, 0.9, 1.1, 0.8, 1.2, 0.97, 1.03)
)
_ROW += ", 60.5, 120.25, 50.0"
_COLUMNS = "series_id, ts, samples, price, price_min, price_max, p10, p90, rented_price, available_price"
_COLUMNS += ", rented, total, demand"
_UNREAD = {"series_id", "price_min", "price_max", "demand"}
"""Columns of a rollup that a history does not show, so that the bare way need not read them either."""


def _fill_sqlite(path: Path, total: int) -> None:
    """*total* daily rollups, in the order of the table."""
    conn = sqlite3.connect(path)
    conn.execute("PRAGMA synchronous=OFF")
    conn.execute("PRAGMA cache_size=-262144")
    _add_series(conn, total)
    conn.execute(
        f"WITH RECURSIVE d(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM d WHERE n < {DAYS - 1}) "
        f"INSERT INTO rollup_day ({_COLUMNS}) SELECT {_ROW} FROM series s CROSS JOIN d ORDER BY s.id, d.n"
    )
    conn.commit()
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    conn.close()


def _add_series(conn: sqlite3.Connection, total: int) -> None:
    known = conn.execute("SELECT count(*) FROM series").fetchone()[0]
    conn.executemany(
        "INSERT INTO series (platform, gpu, region, tier, verification, segment) VALUES (?, ?, ?, ?, ?, ?)",
        (("vast", f"other-{i}", "global", "on-demand", "any", "any") for i in range(total // DAYS - known)),
    )


async def _fill_postgres(db: Database, total: int) -> None:
    """*total* daily rollups, day by day as the product writes them."""
    async with db.write() as conn:
        await conn.execute(text("SET LOCAL session_replication_role = replica"))  # no foreign key is looked up
        await conn.execute(
            text(
                "INSERT INTO series (platform, gpu, region, tier, verification, segment) "
                "SELECT 'vast', 'other-' || i, 'global', 'on-demand', 'any', 'any' "
                "FROM generate_series(1, :total - (SELECT count(*) FROM series)) i"
            ),
            {"total": total // DAYS},
        )
        await conn.execute(
            text(
                f"INSERT INTO rollup_day ({_COLUMNS}) SELECT {_ROW} "
                f"FROM generate_series(0, {DAYS - 1}) d(n) CROSS JOIN series s ORDER BY d.n, s.id"
            )
        )


def _fill_duckdb(path: Path, total: int) -> None:
    """The same rows in DuckDB's own format."""
    with duckdb.connect(str(path)) as conn:
        conn.execute("SET enable_progress_bar = false")  # it goes to standard output
        conn.execute(
            f"CREATE TABLE rollup_day AS SELECT s.id AS series_id, {_FIRST} "
            f"+ d.n * 86400 AS ts, {_PRICE} AS price FROM range(1, {total // DAYS + 1}) s(id) "
            f"CROSS JOIN range(0, {DAYS}) d(n) ORDER BY series_id, ts"
        )


def _ask_duckdb(conn: duckdb.DuckDBPyConnection, ids: Sequence[int]) -> list[Any]:
    """Lowest and highest price of 250 stretches a series."""
    start = _FIRST
    return conn.execute(
        "SELECT series_id, (ts - ?) * 250 // ? AS stretch, arg_min(ts, price), min(price), arg_max(ts, price), "
        "max(price) FROM rollup_day WHERE series_id IN (?, ?, ?, ?, ?) AND ts >= ? GROUP BY ALL ORDER BY ALL",
        [start, DAYS * DAY, *ids, start],
    ).fetchall()


class Reads:
    """The ways to read, each told the number of its round; every round reads other series."""

    def __init__(self, url: str, folder: Path, duck: Path | None) -> None:
        settings = Settings(_env_file=None, database_url=url, data_dir=folder)
        self.parts = open_parts(settings, lambda: NOW)
        self.reader = make_reader(self.parts)
        self.duck = duckdb.connect(str(duck), read_only=True) if duck else None
        self.ids: dict[SeriesKey, int] = {}
        self.headline = [key for key in series_keys() if key.is_headline]

    async def prepare(self) -> None:
        """Learn the ids and look once whether both ways see the same."""
        store: MarketStore = self.parts.store
        for key in self.headline:
            found = await store.find_series(texts_of(key))
            if found is None:
                raise AssertionError(f"{key} is not stored")
            self.ids[key] = found
        history = await self.reader.history(self.headline[0], NOW - SPAN, NOW, points=POINTS)
        if not 0.9 * POINTS <= len(history.points) <= POINTS or not history.thinned:
            raise AssertionError(f"{len(history.points)} points instead of about {POINTS}")

    def chosen(self, number: int) -> list[SeriesKey]:
        """Five series of a round."""
        return [self.headline[(number * SERIES + i) % len(self.headline)] for i in range(SERIES)]

    async def ours(self, number: int) -> None:
        """The product's read."""
        for key in self.chosen(number):
            await self.reader.history(key, NOW - SPAN, NOW, points=POINTS)

    async def bare(self, number: int) -> None:
        """The same rollup rows, one connection of the same engine, nothing done with them."""
        start, end = int((NOW - SPAN).timestamp()), int(NOW.timestamp())
        async with self.parts.db.read() as conn:
            for key in self.chosen(number):
                day = t.rollup_day.c
                query = (
                    select(*(column for column in day if column.name not in _UNREAD))
                    .where(day.series_id == self.ids[key], day.ts >= start - start % DAY, day.ts <= end)
                    .order_by(day.ts)
                )
                (await conn.execute(query)).all()

    async def duckdb(self, number: int) -> None:
        """DuckDB's answer, in the thread that asks."""
        if self.duck is not None:
            _ask_duckdb(self.duck, [self.ids[key] for key in self.chosen(number)])

    async def aclose(self) -> None:
        """Close all."""
        if self.duck is not None:
            self.duck.close()
        await self.parts.aclose()


async def _measure(label: str, reads: Reads, rounds: int) -> None:
    """Ours beside the bare way and DuckDB."""
    ways: dict[str, Callable[[int], Awaitable[object]]] = {"ours": reads.ours, "bare": reads.bare}
    if reads.duck is not None:
        ways["duckdb"] = reads.duckdb
    times = await in_turns(ways, rounds, warm_up=5)
    emit(f"history_query.{label}.p50", statistics.median(times["ours"]), "ms")
    emit(f"history_query.{label}.p99", percentile(times["ours"], 99), "ms")
    emit(f"history_query.{label}.bare_p50", statistics.median(times["bare"]), "ms")
    ratio = median_ratio(times, "ours", "bare")
    emit(f"history_query.{label}.vs_bare", ratio, "ratio", BARE_LIMIT, ratio)
    if reads.duck is not None:
        emit(f"history_query.{label}.duckdb_p50", statistics.median(times["duckdb"]), "ms")
        ratio = median_ratio(times, "ours", "duckdb")
        emit(f"history_query.{label}.vs_duckdb", ratio, "ratio", None, ratio)


def _label(total: int) -> str:
    return f"{total // 1_000_000}M" if total >= 1_000_000 else f"{total // 1000}k"


@asynccontextmanager
async def _sqlite(total: int) -> AsyncIterator[Reads]:
    """A SQLite file and a DuckDB file of so many rows."""

    async def fill(db: Database) -> None:
        await fill_quotes(db, series_keys(), RAW)
        say(f"SQLite: writing {total:,} rollup rows")
        begun = time.perf_counter()
        assert db.path is not None
        await asyncio.to_thread(_fill_sqlite, db.path, total)
        say(f"SQLite: written in {time.perf_counter() - begun:.0f} s")

    with tempfile.TemporaryDirectory(prefix="gpuscout-bench-") as folder:
        duck = Path(folder) / "history.duckdb"
        await asyncio.to_thread(_fill_duckdb, duck, total)
        async with (
            sqlite_databases(("history",), fill) as urls,
            aclosing(Reads(urls["history"], Path(folder), duck)) as reads,
        ):
            await reads.prepare()
            yield reads


@asynccontextmanager
async def _postgres(total: int) -> AsyncIterator[Reads]:
    """A PostgreSQL database of so many rows."""

    async def fill(db: Database) -> None:
        await fill_quotes(db, series_keys(), RAW)
        say(f"PostgreSQL: writing {total:,} rollup rows")
        begun = time.perf_counter()
        await _fill_postgres(db, total)
        say(f"PostgreSQL: written in {time.perf_counter() - begun:.0f} s")

    with running_postgres() as server, tempfile.TemporaryDirectory(prefix="gpuscout-bench-") as folder:
        async with (
            postgres_databases(server, ("history",), fill) as urls,
            aclosing(Reads(urls["history"], Path(folder), None)) as reads,
        ):
            await reads.prepare()
            yield reads


async def run(quick: bool, large: bool) -> None:
    """SQLite and PostgreSQL at 5 million rows, SQLite at 50 million when asked for."""
    total, rounds = (100_000, 20) if quick else (5_000_000, 200)
    async with _sqlite(total) as small:
        await _measure(f"sqlite.{_label(total)}", small, rounds)
        if large:
            async with _sqlite(10 * total) as grown:
                await _measure(f"sqlite.{_label(10 * total)}", grown, rounds)
                # Once more, beside each other: the machine may have been busier for one of them.
                times = await in_turns({"grown": grown.ours, "small": small.ours}, rounds, warm_up=5)
                growth = median_ratio(times, "grown", "small")
                name = f"history_query.sqlite.{_label(10 * total)}_vs_{_label(total)}"
                emit(name, growth, "ratio", GROWTH_LIMIT, growth)
    try:
        async with _postgres(total) as reads:
            await _measure(f"postgresql.{_label(total)}", reads, rounds)
    except ServiceMissing as missing:
        say(f"PostgreSQL left out: {missing}")


def main(quick: bool = False, large: bool = False) -> None:
    """Runs all and prints JSON lines; ``quick`` on 100,000 rows, ``large`` also on 50 million."""
    asyncio.run(run(quick, large))
