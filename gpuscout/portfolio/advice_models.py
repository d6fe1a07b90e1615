"""What advice consists of: a price with its evidence, a place, and what else the hardware could do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from gpuscout.portfolio.models import Holding, Unvalued

TooLittle = Literal[
    "no_list",
    "few_machines",
    "few_prices",
    "one_sided",
    "dearer_rents_more",
    "flat",
    "outside",
    "no_profit",
    "uncertain",
]
"""Why no price is proposed: no list of machines is read of this platform; fewer comparable machines, or prices among
them, than are needed; (nearly) all or none are rented; the rented ones ask more than the idle ones; the rented share
does not fall with the price; the asked price lies outside what comparable machines ask; no price at which they are
rented pays its electricity; the gain may be a loss."""

NoPrice = Literal["platform_sets_price", "no_new_hosts", "undecided"]
"""Why price advice does not apply: the platform sets the price; it takes no new hosts; no platform is chosen, and none
is known to fit."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its interval (:data:`gpuscout.portfolio.rentfit.CONFIDENCE`)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class RentPoint:
    """One price band of the evidence, cheapest first. ``share`` is what is rented, ``fit`` the fit that never rises.

    ``price`` is the GPU-weighted mean price of the band, USD per GPU-hour.
    """

    low: float
    high: float
    price: float
    machines: int
    gpus: int
    rented: int
    fit: Interval
    income_day: float
    """Expected USD a day of the holding at this price, after fee and electricity."""

    @property
    def share(self) -> float:
        """Rented part of the GPUs in the band."""
        return self.rented / self.gpus


@dataclass(frozen=True, slots=True)
class Evidence:
    """Which machines the advice rests on."""

    platform: str
    gpu: str
    region: str
    verification: str
    segment: str
    machines: int
    gpus: int
    rented: int
    rented_median: float | None
    available_median: float | None
    as_of: datetime
    source: str
    points: Sequence[RentPoint] = ()


@dataclass(frozen=True, slots=True)
class PriceAdvice:
    """A price with the largest expected income. ``kind`` is ``keep`` when the present one is as good.

    ``gain_month`` is USD a month for the whole holding against the present price, after fee and electricity; for
    ``raise`` and ``lower`` its interval lies above zero.
    """

    kind: Literal["raise", "lower", "keep"]
    present_price: float
    present_share: Interval
    best_price: float
    best_share: Interval
    gain_month: Interval
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class NotEnoughEvidence:
    """No price is proposed, and why. ``machines`` and ``needed`` are counts where the reason is one of too few."""

    reason: TooLittle
    evidence: Evidence | None = None
    machines: int = 0
    needed: int = 0


@dataclass(frozen=True, slots=True)
class NoPriceAdvice:
    """Price advice does not apply to this holding."""

    reason: NoPrice


@dataclass(frozen=True, slots=True)
class MoveAdvice:
    """Another platform where the same GPUs are expected to bring more, like compared with like: medians of all machines
    and the present utilization, after fee and electricity. USD a month for the whole holding."""

    platform: str
    price: float
    utilization: float
    net_month: float
    here_month: float
    gpus: int
    as_of: datetime

    @property
    def gain_month(self) -> float:
        """USD a month more than here."""
        return self.net_month - self.here_month


@dataclass(frozen=True, slots=True)
class LossWindow:
    """A stretch of the member's week in which a rented hour costs more electricity than it brings."""

    label: str
    hours_a_week: float
    tariff: float
    margin_hour: float
    """USD per GPU-hour rented, below zero."""


Use = Literal["host", "idle", "mine", "host_and_mine"]


@dataclass(frozen=True, slots=True)
class Alternative:
    """One use of the hardware: USD a day for the whole holding, after electricity."""

    use: Use
    net_day: float


@dataclass(frozen=True, slots=True)
class UseAdvice:
    """Hosting against leaving it idle and against mining, best first. Idle costs and brings nothing.

    Attributes:
        break_even_price: USD per GPU-hour (renter's) at which a rented hour just pays its electricity.
        tariff: USD per kWh, the mean over the member's week.
        loss_windows: hours of the week in which a rented hour loses money, on a tariff by time of use.
        time_of_use: whether such a tariff was used.
    """

    alternatives: Sequence[Alternative]
    break_even_price: float
    tariff: float
    loss_windows: Sequence[LossWindow]
    time_of_use: bool

    @property
    def best(self) -> Use:
        """The use that brings most."""
        return self.alternatives[0].use


@dataclass(frozen=True, slots=True)
class HoldingAdvice:
    """Everything that can be advised about one holding.

    ``rented`` is True when the holding follows a machine all of whose GPUs are rented now: a new price does nothing
    until a contract ends.
    """

    holding: Holding
    gpu_name: str
    price: PriceAdvice | NotEnoughEvidence | NoPriceAdvice
    use: UseAdvice | None
    move: MoveAdvice | None
    unvalued: Unvalued | None
    rented: bool = False
