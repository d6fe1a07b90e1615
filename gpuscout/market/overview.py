"""The market at a glance: what moves, what is rented, what earns, what is new and what is gone.

Pure: :func:`rank` orders what :mod:`gpuscout.market.overview_read` read. Rules: docs/methodology.md, "Rankings".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from gpuscout.market.earlier import Earlier, change_of
from gpuscout.market.earnings import earnings_a_day
from gpuscout.market.models import STALE_LIMIT, Change, Quote, SeriesKey

MOVER_WINDOWS = ("24h", "7d")
NEWS_WINDOW = timedelta(days=7)
"""A model is new this long after it was first listed, and gone this long after it was last."""


class Ranking(StrEnum):
    """Orders in which the market can be listed."""

    UP_DAY = "up-24h"
    DOWN_DAY = "down-24h"
    UP_WEEK = "up-7d"
    DOWN_WEEK = "down-7d"
    UTILIZATION = "utilization"
    DEMAND = "demand"
    EARNINGS = "earnings"
    SUPPLY = "supply"
    NEW = "new"
    GONE = "gone"

    @property
    def window(self) -> str:
        """The window whose change belongs beside each line: that of the ranking, else a day."""
        return "7d" if self in (Ranking.UP_WEEK, Ranking.DOWN_WEEK) else "24h"


@dataclass(frozen=True, slots=True)
class MarketLine:
    """One model on one platform: its headline series now, and what is known besides."""

    quote: Quote
    gpu_name: str
    earlier: Mapping[str, Earlier] = field(default_factory=dict)
    """By window, those that are known."""
    share: float | None = None
    """Part of the price that a new host would receive; None where no host can go or the part is unknown."""
    power_w: int | None = None
    """Board power in watts; None where the vendor's figure is not certain."""
    first_seen: datetime | None = None
    """When it was first listed on this platform; None when that is not known to be a beginning."""

    @property
    def key(self) -> SeriesKey:
        return self.quote.key

    @property
    def weak(self) -> bool:
        """Whether the figures rest on fewer than ten GPUs, or on an unknown number."""
        return self.quote.thin or not self.quote.sized

    def change(self, window: str) -> Change:
        """Change of price and utilization over *window*."""
        return change_of(self.quote, self.earlier.get(window), window)

    def moved_weakly(self, window: str) -> bool:
        """Whether the present or the earlier price rests on fewer than ten GPUs."""
        then = self.earlier.get(window)
        return self.weak or (then is not None and then.thin)

    @property
    def host_take(self) -> float | None:
        """USD per rented GPU-hour that reach a new host."""
        return None if self.share is None or self.quote.price is None else self.share * self.quote.price

    def earnings(self, tariff: float) -> float | None:
        """Expected USD a day after electricity at *tariff* USD per kWh; None when an input is unknown."""
        return earnings_a_day(self.quote.price, self.quote.utilization, self.share, self.power_w, tariff)


@dataclass(frozen=True, slots=True)
class Gone:
    """A model that is no longer listed on a platform that still is read."""

    key: SeriesKey
    gpu_name: str
    last_seen: datetime
    price: float | None
    """The last price known, USD per GPU-hour."""
    total: float
    """GPUs listed then."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The market at one data version."""

    version: int
    newest: datetime
    """Newest source time."""
    lines: Sequence[MarketLine]
    """Every model listed now, flagged prices left out."""
    gone: Sequence[Gone]
    """Newest first."""
    flagged: int
    """Models left out because their price is absurd against their own history."""
    sources: Sequence[str]
    """Slugs of who reported, sorted."""

    def current(self, now: datetime) -> list[MarketLine]:
        """The lines that are not too old to show."""
        return [line for line in self.lines if now - line.quote.at <= STALE_LIMIT]


def rank(overview: Overview, ranking: Ranking, now: datetime, tariff: float) -> Sequence[MarketLine | Gone]:
    """The market in the order of *ranking*; what cannot be ranked is left out, weak samples come last.

    Args:
        tariff: electricity in USD per kWh, for :attr:`Ranking.EARNINGS`.
    """
    if ranking is Ranking.GONE:
        return overview.gone
    lines = overview.current(now)
    if ranking is Ranking.NEW:
        return sorted((line for line in lines if _is_new(line, overview.newest)), key=_newest_first)
    figure, weak = _measure(ranking, tariff)
    ranked = [(line, value) for line in lines if (value := figure(line)) is not None]
    if ranking in (Ranking.UP_DAY, Ranking.UP_WEEK):
        ranked = [(line, value) for line, value in ranked if value > 0]
    elif ranking in (Ranking.DOWN_DAY, Ranking.DOWN_WEEK):
        ranked = [(line, -value) for line, value in ranked if value < 0]
    ranked.sort(key=lambda item: (weak(item[0]), -item[1], -item[0].quote.all.count, item[0].key))
    return [line for line, _ in ranked]


def _measure(
    ranking: Ranking, tariff: float
) -> tuple[Callable[[MarketLine], float | None], Callable[[MarketLine], bool]]:
    """What a ranking orders by, and which lines come last in it."""
    window = ranking.window

    def weak(line: MarketLine) -> bool:
        return line.weak

    if ranking is Ranking.UTILIZATION:
        return lambda line: line.quote.utilization, weak
    if ranking is Ranking.DEMAND:
        return lambda line: line.quote.demand, weak
    if ranking is Ranking.EARNINGS:
        return lambda line: line.earnings(tariff), weak
    if ranking is Ranking.SUPPLY:
        return lambda line: line.quote.all.count if line.quote.sized else None, weak
    return lambda line: line.change(window).price_ratio, lambda line: line.moved_weakly(window)


def _is_new(line: MarketLine, newest: datetime) -> bool:
    return line.first_seen is not None and newest - line.first_seen <= NEWS_WINDOW


def _newest_first(line: MarketLine) -> tuple[float, int, SeriesKey]:
    at = line.first_seen.timestamp() if line.first_seen is not None else 0.0
    return (-at, -line.quote.all.count, line.key)
