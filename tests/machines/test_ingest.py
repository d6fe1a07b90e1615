"""From the stand-in's list of machines to stored machines and series, on both databases."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from sqlalchemy import func, select

from config.catalogue import GpuCatalogue
from config.platforms import PlatformCatalogue
from gpuscout.market.ingest import Ingest, IngestReport
from gpuscout.market.machines import (
    KEPT_GONE,
    MachineWriter,
    PacedIngest,
    rent_by_price,
    segment_filter,
    watch_name,
)
from gpuscout.market.models import GLOBAL, MarketUnavailable, QuoteFlag, SeriesKey, UnknownSeries
from gpuscout.market.reader import MarketReader
from gpuscout.market.sources.exporter import ExporterSource
from gpuscout.market.sources.machines import MachinesSource
from gpuscout.market.trends import Trends
from gpuscout.resilience.http import ResilientClient
from gpuscout.resilience.retry import RetryPolicy
from sandbox.farm import MOUNT, FarmServer, Market, SimClock
from storage import tables as t
from storage.cache import MemoryCache
from storage.engine import Database
from storage.jobs import JobStore
from storage.machines import MachineStore
from storage.market import MarketStore
from storage.state import AppState
from tests.machines.helpers import SECRETS, document, machine, parse_here
from tests.market.helpers import FakeClock

MARKET = Market(seed=11)
START = datetime(2026, 11, 20, 10, 2, 3, tzinfo=UTC)
STEP = timedelta(minutes=15)
PATH = f"{MOUNT}/machines"
PRIVATE = (*SECRETS, "Example Fibre", "Sample Telecom", "Demo Broadband", ".example")


@dataclass
class Place:
    """The farm's stand-in and the market's rooms around one database."""

    db: Database
    farm: FarmServer
    clock: FakeClock
    source: MachinesSource
    ingest: Ingest
    paced: PacedIngest
    statistics: Ingest
    reader: MarketReader
    machines: MachineStore
    trends: Trends

    async def read(self, **forward: float) -> IngestReport:
        if forward:
            self.clock.forward(**forward)
        report = await self.ingest.run()
        self.reader.invalidate()
        return report

    async def answer(self, body: bytes, **forward: float) -> IngestReport:
        """Read *body* instead of the simulated market's list."""
        self.farm.set_machines(body)
        return await self.read(**forward)

    async def rows(self, *conditions: Any) -> list[Any]:
        async with self.db.read() as conn:
            query = select(t.machine).where(*conditions).order_by(t.machine.c.machine_id)
            return list((await conn.execute(query)).all())

    async def everything(self) -> str:
        """All that the database holds, as text."""
        async with self.db.read() as conn:
            return "".join([repr((await conn.execute(select(table))).all()) for table in t.metadata.sorted_tables])


@pytest.fixture
async def place(db: Database) -> AsyncIterator[Place]:
    clock = FakeClock(START)
    farm = FarmServer(MARKET, SimClock(START, START, wall_source=lambda: clock.now.timestamp()))
    await farm.start()
    state, store, machines = AppState(db, clock=clock), MarketStore(db), MachineStore(db)
    gpus, jobs = GpuCatalogue.load(), JobStore(db, clock=clock)

    def client(name: str) -> ResilientClient:
        return ResilientClient(name, [farm.url], retry=RetryPolicy(retries=0))

    source = MachinesSource(client("machines"), "500.farm", parse_here)
    watched = watch_name(source.name)
    writer = MachineWriter(machines, store, source=source.name, platform="vast")
    ingest = Ingest(source, store, state, jobs, gpus, watch_name=watched, before_store=writer, clock=clock)
    statistics = Ingest(ExporterSource(client("500.farm")), MarketStore(db), state, jobs, gpus, clock=clock)
    reader = MarketReader(store, state, MemoryCache(), gpus, PlatformCatalogue.load(), interval=STEP, clock=clock)
    trends = Trends(store, state, interval=STEP, retention=timedelta(hours=48), clock=clock)
    paced = PacedIngest(ingest, state, watched)
    yield Place(db, farm, clock, source, ingest, paced, statistics, reader, machines, trends)
    await ingest.aclose()
    await statistics.aclose()
    await farm.stop()


async def test_machines_and_their_series_agree_with_the_statistics(place: Place) -> None:
    assert (await place.statistics.run()).ok
    report = await place.read()
    assert report.ok and report.source == "500.farm/machines" and not report.rejected
    rows = await place.rows()
    assert len(rows) == report.read > 1000
    assert {row.platform for row in rows} == {"vast"} and all(row.country for row in rows)

    quotes = await place.reader.quotes(segments=True)
    by_region: dict[str, list[Any]] = {}
    for quote in quotes:
        if quote.key.region != GLOBAL:
            by_region.setdefault(quote.key.gpu, []).append(quote)
    headline = [quote for quote in await place.reader.quotes() if quote.feed == "v1"]
    assert len(headline) > 35
    for quote in headline:
        regions = by_region[quote.key.gpu]
        assert sum(other.all.count for other in regions) == quote.all.count
        assert sum(other.rented.count for other in regions) == quote.rented.count
        if len(regions) == 1:
            assert (regions[0].all, regions[0].rented) == (quote.all, quote.rented)
    assert [quote.key.gpu for quote in headline if len(by_region[quote.key.gpu]) == 1]
    assert all(quote.all.count for quotes in by_region.values() for quote in quotes)


async def test_a_region_can_be_asked_for_and_is_no_headline(place: Place) -> None:
    await place.statistics.run()
    await place.read()
    regions = await place.reader.regions()
    assert regions[0] == GLOBAL and {"us", "de", "ca"} <= set(regions)
    view = await place.reader.price("rtx-4090", region="us")
    rows = await place.rows(t.machine.c.gpu.in_(["rtx-4090", "rtx-4090-48gb"]), t.machine.c.country == "us")
    assert view.quote.all.count == sum(row.num_gpus for row in rows)
    assert view.region == "us" and set(view.headline) == {"any"} and not view.segments
    with pytest.raises(UnknownSeries):
        await place.reader.price("rtx-4090", region="aq")
    headline = await place.reader.quotes()
    assert {quote.key.region for quote in headline} == {GLOBAL}
    assert len({quote.key.gpu for quote in headline}) == len(headline)


async def test_memory_sizes_that_a_name_does_not_tell_apart_have_series(place: Place) -> None:
    await place.statistics.run()
    await place.read()
    family = await place.reader.price("a100-sxm4")
    large = await place.reader.price("a100-sxm4-80gb")
    small = await place.reader.quotes(gpu="a100-sxm4-40gb")
    assert large.quote.all.count + sum(q.all.count for q in small) == family.quote.all.count
    modded = await place.reader.price("rtx-4090-48gb")
    assert modded.quote.feed == "machines" and modded.gpu_name == "RTX 4090 48GB"
    # The headline series stay the exporter's own.
    assert (await place.reader.price("rtx-4090")).quote.feed == "v1"
    assert modded.quote.thin is (modded.quote.all.count < 10)


async def test_the_same_list_is_not_read_twice(place: Place) -> None:
    first = await place.read()
    again = await place.read()
    assert first.stored > 0 and again.unchanged == ("machines",) and again.stored == 0
    asked = [record for record in place.farm.requests if record.path == PATH]
    assert [record.status for record in asked] == [200, 304]
    assert all(record.headers["accept-encoding"] == "gzip" for record in asked)
    place.source.forget()
    assert (await place.read()).unchanged == ("machines",)  # stored already, whoever asks


async def test_the_list_is_left_alone_for_a_quarter_of_an_hour(place: Place) -> None:
    assert (await place.paced.run()).stored
    place.clock.forward(minutes=5)
    assert (await place.paced.run()).unchanged == ("machines",)
    place.clock.forward(minutes=9.5)
    assert (await place.paced.run()).stored
    assert len([record for record in place.farm.requests if record.path == PATH]) == 2
    place.farm.set_mode("status:502")
    place.clock.forward(minutes=15)
    assert not (await place.paced.run()).ok
    place.farm.set_mode("ok")
    place.clock.forward(minutes=1)
    assert (await place.paced.run()).ok  # a failure may be made good at once


async def test_a_machine_keeps_its_first_time_and_goes_when_it_is_gone(place: Place) -> None:
    await place.answer(document([machine(1), machine(2)], START))
    await place.answer(document([machine(1, num_gpus_rented=2)], START + STEP), minutes=15)
    since = await place.machines.listed_since("500.farm")
    assert since == int((START + STEP).timestamp())
    one, two = [await place.machines.get("vast", number) for number in (1, 2)]
    assert one is not None and two is not None
    assert (one.first_seen, one.last_seen, one.num_rented) == (int(START.timestamp()), since, 2)
    assert two.last_seen < since
    assert [row.machine_id for row in await place.machines.by_gpu(["rtx-4090"], since)] == [1]
    # An older list that comes late takes nothing back.
    await place.answer(document([machine(1, num_gpus_rented=0)], START + timedelta(minutes=5)), minutes=1)
    late = await place.machines.get("vast", 1)
    assert late is not None and late.num_rented == 2
    gone = START + STEP + KEPT_GONE
    await place.answer(document([machine(1)], gone), days=30)
    assert [row.machine_id for row in await place.rows()] == [1]


async def test_regional_series_are_rolled_up_by_the_day_alone(place: Place) -> None:
    for hour in range(30):
        place.clock.forward(hours=1 if hour else 0)
        await place.answer(document([machine(1), machine(3, gpu_ram=49140)], place.clock.now))
    await place.trends.run()

    async def rolled(key: SeriesKey) -> tuple[int, int]:
        async with place.db.read() as conn:
            found = (
                select(t.series.c.id)
                .where(t.series.c.gpu == key.gpu, t.series.c.region == key.region)
                .scalar_subquery()
            )
            counts = [
                (
                    await conn.execute(select(func.count()).select_from(table).where(table.c.series_id == found))
                ).scalar_one()
                for table in (t.rollup_hour, t.rollup_day)
            ]
            return counts[0], counts[1]

    assert await rolled(SeriesKey("vast", "rtx-4090", region="de")) == (0, 1)
    assert await rolled(SeriesKey("vast", "rtx-4090-48gb")) == (29, 1)
    history = await place.reader.history(
        SeriesKey("vast", "rtx-4090", region="de"), START - timedelta(days=7), place.clock.now
    )
    assert history.points and history.step == timedelta(days=1)


async def test_nothing_private_is_stored_logged_or_sampled(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    structlog.reset_defaults()
    place.farm.set_mode("bad_items")
    with structlog.testing.capture_logs() as logs:
        report = await place.read()
        assert sum(report.rejected.values()) == 13 and report.ok
        place.farm.set_mode("hostile_names")
        report = await place.read(minutes=15)
        assert report.unknown
        place.farm.set_mode("malformed")
        assert not (await place.read(minutes=15)).ok
    everything = await place.everything() + repr(logs) + "".join(capsys.readouterr()) + repr(report)
    assert not [secret for secret in PRIVATE if secret in everything]
    assert "203.0.113." in (await place.farm.publisher.machines()).raw.decode(errors="replace")
    async with place.db.read() as conn:
        samples = (await conn.execute(select(t.rejected_item.c.reason, t.rejected_item.c.sample))).all()
    assert len(samples) >= 13 and all(json.loads(sample) for _, sample in samples if sample)


@pytest.mark.parametrize(
    ("mode", "options", "problem"),
    [
        ("down", {}, "broke off"),
        ("status:503", {}, "503"),
        ("malformed", {}, "unexpected answer"),
        ("wrong_shape", {"shape": "list"}, "not a JSON object"),
        ("wrong_shape", {"shape": "error"}, "no list of offers"),
        ("wrong_shape", {"shape": "models_object"}, "no list of offers"),
    ],
)
async def test_a_sick_list_is_told_apart_and_the_last_one_stays(
    place: Place, mode: str, options: dict[str, Any], problem: str
) -> None:
    await place.statistics.run()
    await place.read()
    before = await place.rows()
    place.farm.set_mode(mode, **options)
    report = await place.read(minutes=15)
    assert not report.ok and problem in report.problems[0]
    assert await place.rows() == before
    statuses = {status.source: status for status in await place.reader.sources()}
    assert statuses["500.farm"].problem is None
    assert problem in (statuses["500.farm/machines"].problem or "")
    place.farm.set_mode("ok")
    assert (await place.read(minutes=15)).ok


async def test_a_list_that_loses_half_or_stands_still_is_reported(place: Place) -> None:
    await place.read()
    place.farm.set_mode("half")
    report = await place.read(minutes=15)
    assert "lists" in report.problems[0] and report.stored > 0
    place.farm.set_mode("ok")
    await place.read(minutes=15)
    place.farm.set_mode("frozen")
    assert (await place.read(minutes=15)).ok
    assert "stood still" in (await place.read(minutes=15)).problems[0]


async def test_where_there_is_no_list_nothing_is_sick(place: Place) -> None:
    place.farm.set_mode("status:404")
    report = await place.read()
    assert report.ok and report.stored == 0
    place.farm.set_mode("ok")
    await place.read(minutes=15)
    place.farm.set_mode("status:404")
    assert "404" in (await place.read(minutes=15)).problems[0]


async def test_what_machines_say_of_price_place_and_reliability(place: Place) -> None:
    items = [
        machine(n, num_gpus=2, num_gpus_rented=2 if n <= 12 else 0, dph_base=2 * (0.30 + 0.01 * n),
                reliability2=0.89 if n == 1 else 0.97 if n % 2 else 1.0, hosting_type=int(n > 15),
                verification="verified" if n > 3 else "unverified", geolocation=", US" if n > 10 else ", DE")
        for n in range(1, 21)
    ]  # fmt: skip
    items.append(machine(50, gpu_name="A100 SXM4", gpu_ram=81920, geolocation=None))
    await place.answer(document(items, START))
    since = await place.machines.listed_since("500.farm")
    assert since is not None
    gpus = GpuCatalogue.load()
    everything = segment_filter(gpus, "rtx-4090", platform="vast")
    points = await place.machines.prices(since, everything)
    assert [(point.gpus, point.rented) for point in points] == [(2, 2)] * 12 + [(2, 0)] * 8
    found = rent_by_price(points)
    assert [(band.gpus, band.share) for band in found.bands] == [(8, 1.0), (8, 1.0), (8, 1.0), (8, 0.0), (8, 0.0)]
    assert found.bands[0].low == pytest.approx(0.31) and found.bands[-1].high == pytest.approx(0.50)
    assert found.rented.count == 24 and found.rented.median == pytest.approx(0.365)
    dc = await place.machines.prices(since, segment_filter(gpus, "rtx-4090", segment="dc:1-3"))
    assert sum(point.gpus for point in dc) == 10
    assert not await place.machines.prices(since, segment_filter(gpus, "rtx-4090", segment="dc:8+"))
    verified = segment_filter(gpus, "rtx-4090", verification="verified", region="de")
    assert sum(point.gpus for point in await place.machines.prices(since, verified)) == 14
    family = await place.machines.prices(since, segment_filter(gpus, "a100-sxm4"))
    assert sum(point.gpus for point in family) == 2
    with pytest.raises(ValueError, match="no segment"):
        segment_filter(gpus, "rtx-4090", segment="dc:9")

    countries = await place.machines.countries(since)
    assert [tuple(count) for count in countries] == [("de", 10, 20, 20), ("us", 10, 20, 4), (None, 1, 2, 1)]
    bands = await place.machines.reliability(since, everything)
    assert [(band.low, band.high, band.machines, band.gpus, band.rented) for band in bands] == [
        (0.0, 0.9, 1, 2, 2), (0.95, 0.98, 9, 18, 10), (0.99, 1.0, 10, 20, 12)
    ]  # fmt: skip


async def test_an_outlier_and_a_thin_region_are_flagged(place: Place) -> None:
    await place.answer(document([machine(1)], START))
    view = await place.reader.price("rtx-4090", region="de")
    assert view.quote.flags is QuoteFlag.THIN and view.quote.price == 0.33 and view.quote.all.p10 is None


async def test_statistics_that_stand_still_are_old_not_gone(place: Place) -> None:
    await place.statistics.run()
    await place.read()
    for _ in range(5):
        await place.read(hours=1)
    with pytest.raises(MarketUnavailable, match="Data temporarily unavailable"):
        await place.reader.price("rtx-4090")
    assert (await place.reader.price("rtx-4090", region="us")).quote.all.count
