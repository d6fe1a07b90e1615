"""The worker role's part of notifications: the handler, how often it is repeated, and what is forgotten when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from bot.parts import Parts
from bot.worker import Handler, JobRun
from gpuscout.accounts.delivery_choices import DeliveryChoices
from gpuscout.accounts.members import Members
from gpuscout.accounts.servers import Servers
from gpuscout.delivery.channels import MailSender, Renderer, Sender
from gpuscout.delivery.notify import Notifier, NotifyMetrics, notification_of
from gpuscout.delivery.notify_notice import NoticeRenderer, notice_renderer
from gpuscout.delivery.notify_optin import DmOptIn
from storage.attempts import DeliveryLedger
from storage.delivery_choices import DeliveryChoiceStore
from storage.job_model import Backoff, RetryStrategy
from storage.notifications import NOTIFY_JOB, NotificationStore
from storage.servers import ServerStore

PURGE_JOB = "delivery.purge"
PURGE_EVERY = timedelta(hours=6)
NOTIFICATIONS_KEPT = timedelta(days=90)
EVENTS_KEPT = timedelta(days=30)
SENDERS = 24
"""Notifications on their way at a time: enough for Discord's 50 a second at half a second each."""
NOTIFY_BACKOFF: dict[str, RetryStrategy] = {NOTIFY_JOB: Backoff(base=2.0, cap=900.0)}
"""Several tries within the two minutes of a nonce, then slower: an outage of some hours is waited out."""


def notify_schedule() -> dict[str, timedelta]:
    """Jobs that are due again and again."""
    return {PURGE_JOB: PURGE_EVERY}


def notify_handlers(
    parts: Parts,
    members: Members,
    discord: Sender,
    *,
    renderers: Mapping[str, Renderer] | None = None,
    notices: Mapping[str, NoticeRenderer] | None = None,
    mail: MailSender | None = None,
    metrics: NotifyMetrics | None = None,
) -> dict[str, Handler]:
    """The handler of notifications.

    Args:
        discord: gives the sender; None where no token is set.
        renderers: by kind; those of notices are given in *notices*.
        mail: the last resort; None: e-mail is not set up.
    """
    notifier = Notifier(
        parts.db,
        NotificationStore(parts.db, parts.jobs),
        DeliveryChoices(DeliveryChoiceStore(parts.db), clock=parts.clock),
        members,
        Servers(ServerStore(parts.db), clock=parts.clock),
        {"notice": notice_renderer(notices), **(renderers or {})},
        discord,
        mail=mail,
        metrics=metrics,
        clock=parts.clock,
    )

    async def notify(run: JobRun) -> None:
        await notifier.deliver(notification_of(run.job.payload), run)

    return {NOTIFY_JOB: notify}


def make_opt_in(parts: Parts, discord: Sender) -> DmOptIn:
    """The first DM at opt-in, sent by the process that answers the member."""
    choices = DeliveryChoices(DeliveryChoiceStore(parts.db), clock=parts.clock)
    return DmOptIn(choices, discord, clock=parts.clock)


def purge_handlers(parts: Parts) -> dict[str, Handler]:
    """The handler that forgets what was delivered long ago."""
    ledger = DeliveryLedger(parts.db)

    async def purge(_run: JobRun) -> None:
        now = parts.clock()
        await ledger.purge(notifications_before=now - NOTIFICATIONS_KEPT, events_before=now - EVENTS_KEPT)

    return {PURGE_JOB: purge}
