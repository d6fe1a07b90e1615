"""Values of holdings: figures, their inputs, and the series they rest on."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from gpuscout.market.models import QuoteFlag
from gpuscout.portfolio.models import (
    DAYS_A_MONTH,
    INPUT_NAMES,
    BadHolding,
    Earnings,
    Figure,
)
from gpuscout.portfolio.portfolios import Portfolios
from gpuscout.portfolio.tariffs import TariffPlan, TariffWindow
from tests.fake_market import NOW, SEEN, quote, side
from tests.fake_portfolio import MACHINE
from tests.fakes import World
from tests.portfolio.helpers import ANN, BEN, draft


def figures(earned: Earnings) -> list[Figure]:
    return [getattr(earned, name) for name in Earnings.__dataclass_fields__]


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
