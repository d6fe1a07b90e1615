"""How far a value must come back before a rule can fire again (rule: docs/methodology.md, "Alerts")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gpuscout.alerts.messages import Metric
from gpuscout.alerts.rules import Rule

EPSILON: Final = 1e-9
"""Makes "above" and "below" strict; prices are full cents or finer fractions far above this."""
SLACK: Final = 1e-7
"""What sums of cents may be off, when a value comes back exactly to where it must."""
DEFAULT_TICK: Final = 0.01
"""500.farm cuts prices to a whole cent; of sources whose grain is not known the same is assumed."""
TICKS: Final[Mapping[str, float]] = {}
"""USD per GPU-hour by platform, where prices are known to be finer."""
RELATIVE: Final = 0.01

PRICES: Final[frozenset[Metric]] = frozenset(
    ("price", "rented_price", "available_price", "p10", "p90", "change_1h_usd", "change_24h_usd", "change_7d_usd")
)
PERCENTS: Final[frozenset[Metric]] = frozenset(
    ("change_1h_percent", "change_24h_percent", "change_7d_percent", "spread_percent")
)
_FIXED: Final[Mapping[Metric, float]] = {
    "utilization": 0.01,
    "demand": 1.0,
    "m_rented": 0.5,
    "m_idle_hours": 0.0,
    "m_missed": 1.5,
    "m_reliability": 0.005,
    "m_verified": 0.5,
    "m_days_left": 1.0,
    "fleet_net": 1.0,
    "models": 0.0,
    "low": EPSILON,
    "high": EPSILON,
}


def tick_of(platform: str | None) -> float:
    """The smallest step of a platform's prices, USD per GPU-hour."""
    return TICKS.get(platform or "", DEFAULT_TICK)


def band_of(rule: Rule, metric: Metric, base: float, price: float | None, platform: str | None) -> float:
    """The band of one level, in the unit of the metric.

    Args:
        base: the level that fires.
        price: the median price behind a change, for its unit is no price.
    """
    if metric == "m_idle_hours":
        return base - SLACK  # idle hours start over with every hire, whatever the band
    if rule.manners.band is not None and metric not in ("low", "high", "models"):
        return rule.manners.band
    tick = tick_of(platform)
    if metric in PERCENTS:
        return max(1.0, 100 * tick / price) if price else 1.0
    if metric == "spread_usd" or metric in PRICES:
        return max(RELATIVE * abs(price if price and metric not in ("p10", "p90") else base), tick)
    if metric == "available":
        return max(RELATIVE * base, 1.0)
    return _FIXED[metric]


def rearm_level(base: float, side: int, band: float) -> float:
    """From where on the opposite way counts as having come back."""
    return base - side * (band - SLACK)


def beyond(value: float, base: float, side: int) -> bool:
    """Whether *value* meets a level: at or past it in direction *side*."""
    return value >= base if side > 0 else value <= base
