"""Rollups: one numpy function for both databases and both tiers (docs/methodology.md, "Rollups").

Medians do not compose, so a rollup is always computed from raw quotes, never from a finer rollup.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gpuscout.market.models import QuoteFlag

if TYPE_CHECKING:
    from numpy.typing import NDArray

HOUR = 3600
DAY = 86400
SECONDS = {"hour": HOUR, "day": DAY}

_PRICE_COLUMNS = {
    "price": "all_median",
    "p10": "all_p10",
    "p90": "all_p90",
    "rented_price": "rented_median",
    "available_price": "available_median",
    "demand": "demand",
}
_COUNTS = {"rented": "rented_count", "total": "all_count"}
_REPORTED = "utilization"
INPUT_COLUMNS: tuple[str, ...] = (*_PRICE_COLUMNS.values(), *_COUNTS.values(), _REPORTED)


def roll_up(rows: Sequence[Any], bucket_seconds: int) -> list[dict[str, Any]]:
    """Rollup rows of raw quotes.

    Rule: quotes flagged as outliers are left out of every price (their counts still count). ``price``, ``p10``,
    ``p90``, ``rented_price``, ``available_price`` and ``demand`` are the median over the bucket's quotes that have
    the figure; ``price_min`` and ``price_max`` the extremes of ``price``; ``rented`` and ``total`` the mean GPUs over
    the quotes that count them (0 when none does); ``utilization`` the mean of what quotes without a count report;
    ``samples`` the number of quotes. A bucket without quotes has no row: a gap stays a gap.

    Args:
        rows: with ``series_id``, ``ts``, ``flags`` and :data:`INPUT_COLUMNS`, in (series, time) order.
        bucket_seconds: 3600 or 86400; buckets start at multiples of it (UTC).
    """
    import numpy as np

    if not rows:
        return []
    series = np.fromiter((row.series_id for row in rows), dtype=np.int64, count=len(rows))
    times = np.fromiter((row.ts for row in rows), dtype=np.int64, count=len(rows))
    buckets = times - times % bucket_seconds
    starts = np.flatnonzero(np.r_[True, (np.diff(series) != 0) | (np.diff(buckets) != 0)])
    ends = np.r_[starts[1:], len(rows)]
    outlier = np.fromiter((bool(row.flags & QuoteFlag.OUTLIER) for row in rows), dtype=bool, count=len(rows))

    prices: dict[str, NDArray[np.float64]] = {}
    for name, column in _PRICE_COLUMNS.items():
        values = np.array([getattr(row, column) for row in rows], dtype=np.float64)
        if name != "demand":
            values[outlier] = np.nan
        prices[name] = values
    counts = {name: np.array([getattr(row, column) for row in rows], float) for name, column in _COUNTS.items()}
    sized = np.fromiter((not row.flags & QuoteFlag.UNSIZED for row in rows), dtype=bool, count=len(rows))
    reported = np.array([getattr(row, _REPORTED) for row in rows], dtype=np.float64)

    result: list[dict[str, Any]] = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        row: dict[str, Any] = {
            "series_id": int(series[start]),
            "ts": int(buckets[start]),
            "samples": end - start,
        }
        for name, values in prices.items():
            known = values[start:end]
            known = known[~np.isnan(known)]
            row[name] = float(np.median(known)) if known.size else None
            if name == "price":
                row["price_min"] = float(known.min()) if known.size else None
                row["price_max"] = float(known.max()) if known.size else None
        for name, values in counts.items():
            counted = values[start:end][sized[start:end]]
            row[name] = float(counted.mean()) if counted.size else 0.0
        said = reported[start:end]
        said = said[~np.isnan(said)]
        row[_REPORTED] = float(said.mean()) if said.size else None
        result.append(row)
    return result
