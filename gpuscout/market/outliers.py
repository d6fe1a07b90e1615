"""The outlier rule: a price absurd against the series' own history is kept and flagged (docs/methodology.md)."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

MIN_HISTORY_DAYS = 2
HISTORY_DAYS = 14
MAX_RATIO = 4.0
MIN_DIFFERENCE = 0.05
"""USD: below this a factor of four is the source's rounding to a cent, not absurdity."""


def is_outlier(price: float | None, daily_prices: Sequence[float]) -> bool:
    """True when *price* is over four times, or under a quarter of, the median of the last 14 daily prices.

    Needs two days of history; a difference under five cents never counts. A lasting change stops being flagged
    once it has been the price for half of the window.
    """
    if price is None or len(daily_prices) < MIN_HISTORY_DAYS:
        return False
    usual = median(daily_prices)
    if abs(price - usual) < MIN_DIFFERENCE:
        return False
    return price > usual * MAX_RATIO or price < usual / MAX_RATIO
