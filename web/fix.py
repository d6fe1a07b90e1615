"""``GET /api/v1/fix/{gpu}``: the daily fix, and what it was computed from."""

from __future__ import annotations

import hashlib
from datetime import date, datetime, timedelta
from typing import Annotated

from aiohttp import web
from pydantic import BeforeValidator, Field

from gpuscout.market.fix import FIX_METHOD, DailyFix
from gpuscout.market.models import GLOBAL, SeriesKey, Tier
from web.lookup import find_gpu, find_platform
from web.problems import Problem
from web.router import Operation, parse_params
from web.schemas import GPU, PLATFORM, TIER, Out, Params, Text64, Text80
from web.services import WebServices

PATH = "/api/v1/fix/{gpu}"
INPUTS_PATH = PATH + "/{day}"
DEFAULT_DAYS = 30
LONGEST = timedelta(days=5 * 366)
MAX_FIXES = 4000
RULE = (
    "Median of the day's raw quotes (UTC) that are no outliers, when at least 12 hours of the day have one; "
    "computed once after the day is over. The hash is the SHA-256 of the canonical JSON at /api/v1/fix/{gpu}/{day}."
)
NOT_FOUND = "No such model or platform; the detail names near spellings."


def _day(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return date.fromisoformat(value.strip())
    except ValueError:
        raise ValueError("must be a day such as 2026-01-31") from None


Day = Annotated[date, BeforeValidator(_day), Field(ge=date(1970, 1, 2), le=date(2200, 1, 1))]


class FixParams(Params):
    gpu: Text80 = Field(description=GPU)
    platform: Text64 | None = Field(default=None, description=PLATFORM + " Without it, all of them.")
    tier: Tier | None = Field(default=None, description=TIER + " Without it, every tier.")
    start: Day | None = Field(default=None, alias="from", description="First day; 30 days before the last by default.")
    end: Day | None = Field(default=None, alias="to", description="Last day; today by default.")


class InputsParams(Params):
    gpu: Text80 = Field(description=GPU)
    day: Day = Field(description="The day of the fix, such as 2026-01-31.")
    platform: Text64 = Field(default="vast", description=PLATFORM)
    tier: Tier = Field(default=Tier.ON_DEMAND, description=TIER)


class FixOut(Out):
    """The fix of one model on one platform and day."""

    day: date = Field(description="UTC.")
    platform: str
    tier: Tier
    value: float = Field(description="USD per GPU-hour as the renter pays, median of all listed machines.")
    samples: int = Field(description="Quotes behind it.", ge=1)
    thin: bool = Field(description="True when fewer than ten GPUs stood behind them, or they were not counted.")
    method: int = Field(description="Version of the rule it was made under.")
    hash: str = Field(description="SHA-256 of what it was computed from.", pattern="^[0-9a-f]{64}$")
    computed_at: datetime


class FixesOut(Out):
    """Daily fixes of one model, by platform, tier and day. A day whose quotes do not speak for it has none."""

    gpu: str
    gpu_name: str
    rule: str
    method: int = Field(description="Version of the rule now.")
    simulated: bool
    count: int = Field(ge=0)
    fixes: list[FixOut]


class InputsOut(Out):
    """Canonical JSON, byte by byte as it was hashed: sorted keys, no spaces, ASCII."""

    day: date
    method: int
    quotes: list[tuple[int, str, float, int]] = Field(description="Epoch second, source, price, GPUs listed.")
    series: list[str] = Field(description="Platform, GPU, region, tier, verification, segment.")


async def daily_fix(services: WebServices, params: FixParams) -> FixesOut:
    """One price a day that never changes again: something to cite."""
    today = services.clock().date()
    end = min(params.end or today, today)
    start = params.start or end - timedelta(days=DEFAULT_DAYS)
    if start > end:
        raise Problem(400, "The range is empty: 'from' must not be after 'to', and 'to' is today at most.")
    if end - start > LONGEST:
        raise Problem(400, "The range is too long: at most 5 years.")
    gpu = await find_gpu(services, params.gpu)
    platform = await find_platform(services, params.platform) if params.platform is not None else None
    fixes = await services.market.fixes(
        gpu.slug, platform=platform, tier=params.tier, start=start, end=end, limit=MAX_FIXES + 1
    )
    if len(fixes) > MAX_FIXES:
        raise Problem(400, f"There are more than {MAX_FIXES} fixes: ask for a platform, a tier or a shorter range.")
    return FixesOut(
        gpu=gpu.slug,
        gpu_name=gpu.name,
        rule=RULE,
        method=FIX_METHOD,
        simulated=services.is_simulated(),
        count=len(fixes),
        fixes=[_fix_out(fix) for fix in fixes],
    )


def _fix_out(fix: DailyFix) -> FixOut:
    return FixOut(
        day=fix.day,
        platform=fix.key.platform,
        tier=Tier(fix.key.tier),
        value=fix.value,
        samples=fix.samples,
        thin=fix.thin,
        method=fix.method,
        hash=fix.content_hash,
        computed_at=fix.computed_at,
    )


async def fix_inputs(services: WebServices, params: InputsParams) -> InputsOut:
    """What a fix was computed from, byte by byte, while the raw quotes of its day are kept."""
    return InputsOut.model_validate_json(await fix_bytes(services, params))


async def fix_bytes(services: WebServices, params: InputsParams) -> bytes:
    """The bytes whose SHA-256 is the fix's hash.

    Raises:
        Problem: 404 without such a fix, 410 when its quotes are gone or others came since.
    """
    gpu = await find_gpu(services, params.gpu)
    platform = await find_platform(services, params.platform)
    day = params.day
    fixes = await services.market.fixes(gpu.slug, platform=platform, tier=params.tier, start=day, end=day, limit=10)
    if not fixes:
        raise Problem(404, f"There is no fix of {gpu.slug} on {platform} ({params.tier}) for {day}.")
    key = SeriesKey(platform, gpu.slug, GLOBAL, params.tier)
    data = await services.market.fix_inputs(key, day)
    if data is None or hashlib.sha256(data).hexdigest() != fixes[0].content_hash:
        raise Problem(410, "The raw quotes behind this fix are not kept any more; the fix and its hash stay.")
    return data


OPERATIONS = (Operation(PATH, FixParams, FixesOut, daily_fix, "The daily fix of a model", {404: NOT_FOUND}, 300),)
INPUTS = Operation(
    INPUTS_PATH,
    InputsParams,
    InputsOut,
    fix_inputs,
    "What a daily fix was computed from",
    {404: NOT_FOUND, 410: "The raw quotes of that day are not kept any more."},
    300,
)


def add_routes(app: web.Application, services: WebServices) -> None:
    """Register the inputs, whose bytes are what is hashed."""

    async def inputs(request: web.Request) -> web.Response:
        data = await fix_bytes(services, parse_params(InputsParams, request))
        response = web.Response(body=data, content_type="application/json")
        response.headers["Cache-Control"] = f"public, max-age={INPUTS.max_age}"
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return response

    app.router.add_get(INPUTS_PATH, inputs)
