"""Which numbers a rule watches, and from which level on: one :class:`Part` each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, cast

from gpuscout.alerts.bands import EPSILON
from gpuscout.alerts.messages import Metric
from gpuscout.alerts.rules import (
    ChangeRule,
    DemandRule,
    ExtremeRule,
    FleetRule,
    GpuScope,
    HoldingRule,
    MachineRule,
    MachineScope,
    NewModelRule,
    PortfolioScope,
    PriceRule,
    Rule,
    SpreadRule,
    StepsRule,
    SupplyRule,
    UtilizationRule,
    WatchlistScope,
    scope_of,
)
from gpuscout.market.models import SeriesKey
from storage.market import SeriesTexts

GONE_POLLS: Final = 2
"""Lists of machines in a row without a machine, after which it counts as gone."""
NEW_EXTREME: Final = 1e-6


@dataclass(frozen=True, slots=True)
class KeySpec:
    """What an ``alert_key`` is of. ``texts`` is the series, where it is of one."""

    metric: Metric
    subject: str
    days: int = 0
    texts: SeriesTexts | None = None

    @property
    def identity(self) -> tuple[str, str, int]:
        """The columns that name the key."""
        return (self.metric, self.subject, self.days)


@dataclass(frozen=True, slots=True)
class Part:
    """One level of a rule. ``base`` is where it fires; of steps it has no meaning.

    ``name`` tells the parts of one key apart: its side, and the holding that it is of.
    """

    key: KeySpec
    side: int
    base: float
    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """What a member has, as far as rules are about it.

    Attributes:
        series: by holding id and for each watched GPU the series that stands for it.
    """

    holdings: Sequence[HeldGpu] = ()
    watched: Sequence[SeriesKey] = ()


@dataclass(frozen=True, slots=True)
class HeldGpu:
    """A holding: its market (None where there is none), its asked price, its machine."""

    id: str
    series: SeriesKey | None
    asked: float | None
    platform: str | None
    machine_id: int | None


def series_key(metric: Metric, series: SeriesKey, days: int = 0) -> KeySpec:
    """The key of a figure of a series."""
    texts: SeriesTexts = (
        series.platform,
        series.gpu,
        series.region,
        series.tier,
        series.verification,
        series.segment,
    )
    return KeySpec(metric, "|".join(texts), days, texts)


@lru_cache(maxsize=8192)
def series_of(subject: str) -> SeriesKey | None:
    """The series that a subject names; None when it names something else."""
    parts = subject.split("|")
    return SeriesKey(*parts) if len(parts) == 6 else None


def machine_subject(platform: str, machine_id: int) -> str:
    """The subject of a machine."""
    return f"{platform}/{machine_id}"


@lru_cache(maxsize=8192)
def machine_of(subject: str) -> tuple[str, int] | None:
    """Platform and id of a machine's subject; None for another one."""
    platform, slash, number = subject.partition("/")
    return (platform, int(number)) if slash and number.isdecimal() else None


def spread_subject(when: SpreadRule) -> str:
    """The subject of a spread: model, tier, and the two platforms or ``*``."""
    platforms = sorted(when.platforms) if when.platforms is not None else ["*", "*"]
    return "|".join((when.gpu, when.tier, *platforms))


def parts_of(rule: Rule, member_id: int, member: Member) -> list[Part]:
    """The parts of a rule. A scope is settled: a GPU's platform and tier are known.

    Args:
        member: what the member has; empty for rules that are not about it.
    """
    when = rule.when
    if isinstance(when, MachineRule):
        return _machine_parts(when, member)
    if isinstance(when, HoldingRule):
        return _holding_parts(when, member)
    if isinstance(when, SpreadRule):
        metric: Metric = "spread_percent" if when.unit == "percent" else "spread_usd"
        return [Part(KeySpec(metric, spread_subject(when)), 1, when.amount - EPSILON, "+")]
    if isinstance(when, FleetRule):
        return [Part(KeySpec("fleet_net", str(member_id)), 1, 0.0, "=")]
    if isinstance(when, NewModelRule):
        return [Part(KeySpec("models", when.platform), 1, 0.0, "=")]
    return _unique(part for series in _series(rule, member) for part in _series_parts(rule, series))


def helpers(parts: Iterable[Part]) -> list[KeySpec]:
    """Keys that are needed beside the parts' own: the price behind a change, and the hire behind idle hours."""
    found: dict[tuple[str, str, int], KeySpec] = {}
    for part in parts:
        key = part.key
        if key.texts is not None and key.metric != "price":
            helper = replace(key, metric="price", days=0)
        elif key.metric == "m_idle_hours":
            helper = replace(key, metric="m_rented")
        else:
            continue
        found[helper.identity] = helper
    return list(found.values())


def _series(rule: Rule, member: Member) -> list[SeriesKey]:
    scope = scope_of(rule)
    if isinstance(scope, GpuScope):
        if scope.platform is None or scope.tier is None:
            raise ValueError("the scope's platform and tier are not settled")
        return [SeriesKey(scope.platform, scope.gpu, scope.region, scope.tier, scope.verification)]
    if isinstance(scope, PortfolioScope):
        return [held.series for held in member.holdings if held.series is not None]
    if isinstance(scope, WatchlistScope):
        return list(member.watched)
    return []


def _series_parts(rule: Rule, series: SeriesKey) -> list[Part]:
    when = rule.when

    def part(metric: Metric, side: int, level: float, *, strict: bool, days: int = 0) -> Part:
        base = level + side * EPSILON if strict else level - side * EPSILON
        return Part(series_key(metric, series, days), side, base, "+" if side > 0 else "-")

    if isinstance(when, PriceRule):
        metric: Metric = "price" if when.figure == "price" else "rented_price"
        if when.figure == "available":
            metric = "available_price"
        sides = {"above": (1,), "below": (-1,), "crossing": (1, -1)}[when.direction]
        return [part(metric, side, when.level, strict=True) for side in sides]
    if isinstance(when, ChangeRule):
        metric = cast(Metric, f"change_{when.window}_{when.unit}")
        sides = {"up": (1,), "down": (-1,), "both": (1, -1)}[when.direction]
        return [part(metric, side, side * when.amount, strict=False) for side in sides]
    if isinstance(when, StepsRule):
        return [Part(series_key("price", series), 1, 0.0, "=")]
    if isinstance(when, ExtremeRule):
        side = 1 if when.which == "high" else -1
        return [Part(series_key(when.which, series, when.days), side, side * NEW_EXTREME, "+" if side > 0 else "-")]
    if isinstance(when, UtilizationRule | DemandRule):
        side = 1 if when.direction == "above" else -1
        return [part(when.kind, side, when.level, strict=True)]
    if isinstance(when, SupplyRule):
        if when.event == "none_left":
            return [part("available", -1, 0.0, strict=False)]
        return [part("available", 1, float(when.count), strict=False)]
    raise TypeError(f"a {rule.kind} rule is not about a series")


def _machine_parts(when: MachineRule, member: Member) -> list[Part]:
    if isinstance(when.scope, MachineScope):
        machines = [(when.scope.platform, when.scope.machine_id)]
    else:
        machines = [(h.platform, h.machine_id) for h in member.holdings if h.platform and h.machine_id is not None]
    found = []
    for platform, machine_id in machines:
        subject = machine_subject(platform, machine_id)
        match when.event:
            case "rented" | "freed":
                found.append(Part(KeySpec("m_rented", subject), 1 if when.event == "rented" else -1, 0.0, "="))
            case "idle":
                found.append(Part(KeySpec("m_idle_hours", subject), 1, float(when.hours or 0), "+"))
            case "gone":
                found.append(Part(KeySpec("m_missed", subject), 1, float(GONE_POLLS), "+"))
            case "reliability":
                base, name = (0.0, "=") if when.level is None else (when.level - EPSILON, "-")
                found.append(Part(KeySpec("m_reliability", subject), -1, base, name))
            case "verification":
                found.append(Part(KeySpec("m_verified", subject), -1, 0.0, "-"))
            case "ends":
                found.append(Part(KeySpec("m_days_left", subject), -1, float(when.days or 0), "-"))
    return _unique(found)


def _holding_parts(when: HoldingRule, member: Member) -> list[Part]:
    found = []
    for held in member.holdings:
        if held.asked is None or held.series is None or when.holding_id not in (None, held.id):
            continue
        # Asked below p10: p10 lies above the asked price. Asked above p90: p90 lies below it.
        found.append(Part(series_key("p10", held.series), 1, held.asked + EPSILON, f"+{held.id}"))
        found.append(Part(series_key("p90", held.series), -1, held.asked - EPSILON, f"-{held.id}"))
    return found


def _unique(parts: Iterable[Part]) -> list[Part]:
    """Two holdings of one market are one subject."""
    return list({(part.key.identity, part.name): part for part in parts}.values())
