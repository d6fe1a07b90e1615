"""From a stored rule back to what its form shows, and from the form to the changed rule."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from cogs.alert_build import Asked, build_rule
from cogs.alert_kinds import BY_SLUG, KindChoice
from config.i18n import Text
from gpuscout.alerts.rules import (
    ChangeRule,
    Condition,
    DemandRule,
    DigestRule,
    ExtremeRule,
    FleetRule,
    MachineRule,
    PriceRule,
    Rule,
    SpreadRule,
    StepsRule,
    SupplyRule,
    UtilizationRule,
)

_KEPT: Final = ("scope", "figure", "gpu", "platforms", "tier", "holding_id", "platform")
"""What a form does not ask: it stays as it is."""


def kind_of(when: Condition) -> KindChoice:
    """The choice that made a condition."""
    if isinstance(when, PriceRule):
        direction = "crosses" if when.direction == "crossing" else when.direction
        return BY_SLUG.get(f"{when.figure}-{direction}") or BY_SLUG["price-crosses"]
    if isinstance(when, UtilizationRule | DemandRule):
        return BY_SLUG[f"{when.kind}-{when.direction}"]
    if isinstance(when, SupplyRule):
        return BY_SLUG["supply" if when.event == "at_least" else "none-left"]
    if isinstance(when, ExtremeRule):
        return BY_SLUG[when.which]
    if isinstance(when, MachineRule):
        return BY_SLUG[f"machine-{when.event}"]
    if isinstance(when, DigestRule):
        return BY_SLUG["digest-daily" if when.every == "day" else "digest-weekly"]
    return BY_SLUG["new-model" if when.kind == "new_model" else when.kind]


def level_text(when: Condition) -> str:
    """The level as a member would type it; empty where there is none."""
    if isinstance(when, PriceRule):
        return f"{when.level:g}"
    if isinstance(when, ChangeRule):
        sign = {"up": "+", "down": "-", "both": ""}[when.direction]
        return f"{sign}{when.amount:g}%" if when.unit == "percent" else f"{sign}${when.amount:g}"
    if isinstance(when, StepsRule | SpreadRule):
        return f"{when.amount:g}%" if when.unit == "percent" else f"${when.amount:g}"
    if isinstance(when, UtilizationRule):
        return f"{100 * when.level:g}%"
    if isinstance(when, SupplyRule):
        return str(when.count) if when.event == "at_least" else ""
    if isinstance(when, DemandRule):
        return f"{when.level:g}"
    if isinstance(when, FleetRule):
        return f"{when.percent:g}%"
    if isinstance(when, DigestRule):
        return str(when.hour)
    if isinstance(when, MachineRule) and when.level is not None:
        return f"{100 * when.level:g}%"
    return ""


def window_text(when: Condition) -> str:
    """The window as a member would type it; empty where there is none."""
    if isinstance(when, ChangeRule):
        return when.window
    if isinstance(when, ExtremeRule):
        return f"{when.days}d"
    if isinstance(when, MachineRule) and when.event == "idle":
        return f"{when.hours:g}h"
    if isinstance(when, MachineRule) and when.event == "ends":
        return f"{when.days:g}d"
    return ""


def end_text(rule: Rule, now: datetime, t: Text) -> str:
    """When it ends, as the form shows it: the days that are left; ``never`` without an end."""
    if rule.manners.expires_at is None:
        return t("never")
    days = max(1, round((rule.manners.expires_at - now) / timedelta(days=1)))
    return f"{days}d"


def changed_rule(rule: Rule, asked: Asked, now: datetime) -> Rule:
    """The rule with what a form asks changed; everything else stays.

    Raises:
        Lacking, BadLevel, BadTime: see :func:`cogs.alert_build.build_rule`.
    """
    fresh = build_rule(asked, now)
    kept = {name: getattr(rule.when, name) for name in _KEPT if hasattr(rule.when, name)}
    when = fresh.when.model_copy(update=kept)
    manners = rule.manners.model_copy(
        update={
            "severity": fresh.manners.severity,
            "for_polls": fresh.manners.for_polls,
            "expires_at": fresh.manners.expires_at,
        }
    )
    return Rule.model_validate(Rule(when=when, manners=manners).model_dump())
