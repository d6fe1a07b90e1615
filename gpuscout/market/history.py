"""Reading history: the tier that a range needs, its newest end from raw quotes, gaps kept, thinned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from gpuscout.market.models import History, HistoryPoint, HistoryTier, QuoteFlag, SeriesKey
from gpuscout.market.rollup import DAY, HOUR
from gpuscout.market.thinning import thin
from storage.market import MarketStore

RAW_RANGE = timedelta(hours=48)
"""Up to this range raw quotes are read: they are kept at least that long."""
HOUR_RANGE = timedelta(days=120)
"""Up to this range headline series are read from hourly rollups; beyond, and for segments, from daily ones."""
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


def _from_rollup(row: Any) -> HistoryPoint:
    return HistoryPoint(
        row.ts,
        row.price,
        row.p10,
        row.p90,
        row.rented_price,
        row.available_price,
        row.rented,
        row.total,
        row.samples,
    )


def _from_raw(row: Any) -> HistoryPoint:
    """A flagged price is left out of what is drawn; its counts stay."""
    flagged = bool(row.flags & QuoteFlag.OUTLIER)
    return HistoryPoint(
        row.ts,
        None if flagged else row.all_median,
        None if flagged else row.all_p10,
        None if flagged else row.all_p90,
        None if flagged else row.rented_median,
        None if flagged else row.available_median,
        row.rented_count,
        row.all_count,
    )


async def read_history(
    store: MarketStore, key: SeriesKey, start: datetime, end: datetime, points: int, interval: timedelta
) -> History:
    """History of a series from *start* to *end*, at most *points* points.

    Rollups are read as stored; what is newer than the last rollup comes from raw quotes, so that the newest end of a
    curve is as new as the last poll.
    """
    tier = choose_tier(key, end - start)
    step = {HistoryTier.RAW: max(interval, RAW_STEP), HistoryTier.HOUR: timedelta(hours=1)}.get(tier, timedelta(days=1))
    series_id = await store.find_series((key.platform, key.gpu, key.region, key.tier, key.verification, key.segment))
    if series_id is None:
        return History(key, tier, start, end, step, ())
    start_ts, end_ts = int(start.timestamp()), int(end.timestamp()) + 1
    rows: list[Any] = []
    raw_from = start_ts
    if tier is not HistoryTier.RAW:
        seconds = HOUR if tier is HistoryTier.HOUR else DAY
        rows.extend(await store.rollup_rows(tier.value, series_id, start_ts - start_ts % seconds, end_ts))
        if rows:
            raw_from = max(start_ts, rows[-1].ts + seconds)
    rolled = len(rows)
    tail = await store.raw_rows(series_id, raw_from, end_ts)
    rows.extend(tail)

    times = [row.ts for row in rows]
    prices = [row.price for row in rows[:rolled]] + [
        None if row.flags & QuoteFlag.OUTLIER else row.all_median for row in tail
    ]
    kept = thin(prices, points)
    gaps, missing = find_gaps(times, int(step.total_seconds()), end_ts) if times else ([], 0)
    make: tuple[Callable[[Any], HistoryPoint], Callable[[Any], HistoryPoint]] = (_from_rollup, _from_raw)
    return History(
        key=key,
        tier=tier,
        start=start,
        end=end,
        step=step,
        points=[make[index >= rolled](rows[index]) for index in kept],
        gaps=gaps,
        missing=missing,
        source=tail[-1].source if tail else "",
        thinned=len(kept) < len(rows),
    )
