"""Electricity by time of use: a member's week in windows, in his own time zone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gpuscout.accounts.members import MAX_TARIFF
from gpuscout.portfolio.models import BadHolding

DAY_MINUTES: Final = 24 * 60
STEP_MINUTES: Final = 15
"""Windows begin and end on quarters of an hour."""
MAX_WINDOWS: Final = 12
_WEEK: Final = 7 * DAY_MINUTES // STEP_MINUTES


@dataclass(frozen=True, slots=True)
class TariffWindow:
    """Hours with a price of their own.

    Attributes:
        days: weekdays, 0 is Monday; the days on which the window begins.
        start, end: minutes after local midnight. An end not after the start lies on the next day; equal: all day.
        price: USD per kWh.
    """

    days: frozenset[int]
    start: int
    end: int
    price: float

    @property
    def minutes(self) -> int:
        """Its length."""
        return (self.end - self.start) % DAY_MINUTES or DAY_MINUTES

    def covers(self, weekday: int, minute: int) -> bool:
        """Whether a local time lies in it."""
        for day in self.days:
            since = (weekday - day) % 7 * DAY_MINUTES + minute - self.start
            # A window that begins on Sunday evening ends on Monday: the week is a circle.
            if 0 <= since % (7 * DAY_MINUTES) < self.minutes:
                return True
        return False


@dataclass(frozen=True, slots=True)
class TariffPlan:
    """A tariff by time of use; where windows overlap, the first one counts.

    ``base`` is the price (USD per kWh) outside all windows.
    """

    base: float
    windows: Sequence[TariffWindow] = ()

    def price_at(self, local: datetime) -> float:
        """USD per kWh at a time of the member's own zone."""
        return self._price(local.weekday(), local.hour * 60 + local.minute)

    def _price(self, weekday: int, minute: int) -> float:
        window = self.window(weekday, minute)
        return self.base if window is None else window.price

    def window(self, weekday: int, minute: int) -> TariffWindow | None:
        """The window that counts at a local time; None: the base price."""
        return next((window for window in self.windows if window.covers(weekday, minute)), None)

    def week(self) -> Iterator[tuple[TariffWindow | None, float]]:
        """The window and the price of each quarter of an hour of a week, from Monday's midnight."""
        for slot in range(_WEEK):
            weekday, minute = divmod(slot * STEP_MINUTES, DAY_MINUTES)
            window = self.window(weekday, minute)
            yield window, self.base if window is None else window.price

    @property
    def mean(self) -> float:
        """USD per kWh over a whole week, every hour alike: what a rented card pays that may run at any hour."""
        return sum(price for _, price in self.week()) / _WEEK


def check_plan(plan: TariffPlan) -> TariffPlan:
    """The plan, if it can be.

    Raises:
        BadHolding: with the field that cannot be.
    """
    _price("base", plan.base)
    if len(plan.windows) > MAX_WINDOWS:
        raise BadHolding("windows", len(plan.windows), "many")
    for window in plan.windows:
        _price("price", window.price)
        if not window.days or not window.days <= set(range(7)):
            raise BadHolding("days", sorted(window.days))
        for name, minute in (("start", window.start), ("end", window.end)):
            if not 0 <= minute <= DAY_MINUTES or minute % STEP_MINUTES:
                raise BadHolding(name, minute)
    return plan


def _price(field: str, value: float) -> None:
    if not 0 <= value <= MAX_TARIFF:  # false for what is no number too
        raise BadHolding(field, value)


def plan_json(plan: TariffPlan) -> dict[str, Any]:
    """The plan as it is stored."""
    windows = [
        {"days": sorted(window.days), "start": window.start, "end": window.end, "price": window.price}
        for window in plan.windows
    ]
    return {"base": plan.base, "windows": windows}


def plan_of(stored: Mapping[str, Any]) -> TariffPlan:
    """The plan that :func:`plan_json` stored."""
    return TariffPlan(
        float(stored["base"]),
        tuple(
            TariffWindow(frozenset(window["days"]), int(window["start"]), int(window["end"]), float(window["price"]))
            for window in stored["windows"]
        ),
    )
