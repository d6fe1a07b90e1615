"""Alerts put together, and the worker role's part of them: the evaluation of each market update."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from bot.parts import Parts
from bot.worker import Handler, JobRun
from gpuscout.accounts.delivery_choices import DeliveryChoices
from gpuscout.accounts.members import Members
from gpuscout.alerts.act import Acting
from gpuscout.alerts.alerts import Alerts
from gpuscout.alerts.engine import Engine
from gpuscout.alerts.impact import Impacts
from gpuscout.alerts.member_things import MemberThings
from gpuscout.alerts.readings import Readings, doubt_of
from gpuscout.alerts.tell import Teller
from gpuscout.alerts.values import Doubt, Figures
from gpuscout.alerts.watching import Watching
from gpuscout.market.reader import MarketReader
from gpuscout.plans.tiers import EveryoneFree, Plans, TierOf, default_plans
from gpuscout.portfolio.ports import PortfolioPort
from storage.alerts import AlertStore
from storage.alerts_eval import EvaluationStore
from storage.alerts_work import EVALUATE_JOB, SYNC_JOB
from storage.delivery_choices import DeliveryChoiceStore
from storage.events import EventStore
from storage.machines import MachineStore
from storage.notifications import NotificationStore

SYNC_ALL_JOB = "alerts.sync_all"
"""Fits every rule about a portfolio or a watchlist: markets come and go though no member changes anything. Then it
forgets numbers that nobody watches."""
SYNC_EVERY = timedelta(hours=1)
TICK_JOB = "alerts.tick"
"""What is due by time alone: expiries, digests of alerts, the end of old entries."""
TICK_EVERY = timedelta(minutes=1)


class AlertRoom:
    """The pieces of alerts over one database.

    Args:
        market: for enrichment only; what is evaluated is read from the database.
    """

    def __init__(
        self,
        parts: Parts,
        market: MarketReader,
        members: Members,
        portfolios: PortfolioPort,
        *,
        plans: Plans | None = None,
        tiers: TierOf | None = None,
    ) -> None:
        self.evaluation = evaluation = EvaluationStore(parts.db)
        machines = MachineStore(parts.db)
        figures = Figures(parts.db, machines)

        async def doubt() -> Doubt:
            return await doubt_of(parts.state, parts.interval)

        store = AlertStore(parts.db)
        readings = Readings(figures, portfolios, doubt, parts.clock)
        choices = DeliveryChoices(DeliveryChoiceStore(parts.db), clock=parts.clock)
        notifications, events = NotificationStore(parts.db, parts.jobs), EventStore(parts.db, parts.jobs)
        teller = Teller(evaluation, notifications, events, choices, members, clock=parts.clock)
        self.alerts = Alerts(
            store,
            Watching(store, evaluation),
            MemberThings(market, portfolios, members),
            readings,
            machines,
            teller,
            plans or default_plans(),
            tiers or EveryoneFree(),
            clock=parts.clock,
        )
        self.acting = Acting(evaluation, teller, Impacts(parts.db, portfolios), readings, clock=parts.clock)
        self.engine = Engine(evaluation, figures, readings, teller, self.acting, doubt, clock=parts.clock)


def alerts_schedule() -> dict[str, timedelta]:
    """Jobs that are due again and again."""
    return {SYNC_ALL_JOB: SYNC_EVERY, TICK_JOB: TICK_EVERY}


def alerts_handlers(room: AlertRoom, wake: Callable[[], None]) -> dict[str, Handler]:
    """What the jobs do.

    Args:
        wake: called when notifications were added.
    """

    async def evaluate(_run: JobRun) -> None:
        if await room.engine.evaluate():
            wake()

    async def tick(_run: JobRun) -> None:
        if await room.engine.tick():
            wake()

    async def sync(run: JobRun) -> None:
        await room.alerts.sync(int(run.job.payload["member"]))

    async def sync_all(_run: JobRun) -> None:
        await room.alerts.sync()
        await room.engine.tidy()

    return {EVALUATE_JOB: evaluate, TICK_JOB: tick, SYNC_JOB: sync, SYNC_ALL_JOB: sync_all}
