"""Portfolios over stores in memory: adding, limits, following machines, undo, ownership."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from gpuscout.plans.limits import LimitReached
from gpuscout.portfolio.models import (
    AlreadyHeld,
    BadHolding,
    UnknownMachine,
)
from gpuscout.portfolio.portfolios import Portfolios
from tests.fake_market import NOW
from tests.fake_portfolio import GONE, MACHINE, machine_row
from tests.fakes import World
from tests.portfolio.helpers import ANN, BEN, draft


async def test_a_holding_is_stored_and_listed(portfolios: Portfolios) -> None:
    added = await portfolios.add(ANN, draft(name="  Rig\n 1 "))
    assert added.name == "Rig 1"
    assert await portfolios.list(ANN) == [added]
    assert await portfolios.get(ANN, added.id) == added
    assert await portfolios.list(BEN) == []
    assert await portfolios.get(BEN, added.id) is None


@pytest.mark.parametrize(
    ("values", "field", "problem"),
    [
        ({"gpu": "rtx-9999"}, "gpu", "unknown"),
        ({"quantity": 0}, "quantity", "range"),
        ({"quantity": True}, "quantity", "range"),
        ({"platform": "nowhere"}, "platform", "unknown"),
        ({"region": "atlantis"}, "region", "unknown"),
        ({"segment": "dc:9"}, "segment", "unknown"),
        ({"verification": "maybe"}, "verification", "unknown"),
        ({"tier": "gold"}, "tier", "unknown"),
        ({"asked_price": 0.0}, "asked_price", "range"),
        ({"asked_price": float("nan")}, "asked_price", "number"),
        ({"power_w": 9_999.0}, "power_w", "range"),
        ({"tariff": -0.1}, "tariff", "range"),
        ({"fee": 1.0}, "fee", "range"),
        ({"purchased_on": date(2026, 1, 2)}, "purchased_on", "future"),
        ({"purchased_on": date(1999, 1, 2)}, "purchased_on", "range"),
        ({"name": "x" * 61}, "name", "long"),
        ({"mining_usd_day": -1.0}, "mining_usd_day", "range"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(
    portfolios: Portfolios, values: dict[str, Any], field: str, problem: str
) -> None:
    with pytest.raises(BadHolding) as refused:
        await portfolios.add(ANN, draft(**values))
    assert (refused.value.field, refused.value.problem) == (field, problem)
    assert await portfolios.list(ANN) == []


async def test_the_limit_names_the_plan_that_lifts_it(portfolios: Portfolios) -> None:
    assert await portfolios.limit(ANN) == 10
    await portfolios.add_many(ANN, [draft()] * 9)
    with pytest.raises(LimitReached) as refused:
        await portfolios.add_many(ANN, [draft()] * 2)
    assert (refused.value.limit, refused.value.plan.name) == (10, "Free")
    assert refused.value.lifting is not None and refused.value.lifting.name == "Individual"
    assert len(await portfolios.list(ANN)) == 9
    await portfolios.add(ANN, draft())
    assert await portfolios.add_many(ANN, []) == ()


async def test_a_machine_is_followed(world: World, portfolios: Portfolios) -> None:
    seen = await portfolios.find_machine(MACHINE)
    assert await portfolios.list(ANN) == []
    added = await portfolios.add_machine(ANN, MACHINE)
    assert (added.gpu, added.quantity, added.asked_price, added.region) == ("rtx-4090", 8, 0.3467, "de")
    assert (added.verification, added.segment, added.platform) == ("verified", "non-dc:8+", "vast")
    assert (seen.gpu, seen.asked_price) == (added.gpu, added.asked_price)
    world.machine_rows.rows["vast", MACHINE] = machine_row(
        price=0.41, num_gpus=6, num_rented=6, verification="deverified"
    )
    now = (await portfolios.list(ANN))[0]
    assert (now.asked_price, now.quantity, now.verification, now.segment) == (0.41, 6, "unverified", "non-dc:4-7")
    assert now.machine is not None
    assert now.machine.listed and now.machine.utilization == 1.0
    with pytest.raises(AlreadyHeld) as held:
        await portfolios.add_machine(ANN, MACHINE)
    assert held.value.holding_id == added.id


async def test_a_machine_twice_in_one_go_is_refused_by_name(portfolios: Portfolios) -> None:
    found = await portfolios.find_machine(MACHINE)
    with pytest.raises(BadHolding) as refused:
        await portfolios.add_many(ANN, [found, found])
    assert (refused.value.field, refused.value.problem) == ("machine_id", "twice")
    assert await portfolios.list(ANN) == []


async def test_a_machine_that_is_gone_is_shown_as_it_was(world: World, portfolios: Portfolios) -> None:
    added = await portfolios.add_machine(ANN, GONE)
    assert added.machine is not None and not added.machine.listed
    world.machine_rows.rows["vast", GONE] = machine_row(GONE, price=0.5, last_seen=added.machine.seen_at.timestamp())
    assert await portfolios.keep_facts(ANN) == 1
    assert await portfolios.keep_facts(ANN) == 0
    del world.machine_rows.rows["vast", GONE]
    kept = (await portfolios.list(ANN))[0]
    assert kept.machine is None
    assert kept.asked_price == 0.5


@pytest.mark.parametrize("machine_id", [0, -1, 999, 1 << 60])
async def test_a_machine_that_nobody_lists_is_unknown(portfolios: Portfolios, machine_id: int) -> None:
    with pytest.raises(UnknownMachine):
        await portfolios.add_machine(ANN, machine_id)


async def test_editing_keeps_the_rest_and_the_machines_facts(portfolios: Portfolios) -> None:
    by_hand = await portfolios.add(ANN, draft(name="Rig"))
    changed = await portfolios.edit(ANN, by_hand.id, {"asked_price": 0.4, "tariff": None})
    assert changed is not None
    assert (changed.asked_price, changed.name, changed.quantity) == (0.4, "Rig", 8)
    with pytest.raises(BadHolding):
        await portfolios.edit(ANN, by_hand.id, {"quantity": -1})
    with pytest.raises(BadHolding):
        await portfolios.edit(ANN, by_hand.id, {"member_id": BEN})
    assert await portfolios.edit(BEN, by_hand.id, {"quantity": 1}) is None
    followed = await portfolios.add_machine(ANN, MACHINE)
    with pytest.raises(BadHolding) as refused:
        await portfolios.edit(ANN, followed.id, {"asked_price": 0.2})
    assert refused.value.problem == "machine"
    named = await portfolios.edit(ANN, followed.id, {"name": "Big one", "purchase_price": 16_000.0})
    assert named is not None and named.name == "Big one" and named.asked_price == 0.3467


async def test_removed_and_brought_back(world: World, portfolios: Portfolios) -> None:
    added = await portfolios.add(ANN, draft())
    assert await portfolios.remove(BEN, added.id) is None
    assert (await portfolios.remove(ANN, added.id)) is not None
    assert await portfolios.list(ANN) == []
    assert (await portfolios.restore(ANN, added.id)) is not None
    await portfolios.remove(ANN, added.id)
    world.market.now = NOW + timedelta(hours=25)
    assert await portfolios.restore(ANN, added.id) is None


async def test_every_change_is_told_in_its_transaction(world: World) -> None:
    told: list[int] = []

    async def follow(_conn: Any, member_id: int) -> None:
        told.append(member_id)

    portfolios = world.portfolios(on_change=follow)
    added = await portfolios.add(ANN, draft())
    await portfolios.edit(ANN, added.id, {"quantity": 4})
    await portfolios.remove(ANN, added.id)
    await portfolios.restore(ANN, added.id)
    assert told == [ANN] * 4
