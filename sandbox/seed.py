"""Two years of simulated history for a new demo, written the way the product keeps history.

Raw quotes of the last 48 hours, hourly rollups of the headline series, daily rollups of all series. A rollup stands
for the simulator's quotes at a few instants of its hour or day, and says how many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from bot.parts import Parts
from gpuscout.market.models import ANY, METHOD_VERSION, QuoteFlag, SeriesKey, Verification, segment_slug
from gpuscout.market.models import Side as QuoteSide
from gpuscout.market.normalise import flags_of
from gpuscout.market.rollup import DAY, HOUR
from gpuscout.market.rows import texts_of
from gpuscout.market.trends import set_rolled_until
from sandbox.farm.market import Market
from sandbox.farm.stats import Stats
from storage.market import QuoteValues, SeriesTexts, UpdateRows

DAILY = timedelta(days=730)
HOURLY = timedelta(days=91)
SEGMENTS = timedelta(days=365)
"""Daily rollups of segments reach less far back: they are most of the rows."""
RAW = timedelta(hours=48)
RAW_STEP = 900
SAMPLES_A_DAY = 4
_BATCH = 5_000
_VERIFICATIONS = {"all": Verification.ANY, "verified": Verification.VERIFIED, "unverified": Verification.UNVERIFIED}

Times = np.ndarray[Any, Any]

Progress = Callable[[str, float], None]
"""Told what is done and which part of the whole, 0 to 1."""


@dataclass(frozen=True, slots=True)
class _Columns:
    """One series over time: arrays by side, equally long."""

    key: SeriesKey
    rented: Stats
    available: Stats
    all: Stats


def _columns(
    market: Market, slug: Callable[[str], str], model: str, times: Times, segments: bool
) -> Iterator[_Columns]:
    gpu = slug(model)
    stats = market.history_stats(model, times)
    for name, verification in _VERIFICATIONS.items():
        key = SeriesKey("vast", gpu, verification=verification.value)
        yield _Columns(key, *(stats[side, name] for side in ("rented", "available", "all")))  # type: ignore[index]
    if segments:
        by_segment = market.segment_stats(model, times)
        for segment in {segment for segment, _ in by_segment}:
            datacenter, size, verified = segment
            word = Verification.VERIFIED if verified else Verification.UNVERIFIED
            key = SeriesKey("vast", gpu, verification=word.value, segment=segment_slug(datacenter, size))
            yield _Columns(key, *(by_segment[segment, side] for side in ("rented", "available", "all")))


def _rollups(columns: _Columns, series_id: int, starts: Times, samples: int) -> Iterator[dict[str, Any]]:
    """Rollup rows: *samples* neighbouring instants a bucket, by the rule of :func:`gpuscout.market.rollup.roll_up`."""

    def grid(stats: Stats, name: str) -> Times:
        values: Times = stats[name].astype(float).reshape(-1, samples)
        return values

    def middle(stats: Stats, name: str) -> list[float | None]:
        values = np.ma.masked_invalid(grid(stats, name))
        medians = np.ma.median(values, axis=1).filled(np.nan)  # type: ignore[no-untyped-call]
        return [None if np.isnan(value) else float(value) for value in medians]

    asks = np.ma.masked_invalid(grid(columns.all, "median"))
    low, high = asks.min(axis=1).filled(np.nan), asks.max(axis=1).filled(np.nan)
    price, p10, p90 = (middle(columns.all, name) for name in ("median", "p10", "p90"))
    rented_price, available_price = middle(columns.rented, "median"), middle(columns.available, "median")
    rented, total = grid(columns.rented, "count").mean(axis=1), grid(columns.all, "count").mean(axis=1)
    for i, ts in enumerate(starts.tolist()):
        if total[i] == 0:
            continue  # not listed then: no row, as for a model that is not in the source's answer
        yield {
            "series_id": series_id,
            "ts": ts,
            "samples": samples,
            "price": price[i],
            "price_min": None if np.isnan(low[i]) else float(low[i]),
            "price_max": None if np.isnan(high[i]) else float(high[i]),
            "p10": p10[i],
            "p90": p90[i],
            "rented_price": rented_price[i],
            "available_price": available_price[i],
            "rented": float(rented[i]),
            "total": float(total[i]),
            "demand": None,
        }


def _quotes(columns: _Columns) -> Iterator[tuple[int, SeriesTexts, QuoteValues]]:
    """(index of the instant, series, values) of the raw quotes."""
    texts = texts_of(columns.key)

    def side(row: Any) -> QuoteSide:
        def price(name: str) -> float | None:
            return None if np.isnan(row[name]) else float(row[name])

        return QuoteSide(int(row["count"]), price("median"), price("p10"), price("p90"))

    for i, rows in enumerate(zip(columns.rented, columns.available, columns.all, strict=True)):
        rented, available, total = map(side, rows)
        if total.count or columns.key.segment == ANY:
            flags: QuoteFlag = flags_of(rented, available, total, ())
            yield i, texts, QuoteValues(
                rented.count, rented.median, rented.p10, rented.p90,
                available.count, available.median, available.p10, available.p90,
                total.count, total.median, total.p10, total.p90,
                None, int(flags),
            )  # fmt: skip


async def seed_history(parts: Parts, market: Market, now: datetime, source: str, progress: Progress) -> int:
    """Write the history before *now*; returns the number of rows. Only for an empty database."""
    end = int(now.timestamp())
    day, hour = end - end % DAY, end - end % HOUR
    days = np.arange(day - DAILY.days * DAY, day, DAY, dtype=np.int64)
    day_times = (days[:, None] + (np.arange(SAMPLES_A_DAY) * 2 + 1) * (DAY // SAMPLES_A_DAY // 2)).ravel()
    hours = np.arange(hour - int(HOURLY.total_seconds()), hour, HOUR, dtype=np.int64)
    raw = np.arange(end - int(RAW.total_seconds()), end - RAW_STEP // 2, RAW_STEP, dtype=np.int64)

    def slug(name: str) -> str:
        return parts.gpus.resolve(name).slug

    written = 0
    quotes: dict[str, dict[int, list[tuple[SeriesTexts, QuoteValues]]]] = {"v1": {}, "v2": {}}
    for done, model in enumerate(market.models):
        daily, hourly, rows = await asyncio.to_thread(_of_model, market, slug, model, day_times, hours, raw)
        for feed, by_time in rows.items():
            for i, items in by_time.items():
                quotes[feed].setdefault(i, []).extend(items)
        written += await _write_rollups(parts, "day", daily, days, SAMPLES_A_DAY)
        written += await _write_rollups(parts, "hour", hourly, hours, 1)
        progress("history", (done + 1) / (len(market.models) + 6))
    written += await _write_raw(parts, quotes, raw, source, lambda part: progress("latest quotes", part))
    async with parts.db.write() as conn:
        await set_rolled_until(parts.state, conn, hour, day)
        await parts.state.bump_version(conn, "market")
    return written


def _of_model(
    market: Market,
    slug: Callable[[str], str],
    model: str,
    day_times: Times,
    hours: Times,
    raw: Times,
) -> tuple[list[_Columns], list[_Columns], dict[str, dict[int, list[tuple[SeriesTexts, QuoteValues]]]]]:
    daily = list(_columns(market, slug, model, day_times, segments=False))
    recent = day_times[-SEGMENTS.days * SAMPLES_A_DAY :]
    daily += [c for c in _columns(market, slug, model, recent, segments=True) if c.key.segment != ANY]
    hourly = list(_columns(market, slug, model, hours + HOUR // 2, segments=False))
    quotes: dict[str, dict[int, list[tuple[SeriesTexts, QuoteValues]]]] = {"v1": {}, "v2": {}}
    latest = list(_columns(market, slug, model, raw, segments=True))
    listed = latest[0].all["count"] > 0
    for columns in latest:
        feed = "v1" if columns.key.segment == ANY else "v2"
        for i, texts, values in _quotes(columns):
            if listed[i]:
                quotes[feed].setdefault(i, []).append((texts, values))
    return daily, hourly, quotes


async def _write_rollups(parts: Parts, tier: str, columns: list[_Columns], starts: Times, samples: int) -> int:
    async with parts.db.write() as conn:
        ids: Mapping[SeriesTexts, int] = await parts.store.series_ids(conn, [texts_of(c.key) for c in columns])
    rows = await asyncio.to_thread(
        lambda: [
            row
            for c in columns
            for row in _rollups(c, ids[texts_of(c.key)], starts[-(len(c.all) // samples) :], samples)
        ]
    )
    for first in range(0, len(rows), _BATCH):
        async with parts.db.write() as conn:
            await parts.store.store_rollups(conn, tier, rows[first : first + _BATCH], batch=_BATCH)
    return len(rows)


async def _write_raw(
    parts: Parts,
    quotes: dict[str, dict[int, list[tuple[SeriesTexts, QuoteValues]]]],
    raw: Times,
    source: str,
    progress: Callable[[float], None],
) -> int:
    written = 0
    for i, ts in enumerate(raw.tolist()):
        at = datetime.fromtimestamp(ts, UTC)
        async with parts.db.write() as conn:
            for feed, by_time in quotes.items():
                items = by_time.get(i, [])
                rows = UpdateRows(source, feed, ts * 1000, at, METHOD_VERSION, len(items), items, (), ())
                await parts.store.store_update(conn, rows)
                written += len(items)
        if i % 24 == 0:
            progress(1 - 6 / 50 * (1 - i / len(raw)))
    return written
