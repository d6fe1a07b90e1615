"""Loaded history beside the live market: each keeps to its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from config.catalogue import GpuCatalogue
from config.platforms import PlatformCatalogue
from gpuscout.market.backfill import Backfill
from gpuscout.market.models import Freshness, HistoryOnly, MarketUnavailable, SeriesKey
from storage import tables as t
from storage.engine import Database
from tests.market.helpers import FakeClock, model_v1
from tests.market.history_files import sample_lines, write_csv
from tests.market.test_ingest import STEP, Desk, make_desk

START = datetime(2026, 11, 20, 0, 2, tzinfo=UTC)


@pytest.fixture
def desk(db: Database) -> Desk:
    return make_desk(db, FakeClock(START))


async def load(desk: Desk, path: Path) -> object:
    backfill = Backfill(desk.store, desk.state, GpuCatalogue.load(), PlatformCatalogue.load(), clock=desk.clock)
    report = await backfill.load([path])
    desk.reader.invalidate()
    return report


def line(at: datetime, price: float) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ},vast,RTX 4090,,,on_demand,{price},,,,,,,,,archive"


async def rolled(desk: Desk) -> dict[int, tuple[float, int]]:
    """Price and samples of the days of Vast.ai's RTX 4090."""
    query = (
        select(t.rollup_day.c.ts, t.rollup_day.c.price, t.rollup_day.c.samples)
        .join(t.series, t.series.c.id == t.rollup_day.c.series_id)
        .where(t.series.c.gpu == "rtx-4090", t.series.c.verification == "any")
    )
    async with desk.db.read() as conn:
        return {row.ts: (row.price, row.samples) for row in await conn.execute(query)}


async def test_live_rollups_stay_and_holes_are_filled(desk: Desk, tmp_path: Path) -> None:
    for _ in range(48):
        await desk.poll(model_v1("RTX 4090", 30, 20, 0.33))
        desk.clock.forward(hours=1)
    await desk.trends.run()
    before = await rolled(desk)
    assert len(before) == 1  # yesterday is rolled up when a later quote is there
    desk.clock.forward(days=1)
    days = [START - timedelta(days=3), START, START + timedelta(days=1)]

    await load(desk, write_csv(tmp_path / "history.csv", [line(day, 0.9) for day in days]))

    after = await rolled(desk)
    old = int(days[0].timestamp()) // 86400 * 86400
    assert {ts: row for ts, row in after.items() if ts != old} == before
    assert after[old] == (0.9, 1)
    # Rollups go on as ever: what was loaded is never rolled up again from raw quotes.
    await desk.poll(model_v1("RTX 4090", 30, 20, 0.33))
    await desk.trends.run()
    final = await rolled(desk)
    assert final[old] == (0.9, 1) and len(final) == 3
    assert {price for ts, (price, _) in final.items() if ts != old} == {0.33}


async def test_a_place_with_history_alone_is_said_to_be_one(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(MarketUnavailable):
        await desk.reader.price("rtx-4090", platform="runpod")
    await load(desk, write_csv(tmp_path / "history.csv", sample_lines()))

    with pytest.raises(HistoryOnly) as nothing_live:
        await desk.reader.price("rtx-4090", platform="runpod", tier="community")
    assert nothing_live.value.key == SeriesKey("runpod", "rtx-4090", tier="community")
    assert nothing_live.value.last_seen == datetime(2026, 3, 12, tzinfo=UTC)
    await desk.poll(model_v1("RTX 4090", 30, 20, 0.33))
    with pytest.raises(HistoryOnly) as error:
        await desk.reader.price("rtx-4090", platform="runpod")
    assert error.value.alternatives == ("vast",) and error.value.key.tier == "on-demand"
    assert (await desk.reader.price("rtx-4090")).platform == "vast"

    view = await desk.reader.last_known("rtx-4090", platform="runpod", tier="secure")
    assert view.quote.price == pytest.approx(0.60) and view.freshness is Freshness.UNAVAILABLE
    assert view.quote.utilization is None and not view.quote.sized and view.source == "scraper"
    assert {"aws", "lambda", "runpod", "vast"} <= set(await desk.reader.stored_platforms())
    stored = await desk.reader.stored_series("rtx-4090")
    assert [s.key.tier for s in stored if s.key.platform == "runpod"] == ["on-demand", "spot", "community", "secure"]


async def test_days_stand_for_hours_that_lie_far_apart(desk: Desk, tmp_path: Path) -> None:
    days = [START - timedelta(days=40 - n, hours=1) for n in range(30)]
    await load(desk, write_csv(tmp_path / "daily.csv", [line(day, 0.4) for day in days]))
    key = SeriesKey("vast", "rtx-4090")
    history = await desk.reader.history(key, START - timedelta(days=60), START - timedelta(days=10), 500)
    assert (history.tier, len(history.points)) == ("day", 30)
    assert not [gap for gap in history.gaps if gap[1] < days[-1].timestamp()]
    assert history.step > STEP
