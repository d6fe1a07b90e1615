"""The read side of the market: current quotes by data version, views, history, health."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice

import structlog

from config.catalogue import GpuCatalogue
from config.platforms import PlatformCatalogue
from gpuscout.market.changes import read_changes, read_changes_of
from gpuscout.market.earlier import Earlier, read_earlier
from gpuscout.market.fix import DailyFix, read_fixes, read_inputs
from gpuscout.market.history import RAW_RANGE, read_history
from gpuscout.market.models import (
    ANY,
    GLOBAL,
    STALE_LIMIT,
    Change,
    Freshness,
    History,
    HistoryOnly,
    MarketUnavailable,
    PriceView,
    Quote,
    SeriesKey,
    SourceStatus,
    Tier,
    UnknownSeries,
    freshness,
    read_every,
)
from gpuscout.market.overview import Overview
from gpuscout.market.overview_read import read_overview
from gpuscout.market.past import Archive, StoredSeries, read_last_day
from gpuscout.market.rows import PACKING, pack_rows, quote_of, texts_of, unpack_all
from gpuscout.market.sources.machines import FEED as MACHINES_FEED
from gpuscout.market.watch import load_statuses
from storage.cache import Cache
from storage.market import MarketStore
from storage.state import AppState

log = structlog.get_logger(__name__)

VERSION_NAME = "market"
_VERSION_SECONDS = 0.5
"""How long a version read from the database is believed: caches of all processes agree within a second."""
_VIEWS_AGAIN = 32
"""Views made anew with each version: as many as a busy community looks at between two polls."""
_MEMO_SIZE = 512
_SNAPSHOT_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All current quotes at one data version."""

    version: int
    quotes: Mapping[SeriesKey, Quote]
    by_gpu: Mapping[str, Sequence[Quote]]
    newest: datetime | None
    names: Mapping[str, str]
    """Cleaned source names of models that the catalogue does not know, by slug."""


class MarketReader:
    """Implements :class:`gpuscout.market.ports.Market` on the stored rows.

    Args:
        interval: the ingest interval; staleness bands are measured in it.
        next_poll: seconds until the next poll, when this process knows it.
    """

    def __init__(
        self,
        store: MarketStore,
        state: AppState,
        cache: Cache,
        catalogue: GpuCatalogue,
        platforms: PlatformCatalogue,
        *,
        interval: timedelta,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        next_poll: Callable[[], timedelta | None] = lambda: None,
    ) -> None:
        self._store = store
        self._state = state
        self._cache = cache
        self._catalogue = catalogue
        self._platforms = platforms
        self._interval = interval
        self._clock = clock
        self._next_poll = next_poll
        self._version = 0
        self._version_read_at = -_VERSION_SECONDS
        self._outdated = False
        self._snapshot: Snapshot | None = None
        self._loading = asyncio.Lock()
        self._memo: OrderedDict[Hashable, object] = OrderedDict()
        self._memo_version = -1
        self._surveying = asyncio.Lock()
        self._archive = Archive(store, self.version)

    # --- versions and caches ---

    async def version(self) -> int:
        """See :meth:`gpuscout.market.ports.Market.version`."""
        now = time.monotonic()
        if now - self._version_read_at >= _VERSION_SECONDS:
            self._outdated = False
            found = await self._state.version(VERSION_NAME)
            self._version = max(self._version, found)
            if not self._outdated:  # else somebody stored more while we looked
                self._version_read_at = now
        return self._version

    def invalidate(self) -> None:
        """Look at the database again on the next read (called after a commit and on notices of other processes)."""
        self._version_read_at = -_VERSION_SECONDS
        self._outdated = True

    async def refresh(self) -> None:
        """Load what is stored now, and show it once it is there: until then readers have the version before.

        So a poll makes nobody wait who reads a moment later. Like every belief in a version it lasts half a second;
        with a slower load readers wait after all.
        """
        self._version_read_at = time.monotonic()
        version = await self._state.version(VERSION_NAME)
        async with self._loading:
            if self._snapshot is None or self._snapshot.version < version:
                snapshot = await self._load(version)
                self._memo = await self._views_again(snapshot)
                self._memo_version, self._snapshot = version, snapshot
        self.invalidate()

    async def _views_again(self, snapshot: Snapshot) -> OrderedDict[Hashable, object]:
        """The views that were lately asked for, made anew for *snapshot*: what members look at stays at hand."""
        asked = (key[1] for key in reversed(self._memo) if isinstance(key, tuple) and key[0] == "price")
        quotes = [snapshot.quotes[key] for key in islice(asked, _VIEWS_AGAIN) if key in snapshot.quotes]
        changes = await read_changes_of(self._store, quotes)
        return OrderedDict((("price", q.key), self._view(snapshot, q, changes[q.key])) for q in reversed(quotes))

    async def _current(self) -> Snapshot:
        """The snapshot of the version that the database has now, or of a newer one."""
        version = await self.version()
        if self._snapshot is None or self._snapshot.version < version:
            # One load at a time; a reader that gives up leaves the work to the next one. What was read from the
            # database meanwhile is not lost: that computation belongs to the cache.
            async with self._loading:
                if self._snapshot is None or self._snapshot.version < version:
                    self._snapshot = await self._load(version)
        return self._snapshot

    async def _load(self, version: int) -> Snapshot:
        key = f"market:{version}:quotes:{PACKING}"
        data = await self._cache.get_or_compute(key, _SNAPSHOT_SECONDS, self._pack_current)
        # In a thread, both ways: a thousand quotes are tens of milliseconds of pure Python.
        try:
            quotes = await asyncio.to_thread(unpack_all, data)
        except (ValueError, TypeError):
            # Not ours: another program, or a shared cache that was written by a hand.
            log.warning("market_snapshot_unreadable", version=version)
            await self._cache.delete(key)
            quotes = await asyncio.to_thread(unpack_all, await self._pack_current())
        by_gpu: dict[str, list[Quote]] = {}
        for quote in quotes.values():
            by_gpu.setdefault(quote.key.gpu, []).append(quote)
        names = {row.slug: row.name for row in await self._store.unknown_names()}
        return Snapshot(version, quotes, by_gpu, max((q.at for q in quotes.values()), default=None), names)

    async def _pack_current(self) -> bytes:
        # The statistics say what is current: should they stand still while the list of machines goes on, the last
        # of them are old, not gone.
        newest = await self._store.newest_source_time(besides=MACHINES_FEED)
        if newest is None:
            newest = await self._store.newest_source_time()
        if newest is None:
            return b"[]"
        rows = await self._store.latest_quotes(newest - int(STALE_LIMIT.total_seconds()))
        texts = [await self._store.series_texts(row.series_id) for row in rows]
        return await asyncio.to_thread(pack_rows, rows, texts)

    def _remembered(self, version: int, key: Hashable) -> object | None:
        if self._memo_version != version:
            self._memo.clear()
            self._memo_version = version
        found = self._memo.get(key)
        if found is not None:
            self._memo.move_to_end(key)
        return found

    def _remember(self, version: int, key: Hashable, value: object) -> None:
        if self._memo_version == version:
            self._memo[key] = value
            while len(self._memo) > _MEMO_SIZE:
                self._memo.popitem(last=False)

    # --- views ---

    async def price(
        self,
        gpu: str,
        *,
        platform: str | None = None,
        region: str | None = None,
        tier: str | None = None,
        verification: str = ANY,
        segment: str = ANY,
    ) -> PriceView:
        """See :meth:`gpuscout.market.ports.Market.price`."""
        snapshot = await self._current()
        now = self._clock()
        old = snapshot.newest is None or freshness(snapshot.newest, now, self._interval) is Freshness.UNAVAILABLE
        try:
            quote = self._choose(snapshot, gpu, platform, region or GLOBAL, tier, verification, segment)
        except UnknownSeries as error:
            series = await self._archive.find(gpu, platform, region, tier, verification, segment)
            if series is not None:
                raise HistoryOnly(series.key, series.last + timedelta(days=1), error.alternatives) from error
            if old:
                raise MarketUnavailable(snapshot.newest, await self.next_poll_in()) from error
            raise
        band = freshness(quote.at, now, read_every(quote, self._interval))
        if band is Freshness.UNAVAILABLE:
            raise MarketUnavailable(quote.at, await self.next_poll_in())
        memo_key = ("price", quote.key)
        view = self._remembered(snapshot.version, memo_key)
        if not isinstance(view, PriceView):
            view = self._view(snapshot, quote, await read_changes(self._store, quote))
            self._remember(snapshot.version, memo_key, view)
        return replace(view, freshness=band, age=now - quote.at)

    def _choose(
        self,
        snapshot: Snapshot,
        gpu: str,
        platform: str | None,
        region: str,
        tier: str | None,
        verification: str,
        segment: str,
    ) -> Quote:
        candidates = [
            quote
            for quote in snapshot.by_gpu.get(gpu, ())
            if quote.key.region == region
            and quote.key.verification == verification
            and quote.key.segment == segment
            and platform in (None, quote.key.platform)
            and tier in (None, quote.key.tier)
        ]
        if not candidates:
            others = sorted({q.key.platform for q in snapshot.by_gpu.get(gpu, ())})
            raise UnknownSeries(gpu, platform, region, others)
        # Fresh before gone, then the larger sample.
        return max(
            candidates,
            key=lambda quote: (quote.listed, quote.all.count, quote.key.tier == Tier.ON_DEMAND, quote.at),
        )

    async def last_known(
        self,
        gpu: str,
        *,
        platform: str | None = None,
        region: str | None = None,
        tier: str | None = None,
        verification: str = ANY,
        segment: str = ANY,
    ) -> PriceView:
        """See :meth:`gpuscout.market.ports.Market.last_known`."""
        snapshot = await self._current()
        series = await self._archive.find(gpu, platform, region, tier, verification, segment)
        quote = None if series is None else await read_last_day(self._store, series)
        if quote is None:
            raise UnknownSeries(gpu, platform, region, sorted({q.key.platform for q in snapshot.by_gpu.get(gpu, ())}))
        view = self._view(snapshot, quote, {})
        return replace(view, freshness=Freshness.UNAVAILABLE, age=self._clock() - quote.at)

    async def stored_series(self, gpu: str) -> Sequence[StoredSeries]:
        """See :meth:`gpuscout.market.ports.Market.stored_series`."""
        return await self._archive.stored_series(gpu)

    async def fixes(
        self, gpu: str, *, platform: str | None, tier: str | None, start: date, end: date, limit: int
    ) -> Sequence[DailyFix]:
        """See :meth:`gpuscout.market.ports.Market.fixes`."""
        return await read_fixes(self._store, gpu, platform=platform, tier=tier, start=start, end=end, limit=limit)

    async def fix_inputs(self, key: SeriesKey, day: date) -> bytes | None:
        """See :meth:`gpuscout.market.ports.Market.fix_inputs`."""
        return await read_inputs(self._store, key, day)

    async def stored_platforms(self) -> Sequence[str]:
        """See :meth:`gpuscout.market.ports.Market.stored_platforms`."""
        return await self._archive.platforms()

    def _view(self, snapshot: Snapshot, quote: Quote, changes: Mapping[str, Change]) -> PriceView:
        key = quote.key
        related = [
            other
            for other in snapshot.by_gpu.get(key.gpu, ())
            if (other.key.platform, other.key.region, other.key.tier) == (key.platform, key.region, key.tier)
        ]
        platform = self._platforms.get(key.platform)
        origin = self._platforms.source(quote.source)
        return PriceView(
            gpu=key.gpu,
            gpu_name=self.gpu_name(key.gpu),
            platform=key.platform,
            region=key.region,
            quote=quote,
            headline={other.key.verification: other for other in related if other.key.segment == ANY},
            segments=sorted(
                (other for other in related if other.key.segment != ANY and other.all.count),
                key=lambda other: (-other.all.count, other.key),
            ),
            changes=changes,
            freshness=Freshness.FRESH,
            age=timedelta(0),
            host_share=platform.host_share if platform else None,
            source=quote.source,
            source_url=origin.url if origin else None,
            version=snapshot.version,
            simulated=bool(origin and origin.simulated),
        )

    def gpu_name(self, slug: str) -> str:
        """Name to show for a slug; unknown models show their cleaned source name, else the slug."""
        model = self._catalogue.get(slug)
        if model:
            return model.name
        return self._snapshot.names.get(slug, slug) if self._snapshot else slug

    async def quotes(
        self,
        *,
        gpu: str | None = None,
        platform: str | None = None,
        region: str | None = None,
        segments: bool = False,
        include_hidden: bool = False,
    ) -> Sequence[Quote]:
        """See :meth:`gpuscout.market.ports.Market.quotes`."""
        snapshot = await self._current()
        now = self._clock()
        chosen = snapshot.quotes.values() if gpu is None else snapshot.by_gpu.get(gpu, ())
        worldwide: set[tuple[str, str, str]] = set()
        if region is None and not segments:
            # A region's series is no headline beside the worldwide one.
            worldwide = {(q.key.platform, q.key.gpu, q.key.tier) for q in chosen if q.key.is_headline}
        return sorted(
            (
                quote
                for quote in chosen
                if platform in (None, quote.key.platform)
                and region in (None, quote.key.region)
                and (quote.key.region == GLOBAL or (quote.key.platform, quote.key.gpu, quote.key.tier) not in worldwide)
                and (segments or (quote.key.segment == ANY and quote.key.verification == ANY))
                and (include_hidden or now - quote.at <= STALE_LIMIT)
            ),
            key=lambda quote: (-quote.all.count, quote.key),
        )

    async def overview(self) -> Overview:
        """See :meth:`gpuscout.market.ports.Market.overview`."""
        snapshot = await self._current()
        band = freshness(snapshot.newest, self._clock(), self._interval) if snapshot.newest else None
        if snapshot.newest is None or band is Freshness.UNAVAILABLE:
            raise MarketUnavailable(snapshot.newest, await self.next_poll_in())
        async with self._surveying:  # whoever comes first reads; the others find it remembered
            found = self._remembered(snapshot.version, "overview")
            if not isinstance(found, Overview):
                found = await read_overview(
                    self._store,
                    self._catalogue,
                    self._platforms,
                    version=snapshot.version,
                    newest=snapshot.newest,
                    quotes=snapshot.quotes.values(),
                    name=self.gpu_name,
                )
                self._remember(snapshot.version, "overview", found)
        return found

    async def earlier(self, keys: Sequence[SeriesKey], window: str) -> Mapping[SeriesKey, Earlier]:
        """See :meth:`gpuscout.market.ports.Market.earlier`."""
        quotes = (await self._current()).quotes
        return (await read_earlier(self._store, [quotes[key] for key in keys if key in quotes], window))[window]

    async def history(self, key: SeriesKey, start: datetime, end: datetime, points: int = 500) -> History:
        """See :meth:`gpuscout.market.ports.Market.history`."""
        return await read_history(self._store, key, start, end, points, self._interval)

    async def rows_behind(self, key: SeriesKey, limit: int = 12) -> Sequence[Quote]:
        """See :meth:`gpuscout.market.ports.Market.rows_behind`."""
        series_id = await self._store.find_series(texts_of(key))
        if series_id is None:
            return ()
        since = int((self._clock() - RAW_RANGE).timestamp())
        return [quote_of(row, key) for row in await self._store.newest_rows(series_id, limit, since)]

    async def known_gpus(self) -> Sequence[tuple[str, str, int]]:
        """See :meth:`gpuscout.market.ports.Market.known_gpus`."""
        snapshot = await self._current()
        found = self._remembered(snapshot.version, "known")
        if isinstance(found, list):
            return found
        listed = [
            (slug, self.gpu_name(slug), max((q.all.count for q in quotes if q.key.segment == ANY), default=0))
            for slug, quotes in snapshot.by_gpu.items()
        ]
        listed.sort(key=lambda item: (-item[2], item[0]))
        self._remember(snapshot.version, "known", listed)
        return listed

    async def platforms(self) -> Sequence[str]:
        """See :meth:`gpuscout.market.ports.Market.platforms`."""
        return sorted({key.platform for key in (await self._current()).quotes})

    async def regions(self) -> Sequence[str]:
        """See :meth:`gpuscout.market.ports.Market.regions`."""
        snapshot = await self._current()
        found = self._remembered(snapshot.version, "regions")
        if not isinstance(found, list):
            sizes: Counter[str] = Counter()
            for key, quote in snapshot.quotes.items():
                sizes[key.region] += quote.all.count if (key.verification, key.segment) == (ANY, ANY) else 0
            found = sorted(sizes, key=lambda region: (region != GLOBAL, -sizes[region], region))
            self._remember(snapshot.version, "regions", found)
        return found

    async def sources(self) -> Sequence[SourceStatus]:
        """See :meth:`gpuscout.market.ports.Market.sources`."""
        return await load_statuses(self._state)

    async def next_poll_in(self) -> timedelta | None:
        """See :meth:`gpuscout.market.ports.Market.next_poll_in`."""
        if (known := self._next_poll()) is not None:
            return known
        # Another process schedules: it polls an interval after it did last.
        attempts = [status.last_attempt for status in await self.sources() if status.last_attempt]
        if not attempts:
            return None
        return max(timedelta(0), max(attempts) + self._interval - self._clock())

    def freshness_interval(self) -> timedelta:
        """See :meth:`gpuscout.market.ports.Market.freshness_interval`."""
        return self._interval
