"""The specified dialect: its documents, its source against the stand-in, and finding out which dialect is spoken."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.catalogue import GpuCatalogue
from config.platforms import PlatformCatalogue
from gpuscout.market.first_history import FirstHistory
from gpuscout.market.ingest import Ingest
from gpuscout.market.models import Freshness, QuoteFlag, SeriesKey
from gpuscout.market.sources.base import WrongShape
from gpuscout.market.sources.exporter import ExporterSource
from gpuscout.market.sources.farm import PROBE_EVERY, FarmSource
from gpuscout.market.sources.specified import SpecifiedSource
from gpuscout.market.sources.specified_schema import Scale, parse_number, parse_pricing, parse_shares
from gpuscout.resilience.http import ResilientClient
from gpuscout.resilience.retry import RetryPolicy
from sandbox.farm import FarmServer, Market
from sandbox.farm.specified import BAD_ITEMS, DEMAND, HISTORICAL, PLATFORMS, PRICING, UTILIZATION, SpecifiedFarm
from storage import tables as t
from storage.engine import Database
from tests.market.helpers import FakeClock
from tests.market.test_ingest import Desk, make_desk

NOW = datetime(2026, 11, 20, 12, 5, tzinfo=UTC)
STAMP = "2026-11-20T12:00:00Z"
MARKET = Market(7)
ONCE = RetryPolicy(retries=0)


def item(model: str = "RTX 4090", platform: str = "RunPod", **more: Any) -> dict[str, Any]:
    return {"model": model, "platform": platform, "price": 0.75, "utilization": 85, "updated_at": STAMP, **more}


def read(*items: Any) -> Any:
    return parse_pricing(json.dumps(list(items)).encode(), NOW, PlatformCatalogue.load())


@asynccontextmanager
async def source(url: str, **options: Any) -> AsyncIterator[SpecifiedSource]:
    client = ResilientClient("500.farm", [url], retry=ONCE, **options)
    reader = SpecifiedSource(client, PlatformCatalogue.load())
    try:
        yield reader
    finally:
        await reader.aclose()


# --- numbers ---


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.75", 0.75), (" 0.75 ", 0.75), ("85%", 85), ("0.75 USD/h", 0.75), (".5", 0.5), ("1e-2", 0.01), (3, 3.0)],
)
def test_numbers_may_be_texts(text: object, value: float) -> None:
    assert parse_number(text) == value


@pytest.mark.parametrize("text", ["", "$1", "0,75", "1,234.5", "1 000", "1.2.3", "0x10", "NaN", "Infinity", True, None])
def test_what_would_be_another_number_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="not a number"):
        parse_number(text)


@given(st.floats(0.001, 9999, allow_nan=False))
def test_a_number_and_its_text_are_the_same(number: float) -> None:
    assert parse_number(repr(number)) == parse_number(number) == number


# --- percent or ratio ---


@given(st.lists(st.floats(0.0101, 1.0), min_size=1, max_size=30))
def test_the_scale_is_decided_by_the_document(shares: list[float]) -> None:
    percent, ratio = Scale.of(share * 100 for share in shares), Scale.of(shares)
    assert (percent.percent, ratio.percent) == (True, False)
    for share in shares:
        assert percent.ratio(share * 100) == pytest.approx(ratio.ratio(share))


def test_one_wrong_figure_does_not_change_the_others() -> None:
    document = read(*(item(f"RTX {n}", utilization=0.85) for n in (3060, 3070, 3080)), item(utilization=85))
    by_name = {seen.gpu_name: seen.utilization for seen in document.observations}
    assert by_name == {"RTX 3060": 0.85, "RTX 3070": 0.85, "RTX 3080": 0.85, "RTX 4090": None}
    assert [rejected.reason for rejected in document.rejected] == [
        "utilization: percent or ratio cannot be told; left out"
    ]


def test_an_undecided_document_keeps_its_prices() -> None:
    document = read(item("RTX 3060", utilization=0.9), item(utilization=85), item("RTX 3070", utilization=0))
    assert [(seen.all.median, seen.utilization) for seen in document.observations] == [
        (0.75, None),
        (0.75, None),
        (0.75, 0.0),
    ]


# --- items ---


def test_an_item_as_the_specification_has_it() -> None:
    [seen] = read(item(price="0.75", utilization="85")).observations
    assert (seen.gpu_name, seen.platform, seen.region, seen.all.median) == ("RTX 4090", "runpod", "global", 0.75)
    assert (seen.utilization, seen.sized, seen.at) == (0.85, False, datetime(2026, 11, 20, 12, tzinfo=UTC))


def test_an_unknown_platform_is_kept_under_its_cleaned_name() -> None:
    document = read(item(platform="Nimbus GPU Cloud!"), item(platform="<b>@everyone</b> Cloud", region="US"))
    assert [(seen.platform, seen.region) for seen in document.observations] == [
        ("nimbus-gpu-cloud", "global"),
        ("b-everyone-b-cloud", "us"),
    ]


@pytest.mark.parametrize("bad", list(BAD_ITEMS), ids=range(len(BAD_ITEMS)))
def test_bad_items_are_rejected_alone(bad: Any) -> None:
    if isinstance(bad, dict) and bad.get("updated_at") == "{now}":
        bad = {**bad, "updated_at": STAMP}
    document = read(bad, item())
    assert [seen.gpu_name for seen in document.observations] == ["RTX 4090"]
    assert len(document.rejected) == 1
    assert document.rejected[0].reason


def test_an_item_of_long_ago_is_no_current_price() -> None:
    document = read(
        item(), item("RTX 3090", updated_at="2026-11-20T07:00:00Z"), item("RTX 3080", updated_at=NOW.timestamp() * 1000)
    )
    assert sorted(seen.gpu_name for seen in document.observations) == ["RTX 3080", "RTX 4090"]
    assert document.source_time == NOW


@pytest.mark.parametrize("body", [b"", b"{}", b'{"data": []}', b"[]", b"[1]", b"\xff", b"[" * 100_000])
def test_what_is_no_list_of_items_is_refused(body: bytes) -> None:
    with pytest.raises(WrongShape):
        parse_pricing(body, NOW, PlatformCatalogue.load())


def test_demand_of_both_scales() -> None:
    for figures in ((70, 30), (0.7, 0.3)):
        body = json.dumps(
            [
                {"model": f"RTX {n}", "platform": "vast", "demand": figure, "updated_at": STAMP}
                for n, figure in zip((4090, 3090), figures, strict=True)
            ]
        ).encode()
        shares, rejected = parse_shares(body, NOW, PlatformCatalogue.load(), "demand")
        assert list(shares.values()) == pytest.approx([0.7, 0.3])
        assert not rejected


# --- the source against the stand-in ---


@pytest.mark.parametrize("options", [{}, {"percent": False}, {"texts": True}, {"percent": False, "texts": True}])
async def test_the_same_figures_however_they_are_written(options: dict[str, Any]) -> None:
    async with SpecifiedFarm(MARKET, **options) as farm, source(farm.url) as reader:
        result = await reader.fetch(datetime.now(UTC))
    [document] = result.documents
    assert not result.problems
    assert not document.rejected
    assert {seen.platform for seen in document.observations} == {"vast", "runpod", "lambda", "nimbus-gpu-cloud"}
    models = {model.name: model for model in MARKET.snapshot(document.source_time).models}
    assert len(document.observations) == len(PLATFORMS) * len(models)
    for seen in document.observations:
        model = models[seen.gpu_name]
        share = model.rented.sum() / model.num_gpus.sum()
        assert seen.utilization == pytest.approx(share, abs=0.001)
        assert seen.demand == pytest.approx(share * 100, abs=0.1)
        assert not seen.sized


async def test_the_key_is_sent_only_when_there_is_one() -> None:
    async with SpecifiedFarm(MARKET, api_key="sesame") as farm:
        async with source(farm.url) as reader:
            assert "401" in (await reader.fetch(datetime.now(UTC))).problems["pricing"]
        assert all("authorization" not in asked.headers for asked in farm.requests)
        async with source(farm.url, headers={"authorization": "Bearer sesame"}) as reader:
            assert (await reader.fetch(datetime.now(UTC))).documents


@pytest.mark.parametrize("missing", [UTILIZATION, DEMAND])
async def test_prices_are_taken_without_what_belongs_to_them(missing: str) -> None:
    async with SpecifiedFarm(MARKET, missing=frozenset({missing})) as farm, source(farm.url) as reader:
        result = await reader.fetch(datetime.now(UTC))
    [document] = result.documents
    assert set(result.problems) == {missing.rpartition("/")[2]}
    assert not result.problems.keys() & reader.headline_feeds
    lambdas = [seen for seen in document.observations if seen.platform == "lambda"]
    assert all((seen.utilization is None) is (missing == UTILIZATION) for seen in lambdas)
    assert all((seen.demand is None) is (missing == DEMAND) for seen in lambdas)


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("down", "broke off|cannot be reached"),
        ("malformed", "unexpected answer: not JSON"),
        ("wrong_shape", "unexpected answer: not a list"),
        ("empty", "unexpected answer: the list of items is empty"),
        ("status:503", "answered with status 503"),
        ("status:404", "404"),
    ],
)
async def test_faults_are_told_and_nothing_is_taken(mode: str, words: str) -> None:
    import re

    async with SpecifiedFarm(MARKET) as farm, source(farm.url) as reader:
        farm.set_mode(mode)
        result = await reader.fetch(datetime.now(UTC))
        assert not result.documents
        assert re.search(words, result.problems["pricing"])
        farm.set_mode("ok")
        assert (await reader.fetch(datetime.now(UTC))).documents


# --- into the same series ---


@pytest.fixture
async def desk(db: Database) -> AsyncIterator[Desk]:
    yield make_desk(db, FakeClock(datetime.now(UTC)))


def ingest_of(desk: Desk, reader: Any) -> Ingest:
    from storage.jobs import JobStore

    return Ingest(reader, desk.store, desk.state, JobStore(desk.db), GpuCatalogue.load(), clock=desk.clock)


async def test_a_quote_without_a_count_says_so(desk: Desk) -> None:
    async with SpecifiedFarm(MARKET) as farm, source(farm.url) as reader:
        report = await ingest_of(desk, reader).run()
        assert report.ok
        assert report.stored > 100
        desk.reader.invalidate()
        view = await desk.reader.price("rtx-4090", platform="runpod")
        quote = view.quote
        assert quote.flags == QuoteFlag.UNSIZED and not quote.thin and not quote.sized and quote.listed
        assert quote.price is not None and 0 < (quote.utilization or 0) < 1 and 0 <= (quote.demand or -1) <= 100
        assert (quote.rented.count, quote.available.count, quote.all.count) == (0, 0, 0)
        assert view.freshness is not Freshness.UNAVAILABLE
        history = await desk.reader.history(quote.key, desk.clock.now - timedelta(hours=2), desk.clock.now)
        assert [point.utilization for point in history.points] == [quote.utilization]
        # Rolled up by their own rule: no count, but the utilization.
        desk.clock.forward(hours=2)
        farm._clock = farm._clock.real_time(wall_source=lambda: desk.clock.now.timestamp())
        await ingest_of(desk, reader).run()
        await desk.trends.roll_hours()
        series = await desk.store.find_series(("runpod", "rtx-4090", "global", "on-demand", "any", "any"))
        assert series is not None
        [row, *_] = await desk.store.rollup_rows("hour", series, 0, 2**40)
        assert (row.price, row.rented, row.total, row.utilization) == (
            quote.price, 0, 0, pytest.approx(quote.utilization),
        )  # fmt: skip


async def test_items_keep_their_own_time(desk: Desk) -> None:
    now = desk.clock.now.replace(microsecond=0)
    earlier = now - timedelta(minutes=20)

    class Fixed(SpecifiedSource):
        async def fetch(self, now: datetime) -> Any:
            from gpuscout.market.sources.base import FetchResult

            body = [item(updated_at=now.isoformat()), item("RTX 3090", updated_at=earlier.isoformat())]
            return FetchResult((parse_pricing(json.dumps(body).encode(), now, PlatformCatalogue.load()),))

    async with ResilientClient("500.farm", ["http://127.0.0.1:9"]) as client:
        desk.clock.now = now
        await ingest_of(desk, Fixed(client, PlatformCatalogue.load())).run()
    quotes = {quote.key.gpu: quote.at for quote in await desk.reader.quotes(platform="runpod")}
    assert quotes == {"rtx-4090": now, "rtx-3090": earlier}


async def test_history_is_loaded_once_into_the_same_series(desk: Desk) -> None:
    async with SpecifiedFarm(MARKET) as farm, source(farm.url) as reader:
        ingest = ingest_of(desk, reader)
        history = FirstHistory(lambda: reader, desk.store, desk.state, GpuCatalogue.load(), clock=desk.clock)
        farm.set_mode("status:503", times=1)
        assert await history.after(await ingest.run()) == 0, "not after a cycle that failed"
        farm.set_mode("ok")
        stored = await history.after(await ingest.run())
        assert stored > 1000
        asked = [asked.path for asked in farm.requests]
        desk.clock.forward(minutes=15)
        assert await history.after(await ingest.run()) == 0
        assert [asked.path for asked in farm.requests].count(HISTORICAL) == asked.count(HISTORICAL) == 1
        desk.reader.invalidate()
        key = SeriesKey("vast", "rtx-4090")
        read = await desk.reader.history(key, desk.clock.now - timedelta(days=19), desk.clock.now)
        assert len(read.points) > 15
        at = datetime.fromtimestamp(read.points[3].ts, UTC)
        stats = MARKET.history_stats("RTX 4090", _times([at]))
        if read.tier.value == "hour":
            assert read.points[3].price == pytest.approx(float(stats["all", "all"]["median"][0]))
        assert all(point.total == 0 and 0 < (point.utilization or 0) < 1 for point in read.points[:-1])


def _times(moments: list[datetime]) -> Any:
    import numpy as np

    return np.array([int(at.timestamp()) for at in moments], dtype=np.int64)


# --- which dialect ---


@asynccontextmanager
async def farm_source(desk: Desk, *urls: str) -> AsyncIterator[FarmSource]:
    client = ResilientClient("500.farm", urls, retry=ONCE)
    reader = FarmSource(ExporterSource(client), SpecifiedSource(client, PlatformCatalogue.load()), desk.state)
    try:
        yield reader
    finally:
        await reader.aclose()


async def test_the_exporter_is_asked_first_and_then_alone(desk: Desk) -> None:
    async with FarmServer(MARKET) as exporter, farm_source(desk, exporter.url) as reader:
        assert (await reader.fetch(datetime.now(UTC))).documents
        assert reader.dialect == "exporter" and reader.headline_feeds == {"v1"} and reader.history_source is None
        exporter.set_mode("status:404")
        result = await reader.fetch(datetime.now(UTC))
        assert set(result.problems) == {"v1", "v2"}, "a silent dialect is reported, not left, until the day is over"
    assert not [asked for asked in exporter.requests if asked.path == PRICING]


async def test_the_specified_dialect_is_found_and_remembered_and_probed_daily(desk: Desk) -> None:
    async with SpecifiedFarm(MARKET) as farm:
        async with farm_source(desk, farm.url) as reader:
            now = datetime.now(UTC)
            assert (await reader.fetch(now)).documents
            assert reader.dialect == "specified" and reader.headline_feeds == {"pricing"}
            asked = len(farm.requests)
            await reader.fetch(now + timedelta(hours=23))
            assert next(a.path for a in list(farm.requests)[asked:]) == PRICING
            asked = len(farm.requests)
            await reader.fetch(now + PROBE_EVERY)
            assert next(a.path for a in list(farm.requests)[asked:]).startswith("/vastai-exporter")
        async with farm_source(desk, farm.url) as reader:
            farm.set_mode("down")
            assert set((await reader.fetch(now)).problems) == {"pricing"}, "after a restart it is the remembered one"
            farm.set_mode("ok")
            assert (await reader.fetch(now)).documents, "and both are tried until one answers"


async def test_the_exporter_is_gone_back_to(desk: Desk) -> None:
    async with SpecifiedFarm(MARKET) as farm, FarmServer(MARKET) as exporter:
        exporter.set_mode("status:404")
        async with farm_source(desk, exporter.url, farm.url) as reader:
            now = datetime.now(UTC)
            await reader.fetch(now)
            assert reader.dialect == "specified"
            exporter.set_mode("ok")
            await reader.fetch(now + timedelta(hours=1))
            assert reader.dialect == "specified"
            result = await reader.fetch(now + PROBE_EVERY)
            assert reader.dialect == "exporter" and {document.feed for document in result.documents} == {"v1", "v2"}


async def test_both_dialects_feed_the_same_series(desk: Desk) -> None:
    async with FarmServer(MARKET) as exporter, farm_source(desk, exporter.url) as reader:
        await ingest_of(desk, reader).run()
    before = await desk.count(t.series)
    desk.clock.forward(minutes=15)
    async with SpecifiedFarm(MARKET, interval=1.0) as farm, source(farm.url) as reader:
        farm._clock = farm._clock.real_time(wall_source=lambda: desk.clock.now.timestamp())
        await ingest_of(desk, reader).run()
    models = len(MARKET.models)
    added = await desk.count(t.series) - before
    assert 0 < added <= 3 * models, "the three platforms that were not there; Vast.ai has its series already"
    series = await desk.store.find_series(("vast", "rtx-4090", "global", "on-demand", "any", "any"))
    assert series is not None
    rows = await desk.store.newest_rows(series, 5, 0)
    assert [(row.flags & QuoteFlag.UNSIZED) > 0 for row in rows] == [True, False]
    desk.reader.invalidate()
    [status] = await desk.reader.sources()
    assert status.problem is None
