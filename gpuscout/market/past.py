"""What is stored of a model, whether or not it has current quotes: series with their first and last day."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gpuscout.market.models import GLOBAL, Quote, QuoteFlag, SeriesKey, Side, Tier
from gpuscout.market.rollup import DAY
from gpuscout.market.rows import key_of, texts_of
from storage.market import MarketStore
from storage.past import newest_day, stored_platforms, stored_series

_TIERS = tuple(Tier)
_GPUS_KEPT = 256


@dataclass(frozen=True, slots=True)
class StoredSeries:
    """A series with daily history."""

    key: SeriesKey
    first: datetime
    """Start of the first day (UTC) with data."""
    last: datetime
    """Start of the last one."""


async def read_stored(store: MarketStore, gpu: str) -> list[StoredSeries]:
    """Every series of *gpu* with daily history: on-demand first, then worldwide, then the newest."""
    found = [
        StoredSeries(key_of(texts), datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC))
        for texts, first, last in await stored_series(store.db, gpu)
    ]
    return sorted(found, key=_order)


def _order(series: StoredSeries) -> tuple[object, ...]:
    key = series.key
    tier = _TIERS.index(Tier(key.tier)) if key.tier in _TIERS else len(_TIERS)
    return (tier, key.region != GLOBAL, -series.last.timestamp(), key)


def matching(
    stored: Iterable[StoredSeries],
    *,
    platform: str | None = None,
    region: str | None = None,
    tier: str | None = None,
    verification: str = "any",
    segment: str = "any",
) -> list[StoredSeries]:
    """Those of *stored* that fit; None fits all."""
    return [
        series
        for series in stored
        if platform in (None, series.key.platform)
        and region in (None, series.key.region)
        and tier in (None, series.key.tier)
        and (series.key.verification, series.key.segment) == (verification, segment)
    ]


class Archive:
    """The stored series, remembered for one data version.

    Args:
        version: the market's data version.
    """

    def __init__(self, store: MarketStore, version: Callable[[], Awaitable[int]]) -> None:
        self._store = store
        self._version = version
        self._at = -1
        self._by_gpu: dict[str, list[StoredSeries]] = {}
        self._platforms: list[str] | None = None

    async def _up_to_date(self) -> int:
        version = await self._version()
        if version != self._at:
            self._at = version
            self._by_gpu.clear()
            self._platforms = None
        return version

    async def stored_series(self, gpu: str) -> Sequence[StoredSeries]:
        """See :meth:`gpuscout.market.ports.Market.stored_series`."""
        version = await self._up_to_date()
        found = self._by_gpu.get(gpu)
        if found is None:
            found = await read_stored(self._store, gpu)
            if version == self._at:
                if len(self._by_gpu) >= _GPUS_KEPT:
                    self._by_gpu.clear()
                self._by_gpu[gpu] = found
        return found

    async def platforms(self) -> Sequence[str]:
        """See :meth:`gpuscout.market.ports.Market.stored_platforms`."""
        version = await self._up_to_date()
        found = self._platforms
        if found is None:
            found = await stored_platforms(self._store.db)
            if version == self._at:
                self._platforms = found
        return found

    async def find(
        self, gpu: str, platform: str | None, region: str | None, tier: str | None, verification: str, segment: str
    ) -> StoredSeries | None:
        """The series that stands for a choice which leaves several open: a worldwide one before regions, the newest."""
        fitting = matching(
            await self.stored_series(gpu),
            platform=platform,
            region=region,
            tier=tier,
            verification=verification,
            segment=segment,
        )
        fitting = [series for series in fitting if series.key.region == GLOBAL] or fitting
        # Of equally new ones max takes the first in order.
        return max(fitting, key=lambda series: series.last, default=None)


async def read_last_day(store: MarketStore, series: StoredSeries) -> Quote | None:
    """The last day of a series as a quote at the day's end; None when it is gone meanwhile."""
    row = await newest_day(store.db, texts_of(series.key))
    if row is None:
        return None
    names = await store.source_names([row.source_id]) if row.source_id is not None else {}
    at = datetime.fromtimestamp(row.ts + DAY, UTC)
    return Quote(
        key=series.key,
        at=at,
        fetched_at=at,
        source=names.get(row.source_id, ""),
        rented=Side(round(row.rented), row.rented_price),
        available=Side(round(row.total - row.rented), row.available_price),
        all=Side(round(row.total), row.price, row.p10, row.p90),
        demand=row.demand,
        flags=QuoteFlag.NONE if row.total else QuoteFlag.UNSIZED,
        reported_utilization=row.utilization,
    )
