"""Outgoing webhooks put together: what members do with them, and the worker role's part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.keys import derive, secret_ring
from bot.parts import Parts
from bot.worker import Handler, JobRun, Worker
from config.settings import Settings
from gpuscout.accounts.secret_box import SecretBox
from gpuscout.delivery.mail.contents import SecurityNotice
from gpuscout.delivery.mail.jobs import MailQueue
from gpuscout.delivery.notify_notice import NoticeRenderer
from gpuscout.delivery.webhook_deliver import WEBHOOK_OFF, WebhookDeliverer, WebhookFanout
from gpuscout.delivery.webhook_discord import DiscordMessages
from gpuscout.delivery.webhook_market import MarketEvents
from gpuscout.delivery.webhook_notice import webhook_off
from gpuscout.delivery.webhook_send import WebhookSender
from gpuscout.delivery.webhooks import Webhooks
from gpuscout.plans.tiers import EveryoneFree, Plans, TierOf, default_plans
from gpuscout.resilience.public_connect import PUBLIC_ONLY, AddressRules
from storage.events import FANOUT_JOB, EventStore
from storage.notifications import NotificationStore
from storage.webhooks import EndpointStore, OnAdded
from storage.webhooks_deliveries import DELIVER_JOB, DeliveryStore
from storage.webhooks_model import Endpoint

MARKET_JOB = "webhook.market"
ROTATIONS_JOB = "webhook.rotations"
MARKET_EVERY = timedelta(seconds=30)
ROTATIONS_EVERY = timedelta(hours=1)
SENDERS = 16
"""Webhooks on their way at a time. One that hangs takes a place for 15 s, and never a second one of its endpoint."""


def make_box(settings: Settings) -> SecretBox:
    """The box for members' secrets, with one key for each part of ``SECRET_KEY``."""
    return SecretBox([derive((key,), "secret-box") for key in secret_ring(settings)])


def make_webhooks(
    parts: Parts,
    *,
    plans: Plans | None = None,
    tiers: TierOf | None = None,
    rules: AddressRules = PUBLIC_ONLY,
    wake: Callable[[], None] = lambda: None,
) -> Webhooks:
    """What members do with their webhooks.

    Args:
        rules: which addresses are possible; no setting changes them.
        wake: called when a delivery was added.
    """
    return Webhooks(
        parts.db,
        EndpointStore(parts.db),
        DeliveryStore(parts.db, parts.jobs),
        make_box(parts.settings),
        # Of the oldest key: with a new one in front a second endpoint at one address is still found.
        fingerprint_key=derive(secret_ring(parts.settings)[-1:], "webhook-fingerprint"),
        plans=plans or default_plans(),
        tiers=tiers or EveryoneFree(),
        rules=rules,
        clock=parts.clock,
        wake=wake,
        added=_notice_of(parts),
    )


def _notice_of(parts: Parts) -> OnAdded:
    """Mails whoever made a webhook that there is a new one: it hears of everything that he does."""
    queue = MailQueue(parts.jobs)

    async def told(conn: AsyncConnection, endpoint: Endpoint) -> None:
        if endpoint.made_by is not None:
            notice = SecurityNotice(happened="webhook", at=endpoint.created_at, label=endpoint.shown)
            await queue.notice(conn, endpoint.made_by, notice, key=f"webhook:{endpoint.id}")

    return told


def webhook_notices() -> Mapping[str, NoticeRenderer]:
    """Notices of webhooks, for the renderer of the kind ``notice``."""
    return {WEBHOOK_OFF: webhook_off}


def webhook_schedule(parts: Parts) -> dict[str, timedelta]:
    """Jobs that are due again and again."""
    return {MARKET_JOB: min(parts.interval, MARKET_EVERY), ROTATIONS_JOB: ROTATIONS_EVERY}


class WebhookWork:
    """The worker role's part. Sending has a worker of its own: a slow receiver holds up no alert.

    Args:
        rules: which addresses are possible.
    """

    def __init__(self, parts: Parts, rules: AddressRules = PUBLIC_ONLY) -> None:
        self._sender = WebhookSender(rules)
        endpoints, deliveries = EndpointStore(parts.db), DeliveryStore(parts.db, parts.jobs)
        self._fanout = WebhookFanout(parts.db, endpoints, deliveries, clock=parts.clock)
        self._deliverer = WebhookDeliverer(
            parts.db,
            endpoints,
            deliveries,
            NotificationStore(parts.db, parts.jobs),
            make_box(parts.settings),
            self._sender,
            DiscordMessages(parts.gpus, parts.platforms, simulated=parts.settings.simulated),
            clock=parts.clock,
        )
        self._market = MarketEvents(
            parts.db, parts.state, EventStore(parts.db, parts.jobs), endpoints, parts.gpus, clock=parts.clock
        )
        self._endpoints = endpoints
        self._clock = parts.clock
        self.handlers: dict[str, Handler] = {
            FANOUT_JOB: self._fan_out,
            DELIVER_JOB: self._deliver,
            MARKET_JOB: self._look_at_market,
            ROTATIONS_JOB: self._end_rotations,
        }
        self._worker = Worker(
            parts.db,
            parts.jobs,
            self.handlers,
            concurrency=SENDERS,
            clock=parts.clock,
        )

    def start(self) -> None:
        """Begin to work."""
        self._worker.start()

    def wake(self) -> None:
        """Look for jobs now."""
        self._worker.wake()

    async def stop(self) -> None:
        """End, then close the connections."""
        await self._worker.stop()
        await self._sender.aclose()

    async def _fan_out(self, run: JobRun) -> None:
        if await self._fanout.fan_out(str(run.job.payload["event"]), run.finish):
            self.wake()

    async def _deliver(self, run: JobRun) -> None:
        await self._deliverer.deliver(str(run.job.payload["delivery"]), run)

    async def _look_at_market(self, _run: JobRun) -> None:
        if await self._market.look():
            self.wake()

    async def _end_rotations(self, _run: JobRun) -> None:
        await self._endpoints.end_rotations(self._clock())
