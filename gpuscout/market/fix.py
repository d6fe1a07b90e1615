"""The daily fix: one price a model and day that does not change any more (methodology, "Daily fix").

A fix is computed once, when its day (UTC) is over, from the raw quotes of that day, and stored with a hash of what it
was computed from. Raw quotes that arrive later change no fix.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from statistics import median
from typing import Any, Final

import structlog

from gpuscout.market.models import THIN_SAMPLE, QuoteFlag, SeriesKey
from gpuscout.market.rollup import DAY, HOUR
from gpuscout.market.rows import key_of, texts_of
from storage.fixes import FixRow, FixStore
from storage.market import MarketStore, SeriesTexts
from storage.state import AppState

log = structlog.get_logger(__name__)

FIX_METHOD: Final = 1
"""Version of the rule below; a fix keeps the one it was made under."""
MIN_HOURS: Final = 12
"""Hours of the day that must have a quote: fewer do not speak for the day."""
DECIMALS: Final = 6
_FIXED = "market.fixed_until"
_SERIES_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class DailyFix:
    """A fix as it is published."""

    key: SeriesKey
    day: date
    value: float
    """USD per GPU-hour, as the renter pays."""
    samples: int
    """Quotes behind it."""
    thin: bool
    """True when fewer than ten GPUs stood behind the day's quotes, or they were not counted."""
    method: int
    content_hash: str
    """SHA-256 of :func:`inputs`, in hex."""
    computed_at: datetime


def used(rows: Sequence[Any]) -> list[Any]:
    """The quotes that count: those with a price that is not flagged as an outlier, in (time, source) order."""
    kept = [row for row in rows if row.all_median is not None and not row.flags & QuoteFlag.OUTLIER]
    return sorted(kept, key=lambda row: (row.ts, row.source))


def inputs(texts: SeriesTexts, day: int, rows: Sequence[Any]) -> bytes:
    """What a fix is computed from, as canonical JSON: sorted keys, no spaces, ASCII, shortest round-trip numbers.

    Args:
        day: start of the day, epoch seconds.
        rows: quotes with ``ts``, ``source``, ``all_median``, ``all_count`` and ``flags``.
    """
    document = {
        "day": datetime.fromtimestamp(day, UTC).date().isoformat(),
        "method": FIX_METHOD,
        "quotes": [[row.ts, row.source, float(row.all_median), row.all_count] for row in used(rows)],
        "series": list(texts),
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def compute(series_id: int, texts: SeriesTexts, day: int, rows: Sequence[Any], at: datetime) -> FixRow | None:
    """The fix of a series and day, or None when its quotes do not speak for the day.

    The median of the quotes that count, rounded to :data:`DECIMALS` places.
    """
    counted = used(rows)
    if len({row.ts // HOUR for row in counted}) < MIN_HOURS:
        return None
    sizes = [row.all_count for row in counted if not row.flags & QuoteFlag.UNSIZED]
    return FixRow(
        series_id=series_id,
        day=day,
        value=round(float(median(row.all_median for row in counted)), DECIMALS),
        samples=len(counted),
        thin=not sizes or median(sizes) < THIN_SAMPLE,
        method=FIX_METHOD,
        content_hash=hashlib.sha256(inputs(texts, day, rows)).hexdigest(),
        computed_at=at,
    )


class DailyFixes:
    """Computes the fixes of days that are over.

    Args:
        version_name: the data version that new fixes change.
    """

    def __init__(
        self,
        store: MarketStore,
        state: AppState,
        *,
        version_name: str = "market",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._fixes = FixStore(store.db)
        self._state = state
        self._version_name = version_name
        self._clock = clock

    async def run(self) -> int:
        """Fix every day that is over and was not fixed yet; returns how many fixes that made.

        Run it before raw quotes are purged: a day without them gets no fix any more.
        """
        newest, oldest = await self._store.newest_source_time(), await self._store.oldest_raw()
        if newest is None or oldest is None:
            return 0
        day = max(int(await self._state.get(_FIXED) or 0), oldest - oldest % DAY)
        made = 0
        while day + DAY <= newest:
            made += await self._fix_day(day)
            day += DAY
        if made:
            log.info("daily_fixes_made", fixes=made, until=datetime.fromtimestamp(day, UTC).date().isoformat())
        return made

    async def _fix_day(self, day: int) -> int:
        made: list[FixRow] = []
        series = await self._fixes.headline_series(day, day + DAY)
        at = self._clock()
        for first in range(0, len(series), _SERIES_AT_ONCE):
            some = series[first : first + _SERIES_AT_ONCE]
            rows = await self._fixes.raw_rows(day, day + DAY, [series_id for series_id, _ in some])
            made += await asyncio.to_thread(_compute_all, some, day, rows, at)
        async with self._store.db.write() as conn:
            await self._fixes.store(conn, made)
            await self._state.set(_FIXED, day + DAY, conn=conn)
            if made:
                await self._state.bump_version(conn, self._version_name)
        return len(made)


def _compute_all(
    series: Sequence[tuple[int, SeriesTexts]], day: int, rows: Sequence[Any], at: datetime
) -> list[FixRow]:
    by_series: dict[int, list[Any]] = {}
    for row in rows:
        by_series.setdefault(row.series_id, []).append(row)
    found = (compute(series_id, texts, day, by_series.get(series_id, ()), at) for series_id, texts in series)
    return [fix for fix in found if fix is not None]


async def read_fixes(
    store: MarketStore,
    gpu: str,
    *,
    platform: str | None,
    tier: str | None,
    start: date,
    end: date,
    limit: int,
) -> list[DailyFix]:
    """Fixes of a model from *start* to *end* (both included), by series and day; at most *limit*."""
    rows = await FixStore(store.db).read(
        gpu, platform=platform, tier=tier, start=_midnight(start), end=_midnight(end) + DAY, limit=limit
    )
    return [
        DailyFix(
            key=key_of(texts),
            day=datetime.fromtimestamp(row.day, UTC).date(),
            value=row.value,
            samples=row.samples,
            thin=row.thin,
            method=row.method,
            content_hash=row.content_hash,
            computed_at=row.computed_at,
        )
        for texts, row in rows
    ]


async def read_inputs(store: MarketStore, key: SeriesKey, day: date) -> bytes | None:
    """:func:`inputs` of a day from the raw quotes that are kept; None when there are none any more."""
    series_id = await store.find_series(texts_of(key))
    if series_id is None:
        return None
    start = _midnight(day)
    rows = await FixStore(store.db).raw_rows(start, start + DAY, [series_id])
    return inputs(texts_of(key), start, rows) if rows else None


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
