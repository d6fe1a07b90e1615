"""Rollups: one numpy function for both databases and both tiers (docs/methodology.md, "Rollups").

Medians do not compose, so a rollup is always computed from raw quotes, never from a finer rollup.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpuscout.market.buckets import COUNTS, QuoteColumns, roll_up_columns, row_columns
from gpuscout.market.models import QuoteFlag

HOUR = 3600
DAY = 86400
SECONDS = {"hour": HOUR, "day": DAY}

_FIGURES = {
    "price": "all_median",
    "p10": "all_p10",
    "p90": "all_p90",
    "rented_price": "rented_median",
    "available_price": "available_median",
    "rented": "rented_count",
    "total": "all_count",
    "demand": "demand",
    "utilization": "utilization",
}
"""Columns of a quote by their names in :class:`gpuscout.market.buckets.QuoteColumns`."""


def roll_up(rows: Sequence[Any], bucket_seconds: int) -> list[dict[str, Any]]:
    """Rollup rows of raw quotes.

    Rule: quotes flagged as outliers are left out of every price (their counts still count). ``price``, ``p10``,
    ``p90``, ``rented_price``, ``available_price`` and ``demand`` are the median over the bucket's quotes that have
    the figure; ``price_min`` and ``price_max`` the extremes of ``price``; ``rented`` and ``total`` the mean GPUs over
    the quotes that count them (0 when none does); ``utilization`` the mean of what quotes without a count report;
    ``samples`` the number of quotes; ``source_id`` the source of most of them, of equally many the lower id. A bucket
    without quotes has no row: a gap stays a gap.

    Args:
        rows: with ``series_id``, ``ts``, ``source_id``, ``flags`` and the figures of a raw quote.
        bucket_seconds: 3600 or 86400; buckets start at multiples of it (UTC).
    """
    import numpy as np

    if not rows:
        return []
    flags = np.fromiter((row.flags for row in rows), dtype=np.int64, count=len(rows))
    figures = {
        name: np.array([getattr(row, column) for row in rows], dtype=np.float64) for name, column in _FIGURES.items()
    }
    for name in COUNTS:
        figures[name][(flags & QuoteFlag.UNSIZED) != 0] = np.nan  # a count that is unknown, not zero
    quotes = QuoteColumns(
        series=np.fromiter((row.series_id for row in rows), dtype=np.int64, count=len(rows)),
        ts=np.fromiter((row.ts for row in rows), dtype=np.int64, count=len(rows)),
        source=np.fromiter((row.source_id for row in rows), dtype=np.int64, count=len(rows)),
        outlier=(flags & QuoteFlag.OUTLIER) != 0,
        **figures,
    )
    names, columns = row_columns(roll_up_columns(quotes, bucket_seconds))
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
