"""Payback with a range, before and after electricity."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gpuscout.market.models import History, HistoryPoint, HistoryTier, SeriesKey
from gpuscout.portfolio.models import DAYS_A_MONTH, BadHolding, NoValue, RoiQuestion
from gpuscout.portfolio.payback import MIN_DAYS, use_range
from gpuscout.portfolio.portfolios import Portfolios
from tests.fake_market import NOW, quote, side
from tests.fakes import World

MEMBER = 3


@pytest.fixture
def portfolios() -> Portfolios:
    return World().portfolios()


def question(**values: Any) -> RoiQuestion:
    asked: dict[str, Any] = {"gpu": "rtx-4090", "cost": 16_000.0, "quantity": 8, "platform": "vast"}
    return RoiQuestion(**(asked | values))


async def test_the_expected_case_is_the_median_and_the_present_utilization(portfolios: Portfolios) -> None:
    found = await portfolios.roi(MEMBER, question())
    use = 2402 / 4986
    before = 24 * 8 * use * 0.335 * 0.75 * DAYS_A_MONTH
    after = before - 24 * 8 * use * 0.45 * 0.15 * DAYS_A_MONTH
    assert found.expected.before_electricity_month == pytest.approx(before)
    assert found.expected.net_month == pytest.approx(after)
    assert found.expected.months_before_electricity == pytest.approx(16_000 / before)
    assert found.expected.months == pytest.approx(16_000 / after)
    assert (found.slow.price, found.fast.price) == (0.26, 0.43)
    assert found.days >= MIN_DAYS
    assert found.slow.utilization < found.expected.utilization < found.fast.utilization


async def test_the_range_holds_the_expected_case(portfolios: Portfolios) -> None:
    for price in (None, 0.2, 0.335, 0.6):
        found = await portfolios.roi(MEMBER, question(price=price))
        assert found.fast.months is not None and found.expected.months is not None and found.slow.months is not None
        assert found.fast.months <= found.expected.months <= found.slow.months
        for case in (found.slow, found.expected, found.fast):
            assert case.months_before_electricity is not None and case.months is not None
            assert case.months_before_electricity <= case.months
        if price is not None:
            assert (found.slow.price, found.fast.price) == (price, price)


async def test_what_never_pays_has_no_months(portfolios: Portfolios) -> None:
    found = await portfolios.roi(MEMBER, question(tariff=2.0))
    assert found.expected.months is None
    assert found.expected.net_month < 0
    assert found.expected.months_before_electricity is not None


async def test_assumptions_are_inputs(portfolios: Portfolios) -> None:
    found = await portfolios.roi(MEMBER, question())
    assert {known.source for known in found.inputs} == {"500.farm", "catalogue", "assumption"}
    assert (found.share, found.power_w, found.tariff) == (0.75, 450.0, 0.15)
    own = await portfolios.roi(MEMBER, question(price=0.4, power_w=300.0, tariff=0.3, fee=0.1))
    assert (own.share, own.power_w, own.tariff) == (0.9, 300.0, 0.3)


@pytest.mark.parametrize("values", [{"cost": 0.0}, {"quantity": 0}, {"gpu": "nothing"}, {"price": -1.0}, {"fee": 2.0}])
async def test_what_cannot_be_is_refused(portfolios: Portfolios, values: dict[str, Any]) -> None:
    with pytest.raises(BadHolding):
        await portfolios.roi(MEMBER, question(**values))


async def test_without_data_it_says_why() -> None:
    world = World()
    portfolios = world.portfolios()
    with pytest.raises(NoValue, match="no_market"):
        await portfolios.roi(MEMBER, question(gpu="h200-sxm"))
    with pytest.raises(NoValue, match="unlisted"):
        await portfolios.roi(MEMBER, question(platform="lambda"))
    world.market.stored.append(quote("x-mystery", side(10, 0.4), side(10, 0.4), side(20, 0.4, 0.3, 0.5)))
    with pytest.raises(NoValue, match="no_power"):
        await portfolios.roi(MEMBER, question(gpu="x-mystery"))
    world.market.stored.append(
        quote("h200-sxm", side(10, 2.0), side(10, 2.0), side(20, 2.0, 1.5, 2.5), platform="runpod")
    )
    with pytest.raises(NoValue, match="no_fee"):
        await portfolios.roi(MEMBER, question(gpu="h200-sxm", platform="runpod"))


def past(days: int, use: float | None = 0.5) -> History:
    start = datetime(2025, 10, 1, tzinfo=UTC)
    point = HistoryPoint(0, 0.3, None, None, None, None, 0.0, 0.0)
    points = [
        point._replace(ts=int((start + timedelta(days=day, hours=hour)).timestamp()), reported=use)
        for day in range(days)
        for hour in (0, 12)
    ]
    return History(SeriesKey("vast", "rtx-4090"), HistoryTier.HOUR, start, NOW, timedelta(hours=1), points)


def test_a_range_needs_days_with_data() -> None:
    assert use_range(past(MIN_DAYS - 1)) == (0.0, 0.0, 0)
    assert use_range(past(30, None)) == (0.0, 0.0, 0)
    assert use_range(past(30)) == (0.5, 0.5, 30)
    mixed = past(40)
    points = [point._replace(reported=0.3 if n < 20 else 0.7) for n, point in enumerate(mixed.points)]
    assert use_range(replace(mixed, points=points)) == (0.3, 0.7, 40)
