"""Demand, 0 to 100: a derived indicator, not a figure of any source (docs/methodology.md, "Demand")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gpuscout.market.models import Side

LEVEL_WEIGHT = 60.0
MOMENTUM_WEIGHT = 20.0
SPREAD_WEIGHT = 10.0
SUPPLY_WEIGHT = 10.0

MOMENTUM_WINDOWS: Mapping[str, float] = {"1h": 0.2, "24h": 0.3, "7d": 0.5}
"""Weights of the change in rented share over each window."""
FULL_MOMENTUM = 0.10
"""A weighted change of ten percentage points is the end of the scale."""
FULL_SPREAD = 0.25
"""A rented median 25 % of the price above the available median is the end of the scale."""
FULL_SUPPLY = 0.10
"""A change of listed GPUs by 10 % in a day is the end of the scale."""


@dataclass(frozen=True, slots=True)
class Reference:
    """GPUs rented and listed at an earlier instant."""

    rented: int
    total: int


def _clip(value: float) -> float:
    return max(-1.0, min(1.0, value))


def demand(rented: Side, available: Side, total: Side, references: Mapping[str, Reference]) -> float | None:
    """Demand for a series, 0 (nobody rents) to 100 (everything rented and rising), one decimal.

    ``60 × level + 20 × momentum + 10 × spread + 10 × supply``, each part from 0 to 1; a part whose inputs are
    missing is left out and the weights of the others are scaled up.

    Args:
        references: by window (``1h``, ``24h``, ``7d``); those that are known.

    Returns:
        None when nothing is listed.
    """
    if total.count == 0:
        return None
    share = rented.count / total.count
    parts: list[tuple[float, float]] = [(LEVEL_WEIGHT, share)]

    changes = [
        (weight, share - reference.rented / reference.total)
        for window, weight in MOMENTUM_WINDOWS.items()
        if (reference := references.get(window)) and reference.total
    ]
    if changes:
        change = sum(weight * delta for weight, delta in changes) / sum(weight for weight, _ in changes)
        parts.append((MOMENTUM_WEIGHT, 0.5 + 0.5 * _clip(change / FULL_MOMENTUM)))
    if rented.median is not None and available.median is not None and total.median:
        spread = (rented.median - available.median) / total.median
        parts.append((SPREAD_WEIGHT, 0.5 + 0.5 * _clip(spread / FULL_SPREAD)))
    day = references.get("24h")
    if day and day.total:
        supply = (total.count - day.total) / day.total
        parts.append((SUPPLY_WEIGHT, 0.5 - 0.5 * _clip(supply / FULL_SUPPLY)))

    weights = sum(weight for weight, _ in parts)
    return round(100.0 * sum(weight * part for weight, part in parts) / weights, 1)
