"""Digests put together, and the worker role's part of them: the look at what is due."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from bot.parts import Parts
from bot.worker import Handler, JobRun
from gpuscout.accounts.delivery_choices import DeliveryChoices
from gpuscout.accounts.members import Members
from gpuscout.accounts.servers import Servers
from gpuscout.delivery.channels import Renderer
from gpuscout.delivery.digest_message import digest_renderer
from gpuscout.delivery.ports import Charts
from gpuscout.digests.compose import DigestComposer
from gpuscout.digests.digests import Digests
from gpuscout.digests.models import KIND
from gpuscout.digests.planner import PLAN_JOB, DigestPlanner
from gpuscout.digests.ports import Portfolios
from gpuscout.market.ports import Market
from storage.delivery_choices import DeliveryChoiceStore
from storage.digests import DigestStore
from storage.events import EventStore
from storage.notifications import NotificationStore
from storage.servers import ServerStore

PLAN_EVERY = timedelta(minutes=1)
TIDY_JOB = "digests.tidy"
TIDY_EVERY = timedelta(hours=24)


def digests_schedule() -> dict[str, timedelta]:
    """Jobs that are due again and again."""
    return {PLAN_JOB: PLAN_EVERY, TIDY_JOB: TIDY_EVERY}


def make_composer(parts: Parts, market: Market, members: Members, portfolios: Portfolios | None) -> DigestComposer:
    """What gathers the content of digests."""
    return DigestComposer(
        market,
        members,
        DigestStore(parts.db),
        parts.gpus,
        parts.platforms,
        portfolios,
        simulated=parts.settings.simulated,
        clock=parts.clock,
    )


def make_digests(parts: Parts, market: Market, members: Members, portfolios: Portfolios | None) -> Digests:
    """Subscriptions over the stored rows."""
    return Digests(
        DigestStore(parts.db),
        make_composer(parts, market, members, portfolios),
        Servers(ServerStore(parts.db), clock=parts.clock),
        clock=parts.clock,
    )


def digest_renderers(charts: Charts | None) -> dict[str, Renderer]:
    """What draws them for delivery."""
    return {KIND: digest_renderer(charts)}


def digests_handlers(
    parts: Parts, market: Market, members: Members, portfolios: Portfolios | None, wake: Callable[[], None]
) -> dict[str, Handler]:
    """What the jobs do.

    Args:
        wake: called when digests were put on their way.
    """
    planner = DigestPlanner(
        parts.db,
        DigestStore(parts.db),
        NotificationStore(parts.db, parts.jobs),
        EventStore(parts.db, parts.jobs),
        make_composer(parts, market, members, portfolios),
        DeliveryChoices(DeliveryChoiceStore(parts.db), clock=parts.clock),
        Servers(ServerStore(parts.db), clock=parts.clock),
        clock=parts.clock,
    )

    async def plan(_run: JobRun) -> None:
        if await planner.plan():
            wake()

    async def tidy(_run: JobRun) -> None:
        await planner.tidy()

    return {PLAN_JOB: plan, TIDY_JOB: tidy}
