"""The back-test: the engine's state machine over stored history, and what it refuses to judge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gpuscout.alerts.backtest import POINTS, SPAN, Backtest, NotJudged, backtest, lookback
from gpuscout.alerts.expand import Member, parts_of
from gpuscout.alerts.rules import (
    ChangeRule,
    DemandRule,
    ExtremeRule,
    FleetRule,
    GpuScope,
    Manners,
    PriceRule,
    Rule,
    StepsRule,
    SupplyRule,
    UtilizationRule,
)
from gpuscout.market.models import History, HistoryPoint, HistoryTier, SeriesKey

END = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
INTERVAL = timedelta(minutes=15)
SCOPE = GpuScope(gpu="rtx-4090", platform="vast", tier="on-demand")
KEY = SeriesKey("vast", "rtx-4090")


def history(
    price: Callable[[int], float | None],
    *,
    days: float = 90,
    step: timedelta = HOUR,
    total: Callable[[int], float] = lambda hour: 100.0,
    rented: Callable[[int], float] = lambda hour: 50.0,
) -> History:
    """Points from *days* before the end, one a *step*; *hour* counts steps."""
    count = int(timedelta(days=days) / step)
    first = END - count * step
    points = [
        HistoryPoint(int((first + n * step).timestamp()), price(n), None, None, price(n), price(n), rented(n), total(n))
        for n in range(count + 1)
    ]
    return History(KEY, HistoryTier.HOUR, first, END, step, points, source="500.farm")


def judge(when: Any, past: History, **manners: Any) -> Backtest | NotJudged:
    rule = Rule(when=when, manners=Manners(**manners))
    return backtest(rule, parts_of(rule, 1, Member()), past, INTERVAL)


def hours(result: Backtest | NotJudged, past: History) -> list[int]:
    """The steps of the history at which it fired."""
    assert isinstance(result, Backtest)
    start = past.points[0].ts
    return [round((firing.at.timestamp() - start) / past.step.total_seconds()) for firing in result.firings]


def test_every_fall_below_a_level_is_found_once() -> None:
    past = history(lambda n: 0.25 if n in (500, 501, 900) else 0.35)
    result = judge(PriceRule(scope=SCOPE, direction="below", level=0.30), past)
    assert hours(result, past) == [500, 900]
    assert isinstance(result, Backtest)
    assert result.covered == 1.0
    assert [firing.value for firing in result.firings] == [0.25, 0.25]
    assert result.levels == pytest.approx((0.30,))


def test_a_value_that_flaps_around_the_level_fires_once() -> None:
    """One cent back is no return where the source knows no finer step."""
    past = history(lambda n: 0.05 if 500 <= n < 600 and n % 2 else 0.06)
    result = judge(PriceRule(scope=SCOPE, direction="below", level=0.06), past)
    assert hours(result, past) == [501]


def test_one_that_begins_beyond_waits_for_its_return() -> None:
    past = history(lambda n: 0.25 if n < 100 or n > 2000 else 0.35)
    assert hours(judge(PriceRule(scope=SCOPE, direction="below", level=0.30), past), past) == [2001]


def test_crossing_fires_both_ways() -> None:
    past = history(lambda n: 0.25 if 500 <= n < 700 else 0.35)
    result = judge(PriceRule(scope=SCOPE, direction="crossing", level=0.30), past)
    assert hours(result, past) == [500, 700]
    assert isinstance(result, Backtest)
    assert [firing.side for firing in result.firings] == [-1, 1]


def test_cooldown_and_once() -> None:
    def price(n: int) -> float:
        return 0.25 if n >= 500 and n % 4 == 0 else 0.35

    past = history(price)
    when = PriceRule(scope=SCOPE, direction="below", level=0.30)
    every = hours(judge(when, past), past)
    daily = hours(judge(when, past, cooldown=timedelta(days=1)), past)
    assert every[:3] == [500, 504, 508]
    assert daily[:3] == [500, 524, 548]
    assert hours(judge(when, past, once=True), past) == [500]


def test_repeats_while_it_lasts() -> None:
    past = history(lambda n: 0.25 - n / 100_000 if n >= 500 else 0.35)
    when = PriceRule(scope=SCOPE, direction="below", level=0.30)
    result = hours(judge(when, past, repeat=timedelta(days=7), only_if_moved=False), past)
    assert result[:3] == [500, 668, 836]
    assert hours(judge(when, past, repeat=timedelta(days=7), band=1.0), past) == [500]


def test_longer_waits_than_a_point_need_more_points() -> None:
    """Eight polls are two hours here."""
    past = history(lambda n: 0.25 if n in (500, 900, 901) else 0.35)
    when = PriceRule(scope=SCOPE, direction="below", level=0.30)
    assert hours(judge(when, past, for_polls=4), past) == [500, 900]
    assert hours(judge(when, past, for_polls=8), past) == [901]


def test_a_change_is_measured_against_its_window() -> None:
    """A slow slide is no fall of 10 % within a day; a sudden one is, once."""
    slide = history(lambda n: 0.50 - n / 10_000, days=92)
    fall = history(lambda n: 0.40 if n < 1000 else 0.34, days=92)
    when = ChangeRule(scope=SCOPE, amount=10, window="24h", direction="down")
    assert hours(judge(when, slide), slide) == []
    assert hours(judge(when, fall), fall) == [1000]
    up = ChangeRule(scope=SCOPE, amount=10, window="24h", direction="up")
    assert hours(judge(up, fall), fall) == []


def test_a_further_fall_within_the_window_is_measured_from_the_fired_price() -> None:
    past = history(lambda n: 0.40 if n < 1000 else 0.34 if n < 1006 else 0.33 if n < 1010 else 0.30, days=92)
    when = ChangeRule(scope=SCOPE, amount=10, window="24h", direction="down")
    assert hours(judge(when, past), past) == [1000, 1010]


@pytest.mark.parametrize(("window", "step"), [("1h", HOUR), ("24h", timedelta(days=1))])
def test_it_does_not_judge_windows_finer_than_its_data(window: Any, step: timedelta) -> None:
    past = history(lambda n: 0.3 + 0.1 * (n % 2), step=step)
    result = judge(ChangeRule(scope=SCOPE, amount=10, window=window), past)
    assert result == NotJudged("too_fine", step)


def test_daily_data_judge_a_week() -> None:
    past = history(lambda n: 0.40 if n < 50 else 0.30, days=100, step=timedelta(days=1))
    assert hours(judge(ChangeRule(scope=SCOPE, amount=10, window="7d", direction="down"), past), past) == [50]


def test_steps() -> None:
    past = history(lambda n: 1.0 if n < 500 else 1.06 if n < 700 else 1.12 if n < 900 else 1.11)
    assert hours(judge(StepsRule(scope=SCOPE, amount=5), past), past) == [500, 700]


def test_extremes_need_their_days() -> None:
    past = history(lambda n: 0.40 - (0.10 if n == 1500 else 0.0) - (0.2 if n == 100 else 0.0), days=120)
    low = ExtremeRule(scope=SCOPE, which="low", days=30)
    assert lookback(Rule(when=low)) == timedelta(days=30)
    assert hours(judge(low, past), past) == [1500]
    high = ExtremeRule(scope=SCOPE, which="high", days=30)
    assert hours(judge(high, past), past) == []
    short = history(lambda n: 0.40 - n / 100_000, days=20)
    assert judge(low, short) == NotJudged("figure")


def test_thin_points_are_held_back_but_not_for_supply() -> None:
    def few(n: int) -> float:
        return 8.0 if 490 <= n < 510 else 100.0

    past = history(lambda n: 0.25 if n == 500 else 0.35, total=few, rented=lambda n: 8.0 if 490 <= n < 510 else 50.0)
    price = judge(PriceRule(scope=SCOPE, direction="below", level=0.30), past)
    assert hours(price, past) == []
    assert isinstance(price, Backtest)
    assert price.held == 20
    none_left = judge(SupplyRule(scope=SCOPE, event="none_left"), past)
    assert hours(none_left, past) == [490]


def test_utilization() -> None:
    past = history(lambda n: 0.3, rented=lambda n: 95.0 if n == 400 else 50.0)
    assert hours(judge(UtilizationRule(scope=SCOPE, direction="above", level=0.9), past), past) == [400]


def test_a_gap_is_no_data_and_counts_as_not_covered() -> None:
    whole = history(lambda n: 0.25 if n in (500, 1000) else 0.35)
    points = [point for n, point in enumerate(whole.points) if not 480 <= n < 1560]
    past = History(KEY, HistoryTier.HOUR, whole.start, END, HOUR, points)
    result = judge(PriceRule(scope=SCOPE, direction="below", level=0.30), past)
    assert isinstance(result, Backtest)
    assert result.firings == ()
    assert result.covered == pytest.approx(0.5, abs=0.01)


def test_what_cannot_be_judged() -> None:
    empty = History(KEY, HistoryTier.HOUR, END - SPAN, END, HOUR, ())
    when = PriceRule(scope=SCOPE, direction="below", level=0.30)
    assert judge(when, empty) == NotJudged("no_history")
    assert judge(when, history(lambda n: 0.3, days=1)) == NotJudged("short")
    fleet = Rule(when=FleetRule(percent=8))
    assert backtest(fleet, parts_of(fleet, 1, Member()), history(lambda n: 0.3), INTERVAL) == NotJudged("kind")


def test_a_figure_that_history_lacks_is_not_judged() -> None:
    """Prices alone say nothing of demand: that it never fired would be no verdict."""
    past = history(lambda n: 0.3)
    assert judge(DemandRule(scope=SCOPE, direction="above", level=80), past) == NotJudged("figure")


def test_what_lies_before_ninety_days_is_only_compared_with() -> None:
    past = history(lambda n: 0.25 if n == 10 else 0.35, days=100)
    result = judge(PriceRule(scope=SCOPE, direction="below", level=0.30), past)
    assert hours(result, past) == []
    assert isinstance(result, Backtest)
    assert result.start == END - SPAN


def test_points_are_judged_before_any_is_thinned_away() -> None:
    longest: Sequence[timedelta] = (SPAN + timedelta(days=30), SPAN)
    assert max(span / HOUR for span in longest) < POINTS
