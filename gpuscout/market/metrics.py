"""The figures by which series are compared, computed alike for now, for earlier and for every point of history."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from gpuscout.market.earnings import DEFAULT_TARIFF, earnings_a_day


class Metric(StrEnum):
    """A figure of a series."""

    PRICE = "price"
    """USD per GPU-hour as the renter pays it."""
    UTILIZATION = "utilization"
    """Rented over listed GPUs, 0 to 1."""
    DEMAND = "demand"
    """0 to 100."""
    EARNINGS = "earnings"
    """Expected USD a day of one GPU after electricity."""


class Figures(Protocol):
    """What a quote, a point of history and an earlier state have in common."""

    @property
    def price(self) -> float | None: ...
    @property
    def utilization(self) -> float | None: ...
    @property
    def demand(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Hosting:
    """What earnings depend on besides the market: the host's part of the price, board power, tariff."""

    share: float | None = None
    power_w: int | None = None
    tariff: float = DEFAULT_TARIFF
    """USD per kWh."""


def figure(metric: Metric, of: Figures, hosting: Hosting) -> float | None:
    """The value of *metric*, or None where it is not known."""
    if metric is Metric.PRICE:
        return of.price
    if metric is Metric.UTILIZATION:
        return of.utilization
    if metric is Metric.DEMAND:
        return of.demand
    return earnings_a_day(of.price, of.utilization, hosting.share, hosting.power_w, hosting.tariff)
