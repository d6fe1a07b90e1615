"""From quotes and machines to the numbers that rules watch, and what makes a number unfit to be judged."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast

from gpuscout.alerts.expand import machine_of, series_of
from gpuscout.alerts.messages import Metric
from gpuscout.alerts.ports import HeldReason
from gpuscout.market.models import SLOW_FEEDS, STALE_LIMIT, THIN_SAMPLE, QuoteFlag
from gpuscout.market.rollup import DAY, HOUR, SECONDS
from storage import alerts_values as figures
from storage.engine import Database
from storage.machines import BATCH, MachineStore
from storage.market_many import Instant, raw_near, rollups_at

CHANGES: Final[Mapping[str, tuple[int, int]]] = {
    "1h": (HOUR, HOUR // 2),
    "24h": (DAY, HOUR),
    "7d": (7 * DAY, 6 * HOUR),
}
"""Window, and how far from its start the compared quote may lie, in seconds."""
SIZED: Final = frozenset(("price", "rented_price", "available_price", "p10", "p90", "utilization", "demand"))
"""Figures of a sample: held back while it is thin. What is computed from a price is too."""
BREATH: Final = 250
"""Figures computed at a stretch: a few milliseconds."""
MACHINE_METRICS: Final = ("m_rented", "m_idle_hours", "m_missed", "m_reliability", "m_verified", "m_days_left")


@dataclass(frozen=True, slots=True)
class Reading:
    """A watched number now. ``value`` is None when it cannot be told; ``held`` says why it is not to be judged."""

    value: float | None
    at: int
    held: HeldReason | None = None
    price: float | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Doubt:
    """What is known against the data beside what they say themselves.

    Attributes:
        contradicted: models of which another source says something else.
        interval: how often the market is read.
    """

    contradicted: frozenset[str]
    interval: timedelta


def hold(metric: Metric, row: Any, gpu: str, feed: str, known_at: datetime, doubt: Doubt) -> HeldReason | None:
    """Why a figure of a quote is not to be judged; None when it is.

    Args:
        row: the quote's row.
        known_at: when it became known (or now): against it the source's time is old or not.
    """
    interval = max(doubt.interval, SLOW_FEEDS.get(feed, doubt.interval))
    if known_at.timestamp() - row.ts >= 1.5 * interval.total_seconds():
        return "stale"
    if metric == "available":
        return None
    flags = QuoteFlag(row.flags)
    if metric not in ("utilization", "demand") and flags & QuoteFlag.OUTLIER:
        return "outlier"
    if not flags & QuoteFlag.UNSIZED:
        count = {"rented_price": row.rented_count, "available_price": row.available_count}.get(metric, row.all_count)
        if count < THIN_SAMPLE:
            return "thin"
    return "contradicted" if gpu in doubt.contradicted else None


def figure(metric: Metric, row: Any) -> float | None:
    """A figure that one quote says."""
    match metric:
        case "price":
            return cast(float | None, row.all_median)
        case "rented_price":
            return cast(float | None, row.rented_median)
        case "available_price":
            return cast(float | None, row.available_median)
        case "p10":
            return cast(float | None, row.all_p10)
        case "p90":
            return cast(float | None, row.all_p90)
        case "utilization":
            return row.rented_count / row.all_count if row.all_count else cast(float | None, row.utilization)
        case "available":
            return None if QuoteFlag(row.flags) & QuoteFlag.UNSIZED else float(row.available_count)
        case "demand":
            return cast(float | None, row.demand)
        case _:
            return None


@dataclass(frozen=True, slots=True)
class SeriesAsk:
    """One key of a series with the quote that it is read from. ``ref`` is the caller's."""

    ref: Any
    metric: Metric
    days: int
    gpu: str
    row: Any
    feed: str
    known_at: datetime
    source: str | None = None


class Figures:
    """Reads watched numbers from the database."""

    def __init__(self, db: Database, machines: MachineStore) -> None:
        self.db = db
        self._machines = machines

    async def of_series(self, asks: Sequence[SeriesAsk], doubt: Doubt) -> dict[Any, Reading]:
        """Figures of series, by ``ref``."""
        then = await self._before(asks)
        limits = await self._extremes(asks)
        found: dict[Any, Reading] = {}
        for number, ask in enumerate(asks):
            if number % BREATH == BREATH - 1:
                await asyncio.sleep(0)
            row, price = ask.row, ask.row.all_median
            held = hold(ask.metric, row, ask.gpu, ask.feed, ask.known_at, doubt)
            value = figure(ask.metric, row)
            if ask.metric.startswith("change_") and price is not None:
                _, window, unit = ask.metric.split("_")
                earlier = then.get((window, row.series_id, row.ts))
                if earlier:
                    value = 100 * (price / earlier - 1) if unit == "percent" else price - earlier
            elif ask.metric in ("low", "high") and price is not None:
                known = limits.get((ask.days, row.series_id, row.ts))
                if known is not None:
                    value = price - (known.low if ask.metric == "low" else known.high)
                    if held is None and known.first > row.ts - (ask.days - 1.5) * DAY - DAY / 4:
                        held = "history"
            found[ask.ref] = Reading(value, row.ts, held, price, ask.source)
        return found

    async def _before(self, asks: Sequence[SeriesAsk]) -> dict[tuple[str, int, int], float]:
        """Earlier prices by (window, series, time): of the unflagged quote nearest to the start, else of a rollup."""
        found: dict[tuple[str, int, int], float] = {}
        for window, (span, tolerance) in CHANGES.items():
            rows = {a.row.series_id: a.row for a in asks if a.metric.startswith(f"change_{window}_")}
            wanted = [Instant(series_id, row.ts - span) for series_id, row in rows.items()]
            if not wanted:
                continue
            prices = {
                r.series_id: r.all_median
                for r in await raw_near(self.db, wanted, tolerance, int(QuoteFlag.OUTLIER))
                if r.priced
            }
            for tier, size in SECONDS.items():
                left = [w for w in wanted if w.series_id not in prices]
                if left and span > HOUR:
                    buckets = [Instant(w.series_id, w.ts - w.ts % size) for w in left]
                    for r in await rollups_at(self.db, tier, buckets):
                        if r.price is not None:
                            prices.setdefault(r.series_id, r.price)
            found.update({(window, s, rows[s].ts): price for s, price in prices.items()})
        return found

    async def _extremes(self, asks: Sequence[SeriesAsk]) -> dict[tuple[int, int, int], figures.Extremes]:
        groups: dict[tuple[int, int], set[int]] = {}
        for ask in asks:
            if ask.metric in ("low", "high"):
                groups.setdefault((ask.days, ask.row.ts), set()).add(ask.row.series_id)
        found: dict[tuple[int, int, int], figures.Extremes] = {}
        for (days, at), ids in groups.items():
            known = await figures.extremes(self.db, ids, at - days * DAY, at, int(QuoteFlag.OUTLIER))
            found.update({(days, series_id, at): extremes for series_id, extremes in known.items()})
        return found

    async def of_spread(self, subject: str, metric: Metric, now: int, doubt: Doubt) -> Reading | None:
        """How much the dearest platform lies above the cheapest one; None with fewer than two that can be judged."""
        gpu, tier, first, second = subject.split("|")
        series = await figures.headline_series(self.db, gpu, tier)
        series = {i: p for i, p in series.items() if first == "*" or p in (first, second)}
        if len(series) < 2:
            return None
        rows = await figures.newest_of(self.db, list(series), now - int(STALE_LIMIT.total_seconds()))
        prices: dict[str, float] = {}
        at = 0
        for row in sorted(rows, key=lambda r: r.ts):
            if row.all_median and hold("price", row, gpu, row.feed, row.fetched_at, doubt) is None:
                prices[series[row.series_id]] = row.all_median
                at = max(at, row.ts)
        if len(prices) < 2:
            return None
        low, high = min(prices.values()), max(prices.values())
        return Reading(100 * (high / low - 1) if metric == "spread_percent" else high - low, at, None, low)

    async def of_machines(self, keys: Sequence[Any], now: int) -> dict[int, Reading]:
        """Figures of machines by key id; machines that were never listed are left out.

        Args:
            keys: rows of ``alert_key`` of :data:`MACHINE_METRICS`.
        """
        by_platform: dict[str, dict[int, list[Any]]] = {}
        hired = {row.subject: row for row in keys if row.metric == "m_rented"}
        for row in keys:
            named = machine_of(row.subject)
            if named is not None:
                by_platform.setdefault(named[0], {}).setdefault(named[1], []).append(row)
        found: dict[int, Reading] = {}
        for platform, wanted in by_platform.items():
            times = await figures.list_times(self.db, platform)
            at = times[0] if times else now
            ids = sorted(wanted)
            for first in range(0, len(ids), BATCH):
                for machine in await self._machines.get_many(platform, ids[first : first + BATCH]):
                    for row in wanted[machine.machine_id]:
                        value = machine_figure(row.metric, machine, at, times, hired.get(row.subject))
                        found[row.id] = Reading(value, at, None, machine.price)
        return found


def machine_figure(
    metric: str, machine: Any, at: int, times: Collection[int], hired: Any | None = None
) -> float | None:
    """A figure of one machine; None where it cannot be told (of a machine that is gone only that it is).

    Args:
        times: source times of the newest lists of machines.
        hired: the key of its rented GPUs as it was at the list before, for idle hours.
    """
    missed = sum(time > machine.last_seen for time in times)
    if metric == "m_missed":
        return float(missed)
    if missed:
        return None
    match metric:
        case "m_rented":
            return float(machine.num_rented)
        case "m_idle_hours":
            if machine.num_rented:
                return 0.0
            since = hired.since if hired is not None and hired.value == 0 and hired.since is not None else at
            return max(0.0, (at - since) / 3600)
        case "m_reliability":
            return cast(float | None, machine.reliability)
        case "m_verified":
            return 1.0 if machine.verification == "verified" else 0.0
        case "m_days_left":
            return (machine.end_date - at) / DAY if machine.end_date is not None else None
        case _:
            return None


def gpu_of(subject: str) -> str:
    """The model of a series' or a spread's subject; an empty string for another one."""
    series = series_of(subject)
    if series is not None:
        return series.gpu
    return subject.split("|")[0] if subject.count("|") == 3 else ""
