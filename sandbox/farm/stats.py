"""Counts, medians and percentiles as the exporter computes them.

The rule, per group of machines (for instance the rented ones that are verified):

* every GPU counts once, so a machine's price enters as often as the machine has GPUs in the
  group; ``count`` is the number of GPUs;
* a price is a whole number of cents, truncated;
* *median*: the middle price, or the mean of the two middle ones;
* *p-th percentile* of ``n`` ascending prices ``c[1..n]``, with ``i = p / 100 * n`` in double
  precision: ``c[i]`` if ``i`` is whole; else, if ``i > 1``, the mean of ``c[floor(i)]`` and
  ``c[floor(i) + 1]``; else it does not exist. A single price is its own percentile. This is
  what the Go package montanaflynn/stats 0.7.1 does;
* the 10th and 90th percentile are given together or not at all, hence for 1 GPU and from 10 on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sandbox.farm.noise import Floats, Ints

#: One group at one instant: ``count`` in GPUs; prices in USD per GPU-hour, NaN where absent.
STATS_DTYPE = np.dtype([("count", np.int64), ("median", np.float64), ("p10", np.float64), ("p90", np.float64)])
Stats = NDArray[np.void]


def _ranks(n: Ints, percent: float) -> tuple[Ints, Ints]:
    """The two 1-based ranks whose mean is the percentile (equal when one price decides)."""
    index = percent / 100 * n.astype(np.float64)
    low = index.astype(np.int64)
    high = low + (index != low)
    return low, high


def weighted_stats(cents: Ints, weights: Ints) -> Stats:
    """Statistics along the last axis.

    ``cents``: shape (..., M), ascending along the last axis. ``weights``: GPUs in the group,
    same shape or broadcastable against it, 0 for machines outside the group.
    Returns shape (...) of :data:`STATS_DTYPE`.
    """
    cents, weights = np.broadcast_arrays(cents, weights)
    shape, machines = cents.shape[:-1], cents.shape[-1]
    rows = int(np.prod(shape, dtype=np.int64))
    out = np.zeros(rows, dtype=STATS_DTYPE)
    for name in ("median", "p10", "p90"):
        out[name] = np.nan
    if machines == 0 or rows == 0:
        return out.reshape(shape)
    cents = cents.reshape(rows, machines)
    cumulative = np.cumsum(weights.reshape(rows, machines), axis=1, dtype=np.int64)
    count = cumulative[:, -1]
    out["count"] = count

    # One search serves every row: each row's cumulative weights are lifted above the last
    # row's, which makes the flattened array ascending.
    lift = np.arange(rows, dtype=np.int64) * (int(count.max()) + 1)
    flat = (cumulative + lift[:, None]).ravel()

    def at_rank(rank: Ints, some: NDArray[np.bool_]) -> Floats:
        where = np.searchsorted(flat, rank[some] + lift[some])
        return cents.ravel()[where].astype(np.float64)

    def store(name: str, low: Ints, high: Ints, some: NDArray[np.bool_]) -> None:
        out[name][some] = (at_rank(low, some) + at_rank(high, some)) / 2 / 100

    store("median", (count + 1) // 2, count // 2 + 1, count > 0)
    both = (count == 1) | (count >= 10)
    one = np.ones_like(count)
    for name, percent in (("p10", 10.0), ("p90", 90.0)):
        low, high = _ranks(count, percent)
        single = count == 1
        store(name, np.where(single, one, low), np.where(single, one, high), both)
    return out.reshape(shape)


def percentile(values: Floats, percent: float) -> float:
    """The same percentile of a plain list, NaN where it does not exist."""
    ordered = np.sort(values)
    n = len(ordered)
    if n == 1:
        return float(ordered[0])
    index = percent / 100 * n
    low = int(index)
    if index == low and low >= 1:
        return float(ordered[low - 1])
    if index > 1:
        return float((ordered[low - 1] + ordered[low]) / 2)
    return float("nan")
