"""Reading history: the tier that a range needs, its newest end from raw quotes, gaps kept, thinned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from gpuscout.market.models import History, HistoryPoint, HistoryTier, QuoteFlag, SeriesKey
from gpuscout.market.rollup import DAY, HOUR, SECONDS
from gpuscout.market.rows import texts_of
from gpuscout.market.thinning import thin
from storage.market import MarketStore

RAW_RANGE = timedelta(hours=48)
"""Up to this range raw quotes are read: they are kept at least that long."""
HOUR_RANGE = timedelta(days=120)
"""Up to this range headline series are read from hourly rollups; beyond, and for segments, from daily ones."""
SPARSE_HOURS = 4
"""Hours rolled up that lie further apart than this, on average, are read as days."""
RAW_STEP = timedelta(minutes=15)
"""Least nominal distance of raw quotes: missing polls within it are no gap."""


def choose_tier(key: SeriesKey, span: timedelta) -> HistoryTier:
    """The tier a range is read from."""
    if span <= RAW_RANGE:
        return HistoryTier.RAW
    if span <= HOUR_RANGE and key.is_headline:
        return HistoryTier.HOUR
    return HistoryTier.DAY


def find_gaps(times: Sequence[int], step: int, end_ts: int) -> tuple[list[tuple[int, int]], int]:
    """Stretches without data and the number of nominal points they should hold.

    A stretch longer than 1.5 steps is a gap; what lies before the first known point is none.

    Args:
        times: epoch seconds, oldest first.
        end_ts: end of the range; a curve that stops before it ends in a gap.
    """
    gaps: list[tuple[int, int]] = []
    missing = 0
    for earlier, later in zip(times, [*times[1:], end_ts], strict=True):
        if later - earlier > 1.5 * step:
            gaps.append((earlier, later))
            missing += round((later - earlier) / step) - 1
    return gaps, missing


def _point(row: Sequence[Any]) -> HistoryPoint:
    """The point of a raw quote. A flagged price is left out of what is drawn; its counts stay."""
    ts, price, p10, p90, rented_price, available_price, rented, total, flags, said, source, demand = row
    if flags & QuoteFlag.OUTLIER:
        return HistoryPoint(ts, None, None, None, None, None, rented, total, 1, said, source, demand)
    return HistoryPoint(ts, price, p10, p90, rented_price, available_price, rented, total, 1, said, source, demand)


async def read_history(
    store: MarketStore, key: SeriesKey, start: datetime, end: datetime, points: int, interval: timedelta
) -> History:
    """History of a series from *start* to *end*, at most *points* points.

    Rollups are read as stored; what is newer than the last rollup comes from raw quotes, so that the newest end of a
    curve is as new as the last poll.
    """
    tier = choose_tier(key, end - start)
    series_id = await store.find_series(texts_of(key))
    if series_id is None:
        return History(key, tier, start, end, _step(tier, interval), ())
    start_ts, end_ts = int(start.timestamp()), int(end.timestamp()) + 1
    if tier is HistoryTier.RAW:
        tier = await _kept_tier(store, key, series_id, start_ts, end_ts)
    rolled, tail = await _rows(store, tier, series_id, start_ts, end_ts)
    if tier is HistoryTier.HOUR and not tail and _sparse(rolled):
        tier = HistoryTier.DAY
        rolled, tail = await _rows(store, tier, series_id, start_ts, end_ts)
    step = _step(tier, interval)
    newest = [_point(row) for row in tail]
    times = [row[0] for row in rolled] + [point.ts for point in newest]
    kept = thin([row[1] for row in rolled] + [point.price for point in newest], points)
    gaps, missing = find_gaps(times, int(step.total_seconds()), end_ts) if times else ([], 0)
    first_raw = len(rolled)
    shown = [HistoryPoint._make(rolled[i]) if i < first_raw else newest[i - first_raw] for i in kept]
    sources = await _sources(store, shown)
    return History(
        key=key,
        tier=tier,
        start=start,
        end=end,
        step=step,
        points=shown,
        gaps=gaps,
        missing=missing,
        source=sources.get(shown[-1].source_id or 0, "") if shown else "",
        thinned=len(kept) < len(times),
        sources=sources,
    )


async def _rows(
    store: MarketStore, tier: HistoryTier, series_id: int, start_ts: int, end_ts: int
) -> tuple[Sequence[Any], Sequence[Any]]:
    stored, bucket = {HistoryTier.HOUR: ("hour", HOUR), HistoryTier.DAY: ("day", DAY)}.get(tier, (None, 1))
    return await store.history_rows(stored, series_id, start_ts, end_ts, bucket)


def _sparse(rolled: Sequence[Any]) -> bool:
    """Whether hours lie so far apart that days say as much: history of sources that were read once or twice a day."""
    return len(rolled) > 1 and (rolled[-1][0] - rolled[0][0]) / (len(rolled) - 1) > SPARSE_HOURS * HOUR


async def _sources(store: MarketStore, points: Sequence[HistoryPoint]) -> dict[int, str]:
    """Names of the points' sources by id, most points first."""
    times = Counter(point.source_id for point in points if point.source_id is not None)
    return await store.source_names([source_id for source_id, _ in times.most_common()])


async def _kept_tier(store: MarketStore, key: SeriesKey, series_id: int, start_ts: int, end_ts: int) -> HistoryTier:
    """Raw quotes, unless the range begins where only rollups are left of them."""
    oldest = await store.oldest_raw()
    if oldest is not None and oldest <= start_ts:
        return HistoryTier.RAW
    tier = HistoryTier.HOUR if key.is_headline else HistoryTier.DAY
    bucket = SECONDS[tier.value]
    # Buckets that end before the oldest quote: only they hold what no quote says any more.
    until = end_ts if oldest is None else min(end_ts, oldest - bucket + 1)
    return (
        tier if await store.rollup_rows(tier.value, series_id, start_ts - start_ts % bucket, until) else HistoryTier.RAW
    )


def _step(tier: HistoryTier, interval: timedelta) -> timedelta:
    return max(interval, RAW_STEP) if tier is HistoryTier.RAW else timedelta(seconds=SECONDS[tier.value])
