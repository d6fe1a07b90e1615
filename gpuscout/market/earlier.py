"""Many series as they were some time ago, in a few statements (rule: docs/methodology.md, "Changes")."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from gpuscout.market.changes import WINDOWS
from gpuscout.market.models import THIN_SAMPLE, Change, Quote, QuoteFlag, SeriesKey
from gpuscout.market.ports import RANGES
from gpuscout.market.rollup import SECONDS
from gpuscout.market.rows import texts_of
from storage.market import MarketStore
from storage.market_many import Instant, ids_of, raw_near, rollups_at

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


async def read_earlier(store: MarketStore, quotes: Iterable[Quote], window: str) -> dict[SeriesKey, Earlier]:
    """Every series of *quotes* a *window* (a key of :data:`gpuscout.market.ports.RANGES`) before its quote.

    The rule is that of :func:`gpuscout.market.changes.read_changes`: the nearest raw quote, its price from the
    nearest unflagged one; where raw quotes are no longer kept, the hourly rollup that covers the instant, else the
    daily one. Series without any are left out.
    """
    tolerance = WINDOWS[window][1] if window in WINDOWS else _LONG_TOLERANCE
    span = RANGES[window]
    by_texts = {texts_of(quote.key): quote for quote in quotes}
    ids = await ids_of(store.db, by_texts)
    keys = {series_id: by_texts[texts].key for texts, series_id in ids.items()}
    instants = [Instant(series_id, int((by_texts[texts].at - span).timestamp())) for texts, series_id in ids.items()]
    if not instants:
        return {}
    found = await raw_at(store, instants, int(tolerance.total_seconds()))
    oldest = await store.oldest_raw()
    # Where raw quotes are kept and there is none, there is a gap, which no rollup fills.
    left = [i for i in instants if i.series_id not in found and (oldest is None or oldest > i.ts)]
    for tier, size in SECONDS.items():
        if left:
            buckets = [Instant(i.series_id, i.ts - i.ts % size) for i in left]
            found.update((row.series_id, _of_rollup(row)) for row in await rollups_at(store.db, tier, buckets))
            left = [i for i in left if i.series_id not in found]
    return {keys[series_id]: earlier for series_id, earlier in found.items()}


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
