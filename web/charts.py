"""``GET /chart/{slug}.webp`` and ``.png``: a model's price and utilization as a picture."""

from __future__ import annotations

from typing import Literal

import structlog
from aiohttp import web
from pydantic import Field, field_validator

from gpuscout.cards.chart_spec import POINTS
from gpuscout.charts.formatting import resolve_zone
from gpuscout.charts.pool import ChartUnavailable
from gpuscout.market.models import HistoryOnly, MarketUnavailable, PriceView, Tier, UnknownSeries, Verification
from gpuscout.market.ports import RANGES
from web.lookup import find_gpu, find_platform, unavailable
from web.problems import Problem, retry_after
from web.router import parse_params
from web.schemas import GPU, PLATFORM, REGION, TIER, Params, Segment, Text64, Text80
from web.services import WebServices

log = structlog.get_logger(__name__)

PATH = "/chart/{slug}.{extension:webp|png}"


class ChartParams(Params):
    """Path and query of a chart."""

    slug: Text80 = Field(description=GPU)
    extension: Literal["webp", "png"]
    range: Literal["24h", "7d", "30d", "90d", "1y", "2y"] = "30d"
    platform: Text64 | None = Field(default=None, description=PLATFORM)
    region: Text64 | None = Field(default=None, description=REGION)
    tier: Tier | None = Field(default=None, description=TIER)
    verification: Verification = Verification.ANY
    segment: Segment = "any"
    tz: Text64 = Field(default="UTC", description="IANA time zone of the time axis.")
    v: Text64 | None = Field(default=None, description="Ignored: lets a page ask for a fresh picture.")

    @field_validator("tz")
    @classmethod
    def _zone_exists(cls, name: str) -> str:
        resolve_zone(name)
        return name


async def chart(services: WebServices, request: web.Request) -> web.Response:
    """The picture, a 304, or a problem that says why there is none."""
    params = parse_params(ChartParams, request)
    if services.charts is None or services.chart_spec is None:
        raise Problem(503, "Charts are switched off here.", headers=retry_after(3600))
    gpu = await find_gpu(services, params.slug)
    platform = await find_platform(services, params.platform) if params.platform is not None else None
    try:
        view = await _view(services, gpu.slug, platform, params)
    except UnknownSeries as error:
        others = f" There are quotes on {', '.join(error.alternatives)}." if error.alternatives else ""
        raise Problem(404, f"There are no quotes for this model, platform, region and segment.{others}") from error
    except MarketUnavailable as error:
        raise unavailable(error) from error
    # Up to the reading and not up to now: the same data give the same picture, which caches can keep.
    end = view.quote.at
    history = await services.market.history(view.quote.key, end - RANGES[params.range], end, POINTS)
    spec = services.chart_spec(view, history, timezone=params.tz, image_format=params.extension)
    key = spec.cache_key()
    headers = {
        "ETag": f'"{key}"',
        "Cache-Control": "public, max-age=60",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Access-Control-Allow-Origin": "*",
        "Content-Disposition": f'inline; filename="{gpu.slug}-{params.range}.{params.extension}"',
    }
    if (tags := request.if_none_match) and any(tag.value in (key, "*") for tag in tags):
        return web.Response(status=304, headers=headers)
    try:
        image = await services.charts.render(spec)
    except ChartUnavailable as error:
        log.warning("chart_unavailable", reason=str(error), gpu=gpu.slug)
        raise Problem(503, "The chart cannot be drawn right now; please try again.", headers=retry_after(10)) from error
    return web.Response(body=image.data, content_type=image.mime, headers=headers)


async def _view(services: WebServices, gpu: str, platform: str | None, params: ChartParams) -> PriceView:
    """The current view, or the last day of a series that has only history."""
    tier, verification, segment = params.tier, params.verification.value, params.segment
    try:
        return await services.market.price(
            gpu, platform=platform, region=params.region, tier=tier, verification=verification, segment=segment
        )
    except HistoryOnly as error:
        key = error.key
        return await services.market.last_known(
            gpu, platform=key.platform, region=key.region, tier=key.tier, verification=verification, segment=segment
        )


def add_routes(app: web.Application, services: WebServices) -> None:
    """Register the chart route for both formats."""

    async def handler(request: web.Request) -> web.Response:
        return await chart(services, request)

    app.router.add_get(PATH, handler)
