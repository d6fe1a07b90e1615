"""Machines one by one: storing them beside their series, and what they say about price, place and reliability."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from config.catalogue import GpuCatalogue
from gpuscout.market.ingest import Ingest, IngestReport
from gpuscout.market.models import SLOW_FEEDS, Side
from gpuscout.market.sources.base import FeedDocument
from gpuscout.market.sources.machines import FEED, MachinesDocument
from gpuscout.market.watch import load_watch
from gpuscout.market.weighted import weighted_side
from storage.machines import BATCH, MachineFilter, MachineState, MachineStore, PricePoint
from storage.market import MarketStore
from storage.state import AppState

log = structlog.get_logger(__name__)

MACHINES_JOB = "market.machines"
MIN_INTERVAL = SLOW_FEEDS[FEED]
"""The list of machines is asked for no more often."""
_JITTER = timedelta(minutes=1)
"""Cycles do not start to the second."""
KEPT_GONE = timedelta(days=30)
"""A machine that is no longer listed is remembered this long."""
PRICE_BANDS = 5


def watch_name(source: str) -> str:
    """Name under which the list of machines of *source* is watched."""
    return f"{source}/machines"


class MachineWriter:
    """Stores the machines of a document, before its series are stored."""

    def __init__(self, machines: MachineStore, store: MarketStore, *, source: str, platform: str) -> None:
        self._machines = machines
        self._store = store
        self._source = source
        self._platform = platform

    async def __call__(self, document: FeedDocument) -> None:
        """Write the newest state of every machine in short transactions, and forget those gone for long.

        Safe to repeat and to stop anywhere: which machines are listed is told by the update that is stored after it.
        """
        if not isinstance(document, MachinesDocument):
            raise TypeError("only a list of machines holds machines")
        seen = int(document.source_time.timestamp())
        rows = document.machines
        for first in range(0, len(rows), BATCH):
            batch = [MachineState(*row) for row in rows[first : first + BATCH]]
            await asyncio.sleep(0)
            async with self._machines.db.write() as conn:
                source_id = await self._store.source_id(conn, self._source)
                await self._machines.upsert(conn, self._platform, source_id, seen, batch)
        gone = 0
        while True:
            async with self._machines.db.write() as conn:
                purged = await self._machines.purge(conn, self._platform, seen - int(KEPT_GONE.total_seconds()))
            gone += purged
            if purged < BATCH:
                break
        log.info("machines_stored", source=self._source, machines=len(rows), forgotten=gone)


class PacedIngest:
    """An ingest that leaves the source alone when it was read well a moment ago, whoever asks."""

    def __init__(self, ingest: Ingest, state: AppState, watched: str, *, every: timedelta = MIN_INTERVAL) -> None:
        self.ingest = ingest
        self._state = state
        self._watched = watched
        self._every = every

    async def run(self) -> IngestReport:
        """One cycle, or a report whose note says why nothing was asked."""
        watch = await load_watch(self._state, self._watched)
        if watch.problem is None and watch.last_attempt is not None:
            age = self.ingest.clock() - watch.last_attempt
            if timedelta(0) <= age < self._every - _JITTER:
                log.info("machines_read_recently", source=self._watched, seconds=round(age.total_seconds()))
                minutes = round(self._every.total_seconds() / 60)
                note = f"read {age.total_seconds():.0f} s ago; it is asked for every {minutes} minutes at most"
                return IngestReport(self._watched, unchanged=(FEED,), note=note)
        return await self.ingest.run()

    async def aclose(self) -> None:
        """Close the source's connections."""
        await self.ingest.aclose()


@dataclass(frozen=True, slots=True)
class PriceBand:
    """GPUs that ask from *low* to *high* (USD per GPU-hour, both included)."""

    low: float
    high: float
    gpus: int
    rented: int

    @property
    def share(self) -> float:
        """Rented part, 0 to 1."""
        return self.rented / self.gpus


@dataclass(frozen=True, slots=True)
class RentByPrice:
    """What is rented at which price. Prices are present listings in full precision, not agreed rates."""

    rented: Side
    available: Side
    all: Side
    bands: Sequence[PriceBand]
    """Cheapest first, with about equally many GPUs each."""


def rent_by_price(points: Sequence[PricePoint], bands: int = PRICE_BANDS) -> RentByPrice:
    """Distributions of the rented and the available GPUs, and the rented share by price.

    Args:
        points: GPUs by price, cheapest first. GPUs of one price stay in one band.
        bands: at most so many.
    """
    total = sum(point.gpus for point in points)
    found: list[PriceBand] = []
    pending: list[PricePoint] = []
    counted = 0
    for number, point in enumerate(points):
        pending.append(point)
        counted += point.gpus
        if counted >= total * (len(found) + 1) / bands or number == len(points) - 1:
            gpus = sum(p.gpus for p in pending)
            if gpus:
                rented = sum(p.rented for p in pending)
                found.append(PriceBand(pending[0].price, pending[-1].price, gpus, rented))
            pending = []
    return RentByPrice(
        rented=weighted_side((p.price, p.rented) for p in points),
        available=weighted_side((p.price, p.gpus - p.rented) for p in points),
        all=weighted_side((p.price, p.gpus) for p in points),
        bands=found,
    )


def segment_filter(
    catalogue: GpuCatalogue,
    gpu: str,
    *,
    platform: str | None = None,
    segment: str = "any",
    verification: str = "any",
    region: str | None = None,
) -> MachineFilter:
    """The machines behind a series: *gpu* is a slug, a family stands for its members; *segment* as ``dc:8+``.

    Raises:
        ValueError: the segment is none.
    """
    model = catalogue.get(gpu)
    gpus = (gpu, *model.members) if model is not None else (gpu,)
    datacenter = low = high = None
    if segment != "any":
        kind, _, size = segment.partition(":")
        try:
            datacenter = {"dc": True, "non-dc": False}[kind]
            low, high = {"1-3": (1, 3), "4-7": (4, 7), "8+": (8, None)}[size]
        except KeyError:
            raise ValueError(f"no segment is called {segment!r}") from None
    verified = None if verification == "any" else verification == "verified"
    return MachineFilter(platform, gpus, region, verified, datacenter, low, high)
