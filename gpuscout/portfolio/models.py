"""What a portfolio is made of: holdings, their valuation, and the figures that explain themselves.

Units: prices are USD per GPU-hour as the renter pays them; power is watts per GPU; electricity is USD per kWh; shares
and utilization are ratios from 0 to 1; incomes are USD a day (or a month) for the **whole holding**. Nothing is rounded
here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Literal

from gpuscout.market.models import ANY, GLOBAL, SeriesKey, Tier

DAYS_A_MONTH: Final = 365.25 / 12
"""Days of a mean month."""

Unit = Literal[
    "USD/GPU-hour", "USD/day", "USD/month", "USD", "USD/kWh", "W", "share", "GPUs", "months", "days", "hours"
]


INPUT_NAMES: Final = (
    "asked price",
    "market's median",
    "market's utilization",
    "rented share at this price",
    "platform's fee",
    "power draw of one GPU",
    "board power of one GPU",
    "electricity price",
    "electricity price, mean of your week",
    "GPUs",
    "days in a mean month",
)


@dataclass(frozen=True, slots=True)
class Input:
    """One number that a figure was computed from.

    ``name`` is one of :data:`INPUT_NAMES`; ``source`` is the slug of a price source, or one of ``member`` (entered by
    the member), ``catalogue`` and ``assumption``. ``as_of`` is None for what does not age.
    """

    name: str
    value: float
    unit: Unit
    source: str
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its formula and inputs; ``value`` is None where an input is unknown, and ``missing`` names it."""

    name: str
    value: float | None
    unit: Unit
    formula: str
    inputs: tuple[Input, ...] = ()
    missing: str | None = None

    @property
    def as_of(self) -> datetime | None:
        """The oldest time among the inputs; None when none of them ages."""
        return min((known.as_of for known in self.inputs if known.as_of is not None), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldingDraft:
    """What a member says about GPUs of one kind. None means: the default, or not said.

    Attributes:
        gpu: slug of the model.
        quantity: GPUs.
        platform: slug; None: undecided.
        region: ``global`` or a country's code in lower case.
        verification, segment: as in a series; ``any`` when not said.
        asked_price: USD per GPU-hour as the renter pays it; None: valued at the market's median.
        power_w: watts per GPU; None: the catalogue's board power.
        tariff: USD per kWh; None: the member's, else the assumed one.
        fee: part of the renter's price that the platform keeps, 0 to 1; None: the catalogue's.
        purchase_price: USD for the whole holding.
        mining_usd_day: what mining brings in a day with one GPU, before electricity.
        machine_id: machine of the platform that the holding follows: then GPU, quantity, region, verification, segment
            and asked price are the market's.
    """

    gpu: str
    quantity: int = 1
    name: str | None = None
    platform: str | None = None
    region: str = GLOBAL
    tier: str = Tier.ON_DEMAND.value
    verification: str = ANY
    segment: str = ANY
    asked_price: float | None = None
    power_w: float | None = None
    tariff: float | None = None
    fee: float | None = None
    purchase_price: float | None = None
    purchased_on: date | None = None
    mining_usd_day: float | None = None
    machine_id: int | None = None


@dataclass(frozen=True, slots=True)
class MachineNow:
    """The market's newest word on a machine. ``listed`` is False once it is gone from the newest list."""

    platform: str
    machine_id: int
    listed: bool
    num_gpus: int
    num_rented: int
    price: float | None
    reliability: float | None
    verification: str
    datacenter: bool
    ends: datetime | None
    seen_at: datetime

    @property
    def utilization(self) -> float:
        """Rented part of its GPUs now."""
        return self.num_rented / self.num_gpus if self.num_gpus else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding(HoldingDraft):
    """A stored holding. One made from a machine shows what the market says of the machine now.

    ``machine`` is None for one without a machine, and while the market does not know the machine (any more): the facts
    are then the last ones known.
    """

    id: str
    member_id: int
    created_at: datetime
    updated_at: datetime
    machine: MachineNow | None = None


@dataclass(frozen=True, slots=True)
class Basis:
    """The series that a holding is valued by.

    ``exact`` is False where a wider series stands in because the holding's own is missing or thin.
    """

    key: SeriesKey
    at: datetime
    source: str
    gpus: int
    exact: bool
    thin: bool
    p10: float | None
    median: float | None
    p90: float | None
    utilization: float | None


@dataclass(frozen=True, slots=True)
class Earnings:
    """What a holding is expected to bring at one price. ``net`` is after the platform's fee and electricity."""

    price: Figure
    utilization: Figure
    gross_day: Figure
    fee_day: Figure
    electricity_day: Figure
    net_day: Figure
    gross_month: Figure
    net_month: Figure


Standing = Literal["below", "inside", "above"]


@dataclass(frozen=True, slots=True)
class Position:
    """Where an asked price stands in the market's p10–p90. ``place`` is 0 at p10 and 1 at p90, and may lie outside."""

    asked: float
    p10: float
    median: float
    p90: float
    place: float | None

    @property
    def standing(self) -> Standing:
        """Below p10, above p90, or between."""
        return "below" if self.asked < self.p10 else "above" if self.asked > self.p90 else "inside"


Unvalued = Literal["no_market", "unlisted", "no_platform", "no_fee", "no_power"]
"""Why a holding has no (net) value: no data at all now; the model is not listed; no platform that a host can go to; the
platform's fee, or the power draw, is not known."""


@dataclass(frozen=True, slots=True)
class HoldingValuation:
    """One holding, valued. ``asked`` is at the asked price (the median where none is asked), ``market`` at the median.

    ``payback_on`` is the day by which net income has paid the purchase, at the present figures since the day of
    purchase; None without a price, a date, or while it does not pay.
    """

    holding: Holding
    gpu_name: str
    basis: Basis | None
    asked: Earnings | None
    market: Earnings | None
    position: Position | None
    payback_on: date | None
    unvalued: Unvalued | None = None

    @property
    def net_day(self) -> float | None:
        """Expected USD a day after fee and electricity, at the asked price."""
        return self.asked.net_day.value if self.asked is not None else None

    @property
    def net_month(self) -> float | None:
        """Expected USD a month after fee and electricity, at the asked price."""
        return self.asked.net_month.value if self.asked is not None else None


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the holdings that have a net value. USD a day for all of them."""

    holdings: int
    gpus: int
    valued: int
    valued_gpus: int
    gross_day: float
    fee_day: float
    electricity_day: float
    net_day: float
    market_net_day: float

    @property
    def net_month(self) -> float:
        """USD a month at the asked prices."""
        return self.net_day * DAYS_A_MONTH

    @property
    def market_net_month(self) -> float:
        """USD a month at the market's medians."""
        return self.market_net_day * DAYS_A_MONTH


@dataclass(frozen=True, slots=True)
class PortfolioView:
    """A member's portfolio now, oldest holding first."""

    member_id: int
    at: datetime
    holdings: Sequence[HoldingValuation]
    totals: Totals
    limit: int | None
    """Holdings that the member's plan allows; None: as many as wanted."""


@dataclass(frozen=True, slots=True)
class SnapshotPoint:
    """The portfolio at one day's last look: the holdings that had a value then, and what they brought. USD a day."""

    day: date
    holdings: int
    gpus: int
    gross_day: float
    net_day: float
    market_net_day: float
    at: datetime


@dataclass(frozen=True, slots=True)
class PaybackCase:
    """One case of a payback: USD a month and months; None where it never pays back."""

    price: float
    utilization: float
    before_electricity_month: float
    net_month: float
    months_before_electricity: float | None
    months: float | None


@dataclass(frozen=True, slots=True)
class Payback:
    """How long a purchase takes to pay, with a range.

    ``slow`` takes the market's p10 price and a low utilization, ``fast`` its p90 price and a high one: an outer range,
    for the two need not come together. ``days`` is how many days of utilization the range rests on; with too few, the
    present utilization stands in both cases and ``days`` is 0.
    """

    gpu: str
    gpu_name: str
    quantity: int
    cost: float
    basis: Basis
    share: float
    power_w: float
    tariff: float
    expected: PaybackCase
    slow: PaybackCase
    fast: PaybackCase
    days: int
    inputs: tuple[Input, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoiQuestion:
    """What ``/roi`` asks; None means the default, as in :class:`HoldingDraft`. ``cost`` is USD for all GPUs."""

    gpu: str
    cost: float
    quantity: int = 1
    platform: str | None = None
    region: str = GLOBAL
    segment: str = ANY
    verification: str = ANY
    price: float | None = None
    power_w: float | None = None
    tariff: float | None = None
    fee: float | None = None


class BadHolding(ValueError):
    """A holding that cannot be. ``field`` is the attribute, ``value`` what was given, ``problem`` what is wrong."""

    def __init__(self, field: str, value: object, problem: str = "range") -> None:
        self.field, self.value, self.problem = field, value, problem
        super().__init__(f"{field}: {str(value)[:80]!r} ({problem})")


class UnknownMachine(LookupError):
    """The market has never listed this machine, or forgot it."""

    def __init__(self, platform: str, machine_id: int) -> None:
        self.platform, self.machine_id = platform, machine_id
        super().__init__(f"{platform} machine {machine_id}")


class AlreadyHeld(Exception):
    """The machine is in the portfolio already, as *holding_id*."""

    def __init__(self, holding_id: str) -> None:
        self.holding_id = holding_id
        super().__init__(holding_id)


class NoValue(Exception):
    """A payback cannot be computed; ``reason`` says why."""

    def __init__(self, reason: Unvalued) -> None:
        self.reason = reason
        super().__init__(reason)


UNDO_FOR: Final = timedelta(hours=24)
"""How long a removed holding can be brought back; then it is erased."""
