"""From what a member typed to a rule."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from pydantic import ValidationError

from cogs.alert_errors import BadLevel, BadTime, Lacking
from cogs.alert_kinds import KindChoice
from cogs.alert_values import Level, read_count, read_level, read_span
from gpuscout.alerts.rules import (
    DEFAULT_COOLDOWN,
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
from gpuscout.market.models import GLOBAL

ScopeName = Literal["gpu", "portfolio", "watchlist"]
_WINDOWS: Final = {timedelta(hours=1): "1h", timedelta(hours=24): "24h", timedelta(days=7): "7d"}
_FIGURES: Final = {"price": "price", "rented": "rented", "available": "available"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What ``/alert add`` or a form was given; texts as typed, names as slugs.

    ``machine`` is (platform, id) of one machine, ``holding`` the id of a holding; neither: all of the member's.
    """

    kind: KindChoice
    gpu: str | None = None
    level: str | None = None
    window: str | None = None
    platform: str | None = None
    region: str | None = None
    scope: ScopeName = "gpu"
    machines: str = "any"
    machine: tuple[str, int] | None = None
    holding: str | None = None
    severity: str = "info"
    polls: int | None = None
    cooldown: str | None = None
    repeat: str | None = None
    expires: str | None = None
    once: bool = False


def build_rule(asked: Asked, now: datetime) -> Rule:
    """The rule.

    Raises:
        Lacking, BadLevel, BadTime: what is missing or not understood.
    """
    kind = asked.kind
    if kind.about == "series" and asked.scope == "gpu" and asked.gpu is None:
        raise Lacking("gpu", "RTX 4090")
    if "level" in kind.needs and not (asked.level or "").strip():
        raise Lacking("level", kind.level)
    manners = build_manners(asked, now)
    try:
        return Rule(when=_condition(asked), manners=manners)
    except ValidationError:
        # Every other field was checked before: what is left is a level outside of what can be.
        raise BadLevel(asked.level or asked.window or "", kind.level or ", ".join(kind.window)) from None


def build_manners(asked: Asked, now: datetime) -> Manners:
    """How it behaves.

    Raises:
        BadTime: a time is not understood, or too short or too long.
    """
    given: dict[str, Any] = {"severity": asked.severity, "once": asked.once, "for_polls": asked.polls}
    given["cooldown"] = _span(asked.cooldown, ("1h", "30 min", "0 min"), DEFAULT_COOLDOWN)
    given["repeat"] = _span(asked.repeat, ("24h", "6h"), None)
    given["expires_at"] = read_end(asked.expires, now)
    try:
        return Manners(**given)
    except ValidationError:
        wrong = asked.repeat or asked.cooldown or ""
        raise BadTime(wrong, ("1h", "24h", "7d")) from None


def _span(text: str | None, examples: tuple[str, ...], default: timedelta | None) -> timedelta | None:
    if text is None or not text.strip():
        return default
    if text.strip() in ("0", "0m", "0 min", "0h"):
        return timedelta(0)
    span = read_span(text)
    if span is None:
        raise BadTime(text, examples)
    return span


def read_end(text: str | None, now: datetime) -> datetime | None:
    """When a rule ends: after a span (``30d``) or with a day (``2026-12-24``, its end in UTC); None for never.

    Raises:
        BadTime: it is neither, or lies beyond ten years.
    """
    cleaned = (text or "").strip()
    if not cleaned or cleaned.casefold() in ("never", "nie", "-"):
        return None
    span = read_span(cleaned)
    if span is not None and span <= timedelta(days=3660):
        return now + span
    try:
        day = datetime.strptime(cleaned, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise BadTime(cleaned, ("30d", "3 months", "2026-12-24")) from None
    return day + timedelta(days=1)


def _scope(asked: Asked) -> Any:
    if asked.scope == "portfolio":
        return PortfolioScope()
    if asked.scope == "watchlist":
        return WatchlistScope(platform=asked.platform, region=asked.region or GLOBAL)
    return GpuScope(
        gpu=asked.gpu or "",
        platform=asked.platform,
        region=asked.region or GLOBAL,
        verification=asked.machines,
    )


def _level(asked: Asked) -> Level:
    text = asked.level or ""
    level = read_level(text)
    if level is None:
        raise BadLevel(text, asked.kind.level)
    return level


def _dollars(asked: Asked) -> float:
    level = _level(asked)
    if level.unit == "percent" or level.sign < 0:
        raise BadLevel(asked.level or "", asked.kind.level)
    return level.number


def _share(asked: Asked) -> float:
    """``80``, ``80 %`` and ``0.8`` are the same share; ``1`` is one per cent only with its sign."""
    level = _level(asked)
    if level.unit == "usd" or level.sign < 0:
        raise BadLevel(asked.level or "", asked.kind.level)
    if level.unit == "percent" or level.number > 1:
        return level.number / 100
    return level.number


def _moved(asked: Asked) -> tuple[float, Literal["percent", "usd"], int]:
    """Amount, unit and sign of a change; a plain number is per cent."""
    level = _level(asked)
    return level.number, "usd" if level.unit == "usd" else "percent", level.sign


def _days(asked: Asked, default: int) -> float:
    if not (asked.window or "").strip():
        return default
    text = (asked.window or "").strip()
    span = read_span(f"{text}d" if text.isdigit() else text)
    if span is None:
        raise BadTime(text, asked.kind.window)
    return span / timedelta(days=1)


def _hours(asked: Asked, default: float) -> float:
    text = (asked.window or asked.level or "").strip()
    if not text:
        return default
    span = read_span(f"{text}h" if text.isdigit() else text)
    if span is None:
        raise BadTime(text, asked.kind.window)
    return span / timedelta(hours=1)


def _window(asked: Asked) -> str:
    text = (asked.window or "24h").strip()
    span = read_span(text)
    window = _WINDOWS.get(span) if span is not None else None
    if window is None:
        raise BadTime(text, ("1h", "24h", "7d"))
    return window


def _condition(asked: Asked) -> Condition:
    head, _, tail = asked.kind.slug.partition("-")
    if head == "machine":
        return _machine(asked, tail)
    if head in _FIGURES:
        direction = "crossing" if tail == "crosses" else tail
        return PriceRule(scope=_scope(asked), direction=direction, level=_dollars(asked), figure=_FIGURES[head])
    if head == "change":
        amount, unit, sign = _moved(asked)
        way = {1: "up", -1: "down", 0: "both"}[sign]
        return ChangeRule(scope=_scope(asked), amount=amount, unit=unit, window=_window(asked), direction=way)
    if head == "steps":
        amount, unit, _ = _moved(asked)
        return StepsRule(scope=_scope(asked), amount=amount, unit=unit)
    if head in ("low", "high"):
        return ExtremeRule(scope=_scope(asked), which=head, days=round(_days(asked, 30)))
    if head == "utilization":
        return UtilizationRule(scope=_scope(asked), direction=tail, level=_share(asked))
    if head == "supply":
        count = read_count(asked.level or "")
        if count is None:
            raise BadLevel(asked.level or "", asked.kind.level)
        return SupplyRule(scope=_scope(asked), event="at_least", count=count)
    if head == "none":
        return SupplyRule(scope=_scope(asked), event="none_left")
    if head == "demand":
        level = _level(asked)
        if level.unit == "usd" or level.sign < 0:
            raise BadLevel(asked.level or "", asked.kind.level)
        return DemandRule(scope=_scope(asked), direction=tail, level=level.number)
    return _other(asked, head, tail)


def _other(asked: Asked, head: str, tail: str) -> Condition:
    if head == "spread":
        if asked.gpu is None:
            raise Lacking("gpu", "RTX 4090")
        amount, unit, _ = _moved(asked)
        return SpreadRule(gpu=asked.gpu, amount=amount, unit=unit)
    if head == "holding":
        return HoldingRule(holding_id=asked.holding)
    if head == "fleet":
        amount, unit, _ = _moved(asked)
        if unit == "usd":
            raise BadLevel(asked.level or "", asked.kind.level)
        return FleetRule(percent=amount)
    if head == "new":
        return NewModelRule(platform=asked.platform or "vast")
    hour = read_count((asked.level or "8").replace(":00", "").strip() or "8")
    if hour is None or hour > 23:
        raise BadLevel(asked.level or "", asked.kind.level)
    return DigestRule(every="week" if tail == "weekly" else "day", hour=hour)


def _machine(asked: Asked, event: str) -> MachineRule:
    scope: MachineScope | PortfolioScope = PortfolioScope()
    if asked.machine is not None:
        scope = MachineScope(platform=asked.machine[0], machine_id=asked.machine[1])
    given: dict[str, Any] = {"scope": scope, "event": event}
    if event == "idle":
        given["hours"] = _hours(asked, 24.0)
    elif event == "ends":
        given["days"] = _days(asked, 7)
    elif event == "reliability" and (asked.level or "").strip():
        given["level"] = _share(asked)
    return MachineRule(**given)
