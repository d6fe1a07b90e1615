"""Loading history: what is stored, whatever the order, the form and the number of loads."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from config.catalogue import GpuCatalogue
from config.platforms import PlatformCatalogue
from gpuscout.market import backfill as backfill_module
from gpuscout.market.backfill import Backfill, BackfillReport, RejectedRow
from gpuscout.market.history import read_history
from gpuscout.market.history_file import HistoryFileError
from gpuscout.market.models import HistoryTier, SeriesKey
from storage import tables as t
from storage.engine import Database
from storage.market import SERIES_COLUMNS, MarketStore
from storage.state import AppState
from tests.market.helpers import FakeClock
from tests.market.history_files import BAD, sample_lines, write_csv, write_json

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
Row = tuple[Any, ...]


def make_backfill(db: Database) -> Backfill:
    clock = FakeClock(NOW)
    return Backfill(
        MarketStore(db), AppState(db, clock=clock), GpuCatalogue.load(), PlatformCatalogue.load(), clock=clock
    )


async def tables(db: Database) -> dict[str, list[Row]]:
    """Rollups with the names of their series and sources, so that databases can be compared whatever their ids."""
    found = {}
    async with db.read() as conn:
        sources = {row.id: row.slug for row in await conn.execute(select(t.source))}
        for table in (t.rollup_hour, t.rollup_day):
            names = [t.series.c[name] for name in SERIES_COLUMNS]
            values = [column for column in table.c if column.name not in ("series_id", "source_id")]
            query = select(*names, *values, table.c.source_id).join(t.series, t.series.c.id == table.c.series_id)
            rows = [(*row[:-1], sources[row[-1]]) for row in await conn.execute(query)]
            found[table.name] = sorted(rows, key=lambda row: tuple(map(str, row)))
    return found


async def day_rows(db: Database, **series: str) -> list[Any]:
    """Daily rollups of the one series that fits."""
    query = select(t.rollup_day).join(t.series, t.series.c.id == t.rollup_day.c.series_id).order_by(t.rollup_day.c.ts)
    for name, value in series.items():
        query = query.where(t.series.c[name] == value)
    async with db.read() as conn:
        return list(await conn.execute(query))


async def loaded(db: Database, path: Path, **options: Any) -> BackfillReport:
    return await make_backfill(db).load([path], **options)


async def test_rows_become_series_that_are_never_blended(db: Database, tmp_path: Path) -> None:
    report = await loaded(db, write_csv(tmp_path / "history.csv", sample_lines()))

    assert (report.read, report.rejected.total(), report.outliers) == (20, 0, 1)
    async with db.read() as conn:
        keys = {tuple(row) for row in await conn.execute(select(*(t.series.c[name] for name in SERIES_COLUMNS)))}
    assert {key[3]: key for key in keys if key[0] == "runpod"} == {
        "community": ("runpod", "rtx-4090", "global", "community", "any", "any"),
        "secure": ("runpod", "rtx-4090", "global", "secure", "any", "any"),
        "on-demand": ("runpod", "rtx-4090", "global", "on-demand", "any", "any"),
        "spot": ("runpod", "rtx-4090", "global", "spot", "any", "any"),
    }
    prices = {tier: (await day_rows(db, platform="runpod", tier=tier))[0].price for tier in ("community", "secure")}
    # A region column that names the cloud is the tier: 0.59 and 0.61 are both secure.
    assert prices == {"community": 0.34, "secure": pytest.approx(0.60)}
    # Spot stands beside on-demand; a price for several regions holds in each; the mixed H100 stays a family.
    assert [row.price for row in await day_rows(db, platform="aws", tier="spot")] == [pytest.approx(1.65)]
    assert {key[2] for key in keys if key[1] == "h200-sxm"} == {"Tokyo, Japan", "Germany"}
    assert {key[1] for key in keys if key[0] == "lambda" and key[2] == "Washington DC, USA"} == {"h100", "h100-sxm"}
    assert ("dc-gnu", "x-frobnicator-9000", "global", "on-demand", "any", "any") in keys
    assert report.unknown == ["Frobnicator 9000 (x-frobnicator-9000)"]


async def test_sides_of_a_quote_come_together_and_price_only_history_has_no_utilization(
    db: Database, tmp_path: Path
) -> None:
    await loaded(db, write_csv(tmp_path / "history.csv", sample_lines()))

    (row,) = await day_rows(db, platform="vast", gpu="rtx-4090", verification="any")
    assert (row.price, row.p10, row.p90, row.rented_price, row.available_price) == (0.335, 0.26, 0.43, 0.33, 0.35)
    assert (row.rented, row.total, row.samples) == (2402, 4986, 1)
    (verified,) = await day_rows(db, platform="vast", gpu="rtx-4090", verification="verified")
    assert (verified.price, verified.rented_price, verified.total) == (None, 0.33, 0)
    (bare,) = await day_rows(db, platform="primeintellect")
    assert (bare.price, bare.p10, bare.p90, bare.rented, bare.total, bare.utilization) == (1.64, 1.35, 1.65, 0, 0, None)
    store = MarketStore(db)
    start = datetime(2025, 10, 1, tzinfo=UTC)
    key = SeriesKey("primeintellect", "a100-pcie-80gb")
    history = await read_history(store, key, start, start + timedelta(days=300), 100, timedelta(minutes=15))
    assert [(point.price, point.utilization) for point in history.points] == [(1.64, None)]
    assert history.source == "prime" and list(history.sources.values()) == ["prime"]


async def test_an_absurd_ask_counts_as_a_sample_and_leaves_the_price_alone(db: Database, tmp_path: Path) -> None:
    await loaded(db, write_csv(tmp_path / "history.csv", sample_lines()))
    rows = await day_rows(db, platform="vast", gpu="rtx-5090", region="DE")
    assert [(row.price, row.price_max, row.samples) for row in rows] == [
        (0.42, 0.42, 1),
        (0.44, 0.44, 1),
        (0.43, 0.43, 2),
    ]


async def test_shuffled_and_twice_the_tables_are_the_same(
    db: Database, tmp_path: Path, make_database: Callable[[str], Database]
) -> None:
    lines = sample_lines()
    ordered = make_database("ordered")
    await loaded(ordered, write_csv(tmp_path / "history.csv", lines))
    expected = await tables(ordered)
    mixed = lines * 2
    random.Random(7).shuffle(mixed)

    first = await loaded(db, write_csv(tmp_path / "mixed.csv.gz", mixed))
    version = await AppState(db).version("market")
    assert await tables(db) == expected and first.version == version
    again = await loaded(db, tmp_path / "mixed.csv.gz", again=True)
    assert await tables(db) == expected
    assert again.stored.total() == 0 and again.kept.total() == first.stored.total()
    assert again.version is None and await AppState(db).version("market") == version
    skipped = await loaded(db, tmp_path / "mixed.csv.gz")
    assert skipped.skipped == [("mixed.csv.gz", NOW)] and skipped.read == 0


@pytest.mark.parametrize("array", [True, False])
async def test_json_says_the_same_as_csv(tmp_path: Path, array: bool, make_database: Callable[[str], Database]) -> None:
    csv_db, json_db = make_database("a"), make_database("b")
    await loaded(csv_db, write_csv(tmp_path / "history.csv", sample_lines()))
    await loaded(json_db, write_json(tmp_path / "history.json", sample_lines(), array=array))
    assert await tables(json_db) == await tables(csv_db)


async def test_each_rejected_row_has_its_line_and_reason(sqlite_db: Database, tmp_path: Path) -> None:
    good = sample_lines()
    lines = [good[0], *(line for line, _ in BAD), *good[1:]]
    seen: list[RejectedRow] = []
    report = await loaded(sqlite_db, write_csv(tmp_path / "bad.csv", lines), on_reject=seen.append)

    assert [(row.line, row.reason) for row in seen] == [(3 + i, reason) for i, (_, reason) in enumerate(BAD)]
    assert all(row.file == "bad.csv" for row in seen)
    assert report.read == len(lines) and report.rejected.total() == len(BAD) == len(report.first_rejected)
    assert len(await day_rows(sqlite_db, platform="runpod")) == 4


async def test_the_day_that_is_not_over_is_left_for_tomorrow(sqlite_db: Database, tmp_path: Path) -> None:
    lines = [
        f"{at:%Y-%m-%dT%H:%M:%SZ},runpod,RTX 4090,,,community,0.3,,,,,,,,,x"
        for at in (NOW - timedelta(hours=13), NOW - timedelta(hours=1))
    ]
    report = await loaded(sqlite_db, write_csv(tmp_path / "new.csv", lines))
    assert dict(report.rejected) == {"its day (UTC) is not over: load it again tomorrow": 1}
    assert len(await day_rows(sqlite_db, platform="runpod")) == 1


async def test_a_load_that_was_stopped_goes_on_where_it_was(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_database: Callable[[str], Database]
) -> None:
    path = write_csv(tmp_path / "history.csv", sample_lines())
    undisturbed = make_database("undisturbed")
    await loaded(undisturbed, path)
    monkeypatch.setattr(backfill_module, "ROWS_A_WRITE", 3)
    backfill = make_backfill(db)
    write, batches = backfill._write_batch, 0

    async def until_the_power_fails(*args: Any) -> None:
        nonlocal batches
        batches += 1
        if batches == 4:
            raise ConnectionError("the power is gone")
        await write(*args)

    monkeypatch.setattr(backfill, "_write_batch", until_the_power_fails)
    with pytest.raises(ConnectionError):
        await backfill.load([path])
    stopped = await tables(db)
    report = await loaded(db, path)

    assert report.resumed > 0 and report.kept.total() == 0
    assert await tables(db) == await tables(undisturbed) != stopped
    async with db.read() as conn:
        records = (await conn.execute(select(t.backfill_file))).all()
    assert [(row.name, row.finished_at, row.rows_read) for row in records] == [("history.csv", NOW, 20)]


async def test_several_files_count_as_one(tmp_path: Path, make_database: Callable[[str], Database]) -> None:
    whole, parts = make_database("a"), make_database("b")
    lines = sample_lines()
    await loaded(whole, write_csv(tmp_path / "whole.csv", lines))
    paths = [write_csv(tmp_path / f"{i}.csv", lines[i::3]) for i in range(3)]
    report = await make_backfill(parts).load([paths[2], paths[0], paths[1], paths[0]])
    assert report.read == 20 and await tables(parts) == await tables(whole)


async def test_files_that_are_no_history_are_refused_whole(sqlite_db: Database, tmp_path: Path) -> None:
    good = write_csv(tmp_path / "good.csv.gz", sample_lines())
    cases = {
        "empty.csv": (b"", "is empty"),
        "columns.csv": (b"a,b\n1,2\n", "has no column for timestamp, platform, gpu, price"),
        "cut.csv.gz": (good.read_bytes()[:-40], "is damaged"),
    }
    for name, (data, problem) in cases.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(HistoryFileError, match=problem):
            await make_backfill(sqlite_db).load([good, path])
    assert await tables(sqlite_db) == {"rollup_hour": [], "rollup_day": []}


async def test_only_headline_series_have_hours(sqlite_db: Database, tmp_path: Path) -> None:
    await loaded(sqlite_db, write_csv(tmp_path / "history.csv", sample_lines()))
    hours = (await tables(sqlite_db))["rollup_hour"]
    assert {row[2] for row in hours} == {"global"} and {row[0] for row in hours} >= {"runpod", "vast"}
    key, start = SeriesKey("runpod", "rtx-4090", tier="secure"), datetime(2026, 3, 10, tzinfo=UTC)
    history = await read_history(
        MarketStore(sqlite_db), key, start, start + timedelta(days=3), 100, timedelta(minutes=15)
    )
    assert history.tier is HistoryTier.HOUR and [point.price for point in history.points] == [pytest.approx(0.6)]
