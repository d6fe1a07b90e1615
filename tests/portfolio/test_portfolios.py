"""Portfolios over stores in memory: adding, following machines, values and where they come from."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from config.platforms import Platform, PlatformCatalogue
from gpuscout.market.models import Quote, QuoteFlag
from gpuscout.portfolio.advice_models import NoPriceAdvice, NotEnoughEvidence, PriceAdvice
from gpuscout.portfolio.models import (
    DAYS_A_MONTH,
    INPUT_NAMES,
    AlreadyHeld,
    BadHolding,
    Earnings,
    Figure,
    HoldingDraft,
    LimitReached,
    UnknownMachine,
)
from gpuscout.portfolio.portfolios import Portfolios
from gpuscout.portfolio.tariffs import TariffPlan, TariffWindow
from tests.fake_market import NOW, SEEN, quote, side
from tests.fake_portfolio import GONE, MACHINE, falling_asks, machine_row
from tests.fakes import World

ANN, BEN = 11, 22


@pytest.fixture
def world() -> World:
    found = World()
    found.machine_rows.compared = []  # without evidence the market's utilization is expected
    return found


@pytest.fixture
def portfolios(world: World) -> Portfolios:
    return world.portfolios()


def draft(**values: Any) -> HoldingDraft:
    rig: dict[str, Any] = {"gpu": "rtx-4090", "quantity": 8, "platform": "vast", "asked_price": 0.35}
    return HoldingDraft(**(rig | values))


def figures(earned: Earnings) -> list[Figure]:
    return [getattr(earned, name) for name in Earnings.__dataclass_fields__]


# --- holdings ---


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
    assert (refused.value.limit, refused.value.wanted, refused.value.plan) == (10, 11, "Individual")
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


# --- values ---


async def test_the_figures_are_what_their_formulas_say(portfolios: Portfolios) -> None:
    await portfolios.add(ANN, draft(purchase_price=16_000.0, purchased_on=date(2025, 1, 1)))
    view = await portfolios.value(ANN)
    found = view.holdings[0]
    assert found.basis is not None and found.basis.exact
    use = 2402 / 4986
    gross = 24 * 8 * use * 0.35
    electricity = 24 * 8 * use * 0.450 * 0.15
    assert found.asked is not None and found.market is not None
    assert found.asked.gross_day.value == pytest.approx(gross)
    assert found.asked.fee_day.value == pytest.approx(gross * 0.25)
    assert found.asked.electricity_day.value == pytest.approx(electricity)
    assert found.net_day == pytest.approx(gross * 0.75 - electricity)
    assert found.net_month == pytest.approx((gross * 0.75 - electricity) * DAYS_A_MONTH)
    assert found.market.price.value == 0.335
    assert found.position is not None
    assert found.position.standing == "inside"
    assert found.position.place == pytest.approx((0.35 - 0.26) / (0.43 - 0.26))
    assert found.payback_on is not None and found.net_day is not None
    assert (found.payback_on - date(2025, 1, 1)).days == pytest.approx(16_000 / found.net_day, abs=1)
    assert view.totals.net_day == pytest.approx(found.net_day)
    assert (view.totals.gpus, view.totals.valued, view.limit) == (8, 1, 10)


async def test_every_figure_names_its_inputs_and_their_age(portfolios: Portfolios) -> None:
    await portfolios.add(ANN, draft())
    await portfolios.add_machine(ANN, MACHINE)
    for found in (await portfolios.value(ANN)).holdings:
        assert found.asked is not None and found.market is not None
        for figure in [*figures(found.asked), *figures(found.market)]:
            assert figure.formula and figure.value is not None and figure.missing is None
            assert {known.name for known in figure.inputs} <= set(INPUT_NAMES)
            assert all(
                (known.as_of is None) == (known.source in ("member", "catalogue", "assumption")) or known.name == "GPUs"
                for known in figure.inputs
            )
        assert found.asked.net_day.as_of == SEEN


async def test_at_the_median_without_an_asked_price(portfolios: Portfolios) -> None:
    await portfolios.add(ANN, draft(asked_price=None))
    found = (await portfolios.value(ANN)).holdings[0]
    assert found.asked == found.market
    assert found.position is None


async def test_what_the_member_says_comes_before_the_catalogue(world: World, portfolios: Portfolios) -> None:
    await world.services().members.change(ANN, {"tariff": 0.30})
    await portfolios.add(ANN, draft())
    await portfolios.add(ANN, draft(tariff=0.1, power_w=300.0, fee=0.1))
    one, two = (await portfolios.value(ANN)).holdings
    use = 2402 / 4986
    assert one.asked is not None and two.asked is not None
    assert one.asked.electricity_day.value == pytest.approx(24 * 8 * use * 0.45 * 0.30)
    assert two.asked.electricity_day.value == pytest.approx(24 * 8 * use * 0.3 * 0.1)
    assert two.asked.fee_day.value == pytest.approx(24 * 8 * use * 0.35 * 0.1)
    plan = TariffPlan(0.2, (TariffWindow(frozenset(range(7)), 0, 12 * 60, 0.4),))
    await portfolios.set_tariff_plan(ANN, plan)
    assert await portfolios.tariff_plan(ANN) == plan
    one = (await portfolios.value(ANN)).holdings[0]
    assert one.asked is not None
    assert one.asked.electricity_day.value == pytest.approx(24 * 8 * use * 0.45 * 0.30)  # half at 0.2, half at 0.4


async def test_rented_shares_are_used_at_both_prices_where_there_is_evidence() -> None:
    portfolios = World().portfolios()
    await portfolios.add(ANN, draft(asked_price=0.30))
    await portfolios.add(ANN, draft(asked_price=0.45))
    await portfolios.add(ANN, draft(asked_price=0.335))
    cheap, dear, median = (await portfolios.value(ANN)).holdings
    uses = [found.asked.utilization.value for found in (cheap, median, dear) if found.asked is not None]
    assert uses == sorted(uses, key=lambda use: -(use or 0))
    assert uses[0] != uses[2]
    assert median.asked is not None and median.market is not None
    assert median.asked.net_day.value == pytest.approx(median.market.net_day.value)
    assert {known.name for known in median.asked.utilization.inputs} == {"rented share at this price"}


async def test_dearer_than_anybody_is_expected_to_be_rented_as_the_dearest_at_most() -> None:
    portfolios = World().portfolios()
    await portfolios.add(ANN, draft(asked_price=0.47))
    await portfolios.add(ANN, draft(asked_price=2.0))
    dearest, beyond = (await portfolios.value(ANN)).holdings
    assert dearest.asked is not None and beyond.asked is not None
    assert beyond.asked.utilization.value is not None and dearest.asked.utilization.value is not None
    assert beyond.asked.utilization.value <= dearest.asked.utilization.value < 0.2


@pytest.mark.parametrize(
    ("values", "unvalued"),
    [
        ({"gpu": "h200-sxm"}, "no_market"),
        ({"tier": "reserved"}, "unlisted"),
        ({"platform": "lambda"}, "unlisted"),
    ],
)
async def test_without_data_a_holding_has_no_value_and_says_why(
    portfolios: Portfolios, values: dict[str, Any], unvalued: str
) -> None:
    await portfolios.add(ANN, draft())
    await portfolios.add(ANN, draft(**values))
    view = await portfolios.value(ANN)
    assert view.holdings[1].unvalued == unvalued
    assert view.holdings[1].asked is None
    assert (view.totals.holdings, view.totals.valued) == (2, 1)


async def test_without_fee_or_power_there_is_no_net_value(world: World, portfolios: Portfolios) -> None:
    world.market.stored.append(
        quote("rtx-4090", side(10, 0.4), side(10, 0.4), side(20, 0.4, 0.3, 0.5), platform="runpod")
    )
    await portfolios.add(ANN, draft(platform="runpod"))
    await portfolios.add(ANN, draft(platform="runpod", fee=0.2))
    no_fee, with_fee = (await portfolios.value(ANN)).holdings
    assert no_fee.unvalued == "no_fee"
    assert no_fee.asked is not None
    assert no_fee.asked.gross_day.value is not None
    assert no_fee.asked.net_day.missing == "platform's fee"
    assert with_fee.unvalued is None
    # An unknown model: no board power is known.
    world.market.stored.append(quote("x-mystery", side(10, 0.4), side(10, 0.4), side(20, 0.4, 0.3, 0.5)))
    await portfolios.add(ANN, draft(gpu="x-mystery"))
    assert (await portfolios.value(ANN)).holdings[2].unvalued == "no_power"


async def test_an_undecided_one_is_valued_where_a_host_can_go(world: World, portfolios: Portfolios) -> None:
    world.market.stored.append(
        quote("rtx-4090", side(9_000, 0.9), side(9_000, 0.9), side(18_000, 0.9, 0.8, 1.0), platform="runpod")
    )
    await portfolios.add(ANN, draft(platform=None))
    found = (await portfolios.value(ANN)).holdings[0]
    assert found.basis is not None and found.basis.key.platform == "vast"
    world.market.stored = [q for q in world.market.stored if q.key.platform == "runpod"]
    assert (await portfolios.value(ANN)).holdings[0].unvalued == "no_platform"


async def test_a_thin_or_missing_split_gives_way_to_a_wider_one(world: World, portfolios: Portfolios) -> None:
    await portfolios.add(ANN, draft(verification="verified", segment="dc:8+"))
    await portfolios.add(ANN, draft(verification="verified", segment="dc:1-3"))
    await portfolios.add(ANN, draft(region="fr"))
    exact, wider, world_wide = (await portfolios.value(ANN)).holdings
    assert exact.basis is not None and exact.basis.exact and exact.basis.key.segment == "dc:8+"
    assert wider.basis is not None and not wider.basis.exact
    assert (wider.basis.key.verification, wider.basis.key.segment) == ("verified", "any")
    assert world_wide.basis is not None and not world_wide.basis.exact
    thin = quote("rtx-4090", side(2, 0.9), side(3, 0.9), side(5, 0.9), verification="verified", segment="dc:1-3")
    assert thin.flags & QuoteFlag.THIN
    world.market.stored.append(thin)
    found = (await portfolios.value(ANN)).holdings[1].basis
    assert found is not None and found.key.segment == "any"


async def test_a_flagged_price_values_nothing(world: World, portfolios: Portfolios) -> None:
    absurd = quote("rtx-3090", side(50, 9.0), side(50, 9.0), side(100, 9.0, 8.0, 10.0), flags=QuoteFlag.OUTLIER)
    world.market.stored = [q for q in world.market.stored if q.key.gpu != "rtx-3090"] + [absurd]
    await portfolios.add(ANN, draft(gpu="rtx-3090"))
    assert (await portfolios.value(ANN)).holdings[0].unvalued == "unlisted"


async def test_a_preview_stores_nothing(portfolios: Portfolios) -> None:
    view = await portfolios.preview(ANN, draft())
    assert view.totals.net_day > 0
    assert await portfolios.list(ANN) == []
    with pytest.raises(BadHolding):
        await portfolios.preview(ANN, draft(quantity=0))


async def test_history_is_the_members_own(world: World, portfolios: Portfolios) -> None:
    world.holding_rows.remember_days(ANN, NOW, 40)
    assert len(await portfolios.history(ANN, 7)) == 8
    assert len(await portfolios.history(ANN, 90)) == 40
    assert await portfolios.history(BEN, 90) == []
    points = await portfolios.history(ANN, 30)
    assert [point.day for point in points] == sorted(point.day for point in points)


# --- advice ---


async def test_advice_says_where_it_does_not_apply(world: World, portfolios: Portfolios) -> None:
    world.market.stored.append(
        quote("rtx-4090", side(10, 0.4), side(10, 0.4), side(20, 0.4, 0.3, 0.5), platform="runpod")
    )
    world.market.stored.append(
        quote("rtx-4090", side(10, 0.4), side(10, 0.4), side(20, 0.4, 0.3, 0.5), platform="salad")
    )
    world.market.stored.append(
        quote("rtx-4090", side(10, 0.4), side(10, 0.4), side(20, 0.4, 0.3, 0.5), platform="tensordock")
    )
    for platform in ("runpod", "salad", "tensordock", "vast"):
        await portfolios.add(ANN, draft(platform=platform))
    await portfolios.add(ANN, draft(gpu="h200-sxm", platform=None))
    found = [advice.price for advice in await portfolios.advice(ANN)]
    assert found[0] == NoPriceAdvice("no_new_hosts")
    assert found[1] == NoPriceAdvice("platform_sets_price")
    assert found[2] == NotEnoughEvidence("no_list")  # nobody lists its machines one by one
    assert isinstance(found[3], NotEnoughEvidence) and found[3].reason == "few_machines"
    assert found[4] == NoPriceAdvice("undecided")


async def test_evidence_is_of_the_same_model_segment_and_verification(world: World, portfolios: Portfolios) -> None:
    await portfolios.add(ANN, draft(verification="verified", segment="dc:8+"))
    await portfolios.advice(ANN)
    which = world.machine_rows.asked[-1]
    assert (which.platform, which.gpus, which.country) == ("vast", ("rtx-4090",), None)
    assert (which.verified, which.datacenter, which.min_gpus, which.max_gpus) == (True, True, 8, None)


async def test_old_lists_are_no_evidence(world: World) -> None:
    portfolios = world.portfolios()
    world.machine_rows.listed = int((NOW - timedelta(hours=5)).timestamp())
    await portfolios.add(ANN, draft())
    assert (await portfolios.advice(ANN))[0].price == NotEnoughEvidence("no_list")
    world.machine_rows.listed = None
    assert (await portfolios.advice(ANN))[0].price == NotEnoughEvidence("no_list")


async def test_a_rented_machine_is_told_apart(world: World) -> None:
    world.machine_rows.compared = falling_asks()
    portfolios = world.portfolios()
    world.machine_rows.rows["vast", MACHINE] = machine_row(price=0.46, num_rented=8)
    await portfolios.add_machine(ANN, MACHINE)
    found = (await portfolios.advice(ANN))[0]
    assert found.rented
    assert isinstance(found.price, PriceAdvice) and found.price.kind == "lower"


def platforms_with(**changes: Any) -> PlatformCatalogue:
    """The catalogue with another TensorDock."""
    known = PlatformCatalogue.load()
    others = [
        Platform.model_validate(p.model_dump() | changes) if p.slug == "tensordock" else p for p in known.platforms
    ]
    return PlatformCatalogue(others, known.sources)


def elsewhere(price: float, rented: int = 60, count: int = 100) -> Quote:
    return quote(
        "rtx-4090",
        side(rented, price),
        side(count - rented, price),
        side(count, price, price, price),
        platform="tensordock",
    )


async def test_a_move_is_proposed_where_the_data_say_so(world: World) -> None:
    world.market.stored.append(elsewhere(0.60))
    for changes, moves in (
        ({"host_share": 0.8}, True),
        ({}, False),  # the host's share is not known
        ({"host_share": 0.8, "who_may_host": "existing hosts"}, False),
        ({"host_share": 0.8, "host_sets_price": False}, False),
    ):
        portfolios = world.portfolios(platforms=platforms_with(**changes))
        world.holding_rows.rows.clear()
        await portfolios.add(ANN, draft())
        move = (await portfolios.advice(ANN))[0].move
        assert (move is not None) == moves, changes
        if move is not None:
            assert move.platform == "tensordock"
            assert move.gain_month > 0
            assert move.net_month == pytest.approx(24 * 8 * 0.6 * (0.60 * 0.8 - 0.45 * 0.15) * DAYS_A_MONTH)


@pytest.mark.parametrize(("price", "rented", "count"), [(0.30, 50, 100), (0.9, 4, 8), (0.345, 50, 100)])
async def test_no_move_for_less_or_for_little_or_on_a_thin_sample(
    world: World, price: float, rented: int, count: int
) -> None:
    world.market.stored.append(elsewhere(price, rented, count))
    portfolios = world.portfolios(platforms=platforms_with(host_share=0.75))
    await portfolios.add(ANN, draft())
    assert (await portfolios.advice(ANN))[0].move is None
