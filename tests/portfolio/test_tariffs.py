"""Tariffs by time of use, and what they make of hosting, idling and mining."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuscout.portfolio.models import BadHolding, HoldingDraft
from gpuscout.portfolio.tariffs import MAX_WINDOWS, TariffPlan, TariffWindow, check_plan, plan_json, plan_of
from tests.fakes import World

WEEKDAYS, EVERY_DAY = frozenset(range(5)), frozenset(range(7))
EVENING = TariffWindow(WEEKDAYS, 17 * 60, 21 * 60, 0.50)
NIGHT = TariffWindow(EVERY_DAY, 23 * 60, 6 * 60, 0.10)
PLAN = TariffPlan(0.25, (EVENING, NIGHT))
MEMBER = 5


@pytest.mark.parametrize(
    ("local", "price"),
    [
        ("2026-01-05T16:59", 0.25),  # a Monday
        ("2026-01-05T17:00", 0.50),
        ("2026-01-05T20:59", 0.50),
        ("2026-01-05T21:00", 0.25),
        ("2026-01-10T18:00", 0.25),  # a Saturday
        ("2026-01-05T23:00", 0.10),
        ("2026-01-06T05:59", 0.10),
        ("2026-01-06T06:00", 0.25),
        ("2026-01-05T00:00", 0.10),  # begun on Sunday
    ],
)
def test_the_price_at_a_local_time(local: str, price: float) -> None:
    assert PLAN.price_at(datetime.fromisoformat(local)) == price


def test_the_mean_weighs_every_hour() -> None:
    hours = 5 * 4 * 0.50 + 7 * 7 * 0.10 + (168 - 20 - 49) * 0.25
    assert PLAN.mean == pytest.approx(hours / 168)
    assert TariffPlan(0.2).mean == pytest.approx(0.2)


def test_equal_ends_mean_all_day_and_the_first_window_counts() -> None:
    whole = TariffWindow(frozenset({2}), 0, 0, 0.4)
    plan = TariffPlan(0.1, (whole, TariffWindow(EVERY_DAY, 0, 0, 0.2)))
    assert plan.price_at(datetime(2026, 1, 7, 12, tzinfo=UTC)) == 0.4
    assert plan.price_at(datetime(2026, 1, 8, 12, tzinfo=UTC)) == 0.2
    assert plan.mean == pytest.approx((0.4 + 6 * 0.2) / 7)


WINDOWS = st.builds(
    TariffWindow,
    days=st.frozensets(st.integers(0, 6), min_size=1),
    start=st.integers(0, 95).map(lambda quarter: quarter * 15),
    end=st.integers(0, 96).map(lambda quarter: quarter * 15),
    price=st.floats(0, 5),
)
PLANS = st.builds(TariffPlan, base=st.floats(0, 5), windows=st.lists(WINDOWS, max_size=4).map(tuple))


@settings(deadline=None, max_examples=60)
@given(PLANS)
def test_the_mean_is_that_of_a_week_looked_at_hour_by_hour(plan: TariffPlan) -> None:
    monday = datetime(2026, 1, 5, tzinfo=UTC)
    prices = [plan.price_at(monday + timedelta(minutes=15 * n)) for n in range(672)]
    assert plan.mean == pytest.approx(sum(prices) / 672)
    assert plan_of(plan_json(check_plan(plan))) == plan


def test_a_local_time_on_the_day_the_clocks_change() -> None:
    """01:30 UTC on that Sunday is 03:30 in Berlin: the night's price, whatever the offset."""
    local = datetime(2026, 3, 29, 1, 30, tzinfo=UTC).astimezone(ZoneInfo("Europe/Berlin"))
    assert local.hour == 3
    assert PLAN.price_at(local) == 0.10


@pytest.mark.parametrize(
    ("plan", "field"),
    [
        (TariffPlan(-0.1), "base"),
        (TariffPlan(float("nan")), "base"),
        (TariffPlan(0.2, (TariffWindow(EVERY_DAY, 0, 60, 6.0),)), "price"),
        (TariffPlan(0.2, (TariffWindow(frozenset(), 0, 60, 0.1),)), "days"),
        (TariffPlan(0.2, (TariffWindow(frozenset({7}), 0, 60, 0.1),)), "days"),
        (TariffPlan(0.2, (TariffWindow(EVERY_DAY, 7, 60, 0.1),)), "start"),
        (TariffPlan(0.2, (TariffWindow(EVERY_DAY, 0, 1455, 0.1),)), "end"),
        (TariffPlan(0.2, (NIGHT,) * (MAX_WINDOWS + 1)), "windows"),
    ],
)
async def test_what_cannot_be_is_refused(plan: TariffPlan, field: str) -> None:
    portfolios = World().portfolios()
    with pytest.raises(BadHolding) as refused:
        await portfolios.set_tariff_plan(MEMBER, plan)
    assert refused.value.field == field
    assert await portfolios.tariff_plan(MEMBER) is None


# --- uses ---


async def uses(plan: TariffPlan | None, **values: Any) -> Any:
    world = World()
    world.machine_rows.compared = []
    portfolios = world.portfolios()
    await portfolios.set_tariff_plan(MEMBER, plan)
    rig: dict[str, Any] = {"gpu": "rtx-4090", "quantity": 2, "platform": "vast", "asked_price": 0.35, "power_w": 400.0}
    await portfolios.add(MEMBER, HoldingDraft(**(rig | values)))
    return (await portfolios.advice(MEMBER))[0].use


async def test_hosting_against_idling() -> None:
    cheap, dear = await uses(None, tariff=0.2), await uses(None, tariff=0.9)
    assert (cheap.best, dear.best) == ("host", "idle")
    assert dear.break_even_price == pytest.approx(0.4 * 0.9 / 0.75)
    assert not cheap.time_of_use
    assert [option.use for option in cheap.alternatives] == ["host", "idle"]


async def test_hours_that_lose_money_are_named() -> None:
    plan = TariffPlan(0.25, (TariffWindow(WEEKDAYS, 17 * 60, 21 * 60, 0.90), NIGHT))
    found = await uses(plan)
    assert found.time_of_use
    assert found.tariff == pytest.approx(plan.mean)
    (loss,) = found.loss_windows
    assert loss.label == "Mon Tue Wed Thu Fri 17:00–21:00"
    assert loss.hours_a_week == 20
    assert loss.margin_hour == pytest.approx(0.35 * 0.75 - 0.4 * 0.90)
    assert found.best == "host"  # over the whole week it still pays


async def test_mining_runs_only_in_hours_that_pay() -> None:
    """1.2 USD a day are 0.05 an hour: less than 0.4 kW cost at 0.25, more than at 0.10."""
    found = await uses(PLAN, mining_usd_day=1.2)
    mined = {option.use: option.net_day for option in found.alternatives}["mine"]
    assert mined == pytest.approx(2 * 7 * (0.05 - 0.04))  # two cards, seven hours a night
    flat = await uses(None, tariff=0.25, mining_usd_day=1.2)
    assert {option.use: option.net_day for option in flat.alternatives}["mine"] == 0.0


async def test_mining_while_nobody_rents_adds_to_hosting() -> None:
    found = await uses(None, tariff=0.1, mining_usd_day=3.0)
    by_use = {option.use: option.net_day for option in found.alternatives}
    use = 2402 / 4986
    mined = 2 * 24 * (3.0 / 24 - 0.04)
    assert by_use["mine"] == pytest.approx(mined)
    assert by_use["host_and_mine"] == pytest.approx(by_use["host"] + (1 - use) * mined)
    assert found.best == "host_and_mine"
    assert [o.net_day for o in found.alternatives] == sorted(by_use.values(), reverse=True)


async def test_nothing_is_said_without_figures() -> None:
    assert await uses(None, platform="lambda") is None
