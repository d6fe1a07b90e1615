"""A market in memory with the recorded figures of a December; anything undefined raises."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from config.catalogue import GpuCatalogue
from config.platforms import PlatformCatalogue
from gpuscout.market.earlier import Earlier
from gpuscout.market.earnings import hosting_share
from gpuscout.market.models import (
    ANY,
    GLOBAL,
    Change,
    Freshness,
    History,
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

NOW = datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)  # SimCord's clock starts a second earlier
SEEN = datetime(2025, 12, 31, 23, 50, 16, tzinfo=UTC)
INTERVAL = timedelta(minutes=15)


def side(count: int, median: float | None, p10: float | None = None, p90: float | None = None) -> Side:
    return Side(count=count, median=median, p10=p10, p90=p90)


def quote(
    gpu: str,
    rented: Side,
    available: Side,
    everything: Side,
    *,
    platform: str = "vast",
    region: str = GLOBAL,
    verification: str = ANY,
    segment: str = ANY,
    at: datetime = SEEN,
    demand: float | None = 61.4,
    flags: QuoteFlag = QuoteFlag.NONE,
    source: str = "500.farm",
) -> Quote:
    """A quote; thin samples are flagged as the domain does."""
    if everything.count < 10:
        flags |= QuoteFlag.THIN
    return Quote(
        key=SeriesKey(platform, gpu, region=region, verification=verification, segment=segment),
        at=at,
        fetched_at=at + timedelta(seconds=24),
        source=source,
        rented=rented,
        available=available,
        all=everything,
        demand=demand,
        flags=flags,
    )


def default_quotes() -> list[Quote]:
    """The recorded figures of December 2025 for a few models, with invented segments of the same size."""
    return [
        quote(
            "rtx-4090",
            side(2402, 0.33, 0.26, 0.40),
            side(2584, 0.35, 0.26, 0.44),
            side(4986, 0.335, 0.26, 0.43),
        ),
        quote(
            "rtx-4090",
            side(2231, 0.33, 0.26, 0.40),
            side(2190, 0.36, 0.27, 0.44),
            side(4421, 0.34, 0.27, 0.43),
            verification="verified",
        ),
        quote(
            "rtx-4090",
            side(171, 0.29, 0.18, 0.46),
            side(394, 0.29, 0.20, 0.47),
            side(565, 0.29, 0.19, 0.47),
            verification="unverified",
        ),
        quote(
            "rtx-4090",
            side(210, 0.45, 0.40, 0.52),
            side(102, 0.47, 0.41, 0.55),
            side(312, 0.45, 0.40, 0.54),
            verification="verified",
            segment="dc:8+",
        ),
        quote(
            "rtx-4090",
            side(121, 0.28, 0.18, 0.40),
            side(280, 0.28, 0.20, 0.43),
            side(401, 0.28, 0.19, 0.43),
            verification="unverified",
            segment="non-dc:1-3",
        ),
        quote("rtx-5090", side(2404, 0.40, 0.33, 0.60), side(1208, 0.40, 0.28, 0.575), side(3612, 0.40, 0.30, 0.59)),
        quote("rtx-3060", side(614, 0.06, 0.04, 0.10), side(677, 0.05, 0.04, 0.09), side(1291, 0.055, 0.04, 0.10)),
        quote("quadro-rtx-4000", side(1, 0.13, 0.13, 0.13), side(1, 0.04, 0.04, 0.04), side(2, 0.085), demand=None),
        quote("x-frobnicator-9000", side(3, 0.5), side(1, 0.6), side(4, 0.55)),
        quote(
            "rtx-4090",
            side(40, 0.61),
            side(12, 0.69),
            side(52, 0.61),
            platform="runpod",
            source="runpod",
        ),
    ]


NAMES = {"x-frobnicator-9000": "Frobnicator 9000"}


@dataclass
class FakeMarket:
    """The Market protocol over a list of quotes."""

    stored: list[Quote] = field(default_factory=default_quotes)
    now: datetime = NOW
    live: bool = False
    """Whether time passes as on the wall."""
    next_poll: timedelta | None = timedelta(seconds=40)
    simulated: bool = False
    regional: list[str] = field(default_factory=lambda: [GLOBAL])
    data_version: int = 1
    catalogue: GpuCatalogue = field(default_factory=GpuCatalogue.load)
    history_error: Exception | None = None
    error: Exception | None = None
    delay: float = 0.0
    asked: list[tuple[str, Any]] = field(default_factory=list)
    health: list[SourceStatus] = field(default_factory=list)
    past: dict[str, float] = field(default_factory=dict)
    """By model: the ratio of the present price to that of any earlier time; 1.02 for those that are not named."""
    first_seen: dict[str, datetime] = field(default_factory=dict)
    gone: list[Gone] = field(default_factory=list)
    archive: list[Quote] = field(default_factory=list)
    """Last days of series that have no current quote."""

    async def version(self) -> int:
        return self.data_version

    def time(self) -> datetime:
        return datetime.now(UTC) if self.live else self.now

    def _name(self, gpu: str) -> str:
        model = self.catalogue.get(gpu)
        return model.label if model is not None else NAMES[gpu]

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
        self.asked.append(("price", (gpu, platform, region, verification, segment)))
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.error is not None:
            raise self.error
        if not self.stored:
            raise MarketUnavailable(None, self.next_poll)
        newest = max(q.at for q in self.stored)
        band = freshness(newest, self.time(), INTERVAL)
        if band is Freshness.UNAVAILABLE:
            raise MarketUnavailable(newest)
        where = region or GLOBAL
        of_gpu = [q for q in self.stored if q.key.gpu == gpu and q.key.region == where]
        found = [
            q
            for q in of_gpu
            if (platform is None or q.key.platform == platform)
            and tier in (None, q.key.tier)
            and q.key.verification == verification
            and q.key.segment == segment
        ]
        if not found:
            elsewhere = sorted({q.key.platform for q in of_gpu})
            raise UnknownSeries(self._name(gpu), platform, region, elsewhere)
        chosen = max(found, key=lambda q: q.all.count)
        same = [q for q in of_gpu if q.key.platform == chosen.key.platform]
        return PriceView(
            gpu=gpu,
            gpu_name=self._name(gpu),
            platform=chosen.key.platform,
            region=where,
            quote=chosen,
            headline={q.key.verification: q for q in same if q.key.segment == ANY},
            segments=sorted((q for q in same if q.key.segment != ANY), key=lambda q: -q.all.count),
            changes={
                "24h": Change(timedelta(hours=24), 0.33, 0.0152, 0.012),
                "7d": Change(timedelta(days=7), 0.34, -0.0147, -0.02),
                "30d": Change(timedelta(days=30), None, None, None),
            },
            freshness=band,
            age=self.time() - chosen.at,
            host_share=0.75 if chosen.key.platform == "vast" else None,
            source="simulator" if self.simulated else "500.farm",
            source_url=None if self.simulated else "https://500.farm",
            version=self.data_version,
            simulated=self.simulated,
        )

    async def quotes(
        self,
        *,
        gpu: str | None = None,
        platform: str | None = None,
        region: str | None = None,
        segments: bool = False,
        include_hidden: bool = False,
    ) -> Sequence[Quote]:
        return [
            q
            for q in self.stored
            if (gpu is None or q.key.gpu == gpu)
            and (platform is None or q.key.platform == platform)
            and (region is None or q.key.region == region)
            and (segments or (q.key.verification == ANY and q.key.segment == ANY))
        ]

    async def stored_series(self, gpu: str) -> Sequence[StoredSeries]:
        found = [q for q in (*self.stored, *self.archive) if q.key.gpu == gpu]
        return [StoredSeries(q.key, q.at - timedelta(days=30), q.at) for q in found]

    async def stored_platforms(self) -> Sequence[str]:
        return sorted({q.key.platform for q in (*self.stored, *self.archive)})

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
        stored = [StoredSeries(q.key, q.at, q.at) for q in self.archive if q.key.gpu == gpu]
        found = matching(
            stored, platform=platform, region=region, tier=tier, verification=verification, segment=segment
        )
        if not found:
            raise UnknownSeries(self._name(gpu), platform, region)
        last = next(q for q in self.archive if q.key == found[0].key)
        return PriceView(
            gpu=gpu,
            gpu_name=self._name(gpu),
            platform=last.key.platform,
            region=last.key.region,
            quote=last,
            headline={},
            segments=[],
            changes={},
            freshness=Freshness.UNAVAILABLE,
            age=self.time() - last.at,
            host_share=None,
            source=last.source,
            source_url=None,
            version=self.data_version,
            simulated=self.simulated,
        )

    def _earlier(self, now: Quote) -> Earlier:
        price = None if now.price is None else now.price / self.past.get(now.key.gpu, 1.02)
        use = None if now.utilization is None else now.utilization - 0.012
        return Earlier(price, use, 60.0, now.all.count)

    async def overview(self) -> Overview:
        self.asked.append(("overview", None))
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.error is not None:
            raise self.error
        newest = max((q.at for q in self.stored), default=None)
        if newest is None or freshness(newest, self.time(), INTERVAL) is Freshness.UNAVAILABLE:
            raise MarketUnavailable(newest, self.next_poll)
        listed = [q for q in self.stored if q.key.verification == ANY and q.key.segment == ANY and q.listed]
        platforms = PlatformCatalogue.load()

        def line(q: Quote) -> MarketLine:
            model = self.catalogue.get(q.key.gpu)
            return MarketLine(
                quote=q,
                gpu_name=self._name(q.key.gpu),
                earlier={window: self._earlier(q) for window in MOVER_WINDOWS},
                share=hosting_share(platforms.get(q.key.platform)),
                power_w=model.tdp_w if model else None,
                first_seen=self.first_seen.get(q.key.gpu),
            )

        return Overview(
            version=self.data_version,
            newest=newest,
            lines=[line(q) for q in listed if not q.outlier],
            gone=self.gone,
            flagged=sum(q.outlier for q in listed),
            sources=["simulator"] if self.simulated else sorted({q.source for q in listed}),
        )

    async def earlier(self, keys: Sequence[SeriesKey], window: str) -> Mapping[SeriesKey, Earlier]:
        self.asked.append(("earlier", (tuple(keys), window)))
        return {q.key: self._earlier(q) for q in self.stored if q.key in keys}

    async def history(self, key: SeriesKey, start: datetime, end: datetime, points: int = 500) -> History:
        self.asked.append(("history", (key, start, end, points)))
        if self.history_error is not None:
            raise self.history_error
        step = max(INTERVAL, (end - start) / 200)
        base = next((q for q in (*self.stored, *self.archive) if q.key == key), None)
        if base is None:
            return History(key=key, tier=HistoryTier.RAW, start=start, end=end, step=step, points=[])
        return History(
            key=key,
            tier=HistoryTier.RAW,
            start=start,
            end=end,
            step=step,
            points=history_points(base, start, end, step),
            source=base.source,
        )

    async def rows_behind(self, key: SeriesKey, limit: int = 12) -> Sequence[Quote]:
        self.asked.append(("rows_behind", (key, limit)))
        newest = [q for q in self.stored if q.key == key]
        return [
            replace(q, at=q.at - n * INTERVAL, fetched_at=q.fetched_at - n * INTERVAL)
            for q in newest
            for n in range(min(limit, 12))
        ]

    async def known_gpus(self) -> Sequence[tuple[str, str, int]]:
        if self.error is not None:
            raise self.error
        sizes: dict[str, int] = {}
        for q in self.stored:
            if q.key.verification == ANY and q.key.segment == ANY:
                sizes[q.key.gpu] = sizes.get(q.key.gpu, 0) + q.all.count
        return sorted(((g, self._name(g), n) for g, n in sizes.items()), key=lambda row: -row[2])

    async def platforms(self) -> Sequence[str]:
        return sorted({q.key.platform for q in self.stored})

    async def regions(self) -> Sequence[str]:
        return self.regional

    async def sources(self) -> Sequence[SourceStatus]:
        return self.health

    async def next_poll_in(self) -> timedelta | None:
        return self.next_poll

    def freshness_interval(self) -> timedelta:
        return INTERVAL


def history_points(base: Quote, start: datetime, end: datetime, step: timedelta) -> list[HistoryPoint]:
    """A believable past of a quote: a day's and a week's rhythm, with one gap."""
    points = []
    at, index = start, 0
    count = max(1, int((end - start) / step))

    def wave(position: int) -> float:
        return math.sin(position / 12) * 0.02 + math.sin(position / 41) * 0.05

    def crowd(position: int) -> float:
        return math.sin(position / 17) * 0.08

    while at <= end:
        if not 0.55 < index / count < 0.60:
            price = (base.price or 0.3) * (1 + wave(index) - wave(count))
            use = min(0.95, max(0.05, (base.utilization or 0.5) + crowd(index) - crowd(count)))
            points.append(
                HistoryPoint(
                    ts=int(at.timestamp()),
                    price=price,
                    p10=price * 0.8,
                    p90=price * 1.28,
                    rented_price=price * 0.985,
                    available_price=price * 1.04,
                    rented=use * base.all.count,
                    total=float(base.all.count),
                    demand=100 * use,
                )
            )
        at += step
        index += 1
    return points
