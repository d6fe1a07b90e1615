"""What docs/methodology.md promises, where it is easiest to break: gaps, late data, lasting changes, wrong clocks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from gpuscout.market.history import read_history
from gpuscout.market.ingest import NOTICE_JOB
from gpuscout.market.models import Freshness, HistoryTier, SeriesKey, freshness
from gpuscout.market.trends import set_rolled_until
from storage import tables as t
from storage.engine import Database
from tests.market.helpers import FakeClock, document, model_v1, model_v2
from tests.market.test_ingest import STEP, Desk, make_desk

START = datetime(2026, 11, 20, 0, 2, tzinfo=UTC)
HEADLINE = SeriesKey("vast", "rtx-4090")


@pytest.fixture
async def desk(db: Database) -> AsyncIterator[Desk]:
    yield make_desk(db, FakeClock(START))


@pytest.fixture
async def lite(sqlite_db: Database) -> AsyncIterator[Desk]:
    """On SQLite only, for what does not depend on the database."""
    yield make_desk(sqlite_db, FakeClock(START))


async def rollups(desk: Desk, table: Any, key: SeriesKey = HEADLINE) -> dict[int, Any]:
    series_id = await desk.store.find_series(
        (key.platform, key.gpu, key.region, key.tier, key.verification, key.segment)
    )
    async with desk.db.read() as conn:
        rows = await conn.execute(select(table).where(table.c.series_id == series_id))
        return {row.ts: row for row in rows}


def ts(at: datetime) -> int:
    return int(at.timestamp())


# --- changes ---


async def test_a_change_is_never_measured_over_a_gap(lite: Desk) -> None:
    """Nothing was seen a day ago, within the hour: the rest of that day says nothing about then."""
    for hours in range(8):
        await lite.poll(model_v1("RTX 4090", 20, 30, 0.30 + hours / 100))
        lite.clock.forward(hours=1)
    lite.clock.forward(hours=24)  # the window's start now lies two hours after the last of them
    lite.clock.forward(hours=1)
    await lite.poll(model_v1("RTX 4090", 30, 20, 0.60))
    await lite.trends.run()
    assert await rollups(lite, t.rollup_day)
    change = (await lite.reader.price("rtx-4090")).changes["24h"]
    assert (change.price_then, change.price_ratio, change.utilization_points) == (None, None, None)


async def test_a_change_of_counts_is_told_although_the_price_then_was_flagged(lite: Desk) -> None:
    for _ in range(3):
        await lite.poll(model_v1("RTX 4090", 20, 30, 0.30))
        lite.clock.forward(days=1)
    await lite.trends.roll_days()
    await lite.poll(model_v1("RTX 4090", 20, 30, 9.0))
    lite.clock.forward(days=1)
    await lite.poll(model_v1("RTX 4090", 30, 20, 0.30))
    change = (await lite.reader.price("rtx-4090")).changes["24h"]
    assert change.price_ratio is None and change.utilization_points == pytest.approx(0.2)


async def test_a_change_uses_the_rollup_that_covers_the_start_where_quotes_are_gone(desk: Desk) -> None:
    for hours in range(24 * 9):
        await desk.poll(model_v1("RTX 4090", 20, 30, round(0.30 + hours / 1000, 3)))
        desk.clock.forward(hours=1)
    await desk.trends.run()
    changes = (await desk.reader.price("rtx-4090")).changes
    # The newest quote is number 215; seven days before it is number 47, which only a rollup tells.
    assert changes["7d"].price_then == pytest.approx(0.347)
    assert changes["24h"].price_then == pytest.approx(0.30 + 191 / 1000)


# --- history ---


async def test_a_day_long_ago_is_read_from_rollups(desk: Desk) -> None:
    for _ in range(24 * 5):
        await desk.poll(model_v1("RTX 4090", 20, 30, 0.30))
        desk.clock.forward(hours=1)
    await desk.trends.run()
    history = await read_history(desk.store, HEADLINE, START, START + timedelta(hours=24), 500, STEP)
    assert history.tier is HistoryTier.HOUR and len(history.points) == 25 and not history.gaps
    newest = await read_history(
        desk.store, HEADLINE, desk.clock.now - timedelta(hours=24), desk.clock.now, 500, timedelta(hours=1)
    )
    assert newest.tier is HistoryTier.RAW and len(newest.points) == 24


# --- outliers ---


async def test_a_lasting_change_is_the_price_after_half_of_the_window(desk: Desk) -> None:
    async def day(price: float) -> bool:
        """Whether the day's last quote is flagged."""
        for _ in range(4):
            await desk.poll(model_v1("RTX 4090", 20, 30, price))
            await desk.trends.roll_days()
            desk.clock.forward(hours=6)
        return (await desk.reader.rows_behind(HEADLINE))[0].outlier

    desk.trends._retention = timedelta(days=14)
    for _ in range(14):
        assert not await day(0.40)
    assert [await day(4.0) for _ in range(9)] == [True] * 7 + [False] * 2


# --- late data, and work that runs beside other work ---


async def test_a_late_update_while_its_hour_is_rolled_up_is_not_lost(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(8):
        await desk.poll(model_v1("RTX 4090", 20, 30, 0.30))
        desk.clock.forward(minutes=15)
    read, late = desk.store.raw_for_rollup, [START + timedelta(minutes=20)]

    async def read_then_late(*args: Any) -> Any:
        rows = await read(*args)
        if late:
            desk.source.answers = {"v1": document(late.pop(), model_v1("RTX 4090", 20, 30, 0.90))}
            await desk.ingest.run()
        return rows

    monkeypatch.setattr(desk.store, "raw_for_rollup", read_then_late)
    await desk.trends.roll_hours()
    row = (await rollups(desk, t.rollup_hour))[ts(START) - 120]
    assert (row.samples, row.price_max) == (5, 0.90)


async def test_late_updates_do_not_rewrite_what_quotes_are_purged_of(desk: Desk) -> None:
    for _ in range(24 * 5):
        await desk.poll(model_v1("RTX 4090", 20, 30, 0.30))
        desk.clock.forward(hours=1)
    await desk.trends.run()
    before = await rollups(desk, t.rollup_hour), await rollups(desk, t.rollup_day)
    now = desk.clock.now
    for minutes in (5, 65, 20):
        late = START + timedelta(hours=3, minutes=minutes)
        desk.source.answers = {"v1": document(late, model_v1("RTX 4090", 20, 30, 0.90))}
        await desk.ingest.run()
    desk.clock.now = now
    await desk.trends.run()
    assert (await rollups(desk, t.rollup_hour), await rollups(desk, t.rollup_day)) == before


async def test_backfilled_rollups_stay(desk: Desk) -> None:
    await desk.poll(model_v1("RTX 4090", 20, 30, 0.30))
    series_id = await desk.store.find_series(("vast", "rtx-4090", "global", "on-demand", "any", "any"))
    hour = ts(START) - 120
    async with desk.db.write() as conn:
        rows = [
            dict.fromkeys(column.name for column in t.rollup_hour.c)
            | {"series_id": series_id, "ts": hour - 3600, "samples": 4, "price": 0.25, "rented": 1.0, "total": 2.0}
        ]
        await desk.store.store_rollups(conn, "hour", rows)
        await set_rolled_until(desk.state, conn, hour, hour - hour % 86400)
    desk.source.answers = {"v1": document(START - timedelta(minutes=30), model_v1("RTX 4090", 20, 30, 0.90))}
    await desk.ingest.run()
    desk.clock.forward(hours=2)
    await desk.poll(model_v1("RTX 4090", 20, 30, 0.30))
    await desk.trends.run()
    assert (await rollups(desk, t.rollup_hour))[hour - 3600].price == 0.25


async def test_a_long_silence_costs_no_work(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await desk.poll(model_v1("RTX 4090", 20, 30, 0.30))
    desk.clock.forward(hours=2)
    await desk.poll(model_v1("RTX 4090", 20, 30, 0.30))
    await desk.trends.run()
    desk.clock.forward(days=90)
    await desk.poll(model_v1("RTX 4090", 20, 30, 0.30))
    desk.clock.forward(hours=2)
    await desk.poll(model_v1("RTX 4090", 20, 30, 0.30))
    version = await desk.state.version("market")
    assert (await desk.trends.run())["hours"] == 2
    assert await desk.state.version("market") - version <= 4
    assert len(await rollups(desk, t.rollup_hour)) == 3


async def test_no_outage_and_no_wrong_clock_takes_the_last_two_days_away(desk: Desk) -> None:
    for _ in range(24 * 4):
        await desk.poll(model_v1("RTX 4090", 20, 30, 0.30))
        desk.clock.forward(hours=1)
    desk.clock.forward(days=400)
    await desk.trends.run()
    oldest, newest = await desk.store.oldest_raw(), await desk.store.newest_source_time()
    assert oldest is not None and newest is not None and newest - oldest >= 48 * 3600


# --- names ---


def test_data_are_hidden_after_four_hours_however_long_the_interval() -> None:
    assert freshness(START, START + timedelta(hours=4, seconds=1), timedelta(hours=6)) is Freshness.UNAVAILABLE
    assert freshness(START, START + timedelta(hours=4), timedelta(hours=6)) is Freshness.FRESH


async def test_two_spellings_of_one_model_are_never_mixed(lite: Desk) -> None:
    # The first spelling has more GPUs in all, the second more verified ones.
    report = await lite.poll(
        model_v1("RTX 4090", 40, 20, 0.30, verified=1),
        model_v1("NVIDIA GeForce RTX 4090", 30, 20, 0.90),
    )
    quotes = await lite.reader.quotes(gpu="rtx-4090", segments=True)
    assert {quote.price for quote in quotes} == {0.30}
    assert report.stored == 3 and sum(report.rejected.values()) == 1
    [sample] = await lite.store.rejected_samples()
    assert sample.sample == '"NVIDIA GeForce RTX 4090"'


async def test_both_documents_choose_the_same_spelling(lite: Desk) -> None:
    await lite.poll(
        model_v1("RTX 4090", 40, 20, 0.30),
        model_v1("GeForce RTX 4090", 40, 20, 0.90),
        v2=(
            model_v2("RTX 4090", (True, "8+", True, 40, 20, 0.30)),
            model_v2("GeForce RTX 4090", (True, "8+", True, 40, 20, 0.90)),
        ),
    )
    quotes = await lite.reader.quotes(gpu="rtx-4090", segments=True)
    assert len({quote.price for quote in quotes if quote.all.count}) == 1


async def test_a_name_no_database_takes_stops_nothing(desk: Desk) -> None:
    report = await desk.poll(
        model_v1("RTX 4090", 40, 20, 0.30),
        model_v1("RTX\x004090", 30, 20, 0.90),
        model_v1("Card\x00 9", 3, 2, 0.5),
    )
    assert report.stored == 6
    assert [row.name for row in await desk.store.unknown_names()] == ["Card 9"]


# --- the cycle ---


async def test_the_second_of_a_quote_is_not_ahead_of_the_source(lite: Desk) -> None:
    at = datetime(2026, 11, 20, 10, 59, 59, 999_600, tzinfo=UTC)
    lite.clock.now = at
    await lite.poll(model_v1("RTX 4090", 40, 20, 0.30))
    assert (await lite.reader.price("rtx-4090")).quote.at == at.replace(microsecond=0)
    assert await lite.job_payloads("market.rollup") == [{"until": ts(at) - 3599}]


async def test_what_could_not_be_stored_is_asked_for_again(lite: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    forgotten: list[bool] = []
    monkeypatch.setattr(lite.source, "forget", lambda: forgotten.append(True))

    async def full(*_: object) -> int:
        raise RuntimeError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(lite.store, "store_update", full)
        with pytest.raises(RuntimeError):
            await lite.poll(model_v1("RTX 4090", 40, 20, 0.30))
    assert forgotten == [True]
    await lite.poll(model_v1("RTX 4090", 40, 20, 0.30))
    assert forgotten == [True]


async def test_the_operator_is_told_in_the_cycle_that_completes_thirty_minutes(lite: Desk) -> None:
    fetch = lite.source.fetch

    async def slow_at_first(now: datetime) -> Any:
        # The first failing cycle spends its retries; later ones end at the open breaker.
        if not slow_at_first.done:  # type: ignore[attr-defined]
            lite.clock.forward(seconds=95)
        slow_at_first.done = True  # type: ignore[attr-defined]
        return await fetch(now)

    slow_at_first.done = False  # type: ignore[attr-defined]
    lite.source.fetch = slow_at_first  # type: ignore[method-assign]
    lite.source.answers = {"v1": "cannot be reached"}
    begun = lite.clock.now
    for cycle in range(3):
        lite.clock.now = begun + cycle * STEP
        await lite.ingest.run()
    [notice] = await lite.job_payloads(NOTICE_JOB)
    assert notice["since"] == begun.isoformat()


async def test_the_number_of_series_is_that_of_both_documents(lite: Desk) -> None:
    models = model_v1("RTX 4090", 30, 20, 0.33), model_v2("RTX 4090", (True, "8+", True, 20, 4, 0.45))
    await lite.poll(models[0], v2=(models[1],))
    lite.clock.forward(minutes=15)
    lite.source.answers = {"v1": document(lite.clock.now, models[0]), "v2": None}
    await lite.ingest.run()
    [status] = await lite.reader.sources()
    assert status.series == 4
