"""Portfolios put together, and the worker role's part of them: the daily snapshots."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from bot.parts import Parts
from bot.worker import Handler, JobRun
from gpuscout.accounts.members import Members
from gpuscout.market.reader import MarketReader
from gpuscout.market.sources.machines import MachinesSource
from gpuscout.plans.tiers import EveryoneFree, Plans, TierOf, default_plans
from gpuscout.portfolio.portfolios import Portfolios
from gpuscout.portfolio.ports import OnChange, nothing_follows
from gpuscout.portfolio.snapshots import SNAPSHOT_JOB, Snapshots
from storage.holdings import HoldingStore
from storage.machines import MachineStore

SNAPSHOT_EVERY = timedelta(hours=1)
"""Each look replaces the day's earlier one, so a day ends with what was last known of it."""


def make_portfolios(
    parts: Parts,
    market: MarketReader,
    members: Members,
    *,
    plans: Plans | None = None,
    tiers: TierOf | None = None,
    on_change: OnChange = nothing_follows,
) -> Portfolios:
    """The portfolios over the stored rows.

    Args:
        on_change: called in every transaction that changes a member's holdings.
    """
    return Portfolios(
        HoldingStore(parts.db),
        MachineStore(parts.db),
        market,
        members,
        parts.gpus,
        parts.platforms,
        plans or default_plans(),
        tiers or EveryoneFree(),
        lists={MachinesSource.platform: parts.settings.market_source},
        clock=parts.clock,
        gpu_name=market.gpu_name,
        on_change=on_change,
    )


def portfolio_schedule() -> dict[str, timedelta]:
    """The job and its interval."""
    return {SNAPSHOT_JOB: SNAPSHOT_EVERY}


def portfolio_handlers(parts: Parts, make: Callable[[], Portfolios]) -> dict[str, Handler]:
    """What the job does."""

    async def take(_run: JobRun) -> None:
        await Snapshots(HoldingStore(parts.db), make(), clock=parts.clock).take()

    return {SNAPSHOT_JOB: take}
