"""The REST routes: catalogues, current quotes and history."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gpuscout.market.export import is_counted
from gpuscout.market.models import (
    GLOBAL,
    Freshness,
    History,
    HistoryPoint,
    Quote,
    SeriesKey,
    Side,
    Tier,
    Verification,
    freshness,
    read_every,
)
from gpuscout.market.past import matching
from web.lookup import Found, find_gpu, find_platform
from web.problems import Problem
from web.router import CHUNK, Operation
from web.schemas import (
    ExportParams,
    GapOut,
    GpuOut,
    GpusOut,
    HistoryOut,
    HistoryParams,
    NoParams,
    PlatformOut,
    PlatformsOut,
    PointOut,
    PricesOut,
    PricesParams,
    QuoteOut,
    SeriesOut,
    SideOut,
)
from web.services import WebServices

DEFAULT_RANGE = timedelta(days=30)
LONGEST_RANGE = timedelta(days=5 * 366)
MAX_SERIES = 20
"""Series in one history answer; how many more there are is said."""
MAX_POINTS = 4000
"""Points of one history answer over all its series: what is made and written without holding the event loop long."""

NOT_FOUND = "No such model, platform or series; the detail names near spellings."


async def gpus(services: WebServices, _: NoParams) -> GpusOut:
    """Every model of the catalogue, and every unknown name that has quotes."""
    listed = {slug: (name, count) for slug, name, count in await services.market.known_gpus()}
    rows = [
        GpuOut(
            slug=model.slug,
            name=model.label,
            vram_gb=model.vram_gb,
            architecture=model.architecture,
            tdp_w=model.tdp_w,
            known=True,
            listed=listed.pop(model.slug, ("", 0))[1],
        )
        for model in services.catalogue.models
    ]
    for slug, (name, count) in listed.items():
        variant = services.catalogue.get(slug)
        rows.append(
            GpuOut(
                slug=slug,
                name=variant.label if variant else name,
                vram_gb=variant.vram_gb if variant else None,
                architecture=variant.architecture if variant else None,
                tdp_w=variant.tdp_w if variant else None,
                known=variant is not None,
                listed=count,
            )
        )
    rows.sort(key=lambda row: (-row.listed, row.slug))
    return GpusOut(simulated=services.settings.simulated, count=len(rows), gpus=rows)


async def platforms(services: WebServices, _: NoParams) -> PlatformsOut:
    """Every platform of the catalogue."""
    quoted = set(await services.market.platforms())
    rows = [
        PlatformOut(
            slug=platform.slug,
            name=platform.name,
            url=platform.url,
            who_may_host=platform.who_may_host,
            host_sets_price=platform.host_sets_price,
            host_share=platform.host_share,
            has_quotes=platform.slug in quoted,
            note=platform.note,
        )
        for platform in services.platforms.platforms
    ]
    return PlatformsOut(simulated=services.settings.simulated, count=len(rows), platforms=rows)


async def prices(services: WebServices, params: PricesParams) -> PricesOut:
    """Current quotes, at most 4 hours old."""
    gpu = (await find_gpu(services, params.gpu)).slug if params.gpu is not None else None
    platform = await find_platform(services, params.platform) if params.platform is not None else None
    quotes = await services.market.quotes(gpu=gpu, platform=platform, region=params.region, segments=params.segments)
    ordered = sorted(quotes, key=lambda quote: (-quote.all.count, quote.key))
    names = {slug: name for slug, name, _ in await services.market.known_gpus()}
    now, interval = services.clock(), services.market.freshness_interval()
    rows = []
    for number, quote in enumerate(ordered, 1):
        stale = freshness(quote.at, now, read_every(quote, interval)) is not Freshness.FRESH
        rows.append(_quote_out(services, quote, names, stale))
        if number % CHUNK == 0:
            await asyncio.sleep(0)
    simulated = services.is_simulated(*{quote.source for quote in ordered})
    return PricesOut(simulated=simulated, count=len(rows), quotes=rows)


@dataclass(frozen=True, slots=True)
class HistoryPlan:
    """What a question about history is about, before any of it is read."""

    gpu: Found
    start: datetime
    end: datetime
    series: list[tuple[SeriesKey, str]]
    """All that fit, each with the source of its current quote, or "" for one that has none."""


async def plan_history(services: WebServices, params: ExportParams) -> HistoryPlan:
    """Range and series of a question.

    Raises:
        Problem: 400 for a range that cannot be, 404 for what does not exist.
    """
    now = services.clock()
    end = min(params.end or now, now)
    start = params.start if params.start is not None else end - DEFAULT_RANGE
    if start >= end:
        raise Problem(400, "The range is empty: 'from' must be before 'to', and 'to' is now at most.")
    if end - start > LONGEST_RANGE:
        raise Problem(400, "The range is too long: at most 5 years.")
    gpu = await find_gpu(services, params.gpu)
    platform = await find_platform(services, params.platform) if params.platform is not None else None
    series = await _series_wanted(services, gpu.slug, platform, params, start, end)
    return HistoryPlan(gpu, start, end, series)


async def history(services: WebServices, params: HistoryParams) -> HistoryOut:
    """History of a model's series: those with current quotes, and whatever else is stored of the range."""
    plan = await plan_history(services, params)
    gpu, start, end = plan.gpu, plan.start, plan.end
    left_out, wanted = max(0, len(plan.series) - MAX_SERIES), plan.series[:MAX_SERIES]
    points = min(params.points, max(1, MAX_POINTS // max(1, len(wanted))))
    read = [(await services.market.history(key, start, end, points), source) for key, source in wanted]
    return HistoryOut(
        gpu=gpu.slug,
        gpu_name=gpu.name,
        start=start,
        end=end,
        simulated=services.is_simulated(*{name for each, source in read for name in (source, *each.sources.values())}),
        left_out=left_out,
        # A series without a current quote is only named when something is stored of it.
        series=[await _series_out(each, source) for each, source in read if each.points or source],
    )


async def _series_wanted(
    services: WebServices, gpu: str, platform: str | None, params: ExportParams, start: datetime, end: datetime
) -> list[tuple[SeriesKey, str]]:
    quotes = await services.market.quotes(
        gpu=gpu, platform=platform, region=params.region, segments=True, include_hidden=True
    )
    found = {
        quote.key: quote.source
        for quote in sorted(quotes, key=lambda quote: (-quote.all.count, quote.key))
        if (quote.key.verification, quote.key.segment) == (params.verification, params.segment)
        and params.tier in (None, quote.key.tier)
    }
    stored = [
        series.key
        for series in matching(
            await services.market.stored_series(gpu),
            platform=platform,
            region=params.region,
            tier=params.tier,
            verification=params.verification,
            segment=params.segment,
        )
        if series.first < end and series.last + timedelta(days=1) > start
    ]
    # A region's series is no headline beside the worldwide one.
    worldwide = {(key.platform, key.tier) for key in (*found, *stored) if key.region == GLOBAL}
    for key in stored:
        if key.region == GLOBAL or params.region is not None or (key.platform, key.tier) not in worldwide:
            found.setdefault(key, "")
    if not found:
        region, tier = params.region or GLOBAL, params.tier or Tier.ON_DEMAND
        places = [platform] if platform is not None else await services.market.platforms()
        for place in places:
            found[SeriesKey(place, gpu, region, tier, params.verification, params.segment)] = ""
    return list(found.items())


def _side_out(side: Side, sized: bool) -> SideOut:
    return SideOut(count=side.count if sized else None, median=side.median, p10=side.p10, p90=side.p90)


def _quote_out(services: WebServices, quote: Quote, names: Mapping[str, str], stale: bool) -> QuoteOut:
    key = quote.key
    model = services.catalogue.get(key.gpu)
    platform = services.platforms.get(key.platform)
    price = quote.price
    take = platform.host_take(price) if platform is not None and price is not None else None
    return QuoteOut(
        gpu=key.gpu,
        gpu_name=model.label if model else names.get(key.gpu, key.gpu),
        platform=key.platform,
        region=key.region,
        tier=Tier(key.tier),
        verification=Verification(key.verification),
        segment=key.segment,
        price=price,
        price_p10=quote.all.p10,
        price_p90=quote.all.p90,
        rented=_side_out(quote.rented, quote.sized),
        available=_side_out(quote.available, quote.sized),
        utilization=quote.utilization,
        demand=quote.demand,
        sample=quote.all.count if quote.sized else None,
        host_take=None if take is None else round(take, 6),
        as_of=quote.at,
        source=quote.source,
        method=quote.method,
        stale=stale,
        thin=quote.thin,
        outlier=quote.outlier,
        simulated=services.is_simulated(quote.source),
    )


async def _series_out(history: History, source: str) -> SeriesOut:
    key = history.key
    points = []
    for number, point in enumerate(history.points, 1):
        points.append(_point_out(point))
        if number % CHUNK == 0:
            await asyncio.sleep(0)
    return SeriesOut(
        gpu=key.gpu,
        platform=key.platform,
        region=key.region,
        tier=Tier(key.tier),
        verification=Verification(key.verification),
        segment=key.segment,
        source=history.source or source,
        sources=list(history.sources.values()) or [name for name in (history.source or source,) if name],
        resolution=history.tier.value,
        step_seconds=history.step.total_seconds(),
        missing=history.missing,
        thinned=history.thinned,
        gaps=[GapOut(start=_moment(before), end=_moment(after)) for before, after in history.gaps],
        points=points,
    )


def _moment(ts: int) -> datetime:
    return datetime.fromtimestamp(ts, UTC)


def _point_out(point: HistoryPoint) -> PointOut:
    counted = is_counted(point)
    return PointOut(
        at=_moment(point.ts),
        price=point.price,
        price_p10=point.p10,
        price_p90=point.p90,
        rented_price=point.rented_price,
        available_price=point.available_price,
        rented=point.rented if counted else None,
        total=point.total if counted else None,
        utilization=point.utilization,
        samples=point.samples,
    )


OPERATIONS = (
    Operation("/api/v1/gpus", NoParams, GpusOut, gpus, "The GPU catalogue"),
    Operation("/api/v1/platforms", NoParams, PlatformsOut, platforms, "The platform catalogue"),
    Operation("/api/v1/prices", PricesParams, PricesOut, prices, "Current quotes", {404: NOT_FOUND}),
    Operation(
        "/api/v1/prices/{gpu}/history", HistoryParams, HistoryOut, history, "History of a model", {404: NOT_FOUND}, 60
    ),
)
