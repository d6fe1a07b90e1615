"""Parts of a digest from what other rooms know: pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from gpuscout.digests.models import ChartPart, HoldingLine, MoverLine, PortfolioPart
from gpuscout.digests.schedule import Rhythm
from gpuscout.market.models import History, PriceView
from gpuscout.market.overview import MarketLine
from gpuscout.portfolio.models import HoldingValuation, PortfolioView, SnapshotPoint

LINES = 5
"""Holdings that are listed."""
_DAY = 86_400.0
_LATE = 1.8
"""Two nominal steps apart is a gap; a little late is none."""


def window_of(rhythm: Rhythm) -> str:
    """The window of the market's changes that fits a digest."""
    return "7d" if rhythm.cadence == "weekly" else "24h"


def followed(lines: Sequence[MarketLine], view: PortfolioView | None, watched: Sequence[str]) -> list[MarketLine]:
    """The market's lines of what a member holds, on his platforms, and of what he follows, on the largest one."""
    by_gpu: dict[str, list[MarketLine]] = {}
    for line in lines:
        by_gpu.setdefault(line.key.gpu, []).append(line)
    found: dict[object, MarketLine] = {}
    held: set[str] = set()
    for valued in view.holdings if view is not None else ():
        holding = valued.holding
        held.add(holding.gpu)
        mine = by_gpu.get(holding.gpu, [])
        there = [line for line in mine if line.key.platform == holding.platform] or mine
        if there:
            line = max(there, key=_size)
            found[line.key] = line
    for gpu in watched:
        if gpu not in held and by_gpu.get(gpu):
            line = max(by_gpu[gpu], key=_size)
            found[line.key] = line
    return list(found.values())


def _size(line: MarketLine) -> tuple[int, str]:
    return line.quote.all.count, line.key.platform


def mover(line: MarketLine, window: str, platform_name: str) -> MoverLine:
    """One line of the market over *window*."""
    return MoverLine(
        gpu=line.key.gpu,
        name=line.gpu_name,
        platform=line.key.platform,
        platform_name=platform_name,
        region=line.key.region,
        price=line.quote.price,
        ratio=line.change(window).price_ratio,
        utilization=line.quote.utilization,
        weak=line.moved_weakly(window),
    )


def portfolio(view: PortfolioView) -> PortfolioPart:
    """The portfolio now."""
    totals = view.totals
    by_value = sorted(view.holdings, key=lambda each: -(each.net_day or 0.0))
    return PortfolioPart(
        holdings=totals.holdings,
        gpus=totals.gpus,
        valued_gpus=totals.valued_gpus,
        net_day=totals.net_day,
        market_net_day=totals.market_net_day,
        lines=tuple(_holding(each) for each in by_value[:LINES]),
    )


def _holding(valued: HoldingValuation) -> HoldingLine:
    holding = valued.holding
    name = f"{holding.name} ({valued.gpu_name})" if holding.name else valued.gpu_name
    standing = valued.position.standing if valued.position is not None else None
    return HoldingLine(name=name, quantity=holding.quantity, net_day=valued.net_day, standing=standing)


def before(history: Sequence[SnapshotPoint], since: datetime, now: datetime) -> SnapshotPoint | None:
    """The snapshot nearest to *since*; one of the last hours is none, for it says nothing of a change."""
    old = [point for point in history if now - point.at >= timedelta(hours=6)]
    return min(old, key=lambda point: abs(point.at - since), default=None)


def portfolio_chart(history: Sequence[SnapshotPoint]) -> ChartPart | None:
    """Net income by day; None with fewer than two days."""
    if len(history) < 2:
        return None
    return ChartPart(
        kind="portfolio",
        times=tuple(point.at.timestamp() for point in history),
        values=tuple(point.net_day for point in history),
        others=tuple(point.market_net_day for point in history),
        source="GPUScout",
        step=_DAY * _LATE,
    )


def price_chart(history: History, view: PriceView, platform_name: str) -> ChartPart | None:
    """The price of one model; None with fewer than two points."""
    points = [point for point in history.points if point.price is not None]
    if len(points) < 2:
        return None
    nominal = max(history.step.total_seconds(), (points[-1].ts - points[0].ts) / len(points))
    return ChartPart(
        kind="price",
        gpu_name=view.gpu_name,
        platform_name=platform_name,
        times=tuple(float(point.ts) for point in points),
        values=tuple(point.price for point in points),
        source=", ".join(history.sources.values()) or view.source,
        step=max(1.0, nominal * 2 * _LATE),
    )
