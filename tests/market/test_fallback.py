"""A second source that steps in while the first is sick, and is compared with it while it is well."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from config.catalogue import GpuCatalogue
from gpuscout.market.fallback import GuardedIngest, WholeMarket, disagreements
from gpuscout.market.ingest import Ingest, IngestReport
from gpuscout.market.models import Quote, SeriesKey, Side
from sandbox.farm.specified import SpecifiedFarm
from sandbox.vast import VastStandIn
from sandbox.vast.server import BELOW_A_CENT
from storage.engine import Database
from storage.jobs import JobStore
from tests.e2e.harness import OffsetClock, Web, World, cycle, market, running_app, settled, web, words
from tests.market.helpers import FakeClock, ScriptedSource, document, model_v1
from tests.market.test_ingest import Desk, make_desk

START = datetime(2026, 11, 20, 0, 2, tzinfo=UTC)
MODELS = ("RTX 4090", "RTX 3090", "RTX 5090")


class Second(ScriptedSource):
    """Under the name of the platform itself; counts how often it was read."""

    name = "vast.ai"

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    async def fetch(self, now: datetime) -> Any:
        self.reads += 1
        return await super().fetch(now)


@dataclass
class Guarded:
    """Two scripted sources in front of one database."""

    desk: Desk
    second: Second
    ingest: GuardedIngest

    async def cycle(self, first: float | str | None, second: float | str | None = "not there") -> IngestReport:
        """One cycle; a price is an answer with it, a text a problem, None "not modified"."""
        self.desk.clock.forward(minutes=15)
        for source, said in ((self.desk.source, first), (self.second, second)):
            answer: Any = said
            if isinstance(said, float):
                answer = document(self.desk.clock.now, *(model_v1(name, 60, 40, said) for name in MODELS))
            source.answers = {"v1": answer}
        report = await self.ingest.run()
        self.desk.reader.invalidate()
        return report

    async def shown(self) -> tuple[str, float | None]:
        """Source and price of what a card shows."""
        quote = (await self.desk.reader.price("rtx-4090")).quote
        return quote.source, quote.price

    async def sources(self) -> list[str]:
        return [status.source for status in await self.desk.reader.sources()]


def guard(db: Database, compare_every: int = 0) -> Guarded:
    desk = make_desk(db, FakeClock(START))
    second = Second()
    other = Ingest(
        WholeMarket(second, desk.store),
        desk.store,
        desk.state,
        JobStore(db, clock=desk.clock),
        GpuCatalogue.load(),
        clock=desk.clock,
        kin=("500.farm",),
    )
    ingest = GuardedIngest(desk.ingest, other, desk.store, desk.state, compare_every=compare_every)
    return Guarded(desk, second, ingest)


@pytest.fixture
async def guarded(db: Database) -> AsyncIterator[Guarded]:
    yield guard(db)


async def test_the_second_steps_in_at_the_second_sick_cycle_and_out_at_the_first_good_one(guarded: Guarded) -> None:
    await guarded.cycle(0.30)
    assert await guarded.shown() == ("500.farm", 0.30)
    await guarded.cycle("cannot be reached", 0.3149)
    assert await guarded.shown() == ("500.farm", 0.30)
    assert guarded.second.reads == 0
    with capture_logs() as logs:
        report = await guarded.cycle("cannot be reached", 0.3149)
        await guarded.cycle("cannot be reached", 0.3151)
    assert report.stored == 3 * len(MODELS) and report.problems
    assert await guarded.shown() == ("vast.ai", 0.3151)
    assert [entry["event"] for entry in logs].count("market_source_switched") == 1
    assert await guarded.sources() == ["500.farm", "vast.ai"]
    with capture_logs() as logs:
        await guarded.cycle(0.31, 0.99)
    assert await guarded.shown() == ("500.farm", 0.31)
    assert "market_source_switched_back" in [entry["event"] for entry in logs]
    assert guarded.second.reads == 2
    assert await guarded.sources() == ["500.farm"], "the health of what is no longer read is no news"


async def test_it_is_remembered_over_a_restart(guarded: Guarded) -> None:
    await guarded.cycle(0.30)
    await guarded.cycle("cannot be reached", 0.31)
    again = guard(guarded.desk.db)
    again.desk.clock.now = guarded.desk.clock.now
    await again.cycle("cannot be reached", 0.31)
    assert await again.shown() == ("vast.ai", 0.31)


async def test_a_source_that_stands_still_is_sick_too(guarded: Guarded) -> None:
    await guarded.cycle(0.30)
    for _ in range(3):
        await guarded.cycle(None, 0.32)
    assert await guarded.shown() == ("vast.ai", 0.32)


async def test_one_series_goes_on_over_the_change(guarded: Guarded) -> None:
    for price in (0.30, 0.30, 0.30, 0.30, 0.30):
        await guarded.cycle(price)
    for _ in range(3):
        await guarded.cycle("cannot be reached", 0.33)
    key = SeriesKey("vast", "rtx-4090")
    history = await guarded.desk.reader.history(key, START, guarded.desk.clock.now)
    assert [point.price for point in history.points] == [0.30] * 5 + [0.33] * 2
    view = await guarded.desk.reader.price("rtx-4090")
    # Momentum compares with what the other source counted an hour ago, and the share did not move.
    assert view.quote.demand == pytest.approx((60 * 0.6 + 20 * 0.5 + 10 * 0.5) / 90 * 100, abs=0.1)


async def test_both_sick_says_so_and_shows_nothing_new(guarded: Guarded) -> None:
    await guarded.cycle(0.30)
    for _ in range(2):
        report = await guarded.cycle("cannot be reached", "answered with status 503")
    assert report.problems == ("v1: cannot be reached", "vast.ai v1: answered with status 503")
    assert await guarded.shown() == ("500.farm", 0.30)


async def test_a_part_of_the_market_is_never_taken_for_the_whole(guarded: Guarded) -> None:
    await guarded.cycle(0.30)
    guarded.second.answers = {}
    for _ in range(3):
        guarded.desk.clock.forward(minutes=15)
        guarded.desk.source.answers = {"v1": "cannot be reached"}
        guarded.second.answers = {"v1": document(guarded.desk.clock.now, model_v1("RTX 4090", 60, 40, 9.99))}
        report = await guarded.ingest.run()
    guarded.desk.reader.invalidate()
    assert "lists 100 GPUs, 300 were known: not the whole market" in report.problems[1]
    assert await guarded.shown() == ("500.farm", 0.30)


# --- comparison ---


async def test_disagreement_is_told_once_and_stays_beside_the_health(sqlite_db: Database) -> None:
    guarded = guard(sqlite_db, compare_every=2)
    with capture_logs() as logs:
        for _ in range(2):
            await guarded.cycle(0.30, 0.31)
    assert guarded.second.reads == 1
    assert not [entry for entry in logs if entry["event"] == "market_sources_disagree"]
    with capture_logs() as logs:
        for _ in range(6):
            await guarded.cycle(0.30, 0.50)
    assert guarded.second.reads == 4
    [told] = [entry for entry in logs if entry["event"] == "market_sources_disagree"]
    assert told["models"] == ["rtx-3090", "rtx-4090", "rtx-5090"]
    [status] = await guarded.desk.reader.sources()
    assert status.problem is None and status.remark is not None
    assert status.remark.startswith("disagrees with vast.ai on 3 models: rtx-3090 $0.300 against $0.500")
    assert await guarded.shown() == ("500.farm", 0.30), "comparing stores nothing"
    for _ in range(2):
        await guarded.cycle(0.30, 0.30)
    [status] = await guarded.desk.reader.sources()
    assert status.remark is None


async def test_a_comparison_that_cannot_be_made_changes_nothing(sqlite_db: Database) -> None:
    guarded = guard(sqlite_db, compare_every=1)
    await guarded.cycle(0.30, 0.50)
    await guarded.cycle(0.30, "cannot be reached")
    [status] = await guarded.desk.reader.sources()
    assert status.remark is not None and status.problem is None


@pytest.mark.parametrize(
    ("one", "other", "gpus", "beyond"),
    [
        (0.30, 0.38, 10, True),
        (0.38, 0.30, 10, True),
        (0.30, 0.37, 10, False),  # under 25 %
        (0.06, 0.10, 10, False),  # under five cents
        (0.30, 0.50, 9, False),  # too few GPUs
    ],
)
def test_the_band(one: float, other: float, gpus: int, beyond: bool) -> None:
    key = SeriesKey("vast", "rtx-4090")

    def quotes(price: float, count: int) -> dict[SeriesKey, Quote]:
        side = Side(count, price)
        return {key: Quote(key, START, START, "x", Side(), side, side)}

    assert bool(disagreements(quotes(one, 100), quotes(other, gpus))) is beyond


# --- end to end ---


@dataclass
class Scene:
    """The whole product with 500.farm and Vast.ai beside each other."""

    world: World
    vast: VastStandIn
    clock: OffsetClock
    app: Any
    site: Web

    async def next_cycle(self) -> None:
        self.clock.forward(minutes=15)
        await cycle(self.app)

    async def card(self) -> str:
        async with self.world.actor("ada") as ada:
            return words(await ada.run(self.world.channel, "price", {"gpu": "rtx-4090"}, within=60))

    async def quote(self) -> dict[str, Any]:
        _, body = await self.site.get("/api/v1/prices?gpu=rtx-4090&platform=vast&region=global")
        [quote] = body["quotes"]
        return dict(quote)


@pytest.mark.xdist_group("e2e-fallback")
async def test_the_product_goes_on_from_vast_and_back(tmp_path: Path) -> None:
    clock = OffsetClock()
    async with World(clock, update_interval=60) as world, VastStandIn(market(), world.farm.publisher.clock) as vast:
        more = {"market_fallback": "vast", "vast_api_url": vast.url, "market_compare_every": 2}
        async with running_app(world, tmp_path, clock, **more) as app:
            await world.bot_answers()
            async with web(f"http://127.0.0.1:{app.web_port}") as site:
                await site.ready()
                await settled(app)
                scene = Scene(world, vast, clock, app, site)
                assert (await scene.quote())["source"] == "500.farm"
                world.farm.set_mode("down")
                await scene.next_cycle()
                before = await scene.quote()
                assert before["source"] == "500.farm"
                await scene.next_cycle()
                quote = await scene.quote()
                assert quote["source"] == "vast.ai" and not quote["stale"]
                # The very figures of the market at that moment, in full precision.
                at = datetime.fromisoformat(quote["as_of"])
                true = true_figures(at)
                assert (quote["rented"]["count"], quote["sample"]) == true[:2]
                assert quote["price"] == pytest.approx(true[2] + BELOW_A_CENT, abs=1e-6)
                text = await scene.card()
                assert "Source: [vast.ai](<https://vast.ai>)" in text
                assert "Stale" not in text
                # Then both are gone: what was known last is shown with its age, and nothing else.
                vast.set_mode("short")
                await scene.next_cycle()
                assert await scene.quote() == {**quote, "stale": False}
                vast.set_mode("malformed")
                await scene.next_cycle()
                assert await scene.quote() == {**quote, "stale": True}
                world.farm.set_mode("ok")
                vast.set_mode("ok")
                clock.forward(minutes=60)
                await scene.next_cycle()
                assert (await scene.quote())["source"] == "500.farm"
                vast.factor = 2.0
                await scene.next_cycle()
                [status] = [each for each in await app.market.sources() if each.source == "500.farm"]
                assert status.problem is None and "disagrees with vast.ai" in (status.remark or "")
                assert (await scene.quote())["source"] == "500.farm"


def true_figures(at: datetime) -> tuple[int, int, float]:
    """Rented and all GPUs, and the exporter's median, of the RTX 4090 at an instant."""
    import numpy as np

    stats = market().history_stats("RTX 4090", np.array([int(at.timestamp())], dtype=np.int64))
    everything = stats["all", "all"]
    return int(stats["rented", "all"]["count"][0]), int(everything["count"][0]), float(everything["median"][0])


@pytest.mark.xdist_group("e2e-fallback")
async def test_the_product_on_the_specified_dialect(tmp_path: Path) -> None:
    clock = OffsetClock()
    async with World(clock, update_interval=60) as world:
        sim = world.farm.publisher.clock
        async with SpecifiedFarm(market(), sim, interval=60) as farm:
            world.farm.set_mode("status:404")
            urls = {"farm_url": (world.farm.url, farm.url)}
            async with running_app(world, tmp_path, clock, **urls) as app:
                await world.bot_answers()
                async with web(f"http://127.0.0.1:{app.web_port}") as site:
                    await site.ready()
                    await settled(app)
                    _, body = await site.get("/api/v1/prices?gpu=rtx-4090")
                    found = {quote["platform"]: quote for quote in body["quotes"]}
                    assert found.keys() == {"vast", "runpod", "lambda", "nimbus-gpu-cloud"}
                    quote = found["runpod"]
                    rented, total, _ = true_figures(datetime.fromisoformat(quote["as_of"]))
                    assert quote["utilization"] == pytest.approx(rented / total, abs=0.001)
                    assert quote["sample"] is None and quote["rented"]["count"] is None and not quote["thin"]
                    async with world.actor("ben") as ben:
                        card = words(
                            await ben.run(world.channel, "price", {"gpu": "rtx-4090", "platform": "runpod"}, within=60)
                        )
                    assert "0 rented" not in card and "0 GPUs" not in card
                    assert "not counted" in card
                    for mode in ("down", "malformed", "wrong_shape", "empty", "bad_items", "hostile_names", "half"):
                        farm.set_mode(mode)
                        clock.forward(minutes=15)
                        await cycle(app)
                        _, body = await site.get("/api/v1/prices?gpu=rtx-4090&platform=runpod")
                        for quote in body["quotes"]:
                            rented, total, median = true_figures(datetime.fromisoformat(quote["as_of"]))
                            assert quote["utilization"] == pytest.approx(rented / total, abs=0.001), mode
                            assert quote["price"] == pytest.approx(median * 1.55, abs=0.001), mode
