"""Many series as they were some time ago, in a few statements (rule: docs/methodology.md, "Changes")."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from gpuscout.market.models import THIN_SAMPLE, Change, Quote, QuoteFlag, SeriesKey
from gpuscout.market.ports import RANGES
from gpuscout.market.rollup import SECONDS
from gpuscout.market.rows import texts_of
from storage.market import MarketStore
from storage.market_many import Instant, ids_of, raw_near, rollups_at

TOLERANCES: dict[str, timedelta] = {"24h": timedelta(hours=1), "7d": timedelta(hours=6), "30d": timedelta(hours=24)}
"""Windows of a card's changes, and how far from its start the compared quote may lie."""
_LONG_TOLERANCE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Earlier:
    """A series as it was about a window before its present quote; None where a figure was not known then."""

    price: float | None
    """USD per GPU-hour; never a flagged one."""
    utilization: float | None
    demand: float | None
    total: float
    """GPUs listed; 0 when none or when the source counts none."""

    @property
    def thin(self) -> bool:
        """Whether the figures rest on fewer than ten GPUs."""
        return 0 < self.total < THIN_SAMPLE


def change_of(quote: Quote, then: Earlier | None, window: str) -> Change:
    """The change of *quote* against *then*; a figure that cannot be compared is None."""
    ratio = points = None
    if then is not None and then.price and quote.price is not None and not quote.outlier:
        ratio = quote.price / then.price - 1
    if then is not None and then.utilization is not None and quote.utilization is not None:
        points = quote.utilization - then.utilization
    return Change(RANGES[window], then.price if then else None, ratio, points)


async def read_earlier(
    store: MarketStore, quotes: Iterable[Quote], *windows: str
) -> dict[str, dict[SeriesKey, Earlier]]:
    """By window (a key of :data:`gpuscout.market.ports.RANGES`): the series of *quotes* that long before their quote.

    That is the raw quote nearest to the window's start, its price from the nearest one that is not flagged; where raw
    quotes are no longer kept, the hourly rollup that covers the instant, else the daily one. Series of which there is
    none are left out: over a gap nothing is compared.
    """
    by_texts = {texts_of(quote.key): quote for quote in quotes}
    ids = await ids_of(store.db, by_texts)
    oldest = await store.oldest_raw()
    found: dict[str, dict[SeriesKey, Earlier]] = {}
    for window in windows:
        span, tolerance = RANGES[window], TOLERANCES.get(window, _LONG_TOLERANCE)
        wanted = [Instant(ids[texts], int((by_texts[texts].at - span).timestamp())) for texts in ids]
        then = await _at(store, wanted, int(tolerance.total_seconds()), oldest)
        found[window] = {by_texts[texts].key: then[ids[texts]] for texts in ids if ids[texts] in then}
    return found


async def _at(store: MarketStore, wanted: Sequence[Instant], tolerance: int, oldest: int | None) -> dict[int, Earlier]:
    """Series by id as they were at the instants; *oldest* is the time of the oldest raw quote."""
    if not wanted:
        return {}
    found = await raw_at(store, wanted, tolerance)
    # Where raw quotes are kept and there is none, there is a gap, which no rollup fills.
    left = [instant for instant in wanted if instant.series_id not in found and (oldest is None or oldest > instant.ts)]
    for tier, size in SECONDS.items():
        if left:
            buckets = [Instant(instant.series_id, instant.ts - instant.ts % size) for instant in left]
            found.update((row.series_id, _of_rollup(row)) for row in await rollups_at(store.db, tier, buckets))
            left = [instant for instant in left if instant.series_id not in found]
    return found


async def raw_at(store: MarketStore, instants: Sequence[Instant], tolerance: int) -> dict[int, Earlier]:
    """By series id: the raw quote nearest to each instant, within *tolerance* seconds."""
    rows = await raw_near(store.db, instants, tolerance, int(QuoteFlag.OUTLIER))
    prices: Mapping[int, float] = {row.series_id: row.all_median for row in rows if row.priced}
    return {
        row.series_id: Earlier(
            price=prices.get(row.series_id),
            utilization=row.rented_count / row.all_count if row.all_count else row.utilization,
            demand=row.demand,
            total=row.all_count,
        )
        for row in rows
        if row.nearest == 1
    }


def _of_rollup(row: Any) -> Earlier:
    return Earlier(row.price, row.rented / row.total if row.total else row.utilization, row.demand, row.total)
