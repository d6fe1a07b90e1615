"""What the REST routes take and give. These models validate, serialise and describe themselves (OpenAPI)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from gpuscout.market.models import Tier, Verification

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_OFFSET_WITH_SPACE = re.compile(r" (?=\d\d:?\d\d$)")


def _plain(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("must not hold control characters")
    return text


def _moment(value: object) -> object:
    """An ISO 8601 date or time (UTC unless it says otherwise) as an aware UTC datetime."""
    if not isinstance(value, str):
        return value
    # An unescaped "+" in a query arrives as a space: 2026-01-01T00:00:00 02:00.
    text = _OFFSET_WITH_SPACE.sub("+", value.strip())
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be an ISO 8601 time such as 2026-01-31T12:00:00Z, or a date") from None
    if not 1970 <= moment.year <= 2200:
        raise ValueError("must lie between the years 1970 and 2200")
    return moment


Text80 = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80), AfterValidator(_plain)]
Text64 = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64), AfterValidator(_plain)]
Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]
# An unescaped "+" in a query arrives as a space here too: dc:8+.
Segment = Annotated[
    Literal["any", "non-dc:1-3", "non-dc:4-7", "non-dc:8+", "dc:1-3", "dc:4-7", "dc:8+"],
    BeforeValidator(lambda value: value[:-1] + "+" if isinstance(value, str) and value.endswith(" ") else value),
]
PathFlag = Annotated[bool, BeforeValidator(lambda value: True if value == "" else value)]

GPU = "A model: its slug (rtx-4090) or any usual spelling (RTX 4090)."
PLATFORM = "A platform: its slug (vast) or name."
TIER = "How capacity is sold; tiers are never blended."
REGION = "A region as the quotes name it; global is all of them."


class Params(BaseModel):
    """Path and query of a route; a parameter that is not listed is refused, so that a typo never widens a search."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Out(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True)


# --- Parameters -----------------------------------------------------------------------------------------------------


class NoParams(Params):
    pass


class PricesParams(Params):
    gpu: Text80 | None = Field(default=None, description=GPU)
    platform: Text64 | None = Field(default=None, description=PLATFORM)
    region: Text64 | None = Field(default=None, description=REGION)
    segments: PathFlag = Field(
        default=False, description="1 adds every verification and segment; else only the headline series."
    )


class ExportParams(Params):
    gpu: Text80 = Field(description=GPU)
    platform: Text64 | None = Field(
        default=None, description=PLATFORM + " Without it, every platform of which the range holds data."
    )
    region: Text64 | None = Field(default=None, description=REGION)
    tier: Tier | None = Field(default=None, description=TIER + " Without it, every tier.")
    verification: Verification = Field(default=Verification.ANY, description="Whether the machines are verified.")
    segment: Segment = Field(default="any", description="Datacenter or not × GPUs in the machine, or any.")
    start: Moment | None = Field(
        default=None,
        alias="from",
        description="ISO 8601; 30 days before the end by default. At most 5 years before it.",
    )
    end: Moment | None = Field(default=None, alias="to", description="ISO 8601; now by default and at most.")


class HistoryParams(ExportParams):
    points: int = Field(default=500, ge=1, le=2000, description="Most points of one series; extremes are kept.")


# --- Answers --------------------------------------------------------------------------------------------------------

Usd = Annotated[float | None, Field(description="USD per GPU-hour.")]
Ratio = Annotated[float | None, Field(ge=0, le=1)]


class SideOut(Out):
    """Prices of the rented or the available machines of a series, as the renter pays them."""

    count: int | None = Field(description="GPUs; null where the source does not count them.", ge=0)
    median: Usd
    p10: Usd
    p90: Usd


class QuoteOut(Out):
    """One current quote. ``price`` is the median of all listed machines, USD per GPU-hour as the renter pays."""

    gpu: str
    gpu_name: str
    platform: str
    region: str
    tier: Tier
    verification: Verification
    segment: str
    price: Usd
    price_p10: Usd
    price_p90: Usd
    rented: SideOut
    available: SideOut
    utilization: Ratio = Field(description="Rented over all GPUs, or as reported where they are not counted; 0 to 1.")
    demand: float | None = Field(description="0 to 100; see /methodology.", ge=0, le=100)
    sample: int | None = Field(description="GPUs behind the quote; null where the source does not count them.", ge=0)
    host_take: float | None = Field(description="What the host receives of the price, USD per GPU-hour.")
    as_of: datetime = Field(description="When the source saw the market.")
    source: str
    method: int = Field(description="Version of /methodology.")
    stale: bool = Field(description="True past one ingest interval and a half.")
    thin: bool = Field(description="True below ten GPUs.")
    outlier: bool = Field(description="True when the price is absurd against its own history.")
    simulated: bool


class PricesOut(Out):
    """Current quotes, the largest sample first."""

    simulated: bool
    count: int = Field(ge=0)
    quotes: list[QuoteOut]


class PointOut(Out):
    """One point: a raw quote, or an hour or a day rolled up."""

    at: datetime = Field(description="Time of the quote, or the start of the hour or day.")
    price: Usd
    price_p10: Usd
    price_p90: Usd
    rented_price: Usd
    available_price: Usd
    rented: float | None = Field(
        description="GPUs rented (mean over the hour or day); null where they are not counted.", ge=0
    )
    total: float | None = Field(
        description="GPUs listed (mean over the hour or day); null where they are not counted.", ge=0
    )
    utilization: Ratio
    samples: int = Field(description="Raw quotes behind the point.", ge=0)


class GapOut(Out):
    """A stretch without data, between the last point before it and the first after it."""

    start: datetime = Field(alias="from")
    end: datetime = Field(alias="to")


class SeriesOut(Out):
    """History of one series, oldest point first. A gap in the data is a gap: nothing is interpolated."""

    gpu: str
    platform: str
    region: str
    tier: Tier
    verification: Verification
    segment: str
    source: str = Field(description="Source of the newest point.")
    sources: list[str] = Field(description="Sources of all points, most points first.")
    resolution: Literal["raw", "hour", "day"]
    step_seconds: float = Field(description="Usual distance of two points before thinning; a longer one is a gap.")
    missing: int = Field(description="Points that the range should hold and does not.", ge=0)
    gaps: list[GapOut] = Field(description="Stretches without data, found before thinning.")
    thinned: bool
    points: list[PointOut]


class HistoryOut(Out):
    """History of one model."""

    gpu: str
    gpu_name: str
    start: datetime = Field(alias="from")
    end: datetime = Field(alias="to")
    simulated: bool
    left_out: int = Field(description="Series that fit too and are left out; ask for a platform, region or tier.", ge=0)
    series: list[SeriesOut]


class GpuOut(Out):
    """One model."""

    slug: str
    name: str
    vram_gb: int | None
    architecture: str | None
    tdp_w: int | None
    known: bool = Field(description="False for a name that a source uses and the catalogue does not know.")
    listed: int = Field(description="GPUs listed now.", ge=0)


class GpusOut(Out):
    """Every model, the most listed first."""

    simulated: bool
    count: int = Field(ge=0)
    gpus: list[GpuOut]


class PlatformOut(Out):
    """One platform, with what a host needs to know."""

    slug: str
    name: str
    url: str
    who_may_host: Literal["open", "existing hosts", "no"]
    host_sets_price: bool
    host_share: float | None = Field(description="Part of the renter's price that the host receives, 0 to 1.")
    has_quotes: bool
    note: str


class PlatformsOut(Out):
    """Every platform."""

    simulated: bool
    count: int = Field(ge=0)
    platforms: list[PlatformOut]
