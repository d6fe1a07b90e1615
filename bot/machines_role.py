"""The list of machines in the ingest role: its job, its pace, and how it is taken down."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from bot.parts import OnStored, Parts, make_machines_client, make_machines_cycle
from bot.worker import Handler, JobRun
from gpuscout.market.ingest import IngestReport
from gpuscout.market.machines import MACHINES_JOB, MIN_INTERVAL, PacedIngest
from gpuscout.resilience.health import HealthBoard
from gpuscout.resilience.sender import MetricsHook


def machines_schedule(parts: Parts) -> dict[str, timedelta]:
    """The job and its interval; empty where it is switched off or the dialect has no list of machines."""
    if parts.settings.farm_dialect == "specified" or not parts.settings.market_machines:
        return {}
    return {MACHINES_JOB: max(MIN_INTERVAL, parts.interval)}


def open_machines(parts: Parts, health: HealthBoard, metrics: MetricsHook, on_stored: OnStored) -> PacedIngest:
    """The cycle with its client; the caller closes it."""
    return make_machines_cycle(parts, make_machines_client(parts.settings, health, metrics), on_stored)


def machines_handlers(cycle: PacedIngest, on_report: Callable[[IngestReport], None]) -> dict[str, Handler]:
    """What the job does."""

    async def run(_run: JobRun) -> None:
        on_report(await cycle.run())

    return {MACHINES_JOB: run}
