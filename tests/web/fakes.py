"""A market in memory that keeps the promises of ``gpuscout.market.ports.Market``, and recorders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from config.catalogue import GpuCatalogue
from config.platforms import PlatformCatalogue
from gpuscout.charts.model import ChartSpec
from gpuscout.charts.pool import ChartImage, ChartUnavailable
from gpuscout.market.earlier import Earlier
from gpuscout.market.earnings import hosting_share
from gpuscout.market.fix import DailyFix
from gpuscout.market.models import (
    GLOBAL,
    STALE_LIMIT,
    Freshness,
    History,
    HistoryOnly,
    HistoryPoint,
    HistoryTier,
    MarketUnavailable,
    PriceView,
    Quote,
    QuoteFlag,
    SeriesKey,
    Side,
    SourceStatus,
    UnknownSeries,
    freshness,
)
from gpuscout.market.overview import MOVER_WINDOWS, Gone, MarketLine, Overview
from gpuscout.market.past import StoredSeries, matching
from gpuscout.market.ports import Market

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
INTERVAL = timedelta(minutes=15)


class Clock:
    """A clock that moves only when told."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by


def quote(
    gpu: str,
    price: float | None = 0.36,
    *,
    rented: int = 2402,
    total: int = 4986,
    at: datetime = NOW - timedelta(minutes=5),
    platform: str = "vast",
    verification: str = "any",
    segment: str = "any",
    source: str = "500.farm",
) -> Quote:
    """A quote whose sides agree with each other."""
    flags = QuoteFlag.THIN if total < 10 else QuoteFlag.NONE
    low, high = (None, None) if price is None else (round(price * 0.8, 4), round(price * 1.2, 4))
    return Quote(
        key=SeriesKey(platform, gpu, GLOBAL, "on-demand", verification, segment),
        at=at,
        fetched_at=at + timedelta(seconds=30),
        source=source,
        rented=Side(rented, price, low, high),
        available=Side(total - rented, price, low, high),
        all=Side(total, price, low, high),
        demand=61.5,
        flags=flags,
    )


class FakeMarket(Market):
    """Quotes and history in memory. ``broken`` makes every call raise, as a lost database would."""

    def __init__(self, quotes: Sequence[Quote] = (), clock: Clock | None = None) -> None:
        self.stored = list(quotes)
        self.clock = clock or Clock()
        self.points: dict[SeriesKey, list[HistoryPoint]] = {}
        self.source = "500.farm"
        self.archive: list[StoredSeries] = []
        self.fixed: list[DailyFix] = []
        self.inputs: dict[tuple[SeriesKey, date], bytes] = {}
        self.statuses: list[SourceStatus] = []
        self.past: dict[SeriesKey, Earlier] = {}
        self.gone: list[Gone] = []
        self.broken: Exception | None = None
        self.next_poll: timedelta | None = timedelta(minutes=3)

    def _check(self) -> None:
        if self.broken is not None:
            raise self.broken

    async def version(self) -> int:
        self._check()
        return len(self.stored)

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
        self._check()
        mine = [q for q in self.stored if q.key.gpu == gpu and platform in (None, q.key.platform)]
        mine = [q for q in mine if q.key.region == (region or GLOBAL) and tier in (None, q.key.tier)]
        found = [q for q in mine if (q.key.verification, q.key.segment) == (verification, segment)]
        newest = max((q.at for q in self.stored), default=None)
        if newest is None or self.clock() - newest > STALE_LIMIT:
            raise MarketUnavailable(newest, self.next_poll)
        if not found:
            old = matching(await self.stored_series(gpu), platform=platform, region=region, tier=tier)
            if old:
                raise HistoryOnly(old[0].key, old[0].last + timedelta(days=1))
            raise UnknownSeries(gpu, platform, region)
        chosen = max(found, key=lambda q: q.all.count)
        return PriceView(
            gpu=gpu,
            gpu_name=gpu.upper(),
            platform=chosen.key.platform,
            region=chosen.key.region,
            quote=chosen,
            headline={q.key.verification: q for q in mine if q.key.segment == "any"},
            segments=[q for q in mine if q.key.segment != "any"],
            changes={},
            freshness=freshness(chosen.at, self.clock(), INTERVAL),
            age=self.clock() - chosen.at,
            host_share=0.75,
            source=chosen.source,
            source_url="https://500.farm",
            version=1,
            simulated=chosen.source == "simulator",
        )

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
        self._check()
        found = matching(await self.stored_series(gpu), platform=platform, region=region, tier=tier)
        if not found:
            raise UnknownSeries(gpu, platform, region)
        key, at = found[0].key, found[0].last + timedelta(days=1)
        last = Quote(key, at, at, "archive", Side(), Side(), Side(0, 0.4), flags=QuoteFlag.UNSIZED)
        return PriceView(
            gpu=gpu,
            gpu_name=gpu.upper(),
            platform=key.platform,
            region=key.region,
            quote=last,
            headline={},
            segments=(),
            changes={},
            freshness=Freshness.UNAVAILABLE,
            age=self.clock() - at,
            host_share=None,
            source="archive",
            source_url=None,
            version=1,
        )

    async def stored_series(self, gpu: str) -> Sequence[StoredSeries]:
        self._check()
        return [series for series in self.archive if series.key.gpu == gpu]

    async def fixes(
        self, gpu: str, *, platform: str | None, tier: str | None, start: date, end: date, limit: int
    ) -> Sequence[DailyFix]:
        self._check()
        return [
            fix
            for fix in self.fixed
            if fix.key.gpu == gpu
            and platform in (None, fix.key.platform)
            and tier in (None, fix.key.tier)
            and start <= fix.day <= end
        ][:limit]

    async def fix_inputs(self, key: SeriesKey, day: date) -> bytes | None:
        self._check()
        return self.inputs.get((key, day))

    async def stored_platforms(self) -> Sequence[str]:
        self._check()
        return sorted({series.key.platform for series in self.archive} | set(await self.platforms()))

    async def quotes(
        self,
        *,
        gpu: str | None = None,
        platform: str | None = None,
        region: str | None = None,
        segments: bool = False,
        include_hidden: bool = False,
    ) -> Sequence[Quote]:
        self._check()
        return [
            q
            for q in self.stored
            if gpu in (None, q.key.gpu)
            and platform in (None, q.key.platform)
            and region in (None, q.key.region)
            and (segments or (q.key.verification, q.key.segment) == ("any", "any"))
            and (include_hidden or freshness(q.at, self.clock(), INTERVAL) is not Freshness.UNAVAILABLE)
        ]

    async def overview(self) -> Overview:
        self._check()
        quotes = await self.quotes()
        newest = max((q.at for q in self.stored), default=None)
        if newest is None or not quotes:
            raise MarketUnavailable(newest, self.next_poll)
        gpus, platforms = GpuCatalogue.load(), PlatformCatalogue.load()

        def line(q: Quote) -> MarketLine:
            model = gpus.get(q.key.gpu)
            then = self.past.get(q.key)
            return MarketLine(
                quote=q,
                gpu_name=model.name if model else f"Name of {q.key.gpu}",
                earlier={} if then is None else dict.fromkeys(MOVER_WINDOWS, then),
                share=hosting_share(platforms.get(q.key.platform)),
                power_w=model.tdp_w if model else None,
            )

        lines = [line(q) for q in quotes if q.listed and not q.outlier]
        return Overview(1, newest, lines, self.gone, len(quotes) - len(lines), sorted({q.source for q in quotes}))

    async def earlier(self, keys: Sequence[SeriesKey], window: str) -> Mapping[SeriesKey, Earlier]:
        self._check()
        return {key: self.past[key] for key in keys if key in self.past}

    async def history(self, key: SeriesKey, start: datetime, end: datetime, points: int = 500) -> History:
        self._check()
        if not start < end or points < 1 or start.tzinfo is None or end.tzinfo is None:
            raise ValueError("a history needs an aware, ascending range and at least one point")
        inside = [p for p in self.points.get(key, ()) if start.timestamp() <= p.ts < end.timestamp()]
        return History(
            key=key,
            tier=HistoryTier.HOUR,
            start=start,
            end=end,
            step=timedelta(hours=1),
            points=inside[-points:],
            source=self.source,
            thinned=len(inside) > points,
        )

    async def rows_behind(self, key: SeriesKey, limit: int = 12) -> Sequence[Quote]:
        self._check()
        return [q for q in self.stored if q.key == key][:limit]

    async def known_gpus(self) -> Sequence[tuple[str, str, int]]:
        self._check()
        headline = [q for q in self.stored if (q.key.verification, q.key.segment) == ("any", "any")]
        headline.sort(key=lambda q: -q.all.count)
        return [(q.key.gpu, f"Name of {q.key.gpu}", q.all.count) for q in headline]

    async def platforms(self) -> Sequence[str]:
        self._check()
        return sorted({q.key.platform for q in self.stored})

    async def regions(self) -> Sequence[str]:
        self._check()
        return sorted({q.key.region for q in self.stored})

    async def sources(self) -> Sequence[SourceStatus]:
        self._check()
        return self.statuses

    async def next_poll_in(self) -> timedelta | None:
        self._check()
        return self.next_poll

    def freshness_interval(self) -> timedelta:
        return INTERVAL


def hourly(hours: int, end: datetime = NOW) -> list[HistoryPoint]:
    """An hourly history that ends at *end*, prices between 0.30 and 0.40."""
    first = int(end.timestamp()) - hours * 3600
    return [
        HistoryPoint(first + i * 3600, 0.3 + (i % 10) / 100, 0.25, 0.45, 0.33, 0.36, 20.0 + i % 5, 50.0, 4)
        for i in range(hours)
    ]


def status(**changes: object) -> SourceStatus:
    """A source that is well, save for *changes*."""
    well = SourceStatus("500.farm", NOW, NOW, NOW - timedelta(minutes=5), None, None, series=3)
    return SourceStatus(**{**{name: getattr(well, name) for name in well.__slots__}, **changes})  # type: ignore[arg-type]


class Painter:
    """A renderer that draws nothing: its picture is the spec's key. ``broken`` makes it fail as the real one does."""

    def __init__(self) -> None:
        self.specs: list[ChartSpec] = []
        self.broken = False

    async def render(self, spec: ChartSpec) -> ChartImage:
        if self.broken:
            raise ChartUnavailable("no chart within 5 s")
        self.specs.append(spec)
        key = spec.cache_key()
        return ChartImage(key.encode(), f"image/{spec.format}", spec.format, key)


@dataclass
class Use:
    name: str
    surface: str
    outcome: str
    latency_ms: float | None


@dataclass
class Uses:
    """A usage recorder that keeps what it was told."""

    seen: list[Use] = field(default_factory=list)

    def record(
        self,
        name: str,
        *,
        surface: str,
        outcome: str,
        latency_ms: float | None = None,
        plan: str = "free",
        member_id: int | None = None,
        guild_id: int | None = None,
        locale: str | None = None,
    ) -> None:
        assert member_id is None and guild_id is None, "the web knows no member"
        self.seen.append(Use(name, surface, outcome, latency_ms))
