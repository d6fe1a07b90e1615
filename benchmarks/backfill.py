"""Loading history: a CSV file from disk into rollups, against the insert of the same rollups alone.

Ours is ``Backfill.load``: the file is hashed, read, every row checked and resolved, repetitions dropped, outliers
marked, hours and days rolled up, and all written with what a stopped load needs to go on. The bare way has the rolled
up rows in memory already and inserts them with SQLAlchemy Core's ``executemany``, in transactions of the same size and
durability: reading and computing count against ours. Both write the same rows, which is checked.

Run ``python -m benchmarks backfill [--quick]``. ``vs_core`` is ours to Core in time; at most 3.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Table, select

from benchmarks.measure import emit, say
from config.catalogue import GpuCatalogue
from config.platforms import PlatformCatalogue
from gpuscout.market.backfill import ROWS_A_WRITE, Backfill
from storage import migrate
from storage import tables as t
from storage.engine import Database
from storage.market import MarketStore
from storage.state import AppState

VS_CORE = 3.0
GPUS = ("RTX 4090", "RTX 3090", "H100 SXM", "A100 SXM4 80GB", "RTX A6000", "L40S")
PLATFORMS = ("vast.ai", "runpod", "lambda", "hyperstack", "massed compute")
TIERS = ("on_demand", "spot", "community", "secure")
FIRST = datetime(2024, 1, 1, tzinfo=UTC)
TABLES = (t.rollup_hour, t.rollup_day)


def write_file(path: Path, rows: int) -> None:
    """A shuffled file: each series has one price an hour."""
    series = [(platform, gpu, tier) for platform in PLATFORMS for gpu in GPUS for tier in TIERS]
    lines = []
    for number in range(rows):
        platform, gpu, tier = series[number % len(series)]
        at = FIRST + timedelta(hours=number // len(series), minutes=17)
        price = 0.3 + number % 97 / 100
        lines.append(
            f"{at:%Y-%m-%dT%H:%M:%SZ},{platform},{gpu},{tier},{price:.2f},{price * 0.8:.3f},{price * 1.2:.3f},made"
        )
    random.Random(1).shuffle(lines)
    path.write_text("\n".join(["timestamp,platform,gpu,tier,price,price_p10,price_p90,source", *lines, ""]))


async def ours(url: str, path: Path) -> float:
    """Seconds of a whole load."""
    db = Database(url)
    try:
        backfill = Backfill(MarketStore(db), AppState(db), GpuCatalogue.load(), PlatformCatalogue.load())
        begun = time.perf_counter()
        await backfill.load([path])
        return time.perf_counter() - begun
    finally:
        await db.close()


async def core(url: str, rolled: dict[Table, list[dict[str, Any]]]) -> float:
    """Seconds of inserting the same rollups."""
    db = Database(url)
    try:
        begun = time.perf_counter()
        for table, rows in rolled.items():
            for first in range(0, len(rows), ROWS_A_WRITE):
                async with db.write() as conn:
                    await conn.execute(table.insert(), rows[first : first + ROWS_A_WRITE])
        return time.perf_counter() - begun
    finally:
        await db.close()


async def rollups(url: str) -> dict[Table, list[dict[str, Any]]]:
    """Everything that is rolled up, in the order of the tables."""
    db = Database(url)
    found = {}
    try:
        async with db.read() as conn:
            for table in TABLES:
                rows = await conn.execute(select(table).order_by(*table.primary_key))
                found[table] = [dict(row) for row in rows.mappings()]
    finally:
        await db.close()
    return found


async def copy_series(url: str, other: str) -> None:
    """The series of one database into another: the bare way need not make them."""
    source, target = Database(url), Database(other)
    try:
        async with source.read() as conn:
            rows = [dict(row) for row in (await conn.execute(select(t.series))).mappings()]
        async with target.write() as conn:
            await conn.execute(t.series.insert(), rows)
    finally:
        await source.close()
        await target.close()


async def run(quick: bool) -> None:
    """SQLite; the median of a few rounds, each way in its turn."""
    count, rounds = (36_000, 3) if quick else (300_000, 5)
    with tempfile.TemporaryDirectory(prefix="gpuscout-bench-") as name:
        folder = Path(name)
        file, empty = folder / "history.csv", folder / "empty.db"
        write_file(file, count)
        await migrate.upgrade(f"sqlite+aiosqlite:///{empty}")
        times: dict[str, list[float]] = {"ours": [], "core": []}
        for number in range(rounds):
            urls = {}
            for way in times:
                path = folder / f"{way}{number}.db"
                shutil.copyfile(empty, path)
                urls[way] = f"sqlite+aiosqlite:///{path}"
            times["ours"].append(await ours(urls["ours"], file))
            expected = await rollups(urls["ours"])
            await copy_series(urls["ours"], urls["core"])
            times["core"].append(await core(urls["core"], expected))
            if await rollups(urls["core"]) != expected:
                raise RuntimeError("the two ways stored different rollups")
            say(f"round {number + 1}: ours {times['ours'][-1]:.2f} s, core {times['core'][-1]:.2f} s")
        stored = sum(map(len, expected.values()))
    took = {way: statistics.median(seconds) for way, seconds in times.items()}
    ratio = statistics.median(a / b for a, b in zip(times["ours"], times["core"], strict=True))
    emit("backfill.sqlite.rows_per_second", count / took["ours"], "rows/s")
    emit("backfill.sqlite.rollups_per_second", stored / took["ours"], "rollups/s")
    emit("backfill.sqlite.core_rollups_per_second", stored / took["core"], "rollups/s")
    emit("backfill.sqlite.vs_core", ratio, "ratio", VS_CORE, ratio)


def main(quick: bool = False) -> None:
    """Runs it and prints JSON lines; ``quick`` loads a smaller file less often."""
    asyncio.run(run(quick))
