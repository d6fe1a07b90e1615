"""The rollup rule on whole columns: many series and buckets at once (methodology, "Rollups").

:func:`gpuscout.market.rollup.roll_up` and the backfill both compute by :func:`roll_up_columns`, so that a bucket is
the same whichever way its quotes came. The order of the rows changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]

PRICES = ("price", "p10", "p90", "rented_price", "available_price")
COUNTS = ("rented", "total")
ROLLED = (
    *("series_id", "ts", "samples", "price", "price_min", "price_max", "p10", "p90", "rented_price"),
    *("available_price", "rented", "total", "demand", "utilization", "source_id"),
)
"""Columns of a rollup in the order in which :func:`roll_up_columns` returns them."""


@dataclass(frozen=True, slots=True)
class QuoteColumns:
    """Quotes as equally long columns. NaN is "not known"; prices in USD per GPU-hour, counts in GPUs."""

    series: Ints
    ts: Ints
    """Epoch seconds."""
    source: Ints
    """Id of the source; below 0 where it is not known."""
    outlier: Flags
    """Quotes whose prices are left out."""
    price: Floats
    p10: Floats
    p90: Floats
    rented_price: Floats
    available_price: Floats
    rented: Floats
    total: Floats
    demand: Floats
    utilization: Floats
    """As reported by a source that counts no GPUs."""

    def take(self, chosen: Ints | Flags | slice) -> QuoteColumns:
        """The same columns of some rows."""
        return QuoteColumns(*(getattr(self, each.name)[chosen] for each in fields(self)))


def roll_up_columns(quotes: QuoteColumns, bucket_seconds: int) -> Mapping[str, Floats | Ints]:
    """Columns :data:`ROLLED` of every (series, bucket) that has a quote, in that order; NaN is "not known".

    The rule is written at :func:`gpuscout.market.rollup.roll_up`. ``source_id`` is the source of most of the bucket's
    quotes, of equally many the one with the lower id.
    """
    import numpy as np

    buckets = quotes.ts - quotes.ts % bucket_seconds
    order = np.lexsort((buckets, quotes.series))
    quotes, buckets = quotes.take(order), buckets[order]
    if not len(buckets):
        return {name: np.zeros(0) for name in ROLLED}
    starts = np.flatnonzero(np.r_[True, (np.diff(quotes.series) != 0) | (np.diff(buckets) != 0)])
    groups = len(starts)
    samples = np.diff(np.r_[starts, len(buckets)])
    group = np.repeat(np.arange(groups), samples)

    rolled: dict[str, Floats | Ints] = {
        "series_id": quotes.series[starts],
        "ts": buckets[starts],
        "samples": samples,
        "source_id": _most_frequent(quotes.source, group, groups),
        "demand": _medians(quotes.demand, group, groups),
        "utilization": _means(quotes.utilization, group, groups),
    }
    for name in PRICES:
        values = np.where(quotes.outlier, np.nan, getattr(quotes, name))
        rolled[name] = _medians(values, group, groups)
        if name == "price":
            rolled["price_min"], rolled["price_max"] = _extremes(values, group, groups)
    for name in COUNTS:
        rolled[name] = np.nan_to_num(_means(getattr(quotes, name), group, groups))
    return {name: rolled[name] for name in ROLLED}


def row_columns(rolled: Mapping[str, Floats | Ints]) -> tuple[tuple[str, ...], list[list[int | float | None]]]:
    """Names and columns of rollups as a database takes them: whole numbers, floats, and None for "not known"."""
    import numpy as np

    columns: list[list[int | float | None]] = []
    for name, values in rolled.items():
        unknown = values < 0 if name == "source_id" else np.isnan(values)
        plain: list[int | float | None] = values.tolist()
        for row in np.flatnonzero(unknown).tolist():
            plain[row] = None
        columns.append(plain)
    return tuple(rolled), columns


def _medians(values: Floats, group: Ints, groups: int) -> Floats:
    import numpy as np

    known = ~np.isnan(values)
    values, group = values[known], group[known]
    values = values[np.lexsort((values, group))]
    counts = np.bincount(group, minlength=groups)
    starts = np.cumsum(counts) - counts
    has = counts > 0
    low, high = values[(starts + (counts - 1) // 2)[has]], values[(starts + counts // 2)[has]]
    result = np.full(groups, np.nan)
    result[has] = (low + high) / 2
    return result


def _extremes(values: Floats, group: Ints, groups: int) -> tuple[Floats, Floats]:
    import numpy as np

    known = ~np.isnan(values)
    low, high = np.full(groups, np.inf), np.full(groups, -np.inf)
    np.minimum.at(low, group[known], values[known])
    np.maximum.at(high, group[known], values[known])
    return np.where(np.isinf(low), np.nan, low), np.where(np.isinf(high), np.nan, high)


def _means(values: Floats, group: Ints, groups: int) -> Floats:
    import numpy as np

    known = ~np.isnan(values)
    counts = np.bincount(group[known], minlength=groups)
    sums = np.bincount(group[known], weights=values[known], minlength=groups)
    means: Floats = np.divide(sums, counts, out=np.full(groups, np.nan), where=counts > 0)
    return means


def _most_frequent(source: Ints, group: Ints, groups: int) -> Ints:
    """Of each group the value that occurs most often, of equally frequent ones the least."""
    import numpy as np

    order = np.lexsort((source, group))
    source, group = source[order], group[order]
    starts = np.flatnonzero(np.r_[True, (np.diff(group) != 0) | (np.diff(source) != 0)])
    times = np.diff(np.r_[starts, len(source)])
    best = np.lexsort((source[starts], -times, group[starts]))
    starts = starts[best]
    first = np.flatnonzero(np.r_[True, np.diff(group[starts]) != 0])
    winners: Ints = source[starts[first]]
    return winners
