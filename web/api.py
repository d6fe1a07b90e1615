"""The REST routes: catalogues, current quotes and history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

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
)
from web.lookup import find_gpu, find_platform
from web.problems import Problem
from web.router import Operation
from web.schemas import (
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
"""Series in one history answer; a model is on fewer platforms than this."""

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
    rows = [_quote_out(services, quote, names) for quote in ordered]
    return PricesOut(simulated=services.settings.simulated, count=len(rows), quotes=rows)


async def history(services: WebServices, params: HistoryParams) -> HistoryOut:
    """History of a model's series, one per platform and region."""
    now = services.clock()
    end = min(params.end or now, now)
    start = params.start if params.start is not None else end - DEFAULT_RANGE
    if start >= end:
        raise Problem(400, "The range is empty: 'from' must be before 'to', and 'to' is now at most.")
    if end - start > LONGEST_RANGE:
        raise Problem(400, "The range is too long: at most 5 years.")
    gpu = await find_gpu(services, params.gpu)
    platform = await find_platform(services, params.platform) if params.platform is not None else None
    keys = await _series_keys(services, gpu.slug, platform, params)
    series = [await services.market.history(key, start, end, params.points) for key in keys[:MAX_SERIES]]
    return HistoryOut(
        gpu=gpu.slug,
        gpu_name=gpu.name,
        start=start,
        end=end,
        simulated=services.settings.simulated,
        series=[_series_out(each) for each in series],
    )


async def _series_keys(
    services: WebServices, gpu: str, platform: str | None, params: HistoryParams
) -> Sequence[SeriesKey]:
    """The series asked for: those with a quote, however old; else the one that the parameters name exactly."""
    quotes = await services.market.quotes(
        gpu=gpu, platform=platform, region=params.region, segments=True, include_hidden=True
    )
    largest = sorted(quotes, key=lambda quote: (-quote.all.count, quote.key))
    keys = [
        quote.key
        for quote in largest
        if quote.key.verification == params.verification and quote.key.segment == params.segment
    ]
    if keys or platform is None:
        return list(dict.fromkeys(keys))
    region = params.region or GLOBAL
    return [SeriesKey(platform, gpu, region, Tier.ON_DEMAND.value, params.verification.value, params.segment)]


def _side_out(side: Side) -> SideOut:
    return SideOut(count=side.count, median=side.median, p10=side.p10, p90=side.p90)


def _quote_out(services: WebServices, quote: Quote, names: Mapping[str, str]) -> QuoteOut:
    key = quote.key
    model = services.catalogue.get(key.gpu)
    platform = services.platforms.get(key.platform)
    price = quote.price
    band = freshness(quote.at, services.clock(), services.market.freshness_interval())
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
        rented=_side_out(quote.rented),
        available=_side_out(quote.available),
        utilization=quote.utilization,
        demand=quote.demand,
        sample=quote.all.count,
        host_take=platform.host_take(price) if platform is not None and price is not None else None,
        as_of=quote.at,
        source=quote.source,
        method=quote.method,
        stale=band is not Freshness.FRESH,
        thin=quote.thin,
        outlier=quote.outlier,
        simulated=services.settings.simulated,
    )


def _series_out(history: History) -> SeriesOut:
    key = history.key
    return SeriesOut(
        gpu=key.gpu,
        platform=key.platform,
        region=key.region,
        tier=Tier(key.tier),
        verification=Verification(key.verification),
        segment=key.segment,
        source=history.source,
        resolution=history.tier.value,
        step_seconds=history.step.total_seconds(),
        missing=history.missing,
        thinned=history.thinned,
        points=[_point_out(point) for point in history.points],
    )


def _point_out(point: HistoryPoint) -> PointOut:
    return PointOut(
        at=datetime.fromtimestamp(point.ts, UTC),
        price=point.price,
        price_p10=point.p10,
        price_p90=point.p90,
        rented_price=point.rented_price,
        available_price=point.available_price,
        rented=point.rented,
        total=point.total,
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
