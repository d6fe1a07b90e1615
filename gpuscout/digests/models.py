"""What a digest says: the payload of a notification of kind ``digest``, complete, so that a repeat says the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from gpuscout.alerts.messages import AlertItem
from gpuscout.digests.schedule import Cadence

KIND = "digest"
ALERTS_SHOWN = 8
"""Alerts that are listed; the rest is a number."""


class _Part(BaseModel):
    """Frozen; fields that a later version wrote are left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class HoldingLine(_Part):
    """One holding. ``net_day`` is USD a day after fee and electricity; None where it is not known."""

    name: str
    quantity: int
    net_day: float | None = None
    standing: Literal["below", "inside", "above"] | None = None
    """Where the asked price stands in the market's p10–p90."""


class PortfolioPart(_Part):
    """The portfolio now, and then: at the last digest, else at the oldest snapshot of the span. USD a day."""

    holdings: int
    gpus: int
    valued_gpus: int
    net_day: float
    market_net_day: float
    then_day: float | None = None
    then_at: AwareDatetime | None = None
    then_gpus: int | None = None
    lines: tuple[HoldingLine, ...] = ()
    """The largest by net income, at most five."""


class MoverLine(_Part):
    """One model and how it moved over the digest's span. Prices in USD per GPU-hour, shares from 0 to 1."""

    gpu: str
    name: str
    platform: str
    platform_name: str
    region: str
    price: float | None
    ratio: float | None
    """Price now / then - 1; None without an earlier price."""
    utilization: float | None
    weak: bool = False


class AlertLine(_Part):
    """One alert that fired."""

    item: AlertItem
    gpu_name: str | None = None
    platform_name: str | None = None


class ChartPart(_Part):
    """What the chart shows: the portfolio's net income by day, or the price of ``gpu_name``."""

    kind: Literal["portfolio", "price"]
    gpu_name: str | None = None
    platform_name: str | None = None
    times: tuple[float, ...]
    values: tuple[float | None, ...]
    others: tuple[float | None, ...] = ()
    """Portfolio: income at the market's medians."""
    source: str
    step: float
    """Seconds beyond which two points are a gap."""


class DigestContent(_Part):
    """A digest.

    Attributes:
        audience: a member, or a server's channel.
        due_at: the local time it was due, as an instant; None: a preview.
        since, until: what it tells of.
        missed: earlier digests that it stands for, after an outage.
        movers: models of the member's holdings and watchlist, those that moved most first; of a server: of the market.
        busiest: a server's: models that are rented most.
        alerts: the newest ones that fired, newest first.
        alerts_total: how many fired.
        as_of: time of the newest reading; None while there is none.
        follows: whether the member has holdings or a watchlist at all.
    """

    audience: Literal["member", "server"] = "member"
    cadence: Cadence = "daily"
    due_at: AwareDatetime | None = None
    since: AwareDatetime
    until: AwareDatetime
    timezone: str = "UTC"
    locale: str = "en-US"
    missed: int = 0
    portfolio: PortfolioPart | None = None
    movers: tuple[MoverLine, ...] = ()
    busiest: tuple[MoverLine, ...] = ()
    alerts: tuple[AlertLine, ...] = ()
    alerts_total: int = 0
    chart: ChartPart | None = None
    as_of: AwareDatetime | None = None
    sources: tuple[tuple[str, str | None], ...] = ()
    """Name and address of who the prices come from."""
    simulated: bool = False
    follows: bool = True


def read_content(payload: object) -> DigestContent:
    """A stored payload.

    Raises:
        pydantic.ValidationError: it is none.
    """
    return DigestContent.model_validate(payload)


def merged(contents: Sequence[DigestContent]) -> DigestContent:
    """Digests that wait for one delivery, oldest first, as one: the newest figures, what is told since the oldest."""
    first, last = contents[0], contents[-1]
    if len(contents) == 1:
        return last
    alerts = [line for content in reversed(contents) for line in content.alerts]
    portfolio = last.portfolio
    if portfolio is not None and first.portfolio is not None:
        oldest = first.portfolio
        then = {"then_day": oldest.then_day, "then_at": oldest.then_at, "then_gpus": oldest.then_gpus}
        portfolio = portfolio.model_copy(update=then)
    return last.model_copy(
        update={
            "since": first.since,
            "missed": sum(content.missed for content in contents) + len(contents) - 1,
            "alerts": tuple(alerts[:ALERTS_SHOWN]),
            "alerts_total": sum(content.alerts_total for content in contents),
            "portfolio": portfolio,
        }
    )
