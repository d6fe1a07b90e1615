"""What a member can be alerted to: kinds of rules, what they watch, and their manners.

Units: prices are USD per GPU-hour as the renter pays them; ``percent`` is in per cent (10 is ten per cent), shares and
utilization are ratios from 0 to 1, demand is 0 to 100.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from storage.notifications import Severity

Window = Literal["1h", "24h", "7d"]
WINDOWS: Final[dict[Window, timedelta]] = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
}
Figure = Literal["price", "rented", "available"]
"""Which median: of all listed GPUs, of the rented, of the available ones."""

DEFAULT_COOLDOWN: Final = timedelta(hours=1)
PERCENT_POLLS: Final = 2
"""Polls for which a rule in per cent waits, unless it says otherwise."""
MAX_PRICE: Final = 1000.0


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


# --- what a rule is about ---


class GpuScope(_Frozen):
    """One model. What is None is settled when the rule is made: the platform and tier with the largest sample."""

    type: Literal["gpu"] = "gpu"
    gpu: str = Field(min_length=1, max_length=80)
    platform: str | None = Field(default=None, max_length=32)
    region: str = Field(default="global", max_length=64)
    tier: str | None = Field(default=None, max_length=16)
    verification: Literal["any", "verified", "unverified"] = "any"


class PortfolioScope(_Frozen):
    """Every holding of the member, each in its own market; follows the portfolio."""

    type: Literal["portfolio"] = "portfolio"


class WatchlistScope(_Frozen):
    """Every GPU that the member follows; follows the list."""

    type: Literal["watchlist"] = "watchlist"
    platform: str | None = Field(default=None, max_length=32)
    region: str = Field(default="global", max_length=64)


Scope = Annotated[GpuScope | PortfolioScope | WatchlistScope, Field(discriminator="type")]


class MachineScope(_Frozen):
    """One machine of a platform."""

    type: Literal["machine"] = "machine"
    platform: str = Field(default="vast", max_length=32)
    machine_id: int = Field(ge=1, lt=2**62)


# --- kinds ---


class PriceRule(_Frozen):
    """A median price above or below a level, or crossing it either way."""

    kind: Literal["price"] = "price"
    scope: Scope
    direction: Literal["above", "below", "crossing"]
    level: float = Field(gt=0, le=MAX_PRICE)
    figure: Figure = "price"


class ChangeRule(_Frozen):
    """The price changed by *amount* within a window; after firing it is measured from the fired price."""

    kind: Literal["change"] = "change"
    scope: Scope
    amount: float = Field(gt=0, le=10_000)
    unit: Literal["percent", "usd"] = "percent"
    window: Window = "24h"
    direction: Literal["up", "down", "both"] = "both"


class StepsRule(_Frozen):
    """Every step of the price, up or down, measured from the last one."""

    kind: Literal["steps"] = "steps"
    scope: Scope
    amount: float = Field(gt=0, le=1000)
    unit: Literal["percent", "usd"] = "percent"


class ExtremeRule(_Frozen):
    """A new lowest or highest price over some days."""

    kind: Literal["extreme"] = "extreme"
    scope: Scope
    which: Literal["low", "high"]
    days: int = Field(ge=1, le=730)


class UtilizationRule(_Frozen):
    """The rented share of all listed GPUs."""

    kind: Literal["utilization"] = "utilization"
    scope: Scope
    direction: Literal["above", "below"]
    level: float = Field(ge=0, le=1)


class SupplyRule(_Frozen):
    """Available GPUs: at least so many, or none left."""

    kind: Literal["supply"] = "supply"
    scope: Scope
    event: Literal["at_least", "none_left"]
    count: int = Field(default=1, ge=1, le=1_000_000)


class DemandRule(_Frozen):
    """The demand figure, 0 to 100."""

    kind: Literal["demand"] = "demand"
    scope: Scope
    direction: Literal["above", "below"]
    level: float = Field(ge=0, le=100)


class SpreadRule(_Frozen):
    """The dearest platform's price lies at least so much above the cheapest one's, or that of two named ones."""

    kind: Literal["spread"] = "spread"
    gpu: str = Field(min_length=1, max_length=80)
    platforms: tuple[str, str] | None = None
    amount: float = Field(gt=0, le=10_000)
    unit: Literal["percent", "usd"] = "percent"
    tier: str = Field(default="on-demand", max_length=16)


MachineEvent = Literal["rented", "freed", "idle", "gone", "reliability", "verification", "ends"]


class MachineRule(_Frozen):
    """A machine, or every machine of the member's portfolio.

    ``hours`` is of ``idle``, ``days`` of ``ends``; ``level`` is of ``reliability`` (0 to 1): below it, or, when it is
    None, down by two points.
    """

    kind: Literal["machine"] = "machine"
    scope: Annotated[MachineScope | PortfolioScope, Field(discriminator="type")]
    event: MachineEvent
    hours: float | None = Field(default=None, gt=0, le=24 * 365)
    days: float | None = Field(default=None, gt=0, le=365)
    level: float | None = Field(default=None, gt=0, le=1)

    @model_validator(mode="after")
    def _complete(self) -> MachineRule:
        if self.event == "idle" and self.hours is None:
            raise ValueError("idle needs hours")
        if self.event == "ends" and self.days is None:
            raise ValueError("ends needs days")
        return self


class HoldingRule(_Frozen):
    """The asked price of one holding (None: of any) lies outside the market's p10–p90."""

    kind: Literal["holding"] = "holding"
    holding_id: str | None = Field(default=None, max_length=24)


class FleetRule(_Frozen):
    """The expected net earnings of the whole portfolio moved by *percent*, measured from the last alert."""

    kind: Literal["fleet"] = "fleet"
    percent: float = Field(gt=0, le=1000)


class NewModelRule(_Frozen):
    """A model that was never listed on the platform before."""

    kind: Literal["new_model"] = "new_model"
    platform: str = Field(default="vast", min_length=1, max_length=32)


class DigestRule(_Frozen):
    """What the member's alerts did, once a day or on Mondays, at an hour of his zone."""

    kind: Literal["digest"] = "digest"
    every: Literal["day", "week"] = "day"
    hour: int = Field(default=8, ge=0, le=23)


Condition = Annotated[
    PriceRule
    | ChangeRule
    | StepsRule
    | ExtremeRule
    | UtilizationRule
    | SupplyRule
    | DemandRule
    | SpreadRule
    | MachineRule
    | HoldingRule
    | FleetRule
    | NewModelRule
    | DigestRule,
    Field(discriminator="kind"),
]
Kind = Literal[
    "price",
    "change",
    "steps",
    "extreme",
    "utilization",
    "supply",
    "demand",
    "spread",
    "machine",
    "holding",
    "fleet",
    "new_model",
    "digest",
]


class Manners(_Frozen):
    """How a rule behaves.

    Attributes:
        for_polls: polls that must show it, without a return past the re-arm level between them; None: 2 for rules in
            per cent, else 1.
        cooldown: least time between two firings.
        band: how far the value must come back before the rule can fire again, in the unit of what it watches; None:
            the larger of 1 % and one tick of the source.
        repeat: fire again this often while the value stays beyond; None: never.
        only_if_moved: a repeat, and a further firing of a change or a step, needs a value that moved by more than the
            band since the last one.
        expires_at: from when on it does not fire; a notice offers to renew it.
        once: ends after its first firing.
    """

    severity: Severity = "info"
    for_polls: int | None = Field(default=None, ge=1, le=96)
    cooldown: timedelta = Field(default=DEFAULT_COOLDOWN, ge=timedelta(0), le=timedelta(days=30))
    band: float | None = Field(default=None, ge=0)
    repeat: timedelta | None = Field(default=None, ge=timedelta(minutes=15), le=timedelta(days=30))
    only_if_moved: bool = True
    expires_at: AwareDatetime | None = None
    once: bool = False


class Rule(_Frozen):
    """A condition and the manners in which it is told."""

    when: Condition
    manners: Manners = Manners()

    @property
    def kind(self) -> Kind:
        """The condition's kind."""
        return self.when.kind

    @property
    def in_percent(self) -> bool:
        """Whether the condition is a change in per cent."""
        # By name: asking a pydantic model for its class is slow, and this is asked for each firing.
        when = self.when
        return (when.kind == "change" or when.kind == "steps" or when.kind == "spread") and when.unit == "percent"

    @property
    def polls(self) -> int:
        """Polls that must show it."""
        if self.manners.for_polls is not None:
            return self.manners.for_polls
        return PERCENT_POLLS if self.in_percent else 1

    @property
    def fingerprint(self) -> str:
        """The same for two rules with one condition, whatever their manners."""
        return hashlib.sha256(self.when.model_dump_json().encode()).hexdigest()[:32]


class Owner(_Frozen):
    """Who is told: a member, or a server in one of its channels.

    Attributes:
        member_id: whose rule it is; of a server's rule: the admin who made it.
        guild_id, channel_id: of a server's rule its target; of a member's: where he made it, for a mention there.
        role_id: role that a server's alert mentions.
        server: whether it is the server's.
    """

    member_id: int
    server: bool = False
    guild_id: int | None = None
    channel_id: int | None = None
    role_id: int | None = None

    @model_validator(mode="after")
    def _complete(self) -> Owner:
        if self.server and (self.guild_id is None or self.channel_id is None):
            raise ValueError("a server's rule needs a server and a channel")
        return self

    @property
    def key(self) -> str:
        """Names the owner: rules of one owner are counted and compared with each other."""
        return f"g:{self.guild_id}" if self.server else f"m:{self.member_id}"


def scope_of(rule: Rule) -> GpuScope | PortfolioScope | WatchlistScope | MachineScope | None:
    """What the rule is about; None for kinds that say it otherwise."""
    return getattr(rule.when, "scope", None)


def needs_member(rule: Rule) -> bool:
    """Whether the rule looks at something of a member's, which a server has not."""
    scope = scope_of(rule)
    return isinstance(scope, PortfolioScope | WatchlistScope) or isinstance(
        rule.when, HoldingRule | FleetRule | DigestRule
    )
