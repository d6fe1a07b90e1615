"""Change of a series over 24 hours, 7 and 30 days."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from gpuscout.market.models import Change, Quote, QuoteFlag
from gpuscout.market.rollup import SECONDS
from gpuscout.market.rows import texts_of
from storage.market import MarketStore

WINDOWS: dict[str, tuple[timedelta, timedelta]] = {
    "24h": (timedelta(hours=24), timedelta(hours=1)),
    "7d": (timedelta(days=7), timedelta(hours=6)),
    "30d": (timedelta(days=30), timedelta(hours=24)),
}
"""Window, and how far from its start the compared quote may lie."""


class _Then(NamedTuple):
    price: float | None
    utilization: float | None


async def read_changes(store: MarketStore, quote: Quote) -> dict[str, Change]:
    """Changes of *quote*'s series; a window without a comparable quote has None figures, never a guess.

    The quote then is the raw quote nearest to the window's start; where raw quotes are no longer kept, the hourly
    rollup that covers it, else the daily one. Flagged prices are compared with nothing; their counts are.
    """
    series_id = await store.find_series(texts_of(quote.key))
    oldest = None if series_id is None else await store.oldest_raw()
    changes: dict[str, Change] = {}
    for name, (window, tolerance) in WINDOWS.items():
        at = int((quote.at - window).timestamp())
        then = None
        if series_id is not None:
            then = await _then(store, series_id, at, int(tolerance.total_seconds()), oldest)
        ratio = points = None
        if then and then.price and quote.price is not None and not quote.outlier:
            ratio = quote.price / then.price - 1
        if then and then.utilization is not None and quote.utilization is not None:
            points = quote.utilization - then.utilization
        changes[name] = Change(window, then.price if then else None, ratio, points)
    return changes


async def _then(store: MarketStore, series_id: int, at: int, tolerance: int, oldest_raw: int | None) -> _Then | None:
    raw = await store.raw_rows(series_id, at - tolerance, at + tolerance + 1)
    if raw:
        nearest = sorted(raw, key=lambda row: abs(row.ts - at))
        prices = (row.all_median for row in nearest if not row.flags & QuoteFlag.OUTLIER and row.all_median is not None)
        row = nearest[0]
        return _Then(next(prices, None), row.rented_count / row.all_count if row.all_count else row.utilization)
    if oldest_raw is not None and oldest_raw <= at:
        return None  # raw quotes are kept there, and there was none: a gap
    for tier, seconds in SECONDS.items():
        bucket = at - at % seconds
        rows = await store.rollup_rows(tier, series_id, bucket, bucket + 1)
        if rows:
            row = rows[0]
            return _Then(row.price, row.rented / row.total if row.total else row.utilization)
    return None
