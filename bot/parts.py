"""The pieces that every command of the program is put together from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from config.catalogue import GpuCatalogue
from config.platforms import PlatformCatalogue
from config.settings import Settings
from gpuscout.market.fallback import Cycle, GuardedIngest, WholeMarket
from gpuscout.market.first_history import FirstHistory, WithHistory
from gpuscout.market.ingest import Ingest
from gpuscout.market.machines import MachineWriter, PacedIngest, watch_name
from gpuscout.market.reader import MarketReader
from gpuscout.market.sources.base import MarketSource
from gpuscout.market.sources.exporter import ExporterSource
from gpuscout.market.sources.farm import FarmSource
from gpuscout.market.sources.machines import MachinesSource
from gpuscout.market.sources.specified import SpecifiedSource
from gpuscout.market.sources.vast import VastSource
from gpuscout.market.trends import Trends
from gpuscout.resilience.breaker import BreakerState
from gpuscout.resilience.health import HealthBoard
from gpuscout.resilience.http import ResilientClient
from gpuscout.resilience.ratelimit import RequestQueue
from gpuscout.resilience.sender import MetricsHook
from storage.cache import Cache, open_cache
from storage.engine import Database
from storage.jobs import JobStore
from storage.leases import LeaseStore
from storage.machines import MachineStore
from storage.market import MarketStore
from storage.state import AppState

MARKET_CHANNEL = "market"
"""Fan-out channel on which a new data version is announced."""

Clock = Callable[[], datetime]
OnStored = Callable[[int], Awaitable[None]]


def utc_now() -> datetime:
    """The present, aware UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Parts:
    """Storage and catalogues of one process; closed by :meth:`aclose`."""

    settings: Settings
    db: Database
    state: AppState
    jobs: JobStore
    leases: LeaseStore
    store: MarketStore
    cache: Cache
    gpus: GpuCatalogue
    platforms: PlatformCatalogue
    clock: Clock

    async def aclose(self) -> None:
        """Close cache and database."""
        await self.cache.aclose()
        await self.db.close()

    @property
    def interval(self) -> timedelta:
        """Ingest interval."""
        return timedelta(seconds=self.settings.ingest_interval_seconds)


def open_parts(settings: Settings, clock: Clock = utc_now) -> Parts:
    """Open database and cache.

    Raises:
        ValueError: an address in the settings cannot be used; the message names the variable.
    """
    db = Database(settings.database_url)
    redis_url = settings.redis_url.get_secret_value() if settings.redis_url else None
    return Parts(
        settings=settings,
        db=db,
        state=AppState(db, clock=clock),
        jobs=JobStore(db, clock=clock),
        # With the real clock the database's own decides: the hosts of several processes may differ.
        leases=LeaseStore(db, clock=None if clock is utc_now else clock),
        store=MarketStore(db),
        cache=open_cache(redis_url),
        gpus=GpuCatalogue.load(),
        platforms=PlatformCatalogue.load(),
        clock=clock,
    )


def make_reader(parts: Parts, next_poll: Callable[[], timedelta | None] = lambda: None) -> MarketReader:
    """The read side of the market."""
    return MarketReader(
        parts.store,
        parts.state,
        parts.cache,
        parts.gpus,
        parts.platforms,
        interval=parts.interval,
        clock=parts.clock,
        next_poll=next_poll,
    )


def make_farm_client(
    settings: Settings, health: HealthBoard | None = None, metrics: MetricsHook | None = None
) -> ResilientClient:
    """The client of 500.farm and its mirrors: two documents a cycle need no more than one request a second."""
    mirrors = [url.removesuffix("/vastai-exporter") for url in settings.farm_url]
    headers = {}
    if settings.farm_api_key is not None:
        headers["authorization"] = f"Bearer {settings.farm_api_key.get_secret_value()}"
    return ResilientClient(
        settings.market_source,
        mirrors,
        timeout=15.0,
        limiter=RequestQueue(settings.market_source, rate=1.0, burst=2, max_queue=8, max_wait=30.0),
        health=health,
        headers=headers,
        metrics=metrics,
    )


def breaker_state(client: ResilientClient) -> str:
    """The best state among the mirrors' breakers: one closed mirror is enough to read."""
    states = {breaker.state for breaker in client.breakers.values()}
    for state in (BreakerState.CLOSED, BreakerState.HALF_OPEN, BreakerState.OPEN):
        if state in states:
            return state.value
    return BreakerState.CLOSED.value


def make_farm_source(parts: Parts, client: ResilientClient) -> FarmSource | ExporterSource | SpecifiedSource:
    """500.farm in the dialect of the settings."""
    exporter = ExporterSource(client, parts.settings.market_source)
    specified = SpecifiedSource(client, parts.platforms, parts.settings.market_source)
    match parts.settings.farm_dialect:
        case "exporter":
            return exporter
        case "specified":
            return specified
        case "auto":
            return FarmSource(exporter, specified, parts.state)


def make_farm_cycle(
    parts: Parts, client: ResilientClient, on_stored: OnStored | None = None, *, guarded: Ingest | None = None
) -> Cycle:
    """One cycle of 500.farm and, once, the history that it remembers.

    Args:
        guarded: the ingest that steps in while 500.farm is sick.
    """
    source = make_farm_source(parts, client)
    ingest = _ingest(parts, source, client, on_stored, kin=(parts.settings.vast_source,))
    cycle: Cycle = ingest
    if guarded is not None:
        every = parts.settings.market_compare_every
        cycle = GuardedIngest(ingest, guarded, parts.store, parts.state, compare_every=every)

    def historian() -> SpecifiedSource | None:
        found = source.history_source if isinstance(source, FarmSource) else source
        return found if isinstance(found, SpecifiedSource) else None

    return WithHistory(cycle, FirstHistory(historian, parts.store, parts.state, parts.gpus, clock=parts.clock))


def _ingest(
    parts: Parts,
    source: MarketSource,
    client: ResilientClient,
    on_stored: OnStored | None,
    kin: Sequence[str],
) -> Ingest:
    return Ingest(
        source,
        parts.store,
        parts.state,
        parts.jobs,
        parts.gpus,
        clock=parts.clock,
        on_stored=on_stored,
        breaker_state=lambda: breaker_state(client),
        kin=kin,
    )


def make_vast_client(
    settings: Settings, health: HealthBoard | None = None, metrics: MetricsHook | None = None
) -> ResilientClient:
    """The client of Vast.ai itself, which takes 10 requests a minute. One answer is the whole market: up to 95 MB."""
    headers = {}
    if settings.vast_api_key is not None:
        headers["authorization"] = f"Bearer {settings.vast_api_key.get_secret_value()}"
    return ResilientClient(
        settings.vast_source,
        [settings.vast_api_url],
        timeout=120.0,
        limiter=RequestQueue(settings.vast_source, rate=10 / 60, burst=2, max_queue=8, max_wait=60.0),
        health=health,
        headers=headers,
        metrics=metrics,
    )


def make_vast_ingest(parts: Parts, client: ResilientClient, on_stored: OnStored | None = None) -> Ingest:
    """The ingest of Vast.ai itself, into the same series as 500.farm's exporter."""
    source = WholeMarket(VastSource(client, parts.settings.vast_source), parts.store)
    return _ingest(parts, source, client, on_stored, kin=(parts.settings.market_source,))


def make_cycle(
    parts: Parts,
    health: HealthBoard | None = None,
    metrics: MetricsHook | None = None,
    on_stored: OnStored | None = None,
) -> Cycle:
    """What one ingest cycle does: 500.farm, with Vast.ai itself behind it unless the settings say otherwise."""
    settings = parts.settings
    vast = None
    if settings.market_fallback == "vast":
        vast = make_vast_ingest(parts, make_vast_client(settings, health, metrics), on_stored)
    return make_farm_cycle(parts, make_farm_client(settings, health, metrics), on_stored, guarded=vast)


def make_machines_client(
    settings: Settings, health: HealthBoard | None = None, metrics: MetricsHook | None = None
) -> ResilientClient:
    """The client of 500.farm's list of machines: its own, so that a slow list closes no way to the statistics."""
    headers = {}
    if settings.farm_api_key is not None:
        headers["authorization"] = f"Bearer {settings.farm_api_key.get_secret_value()}"
    return ResilientClient(
        watch_name(settings.market_source),
        [url.removesuffix("/vastai-exporter") for url in settings.farm_url],
        timeout=90.0,
        health=health,
        headers=headers,
        metrics=metrics,
    )


def make_machines_cycle(parts: Parts, client: ResilientClient, on_stored: OnStored | None = None) -> PacedIngest:
    """What one cycle of the list of machines does."""
    source = MachinesSource(client, parts.settings.market_source)
    # A store of its own: it runs beside the other ingest, and what one has not committed the other must not know.
    store = MarketStore(parts.db)
    watched = watch_name(source.name)
    ingest = Ingest(
        source,
        store,
        parts.state,
        parts.jobs,
        parts.gpus,
        watch_name=watched,
        before_store=MachineWriter(MachineStore(parts.db), store, source=source.name, platform=source.platform),
        clock=parts.clock,
        on_stored=on_stored,
        breaker_state=lambda: breaker_state(client),
        tells=False,  # the statistics of the same host tell the owner of its outage; one is enough
    )
    return PacedIngest(ingest, parts.state, watched)


def make_trends(parts: Parts) -> Trends:
    """Rollups and retention."""
    return Trends(
        parts.store,
        parts.state,
        interval=parts.interval,
        retention=timedelta(hours=parts.settings.raw_retention_hours),
        clock=parts.clock,
    )
