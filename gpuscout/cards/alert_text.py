"""Rules and their values in words, for cards, messages and e-mail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from config.i18n import Text
from gpuscout.alerts.messages import Metric
from gpuscout.alerts.rules import (
    ChangeRule,
    Condition,
    DemandRule,
    DigestRule,
    ExtremeRule,
    FleetRule,
    GpuScope,
    HoldingRule,
    MachineRule,
    MachineScope,
    Manners,
    NewModelRule,
    PortfolioScope,
    PriceRule,
    Rule,
    SpreadRule,
    StepsRule,
    SupplyRule,
    UtilizationRule,
    WatchlistScope,
)
from gpuscout.cards.kit import plain, relative
from gpuscout.cards.portfolio_text import MINUS
from gpuscout.cards.price_text import NOTHING, region_name, tier_name
from gpuscout.market.models import GLOBAL, Tier
from storage.notifications import Severity

COLOURS: Final[dict[Severity, int]] = {"info": 0x5B8DEF, "warning": 0xE0A030, "critical": 0xD9534F}
SIGNS: Final[dict[Severity, str]] = {"info": "🔔", "warning": "⚠️", "critical": "🚨"}

_DOLLARS: Final = frozenset({"price", "rented_price", "available_price", "p10", "p90", "spread_usd"})
_SIGNED_DOLLARS: Final = frozenset({"change_1h_usd", "change_24h_usd", "change_7d_usd"})
_SIGNED_PERCENT: Final = frozenset({"change_1h_percent", "change_24h_percent", "change_7d_percent"})


@dataclass(frozen=True, slots=True)
class Names:
    """How things are called: models and platforms by slug, holdings by id."""

    gpu: Callable[[str], str]
    platform: Callable[[str], str]
    holding: Callable[[str], str | None] = lambda _: None


def severity_name(severity: Severity, t: Text) -> str:
    """A severity in words."""
    return {"info": t("info"), "warning": t("warning"), "critical": t("critical")}[severity]


def percent(points: float, t: Text, *, signed: bool = False) -> str:
    """Per cent from points (10.0 is ten per cent), with a decimal only where there is one."""
    digits = 0 if round(points, 1) == round(points) else 1
    return t.percent(points / 100, digits=digits, signed=signed).replace("-", MINUS)


def _count(value: float, t: Text) -> str:
    return t.number(value, digits=0 if value == int(value) else 1)


def value_text(metric: Metric | str | None, value: float | None, t: Text) -> str:
    """A value in the unit of what it is."""
    if value is None or metric is None:
        return NOTHING
    if metric in _DOLLARS:
        return t.money(value, per="h")
    if metric in _SIGNED_DOLLARS:
        return ("+" if value > 0 else "") + t.money(value, per="h")
    if metric in _SIGNED_PERCENT:
        return percent(value, t, signed=True)
    if metric == "spread_percent":
        return percent(value, t)
    if metric in ("utilization", "m_reliability"):
        return t.percent(value, digits=0 if round(value, 3) == round(value, 2) else 1)
    if metric == "available":
        return t("{count} available", count=t.number(value))
    if metric == "demand":
        return t("{score} of 100", score=t.number(round(value)))
    if metric in ("low", "high"):
        return ("+" if value > 0 else "") + t.money(value, per="h")
    if metric == "fleet_net":
        return t("{amount} a day", amount=t.money(value))
    if metric == "m_idle_hours":
        return t("{hours} h idle", hours=_count(value, t))
    if metric == "m_days_left":
        return t("{days} days left", days=_count(value, t))
    if metric == "m_rented":
        return t("{count} GPUs rented", count=t.number(value))
    if metric == "m_missed":
        return t("missing for {count} polls", count=t.number(value))
    if metric == "m_verified":
        return t("verified") if value > 0 else t("not verified")
    return t.number(value)


def metric_name(metric: Metric | str | None, t: Text) -> str:
    """What a value is."""
    return {
        "price": t("price"),
        "rented_price": t("price of rented GPUs"),
        "available_price": t("price of available GPUs"),
        "p10": t("market's p10"),
        "p90": t("market's p90"),
        "utilization": t("utilization"),
        "available": t("supply"),
        "demand": t("demand"),
        "change_1h_percent": t("change in 1 h"),
        "change_24h_percent": t("change in 24 h"),
        "change_7d_percent": t("change in 7 d"),
        "change_1h_usd": t("change in 1 h"),
        "change_24h_usd": t("change in 24 h"),
        "change_7d_usd": t("change in 7 d"),
        "low": t("above the lowest"),
        "high": t("above the highest"),
        "spread_percent": t("gap between platforms"),
        "spread_usd": t("gap between platforms"),
        "m_rented": t("rented GPUs"),
        "m_idle_hours": t("idle"),
        "m_missed": t("polls missed"),
        "m_reliability": t("reliability"),
        "m_verified": t("verification"),
        "m_days_left": t("listing"),
        "fleet_net": t("expected net earnings"),
        "models": t("models"),
    }.get(str(metric), "")


# --- conditions ---


def series_text(
    gpu: str, platform: str | None, names: Names, t: Text, *, region: str = GLOBAL, tier: str | None = None
) -> str:
    """E.g. ``RTX 4090 · Vast.ai · Germany``; the worldwide region and the on-demand tier go without saying."""
    parts = [plain(names.gpu(gpu), 60)]
    if platform:
        parts.append(plain(names.platform(platform), 40))
    if region != GLOBAL:
        parts.append(region_name(region, t))
    if tier and tier != Tier.ON_DEMAND:
        parts.append(tier_name(tier, t))
    return " · ".join(parts)


def _scope(scope: object, names: Names, t: Text) -> str:
    if isinstance(scope, GpuScope):
        said = series_text(scope.gpu, scope.platform, names, t, region=scope.region, tier=scope.tier)
        extra = {"verified": t("verified"), "unverified": t("unverified")}.get(scope.verification)
        return said if extra is None else f"{said} · {extra}"
    if isinstance(scope, WatchlistScope):
        where = [plain(names.platform(scope.platform), 40)] if scope.platform else []
        if scope.region != GLOBAL:
            where.append(region_name(scope.region, t))
        return " · ".join([t("My watchlist"), *where])
    if isinstance(scope, MachineScope):
        return t("Machine {id}", id=scope.machine_id)
    return t("My portfolio")


def subject(when: Condition, names: Names, t: Text) -> str:
    """What a condition is about."""
    if isinstance(when, SpreadRule):
        return plain(names.gpu(when.gpu), 60)
    if isinstance(when, HoldingRule):
        name = names.holding(when.holding_id) if when.holding_id else None
        return plain(name, 60) if name else t("My portfolio") if when.holding_id is None else t("My holding")
    if isinstance(when, FleetRule):
        return t("My portfolio")
    if isinstance(when, NewModelRule):
        return plain(names.platform(when.platform), 40)
    if isinstance(when, DigestRule):
        return t("My alerts")
    if isinstance(when, MachineRule) and isinstance(when.scope, PortfolioScope):
        return t("My machines")
    return _scope(when.scope, names, t)


def _amount(amount: float, unit: str, t: Text) -> str:
    return percent(amount, t) if unit == "percent" else t.money(amount)


def window_text(window: str, t: Text) -> str:
    """1 h, 24 h, 7 d."""
    return {"1h": t("1 h"), "24h": t("24 h"), "7d": t("7 d")}[window]


def predicate(when: Condition, names: Names, t: Text) -> str:
    """What must happen, e.g. ``price below $0.30/h``."""
    if isinstance(when, PriceRule):
        return _price(when, t)
    if isinstance(when, ChangeRule):
        said = {
            "up": t("price up {amount} within {window}"),
            "down": t("price down {amount} within {window}"),
            "both": t("price up or down {amount} within {window}"),
        }[when.direction]
        return said.format(amount=_amount(when.amount, when.unit, t), window=window_text(when.window, t))
    if isinstance(when, StepsRule):
        return t("every {amount} that the price moves", amount=_amount(when.amount, when.unit, t))
    if isinstance(when, ExtremeRule):
        days = t.number(when.days)
        return (
            t("lowest price in {days} days", days=days)
            if when.which == "low"
            else t("highest price in {days} days", days=days)
        )
    if isinstance(when, UtilizationRule):
        level = value_text("utilization", when.level, t)
        return (
            t("utilization below {level}", level=level)
            if when.direction == "below"
            else t("utilization above {level}", level=level)
        )
    if isinstance(when, SupplyRule):
        if when.event == "none_left":
            return t("none left to rent")
        return t("at least {count} available", count=t.number(when.count))
    if isinstance(when, DemandRule):
        level = t.number(when.level)
        return (
            t("demand below {level}", level=level)
            if when.direction == "below"
            else t("demand above {level}", level=level)
        )
    if isinstance(when, SpreadRule):
        amount = _amount(when.amount, when.unit, t)
        if when.platforms is None:
            return t("platforms {amount} apart", amount=amount)
        first, second = (plain(names.platform(slug), 40) for slug in when.platforms)
        return t("{first} and {second} {amount} apart", first=first, second=second, amount=amount)
    if isinstance(when, MachineRule):
        return _machine(when, t)
    if isinstance(when, HoldingRule):
        return t("asked price outside the market's p10–p90")
    if isinstance(when, FleetRule):
        return t("expected net earnings moved by {amount}", amount=percent(when.percent, t))
    if isinstance(when, NewModelRule):
        return t("a model that was never listed before")
    hour = f"{when.hour:02}:00"
    return (
        t("a summary every day at {hour}", hour=hour)
        if when.every == "day"
        else t("a summary on Mondays at {hour}", hour=hour)
    )


def _price(when: PriceRule, t: Text) -> str:
    level = t.money(when.level, per="h")
    words = {
        "price": (t("price below {level}"), t("price above {level}"), t("price crosses {level}")),
        "rented": (
            t("price of rented GPUs below {level}"),
            t("price of rented GPUs above {level}"),
            t("price of rented GPUs crosses {level}"),
        ),
        "available": (
            t("price of available GPUs below {level}"),
            t("price of available GPUs above {level}"),
            t("price of available GPUs crosses {level}"),
        ),
    }[when.figure]
    return words[("below", "above", "crossing").index(when.direction)].format(level=level)


def _machine(when: MachineRule, t: Text) -> str:
    if when.event == "idle":
        return t("idle for {hours} h", hours=_count(when.hours or 0, t))
    if when.event == "ends":
        return t("listing ends in {days} days", days=_count(when.days or 0, t))
    if when.event == "reliability":
        if when.level is None:
            return t("reliability down by two points")
        return t("reliability below {level}", level=value_text("m_reliability", when.level, t))
    return {
        "rented": t("rented"),
        "freed": t("given back"),
        "gone": t("gone from the market for two polls"),
        "verification": t("no longer verified"),
    }[when.event]


def rule_text(when: Condition, names: Names, t: Text) -> str:
    """The whole condition in one line, e.g. ``RTX 4090 · Vast.ai: price below $0.30/h``."""
    return f"{subject(when, names, t)}: {predicate(when, names, t)}"


# --- manners ---


def span_text(span: timedelta, t: Text) -> str:
    """A length that is exact in minutes, hours or days, e.g. ``90 min``, ``24 h``, ``3 d``."""
    minutes = round(span.total_seconds() / 60)
    if minutes % 1440 == 0 and minutes >= 2880:
        return t("{count} d", count=t.number(minutes // 1440))
    if minutes % 60 == 0 and minutes:
        return t("{count} h", count=t.number(minutes // 60))
    return t("{count} min", count=t.number(minutes))


def manners_text(rule: Rule, t: Text) -> str:
    """How the rule behaves, in a few words."""
    manners: Manners = rule.manners
    if isinstance(rule.when, DigestRule):
        return severity_name(manners.severity, t)
    parts = [severity_name(manners.severity, t)]
    if rule.polls > 1:
        parts.append(t("when {count} readings in a row show it", count=t.number(rule.polls)))
    if manners.once:
        parts.append(t("once"))
    else:
        if manners.cooldown:
            parts.append(t("at most every {span}", span=span_text(manners.cooldown, t)))
        if manners.repeat is not None:
            parts.append(t("again every {span} while it lasts", span=span_text(manners.repeat, t)))
    if manners.expires_at is not None:
        parts.append(t("ends {when}", when=relative(manners.expires_at)))
    return " · ".join(parts)
