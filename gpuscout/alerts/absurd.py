"""Rules that could never fire, or would at every poll, are refused when they are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from gpuscout.alerts.bands import tick_of
from gpuscout.alerts.expand import Part
from gpuscout.alerts.messages import Metric
from gpuscout.alerts.ports import Absurd
from gpuscout.alerts.rules import (
    ChangeRule,
    DemandRule,
    GpuScope,
    Owner,
    PriceRule,
    Rule,
    StepsRule,
    UtilizationRule,
    needs_member,
    scope_of,
)
from gpuscout.alerts.values import Reading

FAR: Final = 10.0
"""A price level this many times above the current price, or this part of it, is no level that can be meant."""


def check_plain(owner: Owner, rule: Rule, now: datetime) -> None:
    """What can be said without the market.

    Raises:
        Absurd
    """
    when = rule.when
    if owner.server and needs_member(rule):
        raise Absurd("not_a_member")
    if rule.manners.expires_at is not None and rule.manners.expires_at <= now:
        raise Absurd("past")
    if isinstance(when, ChangeRule) and when.unit == "percent" and when.direction == "down" and when.amount >= 100:
        raise Absurd("impossible")
    if isinstance(when, UtilizationRule | DemandRule):
        end = 1.0 if isinstance(when, UtilizationRule) else 100.0
        if (when.direction == "above" and when.level >= end) or (when.direction == "below" and when.level <= 0):
            raise Absurd("impossible")


def check_current(rule: Rule, parts: Sequence[Part], readings: Mapping[tuple[str, str, int], Reading]) -> None:
    """What only the current values show.

    Raises:
        Absurd
    """
    when = rule.when
    if not isinstance(scope_of(rule), GpuScope):
        return  # one level for many models may be meant for some of them
    for part in parts:
        reading = readings.get(part.key.identity)
        price = reading.price if reading is not None else None
        metric: Metric = part.key.metric
        platform = part.key.texts[0] if part.key.texts is not None else None
        value = reading.value if reading is not None else None
        if isinstance(when, PriceRule) and value and not value / FAR <= when.level <= value * FAR:
            raise Absurd("far", value, metric)
        if isinstance(when, ChangeRule | StepsRule) and price:
            amount = price * when.amount / 100 if when.unit == "percent" else when.amount
            # Half a tick and less is seen only as a whole one, which may be no move at all (a step is never less).
            if isinstance(when, ChangeRule) and amount < tick_of(platform) / 2:
                raise Absurd("within_tick", price, "price")
            if when.unit == "usd" and amount > price * FAR:
                raise Absurd("far", price, "price")
