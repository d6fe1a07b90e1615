"""Every kind of rule, from what the market says to the item that is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gpuscout.alerts.ports import Absurd
from gpuscout.alerts.rules import (
    DemandRule,
    DigestRule,
    ExtremeRule,
    FleetRule,
    GpuScope,
    HoldingRule,
    MachineRule,
    MachineScope,
    NewModelRule,
    Owner,
    PortfolioScope,
    PriceRule,
    SpreadRule,
    StepsRule,
    SupplyRule,
    UtilizationRule,
    WatchlistScope,
)
from gpuscout.portfolio.models import HoldingDraft
from storage.alerts_work import SYNC_JOB
from storage.machines import MachineState
from storage.market import QuoteValues, UpdateRows
from storage.tables import job
from tests.alerts.desk import ANNA, MEMBER, SCOPE, STEP, AlertDesk, above, below
from tests.market.helpers import model_v1

COOL = {"cooldown": timedelta(0)}


def machine(number: int = 7, **changes: Any) -> MachineState:
    state = MachineState(number, "rtx-4090", 24.0, 8, 0, 0.4, 0.2, 0.99, "verified", False, "de", None)
    return state._replace(**changes)


async def test_utilization_demand_and_supply(lite: AlertDesk) -> None:
    await lite.price(0.35, 20, 20)
    await lite.make(UtilizationRule(scope=SCOPE, direction="above", level=0.8), **COOL)
    await lite.make(SupplyRule(scope=SCOPE, event="at_least", count=30), **COOL)
    demand = await lite.make(DemandRule(scope=SCOPE, direction="below", level=20), **COOL)
    assert await lite.price(0.35, 32, 8) == 0  # 0.8 is not above 0.8
    assert await lite.price(0.35, 33, 7) == 1
    assert await lite.price(0.35, 32, 8) == 0
    assert await lite.price(0.35, 33, 7) == 0  # within the band of one point
    assert await lite.price(0.35, 10, 30) >= 1
    metrics = [item["metric"] for item in await lite.items()]
    assert metrics[:2] == ["utilization", "available"]
    await lite.price(0.35, 1, 60)
    assert len(await lite.ledger(demand, "fired")) == 1


async def test_crossing_is_told_each_way_and_does_not_flap(lite: AlertDesk) -> None:
    await lite.price(0.35)
    await lite.make(PriceRule(scope=SCOPE, direction="crossing", level=0.30), **COOL)
    assert [await lite.price(p) for p in (0.29, 0.30, 0.29, 0.31, 0.30, 0.29, 0.31)] == [1, 0, 0, 1, 0, 1, 1]
    assert [item["happened"] for item in await lite.items()] == ["below", "above", "below", "above"]


async def test_steps_move_with_the_price(lite: AlertDesk) -> None:
    await lite.price(1.00)
    await lite.make(StepsRule(scope=SCOPE, amount=5), for_polls=1, **COOL)
    assert [await lite.price(p) for p in (1.04, 1.05, 1.08, 1.10, 1.11, 1.05)] == [0, 1, 0, 0, 1, 1]
    assert [item["before"] for item in await lite.items()] == [1.00, 1.05, 1.11]


async def test_a_new_low_and_only_a_new_one(lite: AlertDesk) -> None:
    await lite.day(0.40)
    await lite.make(ExtremeRule(scope=SCOPE, which="low", days=1), **COOL)
    assert [await lite.price(p) for p in (0.41, 0.40, 0.39, 0.39, 0.38, 0.39)] == [0, 0, 1, 0, 1, 0]
    item = (await lite.items())[0]
    assert item["happened"] == "new" and item["metric"] == "low" and round(item["after"], 6) == -0.01


async def test_an_extreme_over_more_than_is_known_is_held(lite: AlertDesk) -> None:
    await lite.price(0.40)
    rule = await lite.make(ExtremeRule(scope=SCOPE, which="low", days=30))
    assert await lite.price(0.30) == 0
    assert [entry.reason for entry in await lite.ledger(rule)] == ["history"]


async def test_the_spread_between_platforms(lite: AlertDesk) -> None:
    async def other(price: float) -> None:
        at = int(lite.clock.now.timestamp())
        values = QuoteValues(10, price, None, None, 10, price, None, None, 20, price, None, None, None, 0)
        key = ("runpod", "rtx-4090", "global", "on-demand", "any", "any")
        rows = UpdateRows("other", "prices", at * 1000, lite.clock.now, 1, 1, [(key, values)], (), ())
        async with lite.db.write() as conn:
            await lite.parts.store.store_update(conn, rows)

    await lite.price(0.40)
    await other(0.44)
    await lite.make(SpreadRule(gpu="rtx-4090", amount=25), for_polls=1)
    assert await lite.price(0.40) == 0
    await other(0.50)
    assert await lite.price(0.40) == 1
    [item] = await lite.items()
    assert item["metric"] == "spread_percent" and round(item["after"], 6) == 25 and item["gpu"] == "rtx-4090"


async def test_my_machine_is_rented_and_freed(lite: AlertDesk) -> None:
    await lite.machines(machine())
    scope = MachineScope(machine_id=7)
    await lite.make(MachineRule(scope=scope, event="rented"), **COOL)
    await lite.make(MachineRule(scope=scope, event="freed"), **COOL)
    told = [await lite.machines(machine(num_rented=n)) for n in (0, 2, 2, 4, 0, 2)]
    assert told == [0, 1, 0, 1, 1, 1]
    rows = [(i["when"]["event"], i["before"], i["after"], i["machine_id"]) for i in await lite.items()]
    assert rows == [("rented", 0, 2, 7), ("rented", 2, 4, 7), ("freed", 4, 0, 7), ("rented", 0, 2, 7)]


async def test_my_machine_idles_vanishes_and_ends(lite: AlertDesk) -> None:
    ends = int((lite.clock.now + timedelta(days=4)).timestamp())
    await lite.machines(machine(num_rented=1, end_date=ends))
    scope = MachineScope(machine_id=7)
    idle = await lite.make(MachineRule(scope=scope, event="idle", hours=2))
    gone = await lite.make(MachineRule(scope=scope, event="gone"))
    ending = await lite.make(MachineRule(scope=scope, event="ends", days=3))
    hour = timedelta(hours=1)
    assert [await lite.machines(machine(end_date=ends), after=hour) for _ in range(4)] == [0, 0, 1, 0]
    assert [await lite.machines(machine(8), after=hour) for _ in range(3)] == [0, 1, 0]
    assert await lite.machines(machine(end_date=ends), after=timedelta(hours=22)) == 1
    fired = [item["rule_id"] for item in await lite.items()]
    assert fired == [idle, gone, ending]


async def test_my_machine_loses_reliability_and_verification(lite: AlertDesk) -> None:
    await lite.machines(machine())
    scope = MachineScope(machine_id=7)
    await lite.make(MachineRule(scope=scope, event="reliability"), **COOL)
    await lite.make(MachineRule(scope=scope, event="reliability", level=0.9), **COOL)
    await lite.make(MachineRule(scope=scope, event="verification"), **COOL)
    told = [await lite.machines(machine(reliability=r)) for r in (0.98, 0.97, 0.96, 0.95, 0.89)]
    assert told == [0, 1, 0, 1, 2]
    assert await lite.machines(machine(reliability=0.89, verification="unverified")) == 1
    assert await lite.machines(machine(reliability=0.89, verification="deverified")) == 0


async def test_a_holding_outside_of_the_market(lite: AlertDesk) -> None:
    await lite.price(0.40)
    held = await lite.portfolios.add(
        MEMBER, HoldingDraft(gpu="rtx-4090", quantity=4, platform="vast", asked_price=0.40)
    )
    await lite.make(HoldingRule())
    assert await lite.price(0.45) == 0  # p10 is 80 % of it
    assert await lite.price(0.55) == 1  # 0.44 is more than 0.40
    [item] = await lite.items()
    assert (item["metric"], item["happened"], item["holding_id"]) == ("p10", "above", held.id)
    assert await lite.price(0.30) == 1
    assert (await lite.items())[1]["metric"] == "p90"


async def test_the_fleet_moved(lite: AlertDesk) -> None:
    await lite.price(0.40)
    await lite.portfolios.add(MEMBER, HoldingDraft(gpu="rtx-4090", quantity=4, platform="vast"))
    rule = await lite.make(FleetRule(percent=10), for_polls=1, **COOL)
    assert await lite.price(0.41) == 0
    assert await lite.price(0.50) == 1
    [item] = await lite.items()
    assert item["metric"] == "fleet_net" and item["after"] > item["before"] * 1.1 and item["happened"] == "up"
    # What the member changes himself is no move.
    await lite.portfolios.add(MEMBER, HoldingDraft(gpu="rtx-4090", quantity=40, platform="vast"))
    assert await lite.price(0.50) == 0
    assert await lite.alerts.sync(MEMBER) == 1 and len(await lite.triggers(rule)) == 2
    assert [await lite.price(0.50), await lite.price(0.60)] == [0, 1]


async def test_the_fleet_does_not_move_by_a_thin_sample(lite: AlertDesk) -> None:
    await lite.price(0.40)
    await lite.portfolios.add(MEMBER, HoldingDraft(gpu="rtx-4090", quantity=4, platform="vast"))
    rule = await lite.make(FleetRule(percent=10), for_polls=1, **COOL)
    assert await lite.poll(model_v1("RTX 4090", 4, 3, 0.60)) == 0
    found = await lite.alerts.why(f"m:{MEMBER}", rule_id=rule)
    assert found is not None and [(entry.outcome, entry.reason) for entry in found.entries] == [("held", "thin")]
    assert await lite.price(0.60) == 1


async def test_a_new_model_on_a_platform(lite: AlertDesk) -> None:
    await lite.price(0.40)
    await lite.make(NewModelRule(), **COOL)
    card = model_v1("RTX 4090", 30, 20, 0.40)
    assert await lite.poll(card) == 0
    assert await lite.poll(card, model_v1("RTX 5090", 2, 1, 0.9)) == 1
    assert await lite.poll(card, model_v1("RTX 5090", 2, 1, 0.9)) == 0
    [item] = await lite.items()
    assert item["models"] == ["rtx-5090"] and item["happened"] == "new"
    assert await lite.poll(card) == 0 and await lite.poll(card, model_v1("RTX 5090", 2, 1, 0.9)) == 0


async def test_a_watchlist_is_followed(lite: AlertDesk) -> None:
    models = [model_v1("RTX 4090", 30, 20, 0.40), model_v1("RTX 3090", 30, 20, 0.20)]
    await lite.poll(*models)
    await lite.members.watch(MEMBER, "rtx-4090")
    rule = await lite.make(PriceRule(scope=WatchlistScope(), direction="below", level=0.15), **COOL)
    assert len(await lite.triggers(rule)) == 1
    await lite.members.watch(MEMBER, "rtx-3090")
    assert [row.payload for row in await lite.rows(job) if row.kind == SYNC_JOB] == [{"member": MEMBER}]
    assert await lite.alerts.sync(MEMBER) == 1 and len(await lite.triggers(rule)) == 2
    assert await lite.poll(models[0], model_v1("RTX 3090", 30, 20, 0.14)) == 1
    [item] = await lite.items()
    assert item["gpu"] == "rtx-3090"
    await lite.members.unwatch(MEMBER, "rtx-3090")
    await lite.alerts.sync(MEMBER)
    assert len(await lite.triggers(rule)) == 1


async def test_a_portfolio_is_followed_and_machines_are_found_in_it(lite: AlertDesk) -> None:
    await lite.price(0.40)
    await lite.machines(machine())
    rule = await lite.make(PriceRule(scope=PortfolioScope(), direction="above", level=0.45))
    rented = await lite.make(MachineRule(scope=PortfolioScope(), event="rented"))
    assert await lite.triggers(rule) == []
    await lite.portfolios.add_machine(MEMBER, 7)
    assert await lite.alerts.sync(MEMBER) == 2
    assert await lite.price(0.50) == 1
    assert await lite.machines(machine(num_rented=8)) == 1
    assert [item["rule_id"] for item in await lite.items()] == [rule, rented]


async def test_a_digest_of_alerts(lite: AlertDesk) -> None:
    await lite.members.change(MEMBER, {"timezone": "Europe/Berlin"})
    await lite.price(0.40)
    rule = await lite.make(below(0.30))
    digest = await lite.make(DigestRule(every="day", hour=8))
    await lite.price(0.25)
    lite.clock.now = lite.clock.now.replace(hour=6, minute=59)  # 07:59 in Berlin
    assert await lite.engine.tick() == 0
    lite.clock.now += timedelta(minutes=1)
    assert await lite.engine.tick() == 1
    assert await lite.engine.tick() == 0
    item = (await lite.items())[-1]
    assert item["happened"] == "digest" and item["rule_id"] == digest
    [line] = item["lines"]
    assert (line["rule_id"], line["fired"], line["gpu"], line["value"]) == (rule, 1, "rtx-4090", 0.25)
    assert (await lite.rules())[1].next_at == lite.clock.now + timedelta(days=1)


async def test_an_expired_rule_is_told_and_renewed(lite: AlertDesk) -> None:
    await lite.price(0.40)
    rule = await lite.make(below(0.30), expires_at=lite.clock.now + timedelta(days=1))
    assert await lite.engine.tick() == 0
    lite.clock.now += timedelta(days=1)
    assert await lite.engine.tick() == 1 and await lite.engine.tick() == 0
    [notice] = await lite.notifications()
    [item] = await lite.items()
    assert notice.kind == "notice" and item["type"] == "alert_expired" and item["rule_id"] == rule
    assert await lite.price(0.25) == 0
    view = await lite.alerts.renew(ANNA.key, rule, lite.clock.now + timedelta(days=30))
    assert view is not None and view.state == "active"
    assert [await lite.price(p) for p in (0.35, 0.25)] == [0, 1]


async def test_a_servers_rule_goes_to_its_channel(lite: AlertDesk) -> None:
    await lite.price(0.40)
    server = Owner(member_id=MEMBER, server=True, guild_id=900, channel_id=901, role_id=902)
    await lite.listen("guild:900")
    rule = await lite.make(below(0.30), server)
    assert await lite.price(0.25) == 1
    [row] = await lite.notifications()
    assert (row.member_id, row.guild_id, row.channel_id, row.role_id) == (None, 900, 901, 902)
    [event] = await lite.events()
    assert event.member_id is None and event.data["guild_id"] == "900"
    assert await lite.alerts.get(ANNA.key, rule) is None
    assert await lite.alerts.mute(77, rule) and [v.id for v in await lite.alerts.muted(77)] == [rule]
    assert await lite.alerts.unmute(77, rule) and not await lite.alerts.unmute(77, rule)
    with pytest.raises(Absurd, match="not_a_member"):
        await lite.make(FleetRule(percent=5), server)


async def test_levels_that_cannot_be_meant_are_refused(lite: AlertDesk) -> None:
    await lite.price(0.40)
    cheap = GpuScope(gpu="gtx-1080")
    await lite.poll(model_v1("RTX 4090", 30, 20, 0.40), model_v1("GTX 1080", 30, 20, 0.06))
    from tests.alerts.desk import change

    for when, reason in (
        (above(40.0), "far"),
        (below(0.001), "far"),
        (change(100, "down"), "impossible"),
        (change(5, scope=cheap), "within_tick"),
        (UtilizationRule(scope=SCOPE, direction="above", level=1), "impossible"),
        (below(0.3, GpuScope(gpu="rtx-5090")), "no_data"),
        (MachineRule(scope=MachineScope(machine_id=999), event="gone"), "unknown_machine"),
        (HoldingRule(holding_id="nope"), "none"),
    ):
        with pytest.raises(Absurd) as error:
            await lite.make(when)
        assert error.value.reason == reason
    with pytest.raises(Absurd, match="past"):
        await lite.make(below(0.3), expires_at=lite.clock.now - STEP)
