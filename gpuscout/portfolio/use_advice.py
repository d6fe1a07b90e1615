"""Hosting against leaving it idle and against mining, on the member's own tariff."""

from __future__ import annotations

from collections import Counter
from typing import Final

from gpuscout.market.earnings import HOURS_A_DAY
from gpuscout.portfolio.advice_models import Alternative, LossWindow, UseAdvice
from gpuscout.portfolio.models import HoldingValuation
from gpuscout.portfolio.tariffs import STEP_MINUTES, TariffPlan, TariffWindow
from gpuscout.portfolio.valuation import Terms

_STEP_HOURS: Final = STEP_MINUTES / 60
_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_ORDER: Final = {"host": 0, "host_and_mine": 1, "mine": 2, "idle": 3}


def advise_use(value: HoldingValuation, terms: Terms) -> UseAdvice | None:
    """What the hardware could do, best first; None where the net of hosting is not known.

    A rented hour may fall into any hour of the week, for the renter decides: hosting pays the mean tariff. Mining and
    idling can be chosen hour by hour, so mining counts only in the hours in which it pays its electricity.
    """
    earned, load = value.asked, terms.electricity_hour
    if earned is None or load is None or terms.fee is None or terms.power is None:
        return None
    net, use, price = earned.net_day.value, earned.utilization.value, earned.price.value
    if net is None or use is None or price is None:
        return None
    holding = value.holding
    found = [Alternative("host", net), Alternative("idle", 0.0)]
    if holding.mining_usd_day is not None:
        mined = holding.quantity * mining_day(holding.mining_usd_day, terms.power.value, terms)
        found.append(Alternative("mine", mined))
        if mined > 0:
            found.append(Alternative("host_and_mine", net + (1 - use) * mined))
    share = 1 - terms.fee.value
    return UseAdvice(
        alternatives=sorted(found, key=lambda option: (-option.net_day, _ORDER[option.use])),
        break_even_price=load / share,
        tariff=terms.tariff.value,
        loss_windows=_losses(terms.plan, terms.power.value, price * share) if terms.plan is not None else (),
        time_of_use=terms.plan is not None,
    )


def mining_day(income: float, power_w: float, terms: Terms) -> float:
    """USD a day of one GPU that mines in every hour in which *income* (USD a day) exceeds its electricity."""
    hourly = income / HOURS_A_DAY
    if terms.plan is None:
        return HOURS_A_DAY * max(0.0, hourly - power_w / 1000 * terms.tariff.value)
    return sum(max(0.0, hourly - power_w / 1000 * price) * _STEP_HOURS for _, price in terms.plan.week()) / 7


def _losses(plan: TariffPlan, power_w: float, income_hour: float) -> tuple[LossWindow, ...]:
    """Parts of the week in which a rented hour costs more than it brings, the worst first."""
    hours: Counter[tuple[TariffWindow | None, float]] = Counter(plan.week())
    found = []
    for (window, price), slots in hours.items():
        margin = income_hour - power_w / 1000 * price
        if margin < 0:
            found.append(LossWindow(window_label(window), slots * _STEP_HOURS, price, margin))
    return tuple(sorted(found, key=lambda loss: (loss.margin_hour, loss.label)))


def window_label(window: TariffWindow | None) -> str:
    """A window as ``Mon Tue 17:00–21:00``; empty for the hours outside all windows."""
    if window is None:
        return ""
    days = " ".join(_WEEKDAYS[day] for day in sorted(window.days))
    return f"{days} {_clock(window.start)}–{_clock(window.end)}"


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
