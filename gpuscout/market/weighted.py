"""Statistics of machines as the exporter computes them, in plain Python for the process that parses machines.

The rule: every GPU counts once, so a machine's price enters as often as the machine has GPUs in the group. The median
is the middle price, or the mean of the two middle ones. The p-th percentile of n ascending prices, with
i = p / 100 × n, is the i-th price when i is whole, else the mean of the ⌊i⌋-th and the next. A single price is its own
percentile; from 2 to 9 GPUs there are none. (It is how montanaflynn/stats 0.7.1, the Go package that the exporter
uses, defines them.)
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

from gpuscout.market.models import Side

MIN_FOR_PERCENTILES = 10
"""GPUs; a single one has percentiles too."""


def whole_cents(total_usd: float, num_gpus: int) -> int:
    """Cents per GPU-hour of a machine that asks *total_usd* an hour, cut to whole ones as the exporter does.

    The arithmetic is the exporter's, so that equal machines give equal statistics: $0.29 may become 28 cents.
    """
    return int(total_usd / num_gpus * 100)


def weighted_side(machines: Iterable[tuple[float, int]]) -> Side:
    """Statistics of (price, GPUs) pairs in any order, in the prices' unit; pairs without GPUs do not count."""
    counted = sorted(pair for pair in machines if pair[1] > 0)
    if not counted:
        return Side()
    prices = [price for price, _ in counted]
    upto = list(accumulate(gpus for _, gpus in counted))
    count = upto[-1]
    median = _between(prices, upto, (count + 1) // 2, count // 2 + 1)
    if count == 1:
        return Side(1, median, median, median)
    if count < MIN_FOR_PERCENTILES:
        return Side(count, median)
    return Side(count, median, _percentile(prices, upto, 10), _percentile(prices, upto, 90))


def _between(prices: Sequence[float], upto: Sequence[int], low: int, high: int) -> float:
    """Mean of the prices at two ranks (from 1)."""
    first, second = prices[bisect_left(upto, low)], prices[bisect_left(upto, high)]
    return first if first == second else (first + second) / 2


def _percentile(prices: Sequence[float], upto: Sequence[int], percent: int) -> float:
    index = percent / 100 * upto[-1]
    low = int(index)
    return _between(prices, upto, low, low + (index != low))
