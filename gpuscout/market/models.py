"""What the market is made of: series, sides, quotes, and what a reader gets back.

Units, everywhere: prices are US dollars per GPU-hour as the **renter** pays them (float64), counts are GPUs,
utilization and shares are ratios from 0 to 1, demand is 0 to 100, times are aware UTC datetimes (or epoch
seconds where a field says so).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntFlag, StrEnum
from typing import NamedTuple

GLOBAL = "global"
ANY = "any"

METHOD_VERSION = 1
"""Version of ``docs/methodology.md`` under which quotes are stored now."""


class Tier(StrEnum):
    """How capacity is sold."""

    ON_DEMAND = "on-demand"
    SPOT = "spot"
    COMMUNITY = "community"
    SECURE = "secure"
    RESERVED = "reserved"


class Verification(StrEnum):
    """Whether the platform verified the machines of a series."""

    VERIFIED = "verified"
    UNVERIFIED = "unverified"
    ANY = "any"


SEGMENTS: tuple[str, ...] = (ANY, "non-dc:1-3", "non-dc:4-7", "non-dc:8+", "dc:1-3", "dc:4-7", "dc:8+")
"""Segments: datacenter (``dc``) or not (``non-dc``) × GPUs in the machine, or any."""


def segment_slug(datacenter: bool, gpu_count_range: str) -> str:
    """Slug of a segment, e.g. ``dc:8+``. The range is the machine's GPU count as the source words it."""
    return f"{'dc' if datacenter else 'non-dc'}:{gpu_count_range}"


@dataclass(frozen=True, slots=True, order=True)
class SeriesKey:
    """Identity of a price series. Quotes of different keys are never blended."""

    platform: str
    gpu: str
    region: str = GLOBAL
    tier: str = Tier.ON_DEMAND.value
    verification: str = Verification.ANY.value
    segment: str = ANY

    @property
    def is_headline(self) -> bool:
        """True for worldwide series of all segments, which get hourly rollups; the others get daily ones."""
        return self.segment == ANY and self.region == GLOBAL


class QuoteFlag(IntFlag):
    """Remarks on a quote; stored as an integer."""

    NONE = 0
    THIN = 1
    """Fewer than :data:`THIN_SAMPLE` GPUs in all: median, p10, p90 and utilization rest on a thin sample."""
    OUTLIER = 2
    """Price absurd against the series' own history: kept, shown as flagged, left out of medians and charts."""
    UNSIZED = 4
    """The source says a price but not how many GPUs stand behind it: counts are unknown, not zero."""


THIN_SAMPLE = 10
"""GPUs below which a sample is marked thin (the source itself leaves p10/p90 out below ten)."""


@dataclass(frozen=True, slots=True)
class Side:
    """Prices of one side (rented, available or all) of a series at one instant."""

    count: int = 0
    median: float | None = None
    p10: float | None = None
    p90: float | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """One observation of a series. ``price`` is the median of **all** listed machines."""

    key: SeriesKey
    at: datetime
    """Source time (when the source saw the market)."""
    fetched_at: datetime
    source: str
    rented: Side
    available: Side
    all: Side
    demand: float | None = None
    flags: QuoteFlag = QuoteFlag.NONE
    method: int = METHOD_VERSION
    reported_utilization: float | None = None
    """Utilization as the source words it, where it counts no GPUs; None where it is counted from them."""
    feed: str = ""
    """Document of the source that it comes from."""

    @property
    def price(self) -> float | None:
        """Median of all listed machines, USD per GPU-hour."""
        return self.all.median

    @property
    def utilization(self) -> float | None:
        """Rented GPUs over all GPUs, or what the source reports in their place, 0 to 1; None when neither is known."""
        return self.rented.count / self.all.count if self.all.count else self.reported_utilization

    @property
    def sized(self) -> bool:
        """False when the number of GPUs is unknown: then every count is 0 and means nothing."""
        return not self.flags & QuoteFlag.UNSIZED

    @property
    def listed(self) -> bool:
        """True when there is something to rent or rented: GPUs are counted, or a price without a count is known."""
        return self.all.count > 0 or (not self.sized and self.price is not None)

    @property
    def thin(self) -> bool:
        return bool(self.flags & QuoteFlag.THIN)

    @property
    def outlier(self) -> bool:
        return bool(self.flags & QuoteFlag.OUTLIER)


SLOW_FEEDS: Mapping[str, timedelta] = {"machines": timedelta(minutes=15)}
"""Documents that are asked for no more often, however short the ingest interval is."""


def read_every(quote: Quote, interval: timedelta) -> timedelta:
    """How often the document behind *quote* is read, given the ingest interval: staleness is measured in it."""
    return max(interval, SLOW_FEEDS.get(quote.feed, interval))


class Freshness(StrEnum):
    """Staleness band of a reading (docs/methodology.md)."""

    FRESH = "fresh"
    STALE = "stale"
    UNAVAILABLE = "unavailable"


STALE_LIMIT = timedelta(hours=4)
"""Data older than this is hidden and the words "Data temporarily unavailable" are shown."""


def freshness(at: datetime, now: datetime, interval: timedelta) -> Freshness:
    """Band of a reading taken at *at*: fresh under 1.5 ingest intervals, stale up to 4 hours, then unavailable."""
    age = now - at
    if age > STALE_LIMIT:
        return Freshness.UNAVAILABLE
    return Freshness.FRESH if age < 1.5 * interval else Freshness.STALE


@dataclass(frozen=True, slots=True)
class Change:
    """Change of a series over a window, against the quote nearest to the window's start."""

    window: timedelta
    price_then: float | None
    price_ratio: float | None
    """price now / price then - 1; None without a comparable quote."""
    utilization_points: float | None
    """utilization now - then, in ratio points (0.05 = five percentage points)."""


class HistoryTier(StrEnum):
    """Where history was read from."""

    RAW = "raw"
    HOUR = "hour"
    DAY = "day"


class HistoryPoint(NamedTuple):
    """One point of history; ``ts`` is the bucket's start (rollups) or the source time (raw), epoch seconds.

    A tuple, because a read makes hundreds of them.
    """

    ts: int
    price: float | None
    p10: float | None
    p90: float | None
    rented_price: float | None
    available_price: float | None
    rented: float
    total: float
    samples: int = 1
    reported: float | None = None
    """Utilization as sources that count no GPUs report it."""
    source_id: int | None = None
    """Key of :attr:`History.sources`: the source of most of the point's quotes."""
    demand: float | None = None
    """0 to 100 (docs/methodology.md, "Demand")."""

    @property
    def utilization(self) -> float | None:
        """Rented over all GPUs, else what is reported; None when neither is known."""
        return self.rented / self.total if self.total else self.reported


@dataclass(frozen=True, slots=True)
class History:
    """Points of one series, oldest first. A gap in the data is a gap in the points: nothing is interpolated."""

    key: SeriesKey
    tier: HistoryTier
    start: datetime
    end: datetime
    step: timedelta
    """Nominal distance between two points of this tier; a longer one is a gap."""
    points: Sequence[HistoryPoint]
    gaps: Sequence[tuple[int, int]] = ()
    """Stretches without data, as (last point before, first point after) in epoch seconds, found before thinning."""
    missing: int = 0
    """Points that the range should hold and does not; what lies before the first known point is no gap."""
    source: str = ""
    """The source of the newest point."""
    thinned: bool = False
    sources: Mapping[int, str] = field(default_factory=dict)
    """Slugs of the sources that the points come from, by :attr:`HistoryPoint.source_id`, most points first."""


@dataclass(frozen=True, slots=True)
class PriceView:
    """Everything `/price` shows about one model on one platform and region, at one data version."""

    gpu: str
    gpu_name: str
    platform: str
    region: str
    quote: Quote
    """The series asked for (headline unless a segment was chosen)."""
    headline: Mapping[str, Quote]
    """By verification: any, verified, unverified (those that exist)."""
    segments: Sequence[Quote]
    """Segment quotes (v2), largest sample first."""
    changes: Mapping[str, Change]
    """By ``"24h"``, ``"7d"``, ``"30d"``."""
    freshness: Freshness
    age: timedelta
    host_share: float | None
    """Part of the renter price that the host receives (0.75 on Vast.ai); None where unknown."""
    source: str
    source_url: str | None
    version: int
    simulated: bool = False

    @property
    def host_take(self) -> float | None:
        """What a host receives per rented GPU-hour at the median price."""
        if self.quote.price is None or self.host_share is None:
            return None
        return self.quote.price * self.host_share


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """Health of one market source, for `/status`, `/readyz` and metrics."""

    source: str
    last_attempt: datetime | None
    last_success: datetime | None
    last_source_time: datetime | None
    failing_since: datetime | None
    problem: str | None
    """One sentence without secrets, or None when well."""
    series: int = 0
    rejected_last: int = 0
    reject_reasons: Mapping[str, int] = field(default_factory=dict)
    breaker: str = "closed"
    remark: str | None = None
    """What the operator should know although the source is well, in one sentence."""


class MarketUnavailable(Exception):
    """No current data to show. ``last_seen`` is the newest source time known, or None before the first poll."""

    def __init__(self, last_seen: datetime | None, next_poll_in: timedelta | None = None) -> None:
        self.last_seen = last_seen
        self.next_poll_in = next_poll_in
        super().__init__("Data temporarily unavailable" if last_seen else "no data yet")


class UnknownSeries(Exception):
    """The model is known but there is no quote for that platform, region or segment."""

    def __init__(self, gpu: str, platform: str | None, region: str | None, alternatives: Sequence[str] = ()) -> None:
        self.gpu, self.platform, self.region, self.alternatives = gpu, platform, region, tuple(alternatives)
        super().__init__(f"no quotes for {gpu} on {platform or 'any platform'} in {region or GLOBAL}")


class HistoryOnly(UnknownSeries):
    """There is history of this choice, but no current quote: its platform is not read now, or lists none.

    ``key`` is the series that stands for the choice, ``last_seen`` the end of its last day with data.
    """

    def __init__(self, key: SeriesKey, last_seen: datetime, alternatives: Sequence[str] = ()) -> None:
        self.key, self.last_seen = key, last_seen
        super().__init__(key.gpu, key.platform, key.region, alternatives)
