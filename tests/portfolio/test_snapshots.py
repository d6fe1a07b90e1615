"""Daily snapshots over real databases: once a day whatever happens, and what is due to go goes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from config.catalogue import GpuCatalogue
from config.platforms import PlatformCatalogue
from gpuscout.accounts.members import Members
from gpuscout.plans.tiers import default_plans
from gpuscout.portfolio.advice_models import NotEnoughEvidence, PriceAdvice
from gpuscout.portfolio.models import HoldingDraft
from gpuscout.portfolio.portfolios import Portfolios
from gpuscout.portfolio.snapshots import KEPT, Snapshots
from storage import tables as t
from storage.engine import Database
from storage.holdings import HoldingStore
from storage.machines import MachineStore
from tests.fake_choices import FakeTiers
from tests.fake_market import NOW, SEEN
from tests.fakes import CURRENCIES, World

ANN, BEN = (1 << 62) + 1, (1 << 62) + 2
SEEN_AT = int(SEEN.timestamp())


@dataclass
class Desk:
    world: World
    db: Database
    store: HoldingStore
    portfolios: Portfolios
    snapshots: Snapshots
    told: list[int]

    async def machine(self, number: int, **changes: Any) -> None:
        async with self.db.write() as conn:
            await conn.execute(update(t.machine).where(t.machine.c.machine_id == number).values(**changes))


@pytest.fixture
async def desk(db: Database) -> AsyncIterator[Desk]:
    world, store, told = World(), HoldingStore(db), []

    async def follow(conn: AsyncConnection, member_id: int) -> None:
        assert await store.list_in(conn, member_id) is not None
        told.append(member_id)

    async with db.write() as conn:
        await conn.execute(insert(t.source).values(id=1, slug="500.farm"))
        await conn.execute(
            insert(t.market_update).values(
                source_id=1,
                feed="machines",
                source_time_ms=SEEN_AT * 1000,
                fetched_at=SEEN,
                method=1,
                read=200,
                rejected=0,
                stored=1,
            )
        )
        await conn.execute(
            insert(t.machine),
            [
                {
                    "platform": "vast",
                    "machine_id": number,
                    "source_id": 1,
                    "gpu": "rtx-4090",
                    "num_gpus": 4,
                    "num_rented": 4 if number * 37 % 100 < 95 - number // 3 else 0,
                    "price": 0.25 + number / 1000,
                    "verification": "verified",
                    "datacenter": False,
                    "country": "de",
                    "first_seen": SEEN_AT - 1000,
                    "last_seen": SEEN_AT,
                }
                for number in range(1, 201)
            ],
        )
    portfolios = Portfolios(
        store,
        MachineStore(db),
        world.market,
        Members(world.member_rows, CURRENCIES, member_hash=str, clock=world.market.time),
        GpuCatalogue.load(),
        PlatformCatalogue.load(),
        default_plans(),
        FakeTiers(),
        lists={"vast": "500.farm"},
        clock=world.market.time,
        on_change=follow,
    )
    yield Desk(world, db, store, portfolios, Snapshots(store, portfolios, clock=world.market.time), told)


def draft(**values: Any) -> HoldingDraft:
    rig: dict[str, Any] = {"gpu": "rtx-4090", "quantity": 8, "platform": "vast", "asked_price": 0.35}
    return HoldingDraft(**(rig | values))


async def test_a_day_has_one_snapshot_the_last(desk: Desk) -> None:
    await desk.portfolios.add(ANN, draft())
    assert await desk.snapshots.take() == 1
    assert await desk.snapshots.take() == 1
    first = await desk.portfolios.history(ANN, 7)
    assert len(first) == 1
    view = await desk.portfolios.value(ANN)
    assert first[0].net_day == pytest.approx(view.totals.net_day)
    assert (first[0].day, first[0].gpus, first[0].holdings) == (NOW.date(), 8, 1)
    await desk.portfolios.add(ANN, draft())
    desk.world.market.now = NOW + timedelta(hours=2)
    await desk.snapshots.take()
    (later,) = await desk.portfolios.history(ANN, 7)
    assert later.net_day == pytest.approx(2 * first[0].net_day)
    desk.world.market.now = NOW + timedelta(days=1)
    await desk.snapshots.take()
    assert [point.day for point in await desk.portfolios.history(ANN, 7)] == [date(2026, 1, 1), date(2026, 1, 2)]


async def test_every_member_with_holdings_and_nobody_else(desk: Desk) -> None:
    for member in range(1, 61):
        await desk.portfolios.add(member, draft())
    gone = await desk.portfolios.add(ANN, draft())
    await desk.portfolios.remove(ANN, gone.id)
    assert await desk.snapshots.take() == 60
    assert await desk.portfolios.history(ANN, 7) == []
    assert len(await desk.portfolios.history(60, 7)) == 1


async def test_an_outage_of_the_market_is_no_fall(desk: Desk) -> None:
    await desk.portfolios.add(ANN, draft())
    await desk.portfolios.add(ANN, draft(gpu="rtx-5090"))
    await desk.snapshots.take()
    before = await desk.portfolios.history(ANN, 7)
    desk.world.market.stored = [q for q in desk.world.market.stored if q.key.gpu != "rtx-5090"]
    assert await desk.snapshots.take() == 0
    assert await desk.portfolios.history(ANN, 7) == before


async def test_what_never_has_a_value_does_not_stand_in_the_way(desk: Desk) -> None:
    await desk.portfolios.add(ANN, draft())
    await desk.portfolios.add(ANN, draft(platform="runpod", gpu="rtx-4090"))
    view = await desk.portfolios.value(ANN)
    assert [found.unvalued for found in view.holdings] == [None, "no_fee"]
    assert await desk.snapshots.take() == 1


async def test_a_model_that_nobody_lists_does_not_stand_in_the_way_either(desk: Desk) -> None:
    await desk.portfolios.add(ANN, draft())
    await desk.portfolios.add(ANN, draft(gpu="l40s"))
    assert [found.unvalued for found in (await desk.portfolios.value(ANN)).holdings] == [None, "no_market"]
    assert await desk.snapshots.take() == 1
    assert await desk.snapshots.take() == 1
    [point] = await desk.portfolios.history(ANN, 7)
    assert (point.holdings, point.gpus) == (1, draft().quantity)


async def test_machines_facts_outlive_the_markets_memory_and_are_told(desk: Desk) -> None:
    added = await desk.portfolios.add_machine(ANN, 77)
    assert added.asked_price == pytest.approx(0.327)
    await desk.machine(77, price=0.5, last_seen=SEEN_AT)
    desk.told.clear()
    await desk.snapshots.take()
    assert desk.told == [ANN]
    await desk.snapshots.take()
    assert desk.told == [ANN]  # nothing changed since
    await desk.machine(77, machine_id=7_777)
    kept = await desk.portfolios.get(ANN, added.id)
    assert kept is not None
    assert kept.machine is None
    assert kept.asked_price == 0.5


async def test_what_was_removed_or_is_old_goes(desk: Desk) -> None:
    added = await desk.portfolios.add(ANN, draft())
    await desk.snapshots.take()
    await desk.portfolios.remove(ANN, added.id)
    desk.world.market.now = NOW + timedelta(hours=25)
    await desk.snapshots.take()
    async with desk.db.read() as conn:
        assert (await conn.execute(t.tables_portfolio.holding.select())).all() == []
    assert len(await desk.portfolios.history(ANN, 7)) == 1
    desk.world.market.now = NOW + KEPT + timedelta(days=2)
    await desk.snapshots.take()
    assert await desk.portfolios.history(ANN, 1_000) == []


async def test_advice_from_stored_machines_is_of_the_same_kind(desk: Desk) -> None:
    """The query behind the evidence, on a real database."""
    await desk.portfolios.add(ANN, draft(verification="verified", segment="non-dc:4-7", asked_price=0.43))
    await desk.portfolios.add(ANN, draft(verification="verified", segment="dc:4-7"))
    await desk.portfolios.add(ANN, draft(verification="unverified"))
    await desk.portfolios.add(ANN, draft(region="de"))
    await desk.portfolios.add(ANN, draft(region="fr"))
    found = [advice.price for advice in await desk.portfolios.advice(ANN)]
    evidence = [price.evidence for price in found if isinstance(price, PriceAdvice | NotEnoughEvidence)]
    same, other, unverified, near, far = (rests_on for rests_on in evidence if rests_on is not None)
    assert same.machines == 200
    assert other.machines == 0
    assert unverified.machines == 0
    assert near.region == "de"
    assert far.region == "global"  # too few machines stand in France
