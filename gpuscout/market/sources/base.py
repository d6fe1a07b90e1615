"""The one shape in which every source hands over what it saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from gpuscout.market.models import Side, Tier


@dataclass(frozen=True, slots=True)
class Observation:
    """What a source says of one group of machines; *gpu_name* is the source's own spelling.

    A source that does not count GPUs leaves every count at 0 and says ``sized=False``: then *utilization* is what it
    reports in their place.
    """

    gpu_name: str
    verification: str
    segment: str
    rented: Side
    available: Side
    all: Side
    tier: str = Tier.ON_DEMAND.value
    region: str = "global"
    vram_gb: float | None = None
    platform: str | None = None
    """Platform slug, where one document speaks of several; None is the source's own."""
    sized: bool = True
    utilization: float | None = None
    """As reported, 0 to 1; only of observations without a size."""
    demand: float | None = None
    """As reported, 0 to 100; only of observations without a size."""
    at: datetime | None = None
    """When the source saw this group; None is the time of the document. Never after it."""


@dataclass(frozen=True, slots=True)
class RejectedItem:
    """An item that failed validation: the reason in one phrase, and the item as received (cut)."""

    reason: str
    sample: str


@dataclass(frozen=True, slots=True)
class FeedDocument:
    """One validated document of a source."""

    feed: str
    source_time: datetime
    fetched_at: datetime
    read: int
    """Models in the document, rejected ones included."""
    observations: Sequence[Observation]
    rejected: Sequence[RejectedItem]
    unknown_fields: Mapping[str, int] = field(default_factory=Counter)

    @property
    def models(self) -> int:
        """Distinct models that passed validation."""
        return len({item.gpu_name for item in self.observations})


@dataclass(frozen=True, slots=True)
class FetchResult:
    """One cycle of a source: new documents, feeds that said "not modified", and feeds that failed with the reason."""

    documents: Sequence[FeedDocument] = ()
    unchanged: Sequence[str] = ()
    problems: Mapping[str, str] = field(default_factory=dict)


class WrongShape(Exception):
    """A document is not what the source is known to answer; the message says what is wrong."""


class MarketSource(Protocol):
    """A source of observations of the market, of one platform unless its observations say another."""

    @property
    def name(self) -> str:
        """Name under which quotes are stored and shown."""
        ...

    @property
    def platform(self) -> str:
        """Platform slug of observations that name none."""
        ...

    @property
    def headline_feeds(self) -> frozenset[str]:
        """The feeds that the headline figures come from: without them the source is of no use."""
        ...

    async def fetch(self, now: datetime) -> FetchResult:
        """Read every feed once. Failures are in the result, not raised."""
        ...

    def forget(self) -> None:
        """What was fetched last could not be stored: ask for all of it again next time."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...
