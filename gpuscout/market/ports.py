"""What cogs and web ask of the market; ``gpuscout.market.reader.MarketReader`` is the implementation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from gpuscout.market.models import History, PriceView, Quote, SeriesKey, SourceStatus

if TYPE_CHECKING:
    from gpuscout.market.earlier import Earlier
    from gpuscout.market.fix import DailyFix
    from gpuscout.market.overview import Overview
    from gpuscout.market.past import StoredSeries

RANGES: dict[str, timedelta] = {
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
    "1y": timedelta(days=365),
    "2y": timedelta(days=730),
}
"""Ranges that a card offers."""


class Market(Protocol):
    """Read side of the market. All calls are cheap when warm (cached by data version)."""

    async def version(self) -> int:
        """Number that changes whenever stored market data changes; the key of every cache."""
        ...

    async def price(
        self,
        gpu: str,
        *,
        platform: str | None = None,
        region: str | None = None,
        tier: str | None = None,
        verification: str = "any",
        segment: str = "any",
    ) -> PriceView:
        """Current view of one model (slug). ``platform=None`` means the platform with the largest sample.

        Args:
            tier: None means the tier with the largest sample, of equally large ones on-demand.

        Raises:
            MarketUnavailable: nothing fresh enough to show (or nothing at all yet).
            UnknownSeries: there are data, but none for this combination; ``HistoryOnly`` when there is history of it.
        """
        ...

    async def last_known(
        self,
        gpu: str,
        *,
        platform: str | None = None,
        region: str | None = None,
        tier: str | None = None,
        verification: str = "any",
        segment: str = "any",
    ) -> PriceView:
        """The last day of a series that has no current quote, marked unavailable; the newest series when several fit.

        Raises:
            UnknownSeries: nothing is stored of this combination.
        """
        ...

    async def stored_series(self, gpu: str) -> Sequence[StoredSeries]:
        """Every series of a model with daily history, on-demand and worldwide ones first."""
        ...

    async def fixes(
        self, gpu: str, *, platform: str | None, tier: str | None, start: date, end: date, limit: int
    ) -> Sequence[DailyFix]:
        """Daily fixes of a model from *start* to *end* (both included), by series and day; at most *limit*."""
        ...

    async def fix_inputs(self, key: SeriesKey, day: date) -> bytes | None:
        """What the fix of a series and day was computed from; None when its raw quotes are not kept any more."""
        ...

    async def stored_platforms(self) -> Sequence[str]:
        """Slugs of platforms of which anything was ever stored."""
        ...

    async def quotes(
        self,
        *,
        gpu: str | None = None,
        platform: str | None = None,
        region: str | None = None,
        segments: bool = False,
        include_hidden: bool = False,
    ) -> Sequence[Quote]:
        """Current quotes, headline (verification any, segment any) unless *segments*; hidden ones are over 4 h old.

        Without a *region* the headline is the worldwide series, or all regions' of a model that has none.
        """
        ...

    async def overview(self) -> Overview:
        """The market at a glance: every headline series with its changes, what is new and what is gone.

        Raises:
            MarketUnavailable: nothing fresh enough to show (or nothing at all yet).
        """
        ...

    async def earlier(self, keys: Sequence[SeriesKey], window: str) -> Mapping[SeriesKey, Earlier]:
        """Series with a current quote as they were a *window* (a key of :data:`RANGES`) before it, if known."""
        ...

    async def history(self, key: SeriesKey, start: datetime, end: datetime, points: int = 500) -> History:
        """History of a series thinned to at most *points*, extremes kept. Empty points when nothing is stored."""
        ...

    async def rows_behind(self, key: SeriesKey, limit: int = 12) -> Sequence[Quote]:
        """The newest stored raw rows of a series, newest first: the evidence behind a card."""
        ...

    async def known_gpus(self) -> Sequence[tuple[str, str, int]]:
        """(slug, name, GPUs listed) of every model with a current quote, largest first; includes unknown names."""
        ...

    async def platforms(self) -> Sequence[str]:
        """Slugs of platforms that have quotes."""
        ...

    async def regions(self) -> Sequence[str]:
        """Regions that have quotes: ``global`` first, then by GPUs listed; a country is its code in lower case."""
        ...

    async def sources(self) -> Sequence[SourceStatus]:
        """Health of the sources."""
        ...

    async def next_poll_in(self) -> timedelta | None:
        """Time until the next scheduled poll, or None when nothing is scheduled."""
        ...

    def freshness_interval(self) -> timedelta:
        """The ingest interval that staleness bands are measured in."""
        ...
