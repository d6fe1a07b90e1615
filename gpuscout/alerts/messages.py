"""What an alert tells: data for a renderer, no text. The payload of a notification item, and of an event."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from gpuscout.alerts.rules import Condition, Kind
from storage.notifications import Severity

Metric = Literal[
    "price",
    "rented_price",
    "available_price",
    "p10",
    "p90",
    "utilization",
    "available",
    "demand",
    "change_1h_percent",
    "change_24h_percent",
    "change_7d_percent",
    "change_1h_usd",
    "change_24h_usd",
    "change_7d_usd",
    "low",
    "high",
    "spread_percent",
    "spread_usd",
    "m_rented",
    "m_idle_hours",
    "m_missed",
    "m_reliability",
    "m_verified",
    "m_days_left",
    "fleet_net",
    "models",
]
"""What a value is. ``low`` and ``high`` are the distance to the extreme of some days; ``m_…`` are of a machine."""

Happening = Literal["above", "below", "up", "down", "new", "gone", "digest", "expired"]
"""Which way the value went."""


class DigestLine(BaseModel):
    """One rule in a digest of alerts."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    rule_id: int
    when: Condition
    fired: int
    last_at: AwareDatetime | None = None
    gpu: str | None = None
    value: float | None = None
    metric: Metric | None = None


class AlertItem(BaseModel):
    """One firing.

    Attributes:
        when: the rule's condition, for the title.
        happened: which way the value went.
        metric: what *before*, *after* and *threshold* are.
        gpu, platform, region, tier, verification: the series; ``gpu`` and ``platform`` also of a machine.
        machine_id, holding_id: where it is about one.
        before: the value at the last firing or poll before; None when unknown.
        after: the value that fired.
        threshold: the level that it passed.
        price: the present median price where the metric is another one, USD per GPU-hour.
        now: the newest value, when later polls are known already (``catch_up``).
        at: source time of the poll.
        impact_month: USD a month on the member's own holdings of this model; None where he has none.
        fired_before: firings of this rule before this one.
        repeat: told again because the value stayed beyond.
        catch_up: told late: the poll was evaluated after an outage.
        test: a marked sample.
        source: slug of the price source.
        series_id: key of the sparkline; None where there is no series.
        models: slugs of new models.
        lines: of a digest.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: Literal["alert"] = "alert"
    rule_id: int
    server: bool = False
    when: Condition
    kind: Kind
    happened: Happening
    severity: Severity = "info"
    metric: Metric | None = None
    gpu: str | None = None
    platform: str | None = None
    region: str = "global"
    tier: str = "on-demand"
    verification: str = "any"
    machine_id: int | None = None
    holding_id: str | None = None
    before: float | None = None
    after: float | None = None
    threshold: float | None = None
    price: float | None = None
    now: float | None = None
    at: AwareDatetime
    impact_month: float | None = None
    fired_before: int = 0
    repeat: bool = False
    catch_up: bool = False
    test: bool = False
    source: str | None = None
    series_id: int | None = None
    models: tuple[str, ...] = ()
    lines: tuple[DigestLine, ...] = ()


class ExpiredItem(BaseModel):
    """A rule whose time is over; a button offers to renew it. An item of a notification of kind ``notice``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: Literal["alert_expired"] = "alert_expired"
    rule_id: int
    server: bool = False
    when: Condition
    kind: Kind
    expired_at: AwareDatetime
    fired: int = 0


_OWN = frozenset(("type", "lines", "server", "series_id"))


def event_data(
    item: AlertItem, notification_id: str | None, payload: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The data of an ``alert.triggered`` event; *payload* is the item as JSON, where that is at hand."""
    values = item.model_dump(mode="json") if payload is None else payload
    found = {name: value for name, value in values.items() if value is not None and name not in _OWN}
    return {**found, "notification": notification_id}


def moment(ts: int) -> datetime:
    """Aware UTC of epoch seconds."""
    return datetime.fromtimestamp(ts, UTC)
