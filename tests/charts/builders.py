"""Chart specs for the tests: small, seeded, like those the product makes."""

from __future__ import annotations

import random
from typing import Any

from gpuscout.charts import ChartPanel, ChartSeries, ChartSpec

DAY = 86400.0
END = 1_765_116_000.0  # 2025-12-07 14:00 UTC


def walk(seed: int, points: int, base: float = 0.33, days: float = 30) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Times over the last ``days`` and a mean-reverting walk around ``base``."""
    numbers = random.Random(seed)
    value, values = base, []
    for _ in range(points):
        value += (base - value) * 0.05 + numbers.gauss(0, base / 60)
        values.append(round(value, 4))
    start = END - days * DAY
    return tuple(start + days * DAY * i / max(points - 1, 1) for i in range(points)), tuple(values)


def series(
    key: str = "rented", label: str | None = None, *, seed: int = 1, points: int = 120, **more: Any
) -> ChartSeries:
    """A series without gaps; ``base`` and ``days`` go to the walk, the rest to the series."""
    times, values = walk(seed, points, more.pop("base", 0.33), more.pop("days", 30))
    if more.pop("band", False):
        more["low"] = tuple(value - 0.05 for value in values)
        more["high"] = tuple(value + 0.06 for value in values)
    return ChartSeries(key, label or key.capitalize(), times, values, **more)


def without(whole: ChartSeries, first: int, last: int) -> ChartSeries:
    """The series with the points ``first`` to ``last`` (excluded) left out."""

    def cut(column: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        return None if column is None else column[:first] + column[last:]

    return ChartSeries(
        whole.key, whole.label, cut(whole.times), cut(whole.values), cut(whole.low), cut(whole.high), whole.emphasis
    )  # fmt: skip


def spec(*panels: ChartPanel, days: float = 30, **more: Any) -> ChartSpec:
    """A price chart; keyword arguments replace fields."""
    fields: dict[str, Any] = {
        "title": "RTX 4090 · Vast.ai",
        "subtitle": "Price per GPU-hour, 30 days",
        "panels": panels or (ChartPanel("usd_per_hour", (series(days=days),)),),
        "start": END - days * DAY,
        "end": END,
        "gap_seconds": days * DAY / 40,
        "source": "500.farm (Vast.ai)",
        "as_of": END,
    }
    return ChartSpec(**{**fields, **more})


def price_spec(**more: Any) -> ChartSpec:
    """What ``/price`` draws: band, two medians, a gap, utilization below."""
    rented = without(series("rented", band=True, emphasis=True), 60, 75)
    available = without(series("available", seed=2, base=0.36), 60, 75)
    used = without(series("utilization", seed=3, base=0.48), 60, 75)
    return spec(ChartPanel("usd_per_hour", (rented, available)), ChartPanel("ratio", (used,)), **more)


def compare_spec(count: int = 5, **more: Any) -> ChartSpec:
    """What ``/compare`` draws: several models on one axis."""
    names = ("RTX 4090", "RTX 5090", "RTX 3090", "A100 SXM4", "L40S", "H100 SXM")
    lines = tuple(
        series(name, name, seed=index, base=0.3 + 0.02 * index, emphasis=index == 0)
        for index, name in enumerate(names[:count])
    )
    return spec(ChartPanel("usd_per_hour", lines), **{"title": "Models compared", "badge": "SIMULATED", **more})
