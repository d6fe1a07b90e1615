"""Limits and ticks: few, round, and on the calendar of the reader. Pure arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from gpuscout.charts.formatting import (
    format_clock,
    format_day,
    format_month,
    format_value,
    local_time,
)

MAX_TICKS = 5

#: Ordinal of a Monday; weekly ticks fall on Mondays.
_FIRST_MONDAY = 1

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_CLOCK_STEPS = (
    *(minutes * _MINUTE for minutes in (1, 2, 5, 10, 15, 30)),
    *(hours * _HOUR for hours in (1, 2, 3, 4, 6, 12)),
)
_DAY_STEPS = (1, 2, 3, 5, 7, 10, 14)
_MONTH_STEPS = (1, 2, 3, 4, 6, 12, 24, 36, 60, 120, 240, 600)


@dataclass(frozen=True, slots=True)
class Tick:
    """A position on an axis (value or epoch seconds) and what is written there."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class ValueAxis:
    """The y axis: limits and ticks, all in the unit of the panel."""

    low: float
    high: float
    ticks: tuple[Tick, ...]


def value_axis(
    low: float, high: float, unit: str, locale: str, *, max_ticks: int = MAX_TICKS, full_ratio: bool = False
) -> ValueAxis:
    """A y axis around ``low``..``high`` with at most ``max_ticks`` round ticks.

    A constant series gets room above and below, so that it lies in the middle
    instead of on a frame. Prices, ratios and counts never show negative room, and a
    ratio none above one. ``full_ratio`` fixes the axis to 0..1.
    """
    if full_ratio:
        return ValueAxis(0.0, 1.0, _ticks(0.0, 1.0, 0.5, unit, locale))
    bounded_below = low >= 0 and unit != "index"
    bounded_above = unit == "ratio" and high <= 1
    cheap = high < 0.2
    least = {"usd_per_hour": 0.02 if cheap else 0.05, "usd_per_day": 0.1, "ratio": 0.04, "count": 4.0, "index": 1.0}[
        unit
    ]
    # Steps below the least one would write ticks that differ in digits nobody reads.
    floor = {"usd_per_hour": 0.005 if cheap else 0.01, "usd_per_day": 0.02, "ratio": 0.01, "count": 1.0, "index": 0.1}[
        unit
    ]
    spread = max(high - low, least, abs(high) * 0.04)
    middle = (low + high) / 2
    bottom, top = middle - spread * 0.56, middle + spread * 0.56
    if bounded_below and bottom < 0:
        bottom, top = 0.0, max(top, spread)
    if bounded_above and top > 1:
        bottom, top = min(bottom, 1 - spread), 1.0
        bottom = max(bottom, 0.0)
    step = max(_round_step((top - bottom) / max_ticks), floor)
    while len(_multiples(bottom, top, step)) > max_ticks:
        step = _round_step(step * 1.01)
    return ValueAxis(bottom, top, _ticks(bottom, top, step, unit, locale))


def _round_step(raw: float) -> float:
    """The least of 1, 2, 2.5, 5 times a power of ten that is not below ``raw``."""
    power = 10.0 ** math.floor(math.log10(raw))
    for factor in (1.0, 2.0, 2.5, 5.0, 10.0):
        if factor * power >= raw * (1 - 1e-9):
            return factor * power
    raise AssertionError("ten times the power of ten below a number is above it")


def _multiples(low: float, high: float, step: float) -> list[float]:
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def _ticks(low: float, high: float, step: float, unit: str, locale: str) -> tuple[Tick, ...]:
    scaled = step * 100 if unit == "ratio" else step
    decimals = next((d for d in range(5) if abs(round(scaled, d) - scaled) < 1e-9 * scaled), 5)
    if unit.startswith("usd") and (decimals > 0 or high < 10):
        decimals = max(decimals, 2)
    return tuple(Tick(value, format_value(value, unit, locale, decimals)) for value in _multiples(low, high, step))


def time_ticks(
    start: float, end: float, zone: ZoneInfo, locale: str, *, max_ticks: int = MAX_TICKS
) -> tuple[Tick, ...]:
    """At most ``max_ticks`` ticks on round local times between two epoch seconds.

    Steps run from a minute to years. Below a day the time of day is written, at
    midnight the date; from a day on the date; from a month on month and year. Clock
    changes move no tick off its local hour.
    """
    first, last = local_time(start, zone), local_time(end, zone)
    for moments in _candidates(first, last, end - start, max_ticks):
        inside = [
            (stamp, moment) for moment in moments if start <= (stamp := moment.replace(tzinfo=zone).timestamp()) <= end
        ]
        if len(inside) <= max_ticks:
            return tuple(Tick(stamp, _time_text(moment, moments, locale)) for stamp, moment in _distinct(inside))
    return ()


def _candidates(first: datetime, last: datetime, span: float, max_ticks: int) -> list[list[datetime]]:
    """Lists of naive local times, finest step first, none absurdly longer than ``max_ticks``."""
    longest = max_ticks + 2
    begin, stop = first.replace(tzinfo=None), last.replace(tzinfo=None)
    midnight = begin.replace(hour=0, minute=0, second=0, microsecond=0)
    lists = [
        _series(midnight, stop, timedelta(seconds=seconds), begin)
        for seconds in _CLOCK_STEPS
        if span / seconds <= longest
    ]
    for days in _DAY_STEPS:
        if span / (days * _DAY) <= longest:
            # Counting days from a fixed one keeps ticks in place while the range moves on.
            offset = (midnight.toordinal() - _FIRST_MONDAY) % days
            lists.append(_series(midnight - timedelta(days=offset), stop, timedelta(days=days), begin))
    lists += [_months(begin, stop, months) for months in _MONTH_STEPS if span / (months * 28 * _DAY) <= longest]
    return lists


def _series(anchor: datetime, stop: datetime, step: timedelta, begin: datetime) -> list[datetime]:
    skipped = max(0, (begin - anchor) // step)
    moment = anchor + skipped * step
    found = []
    while moment <= stop + timedelta(hours=2):
        found.append(moment)
        moment += step
    return found


def _months(begin: datetime, stop: datetime, step: int) -> list[datetime]:
    index = (begin.year * 12 + begin.month - 1) // step * step
    found: list[datetime] = []
    midnight = begin.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    while (moment := midnight.replace(year=index // 12, month=index % 12 + 1)) <= stop:
        found.append(moment)
        index += step
    return found


def _distinct(inside: list[tuple[float, datetime]]) -> list[tuple[float, datetime]]:
    # A local hour that a clock change skips falls onto its neighbour.
    return [item for index, item in enumerate(inside) if not index or item[0] > inside[index - 1][0]]


def _time_text(moment: datetime, moments: list[datetime], locale: str) -> str:
    step = moments[1] - moments[0] if len(moments) > 1 else timedelta(days=1)
    if step >= timedelta(days=28):
        return format_month(moment, locale)
    if step >= timedelta(days=1) or (moment.hour, moment.minute) == (0, 0):
        return format_day(moment, locale)
    return format_clock(moment, locale)
