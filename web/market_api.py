"""``GET /api/v1/market``: the market at a glance."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from pydantic import Field

from gpuscout.accounts.members import MAX_TARIFF
from gpuscout.market.earnings import DEFAULT_TARIFF
from gpuscout.market.models import Freshness, MarketUnavailable, Tier, freshness
from gpuscout.market.overview import Gone, MarketLine, Overview, Ranking, rank
from web.lookup import find_platform, unavailable
from web.router import Operation
from web.schemas import PLATFORM, Out, Params, Ratio, Text64, Usd
from web.services import WebServices

RATIO_CHANGE = "Change of the price over the window, 0.05 is 5 %; null where no earlier price can be compared."


class MarketParams(Params):
    platform: Text64 | None = Field(default=None, description=PLATFORM + " Without it, all of them.")
    limit: int = Field(default=10, ge=1, le=100, description="Most entries of each list.")
    tariff: float = Field(
        default=DEFAULT_TARIFF,
        ge=0,
        le=MAX_TARIFF,
        allow_inf_nan=False,
        description="Electricity in USD per kWh, for the earnings.",
    )


class MarketLineOut(Out):
    """One model on one platform: its headline series (verification any, segment any, worldwide)."""

    gpu: str
    gpu_name: str
    platform: str
    tier: Tier
    price: Usd
    change_24h: float | None = Field(description=RATIO_CHANGE)
    change_7d: float | None = Field(description=RATIO_CHANGE)
    utilization: Ratio = Field(description="Rented over all GPUs, 0 to 1.")
    demand: float | None = Field(description="0 to 100; see /methodology.", ge=0, le=100)
    sample: int | None = Field(description="GPUs behind the figures; null where the source counts none.", ge=0)
    thin: bool = Field(description="True below ten GPUs, or where they are not counted.")
    host_take: float | None = Field(description="What a new host receives of the price; null where none can go.")
    earnings_day: float | None = Field(description="Expected USD a day of one GPU after electricity; see /methodology.")
    first_seen: datetime | None = Field(description="When it was first listed there, if after our records began.")
    as_of: datetime
    source: str


class GoneOut(Out):
    """A model that is no longer listed."""

    gpu: str
    gpu_name: str
    platform: str
    last_seen: datetime
    last_price: Usd
    last_sample: int = Field(ge=0)


class MoversOut(Out):
    """Risers and fallers of a window, the largest move first, thin samples last."""

    up: list[MarketLineOut]
    down: list[MarketLineOut]


class MarketOut(Out):
    """The market at a glance. Flagged outliers are left out, thin samples come last in every list."""

    simulated: bool
    as_of: datetime = Field(description="When the newest source saw the market.")
    stale: bool = Field(description="True past one ingest interval and a half.")
    tariff: float = Field(description="USD per kWh that the earnings are computed with.")
    models: int = Field(description="Models listed now.", ge=0)
    listed: int = Field(description="GPUs listed now, where they are counted.", ge=0)
    rented: int = Field(ge=0)
    flagged: int = Field(description="Models left out because their price is absurd against its own history.", ge=0)
    movers_24h: MoversOut
    movers_7d: MoversOut
    utilization: list[MarketLineOut]
    demand: list[MarketLineOut]
    earnings: list[MarketLineOut]
    supply: list[MarketLineOut]
    new: list[MarketLineOut] = Field(description="First listed within 7 days, newest first.")
    gone: list[GoneOut] = Field(description="Last listed within 7 days, newest first.")


async def market(services: WebServices, params: MarketParams) -> MarketOut:
    """Movers over 24 hours and 7 days, best utilization, demand, earners, largest supply, new and vanished models."""
    platform = await find_platform(services, params.platform) if params.platform is not None else None
    try:
        overview = await services.market.overview()
    except MarketUnavailable as error:
        raise unavailable(error) from error
    now = services.clock()
    lists: dict[Ranking, list[MarketLineOut]] = {}
    gone: list[GoneOut] = []
    for ranking in Ranking:
        ranked = rank(overview, ranking, now, params.tariff)
        chosen = [item for item in ranked if platform in (None, item.key.platform)][: params.limit]
        if ranking is Ranking.GONE:
            gone = [_gone_out(item) for item in chosen if isinstance(item, Gone)]
        else:
            lists[ranking] = [_line_out(item, params.tariff) for item in chosen if isinstance(item, MarketLine)]
        await asyncio.sleep(0)
    lines = [line for line in overview.current(now) if platform in (None, line.key.platform)]
    return MarketOut(
        simulated=services.is_simulated(*overview.sources),
        as_of=overview.newest,
        stale=freshness(overview.newest, now, services.market.freshness_interval()) is not Freshness.FRESH,
        tariff=params.tariff,
        **_totals(lines, overview),
        movers_24h=MoversOut(up=lists[Ranking.UP_DAY], down=lists[Ranking.DOWN_DAY]),
        movers_7d=MoversOut(up=lists[Ranking.UP_WEEK], down=lists[Ranking.DOWN_WEEK]),
        utilization=lists[Ranking.UTILIZATION],
        demand=lists[Ranking.DEMAND],
        earnings=lists[Ranking.EARNINGS],
        supply=lists[Ranking.SUPPLY],
        new=lists[Ranking.NEW],
        gone=gone,
    )


def _totals(lines: Sequence[MarketLine], overview: Overview) -> dict[str, int]:
    counted = [line.quote for line in lines if line.quote.sized]
    return {
        "models": len({line.key.gpu for line in lines}),
        "listed": sum(quote.all.count for quote in counted),
        "rented": sum(quote.rented.count for quote in counted),
        "flagged": overview.flagged,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _line_out(line: MarketLine, tariff: float) -> MarketLineOut:
    quote = line.quote
    return MarketLineOut(
        gpu=line.key.gpu,
        gpu_name=line.gpu_name,
        platform=line.key.platform,
        tier=Tier(line.key.tier),
        price=quote.price,
        change_24h=_rounded(line.change("24h").price_ratio),
        change_7d=_rounded(line.change("7d").price_ratio),
        utilization=quote.utilization,
        demand=quote.demand,
        sample=quote.all.count if quote.sized else None,
        thin=line.weak,
        host_take=_rounded(line.host_take),
        earnings_day=_rounded(line.earnings(tariff)),
        first_seen=line.first_seen,
        as_of=quote.at,
        source=quote.source,
    )


def _gone_out(item: Gone) -> GoneOut:
    return GoneOut(
        gpu=item.key.gpu,
        gpu_name=item.gpu_name,
        platform=item.key.platform,
        last_seen=item.last_seen,
        last_price=item.price,
        last_sample=round(item.total),
    )


OPERATIONS = (
    Operation(
        "/api/v1/market",
        MarketParams,
        MarketOut,
        market,
        "The market at a glance",
        {404: "No such platform; the detail names near spellings."},
    ),
)
