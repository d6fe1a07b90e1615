"""Storing a poll: our write path against the same rows written barely, on SQLite and PostgreSQL.

Ours is the commit of an ingest cycle: the update, 500 quotes, the data version, the watch over the source, the
watermarks and the rollup job, in one transaction. The bare ways start from the same quotes and write the same rows of
the same tables in one transaction with the same durability: SQLAlchemy Core's ``executemany``, and the driver alone
(``sqlite3`` without threads or event loop; ``asyncpg``). What ours does beyond that (series ids looked up, nothing
stored twice, watermarks and watch read) counts against it.

Run ``python -m benchmarks ingest_upsert [--quick]``. ``vs_core`` is ours to Core in rows a second, at least 0.9.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import select

from benchmarks.market_fixture import (
    POLL_ROWS,
    fill_quotes,
    poll,
    postgres_databases,
    series_keys,
    sqlite_databases,
)
from benchmarks.measure import emit, in_turns, median_ratio, percentile, say
from benchmarks.poll_writers import Core, Ours, PostgresDriver, SqliteDriver, Writer
from gpuscout.market.models import SeriesKey
from gpuscout.market.reader import VERSION_NAME
from storage import tables as t
from storage.engine import Database
from storage.state import AppState
from storage.tables_alerts import alert_work
from tests.services import ServiceMissing, running_postgres

CORE_LIMIT = 0.9
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
INTERVAL = timedelta(minutes=15)


async def _series_ids(url: str) -> dict[SeriesKey, int]:
    db = Database(url)
    try:
        async with db.read() as conn:
            rows = (await conn.execute(select(t.series))).all()
    finally:
        await db.close()
    return {SeriesKey(*row[1:7]): row.id for row in rows}


async def _compare(name: str, writers: Mapping[str, Writer], first: datetime, rounds: int) -> None:
    """Polls written in turns, and what they say."""
    keys = series_keys()

    def way(writer: Writer) -> Callable[[int], Awaitable[None]]:
        async def write(number: int) -> None:
            await writer.write(documents[number])

        return write

    warm_up = 5
    documents = {n: poll(keys, first + n * INTERVAL, n) for n in range(-warm_up, rounds)}
    for writer in writers.values():
        if isinstance(writer, Ours):
            writer.judge(documents.values())
    times = await in_turns({key: way(writer) for key, writer in writers.items()}, rounds, warm_up=warm_up)
    speed = {key: POLL_ROWS / statistics.median(values) * 1000 for key, values in times.items()}
    driver = "sqlite3" if name == "sqlite" else "asyncpg"
    for key, label in (("ours", "ours"), ("core", "core"), ("driver", driver)):
        emit(f"ingest_upsert.{name}.{label}", speed[key], "rows/s")
    emit(f"ingest_upsert.{name}.p50", statistics.median(times["ours"]), "ms")
    emit(f"ingest_upsert.{name}.p99", percentile(times["ours"], 99), "ms")
    share = median_ratio(times, "core", "ours")
    emit(f"ingest_upsert.{name}.vs_core", share, "ratio", CORE_LIMIT, share, at_least=True)
    of_driver = median_ratio(times, "driver", "ours")
    emit(f"ingest_upsert.{name}.vs_{driver}", of_driver, "ratio", None, of_driver)


async def _check_equal(urls: Mapping[str, str]) -> None:
    """The comparison is of equals: every way left the same rows."""
    seen: dict[str, list[int]] = {}
    for name, url in urls.items():
        db = Database(url)
        try:
            async with db.read() as conn:
                seen[name] = [
                    len((await conn.execute(select(*table.primary_key.columns))).all())
                    for table in (t.quote, t.market_update, t.job, alert_work)
                ]
                named = select(t.data_version.c.version).where(t.data_version.c.name == VERSION_NAME)
                version = (await conn.execute(named)).scalar_one()
                seen[name].append(version)
        finally:
            await db.close()
    if len({tuple(counts) for counts in seen.values()}) != 1:
        raise AssertionError(f"the ways stored different rows: {seen}")


async def run(quick: bool, folder: Path) -> None:
    """Both databases."""
    rounds, days = (20, 1) if quick else (300, 14)
    begin = [FIRST + n * INTERVAL for n in range(days * 96)]
    names = ("ours", "core", "driver")

    async def fill(db: Database) -> None:
        await fill_quotes(db, series_keys(), begin)
        await AppState(db).set("market.rolled_until", {"hour": 0, "day": 0})

    first = FIRST + timedelta(days=days, hours=2)
    say(f"SQLite with {days} days of polls")
    async with sqlite_databases(names, fill) as urls:
        ids = await _series_ids(urls["core"])
        writers: dict[str, Writer] = {
            "ours": Ours(urls["ours"], folder),
            "core": Core(urls["core"], ids),
            "driver": SqliteDriver(urls["driver"], ids),
        }
        await _compare("sqlite", writers, first, rounds)
        for writer in writers.values():
            await writer.close()
        await _check_equal(urls)
    try:
        with running_postgres() as server:
            say(f"PostgreSQL with {days} days of polls")
            async with postgres_databases(server, names, fill) as urls:
                ids = await _series_ids(urls["core"])
                writers = {
                    "ours": Ours(urls["ours"], folder),
                    "core": Core(urls["core"], ids),
                    "driver": await PostgresDriver.connect(urls["driver"], ids),
                }
                await _compare("postgresql", writers, first, rounds)
                for writer in writers.values():
                    await writer.close()
                await _check_equal(urls)
    except ServiceMissing as missing:
        say(f"PostgreSQL left out: {missing}")


def main(quick: bool = False) -> None:
    """Runs all and prints JSON lines; ``quick`` measures less often on a smaller table."""
    with tempfile.TemporaryDirectory(prefix="gpuscout-bench-") as folder:
        asyncio.run(run(quick, Path(folder)))
