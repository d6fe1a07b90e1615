from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from config.catalogue import GpuCatalogue
from config.platforms import PlatformCatalogue
from gpuscout.market.history import read_history
from gpuscout.market.ingest import NOTICE_JOB, ROLLUP_JOB, Ingest
from gpuscout.market.models import (
    Freshness,
    MarketUnavailable,
    QuoteFlag,
    SeriesKey,
    UnknownSeries,
)
from gpuscout.market.reader import MarketReader
from gpuscout.market.trends import Trends
from storage import tables as t
from storage.cache import MemoryCache
from storage.engine import Database
from storage.jobs import JobStore
from storage.market import MarketStore
from storage.state import AppState
from tests.market.helpers import FakeClock, ScriptedSource, document, dump_rows, model_v1, model_v2

START = datetime(2026, 11, 20, 0, 2, tzinfo=UTC)
STEP = timedelta(minutes=15)
SHARED = Path(os.environ.get("GPUSCOUT_SHARED", Path(__file__).parents[3] / "shared"))
RECORDED = SHARED / "data" / "500farm_gpu_stats_2025-12-07.json"


@dataclass
class Desk:
    """The market's rooms around one database."""

    db: Database
    clock: FakeClock
    source: ScriptedSource
    ingest: Ingest
    reader: MarketReader
    trends: Trends
    store: MarketStore
    state: AppState

    async def poll(self, *models: object, v2: tuple[object, ...] = ()) -> object:
        self.source.answers = {"v1": document(self.clock.now, *models)}
        if v2:
            self.source.answers["v2"] = document(self.clock.now, *v2)
        report = await self.ingest.run()
        self.reader.invalidate()
        return report

    async def count(self, table: object) -> int:
        async with self.db.read() as conn:
            return (await conn.execute(select(func.count()).select_from(table))).scalar_one()

    async def job_payloads(self, kind: str) -> list[dict[str, object]]:
        async with self.db.read() as conn:
            rows = await conn.execute(select(t.job.c.payload).where(t.job.c.kind == kind).order_by(t.job.c.id))
            return [row.payload for row in rows]


def make_desk(db: Database, clock: FakeClock) -> Desk:
    state, store = AppState(db, clock=clock), MarketStore(db)
    source = ScriptedSource()
    gpus = GpuCatalogue.load()
    ingest = Ingest(source, store, state, JobStore(db, clock=clock), gpus, clock=clock)
    reader = MarketReader(store, state, MemoryCache(), gpus, PlatformCatalogue.load(), interval=STEP, clock=clock)
    trends = Trends(store, state, interval=STEP, retention=timedelta(hours=48), clock=clock)
    return Desk(db, clock, source, ingest, reader, trends, store, state)


@pytest.fixture
async def desk(db: Database) -> AsyncIterator[Desk]:
    yield make_desk(db, FakeClock(START))


async def test_a_cycle_is_stored_and_read_back(desk: Desk) -> None:
    report = await desk.poll(model_v1("RTX 4090", 30, 20, 0.33))
    assert (report.read, report.stored, report.updates, report.problems) == (1, 3, ("v1",), ())
    view = await desk.reader.price("rtx-4090")
    assert view.gpu_name == "RTX 4090" and view.platform == "vast"
    assert (view.quote.rented.count, view.quote.available.count, view.quote.all.count) == (30, 20, 50)
    assert view.quote.price == 0.33 and view.quote.utilization == 0.6
    assert view.host_share == 0.75 and view.host_take == pytest.approx(0.2475)
    assert view.freshness is Freshness.FRESH and not view.simulated
    assert view.source == "500.farm" and view.source_url == "https://500.farm"


async def test_the_same_update_twice_changes_nothing(desk: Desk) -> None:
    models = model_v1("RTX 4090", 30, 20, 0.33)
    await desk.poll(models)
    before = [await desk.count(table) for table in (t.market_update, t.quote, t.series, t.job)]
    version = await desk.state.version("market")
    desk.source.answers["v1"] = document(START, models)
    report = await desk.ingest.run()
    assert report.stored == 0 and report.unchanged == ("v1",)
    assert [await desk.count(table) for table in (t.market_update, t.quote, t.series, t.job)] == before
    assert await desk.state.version("market") == version


async def test_segments_and_tiers_are_never_blended(desk: Desk) -> None:
    await desk.poll(
        model_v1("RTX 4090", 30, 20, 0.33),
        v2=(model_v2("RTX 4090", (True, "8+", True, 20, 4, 0.45), (False, "1-3", False, 10, 16, 0.28)),),
    )
    dear = await desk.reader.price("rtx-4090", verification="verified", segment="dc:8+")
    cheap = await desk.reader.price("rtx-4090", verification="unverified", segment="non-dc:1-3")
    assert (dear.quote.price, dear.quote.all.count) == (0.45, 24)
    assert (cheap.quote.price, cheap.quote.all.count) == (0.28, 26)
    assert [quote.key.segment for quote in dear.segments] == ["non-dc:1-3", "dc:8+"]
    headline = await desk.reader.quotes()
    assert [quote.price for quote in headline] == [0.33]
    assert {q.price for q in await desk.reader.quotes(segments=True) if q.all.count} == {0.33, 0.45, 0.28}


async def test_rejected_items_are_counted_and_sampled(desk: Desk) -> None:
    broken = model_v1("RTX 3090", 30, 20, 0.16)
    broken["stats"]["all"]["all"] = []
    report = await desk.poll(broken, model_v1("RTX 4090", 30, 20, 0.33))
    assert report.stored == 3 and sum(report.rejected.values()) == 1
    [sample] = await desk.store.rejected_samples()
    assert "expected one statistics object" in sample.reason and "RTX 3090" in sample.sample
    [status] = await desk.reader.sources()
    assert status.rejected_last == 1 and status.problem is None


async def test_unknown_names_are_cleaned_kept_and_listed(desk: Desk) -> None:
    hostile = "<@123> **RTX 9090** @everyone"
    await desk.poll(model_v1(hostile, 3, 2, 1.0), model_v1("RTX 4090", 30, 20, 0.33))
    desk.clock.forward(minutes=15)
    await desk.poll(model_v1(hostile, 3, 2, 1.0), model_v1("RTX 4090", 30, 20, 0.33))
    [row] = await desk.store.unknown_names()
    assert row.times == 2 and row.slug.startswith("x-")
    assert not set(row.name) & set("<>@*`")
    known = {slug: name for slug, name, _ in await desk.reader.known_gpus()}
    assert known[row.slug] == row.name
    view = await desk.reader.price(row.slug)
    assert view.quote.thin and view.quote.all.count == 5


async def test_an_absurd_price_is_kept_flagged_and_left_out(desk: Desk) -> None:
    for _ in range(3 * 12):
        await desk.poll(model_v1("RTX 5090", 30, 20, 0.40))
        desk.clock.forward(hours=2)
    await desk.trends.roll_days()
    await desk.poll(model_v1("RTX 5090", 30, 20, 16.0))
    view = await desk.reader.price("rtx-5090")
    assert view.quote.outlier and view.quote.price == 16.0
    assert view.changes["24h"].price_ratio is None and view.changes["24h"].price_then == 0.40
    history = await desk.reader.history(view.quote.key, desk.clock.now - timedelta(hours=24), desk.clock.now)
    assert history.points[-1].price is None and history.points[-1].total == 50
    [row] = [row for row in await desk.reader.rows_behind(view.quote.key) if row.flags & QuoteFlag.OUTLIER]
    assert row.price == 16.0


async def test_changes_compare_with_the_quote_then(desk: Desk) -> None:
    await desk.poll(model_v1("RTX 4090", 20, 30, 0.30))
    desk.clock.forward(hours=24)
    await desk.poll(model_v1("RTX 4090", 30, 20, 0.33))
    changes = (await desk.reader.price("rtx-4090")).changes
    assert changes["24h"].price_ratio == pytest.approx(0.1)
    assert changes["24h"].utilization_points == pytest.approx(0.2)
    assert changes["7d"].price_ratio is None and changes["30d"].price_then is None


async def test_fresh_stale_hidden_and_unknown(desk: Desk) -> None:
    with pytest.raises(MarketUnavailable) as before_first:
        await desk.reader.price("rtx-4090")
    assert before_first.value.last_seen is None
    await desk.poll(model_v1("RTX 4090", 30, 20, 0.33))
    for forward, expected in ((22, Freshness.FRESH), (1, Freshness.STALE), (216, Freshness.STALE)):
        desk.clock.forward(minutes=forward)
        view = await desk.reader.price("rtx-4090")
        assert view.freshness is expected
    assert view.age == timedelta(minutes=239)
    with pytest.raises(UnknownSeries):
        await desk.reader.price("h100-sxm")
    desk.clock.forward(minutes=2)
    with pytest.raises(MarketUnavailable, match="Data temporarily unavailable") as hidden:
        await desk.reader.price("rtx-4090")
    assert hidden.value.last_seen == START
    assert await desk.reader.quotes() == []
    assert len(await desk.reader.quotes(include_hidden=True)) == 1


async def test_a_vanished_model_shows_its_age(desk: Desk) -> None:
    await desk.poll(model_v1("RTX 4090", 30, 20, 0.33), model_v1("RTX 3090", 9, 20, 0.16))
    desk.clock.forward(hours=1)
    await desk.poll(model_v1("RTX 4090", 30, 20, 0.33))
    assert (await desk.reader.price("rtx-3090")).freshness is Freshness.STALE
    desk.clock.forward(hours=3, minutes=1)
    await desk.poll(model_v1("RTX 4090", 30, 20, 0.33))
    with pytest.raises((MarketUnavailable, UnknownSeries)):
        await desk.reader.price("rtx-3090")


async def test_the_operator_is_told_once_and_once_on_recovery(desk: Desk) -> None:
    await desk.poll(model_v1("RTX 4090", 30, 20, 0.33))
    for _ in range(20):
        desk.clock.forward(minutes=15)
        desk.source.answers = {"v1": None}
        await desk.ingest.run()
    [outage] = await desk.job_payloads(NOTICE_JOB)
    assert outage["notice"] == "outage" and "stood still" in str(outage["problem"])
    desk.clock.forward(minutes=15)
    await desk.poll(model_v1("RTX 4090", 30, 20, 0.33))
    desk.clock.forward(minutes=15)
    await desk.poll(model_v1("RTX 4090", 30, 20, 0.33))
    assert [payload["notice"] for payload in await desk.job_payloads(NOTICE_JOB)] == ["outage", "recovered"]


async def test_a_failed_transaction_leaves_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> int:
        raise RuntimeError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(desk.ingest._jobs, "enqueue", broken)
        with pytest.raises(RuntimeError):
            await desk.poll(model_v1("RTX 4090", 30, 20, 0.33))
    assert await desk.count(t.quote) == await desk.count(t.market_update) == await desk.count(t.series) == 0
    assert await desk.state.get("market.watch:500.farm") is None
    assert (await desk.poll(model_v1("RTX 4090", 30, 20, 0.33))).stored == 3


async def _polls(desk: Desk, count: int, minutes: int = 15) -> None:
    for number in range(count):
        await desk.poll(
            model_v1("RTX 4090", 20 + number % 11, 20, round(0.30 + number % 7 / 100, 2)),
            v2=(model_v2("RTX 4090", (True, "8+", True, 20 + number % 11, 20, 0.45)),),
        )
        desk.clock.forward(minutes=minutes)


async def test_rollups_and_purge_keep_what_is_promised(desk: Desk) -> None:
    await _polls(desk, 5 * 24, minutes=60)
    await desk.trends.run()
    oldest = await desk.store.oldest_raw()
    assert oldest is not None
    # 48 hours and no less, cut at a whole day.
    assert datetime.fromtimestamp(oldest, UTC) <= desk.clock.now - timedelta(hours=48)
    assert datetime.fromtimestamp(oldest, UTC) > desk.clock.now - timedelta(hours=73)
    headline = SeriesKey("vast", "rtx-4090")
    segment = SeriesKey("vast", "rtx-4090", verification="verified", segment="dc:8+")
    month = await read_history(desk.store, headline, desk.clock.now - timedelta(days=30), desk.clock.now, 2000, STEP)
    assert not month.gaps and month.missing == 0
    assert len(month.points) >= 5 * 24
    assert min(p.price for p in month.points if p.price) >= 0.30
    daily = await read_history(desk.store, segment, desk.clock.now - timedelta(days=30), desk.clock.now, 2000, STEP)
    assert {point.price for point in daily.points} == {0.45}
    assert daily.points[0].samples == 24


async def test_trends_run_twice_change_nothing(desk: Desk) -> None:
    await _polls(desk, 60, minutes=30)
    await desk.trends.run()
    async with desk.db.read() as conn:
        first = dump_rows((await conn.execute(select(t.rollup_hour).order_by("series_id", "ts"))).all())
    async with desk.db.write() as conn:
        await desk.state.delete("market.rolled_until", conn=conn)
    await desk.trends.run()
    async with desk.db.read() as conn:
        again = dump_rows((await conn.execute(select(t.rollup_hour).order_by("series_id", "ts"))).all())
    assert again == first and len(first) > 80


async def test_a_gap_stays_a_gap(desk: Desk) -> None:
    await _polls(desk, 8)
    desk.clock.forward(hours=6)
    await _polls(desk, 8)
    await desk.trends.run()
    now = desk.clock.now
    day = await read_history(desk.store, SeriesKey("vast", "rtx-4090"), now - timedelta(hours=24), now, 500, STEP)
    [gap] = day.gaps
    assert gap[1] - gap[0] == 6 * 3600 + 900
    assert day.missing == 24
    week = await read_history(desk.store, SeriesKey("vast", "rtx-4090"), now - timedelta(days=7), now, 500, STEP)
    assert len(week.gaps) == 1 and week.missing == 6


async def test_a_late_update_is_rolled_up_again(desk: Desk) -> None:
    await _polls(desk, 12)
    await desk.trends.roll_hours()
    late = START + timedelta(minutes=20)
    desk.source.answers = {"v1": document(late, model_v1("RTX 4090", 50, 0, 0.90))}
    await desk.ingest.run()
    await desk.trends.roll_hours()
    async with desk.db.read() as conn:
        row = (
            await conn.execute(
                select(t.rollup_hour)
                .join(t.series, t.series.c.id == t.rollup_hour.c.series_id)
                .where(t.series.c.verification == "any", t.rollup_hour.c.ts == int(START.timestamp()) // 3600 * 3600)
            )
        ).one()
    assert row.samples == 5 and row.price_max == 0.90


async def test_every_stored_hour_causes_one_rollup_job(desk: Desk) -> None:
    await _polls(desk, 9)
    assert len(await desk.job_payloads(ROLLUP_JOB)) == 3


@pytest.mark.skipif(not RECORDED.exists(), reason=f"the recorded answer is not at {RECORDED}")
async def test_the_recorded_answer(db: Database) -> None:
    taken = datetime(2025, 12, 7, 20, 30, 16, tzinfo=UTC)
    desk = make_desk(db, FakeClock(taken + timedelta(minutes=1)))
    desk.source.answers = {"v1": RECORDED.read_bytes()}
    report = await desk.ingest.run()
    assert (report.read, report.rejected, report.unknown) == (88, {}, [])
    quotes = await desk.reader.quotes()
    assert len(quotes) == 88
    assert (sum(q.rented.count for q in quotes), sum(q.all.count for q in quotes)) == (9_579, 18_915)
    quote = (await desk.reader.price("rtx-4090")).quote
    assert (quote.rented.count, quote.all.count) == (2402, 4986)
    assert round(quote.utilization or 0, 4) == 0.4817
    assert (quote.rented.p10, quote.rented.median, quote.rented.p90) == (0.26, 0.33, 0.40)
    raw = json.loads(RECORDED.read_bytes())
    assert {q.price for q in quotes} == {m["stats"]["all"]["all"][0].get("price_median") for m in raw["models"]}
