"""The worker role's part of notifications: the handler, how often it is repeated, and what is forgotten when."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from bot.parts import Clock, Parts
from bot.sync import STATE_KEY as COMMANDS_KEY
from bot.worker import Handler, JobRun
from gpuscout.accounts.delivery_choices import DeliveryChoices
from gpuscout.accounts.servers import Servers
from gpuscout.delivery.channels import MailSender, Renderer, Sender
from gpuscout.delivery.notify import Notifier, notification_of
from gpuscout.delivery.notify_alert import AlertRenderer, Holdings
from gpuscout.delivery.notify_notice import NoticeRenderer, notice_renderer
from gpuscout.delivery.notify_optin import DmOptIn
from gpuscout.delivery.notify_ports import NotifyMetrics
from gpuscout.delivery.ports import Charts, Mentions
from gpuscout.market.ports import Market
from storage.attempts import DeliveryLedger
from storage.delivery_choices import DeliveryChoiceStore
from storage.job_model import Backoff, RetryStrategy
from storage.notifications import NOTIFY_JOB, NotificationStore
from storage.servers import ServerStore
from storage.state import AppState

PURGE_JOB = "delivery.purge"
PURGE_EVERY = timedelta(hours=6)
NOTIFICATIONS_KEPT = timedelta(days=90)
EVENTS_KEPT = timedelta(days=30)
IDS_KEPT = timedelta(minutes=1)
SENDERS = 24
"""Notifications on their way at a time: enough for Discord's 50 a second at half a second each."""
NOTIFY_BACKOFF: dict[str, RetryStrategy] = {NOTIFY_JOB: Backoff(base=2.0, cap=900.0)}
"""Several tries within the two minutes of a nonce, then slower: an outage of some hours is waited out."""


def notify_schedule() -> dict[str, timedelta]:
    """Jobs that are due again and again."""
    return {PURGE_JOB: PURGE_EVERY}


def notify_handlers(
    parts: Parts,
    discord: Sender,
    *,
    renderers: Mapping[str, Renderer] | None = None,
    notices: Mapping[str, NoticeRenderer] | None = None,
    whole_notices: Mapping[str, Renderer] | None = None,
    mail: MailSender | None = None,
    metrics: NotifyMetrics | None = None,
) -> dict[str, Handler]:
    """The handler of notifications.

    Args:
        discord: gives the sender; None where no token is set.
        renderers: by kind.
        notices, whole_notices: see :func:`gpuscout.delivery.notify_notice.notice_renderer`.
        mail: the last resort; None: e-mail is not set up.
    """
    notifier = Notifier(
        parts.db,
        parts.jobs,
        NotificationStore(parts.db, parts.jobs),
        DeliveryChoices(DeliveryChoiceStore(parts.db), clock=parts.clock),
        Servers(ServerStore(parts.db), clock=parts.clock),
        {"notice": notice_renderer(notices, whole=whole_notices), **(renderers or {})},
        discord,
        mail=mail,
        metrics=metrics,
        clock=parts.clock,
    )

    async def notify(run: JobRun) -> None:
        await notifier.deliver(notification_of(run.job.payload), run)

    return {NOTIFY_JOB: notify}


def alert_renderers(
    parts: Parts, market: Market, charts: Charts | None, portfolios: Holdings | None
) -> tuple[dict[str, Renderer], dict[str, Renderer]]:
    """Renderers of alerts: by kind of notification, and by name of notice."""
    drawn = AlertRenderer(
        market,
        charts,
        portfolios,
        parts.gpus,
        parts.platforms,
        command_mentions(parts.state, parts.clock),
        simulated=parts.settings.simulated,
        clock=parts.clock,
    )
    return {"alert": drawn.alert}, {"alert_expired": drawn.expired}


def command_mentions(state: AppState, clock: Clock) -> Mentions:
    """Commands as something to click, with the ids under which they were registered last (looked up each minute)."""
    known: dict[str, int] = {}
    read_at: datetime | None = None

    async def mentions() -> Callable[[str], str]:
        nonlocal read_at
        if read_at is None or clock() - read_at > IDS_KEPT:
            stored = await state.get(COMMANDS_KEY)
            ids = stored.get("ids") if isinstance(stored, dict) else None
            known.update(ids if isinstance(ids, dict) else {})
            read_at = clock()
        return lambda name: command_mention(name, known)

    return mentions


def command_mention(name: str, ids: Mapping[str, int]) -> str:
    """``</alert list:id>``; ``/alert list`` in code while the id is unknown."""
    identity = ids.get(name.split(" ")[0])
    return f"`/{name}`" if identity is None else f"</{name}:{identity}>"


def make_opt_in(parts: Parts, discord: Sender) -> DmOptIn:
    """The first DM at opt-in, sent by the process that answers the member."""
    choices = DeliveryChoices(DeliveryChoiceStore(parts.db), clock=parts.clock)
    return DmOptIn(choices, discord, command_mentions(parts.state, parts.clock), clock=parts.clock)


def purge_handlers(parts: Parts) -> dict[str, Handler]:
    """The handler that forgets what was delivered long ago."""
    ledger = DeliveryLedger(parts.db)

    async def purge(_run: JobRun) -> None:
        now = parts.clock()
        await ledger.purge(notifications_before=now - NOTIFICATIONS_KEPT, events_before=now - EVENTS_KEPT)

    return {PURGE_JOB: purge}
