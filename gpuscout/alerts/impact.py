"""What a move of the market means for a member: dollars a month on his own holdings of that model."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from gpuscout.alerts.messages import Metric
from gpuscout.market.models import SeriesKey
from gpuscout.portfolio.models import DAYS_A_MONTH, PortfolioView
from gpuscout.portfolio.ports import PortfolioPort
from storage.alerts_values import holders
from storage.engine import Database


@dataclass(frozen=True, slots=True)
class Move:
    """A figure of a series that went from *before* to *after*."""

    series: SeriesKey
    metric: Metric
    before: float | None
    after: float
    price: float | None


def impact_of(view: PortfolioView, move: Move) -> float | None:
    """Expected USD a month that the move changes, after the platform's fee; None where it cannot be told.

    Income is utilization x price x hours x (1 - fee): a move of the price counts at the present utilization, a move of
    the utilization at the present price. Electricity is left out of a move of the price, which does not change it.
    """
    total, found = 0.0, False
    for valued in view.holdings:
        holding, market = valued.holding, valued.market
        if holding.gpu != move.series.gpu or market is None:
            continue
        if holding.platform not in (None, move.series.platform):
            continue
        gross, fee = market.gross_day.value, market.fee_day.value
        price, utilization = market.price.value, market.utilization.value
        if gross is None or fee is None or not price:
            continue
        share = _share(move, price, utilization)
        if share is None:
            continue
        total += (gross - fee) * share * DAYS_A_MONTH
        found = True
    return total if found else None


def _share(move: Move, price: float, utilization: float | None) -> float | None:
    """The part of the present income that the move changed."""
    if move.metric in ("price", "rented_price", "available_price", "p10", "p90"):
        return None if move.before is None else (move.after - move.before) / price
    if move.metric == "utilization":
        return None if move.before is None or not utilization else (move.after - move.before) / utilization
    now = move.price or price
    if move.metric.startswith("change_"):
        if move.metric.endswith("_usd"):
            return move.after / now
        then = now / (1 + move.after / 100) if move.after > -100 else None
        return None if then is None else (now - then) / now
    if move.metric in ("low", "high"):
        return move.after / now
    return None


class Impacts:
    """Values portfolios of those who hold what moved."""

    def __init__(self, db: Database, portfolios: PortfolioPort) -> None:
        self._db = db
        self._portfolios = portfolios

    async def views(self, members: Collection[int], gpus: Collection[str]) -> dict[int, PortfolioView]:
        """Portfolios of the members among *members* who hold some of *gpus*."""
        having = await holders(self._db, members, gpus)
        return {member_id: await self._portfolios.value(member_id) for member_id in sorted(having)}
