"""E-mail put together: what members do about it, what the worker sends, and the door for the mail service's events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from bot.keys import derive, secret_ring
from bot.parts import Parts
from bot.worker import Handler, JobFailed, JobRun
from gpuscout.accounts.members import Members
from gpuscout.delivery.channels import MailSender, NotSent
from gpuscout.delivery.mail.address import AddressHasher
from gpuscout.delivery.mail.contents import Site
from gpuscout.delivery.mail.desk import MailDesk
from gpuscout.delivery.mail.events import EventDoor, MailEvents
from gpuscout.delivery.mail.jobs import (
    LIST_JOB,
    NOTICE_JOB,
    ONBOARDING_JOB,
    PURGE_JOB,
    WELCOME_JOB,
    MailJobs,
    MailQueue,
)
from gpuscout.delivery.mail.links import MailLinks
from gpuscout.delivery.mail.mailer import Mailer, MailWithheld, Sender
from gpuscout.delivery.mail.models import Group
from gpuscout.delivery.mail.notification import NotificationMail
from gpuscout.delivery.mail.sendgrid import MailService, OutgoingMail, SendGridMail
from gpuscout.resilience.errors import BadStatus, UpstreamError
from gpuscout.resilience.health import HealthBoard
from gpuscout.resilience.http import ResilientClient
from gpuscout.resilience.ratelimit import RequestQueue
from gpuscout.resilience.sender import MetricsHook
from storage.job_model import Backoff, RetryStrategy
from storage.mail import CONFIRM_JOB, MailStore
from storage.mail_events import EVENTS_JOB, MailInbox
from storage.mail_log import MailLog
from storage.mail_sequence import MailSequence, SequenceStep

if TYPE_CHECKING:
    from config.settings import Settings

log = structlog.get_logger(__name__)

SERVICE = "sendgrid"
TIMEOUT = 20.0
RATE = 20.0
"""Mails a second at most; SendGrid takes far more, and its queue is no place for ours."""
ONBOARDING_EVERY = timedelta(minutes=5)
PURGE_EVERY = timedelta(hours=24)
MESSAGES_KEPT = timedelta(days=180)
EVENTS_KEPT = timedelta(days=30)
CONFIRMATIONS_KEPT = timedelta(days=30)
MAIL_BACKOFF: dict[str, RetryStrategy] = {
    # Somebody waits for this one: the first tries come quickly.
    CONFIRM_JOB: Backoff(base=2.0, cap=600.0),
    NOTICE_JOB: Backoff(base=5.0, cap=1800.0),
    WELCOME_JOB: Backoff(base=60.0, cap=3600.0),
    LIST_JOB: Backoff(base=10.0, cap=3600.0),
    EVENTS_JOB: Backoff(base=1.0, cap=300.0),
}


class NoMail:
    """In place of the mail service where none is set up. Jobs of an earlier set-up fail, and say why."""

    async def send(self, mail: OutgoingMail) -> str:
        """Never."""
        raise NotSent("failed", "SENDGRID_API_KEY and MAIL_FROM are not set, so no mail can be sent")

    async def decline(self, address: str, group: Group, declined: bool) -> None:
        """Nobody has to be told."""

    async def lift(self, address: str) -> None:
        """Nobody has to be told."""

    async def aclose(self) -> None:
        """Nothing to close."""


def mail_keys(settings: Settings, purpose: str) -> list[bytes]:
    """One key of each part of ``SECRET_KEY``, newest first."""
    return [derive((key,), purpose) for key in secret_ring(settings)]


def open_service(
    settings: Settings, health: HealthBoard | None = None, metrics: MetricsHook | None = None
) -> SendGridMail | None:
    """The mail service of the settings; None where it is not set up."""
    key, sender = settings.sendgrid_api_key, settings.mail_from
    if key is None or sender is None:
        return None
    client = ResilientClient(
        SERVICE,
        [settings.sendgrid_api_url],
        timeout=TIMEOUT,
        limiter=RequestQueue(SERVICE, rate=RATE, burst=RATE),
        health=health,
        headers={"authorization": f"Bearer {key.get_secret_value()}"},
        metrics=metrics,
    )
    return SendGridMail(client, sender, settings.sendgrid_groups)


class MailRoom:
    """Everything about e-mail of one process; made once, closed with :meth:`aclose`.

    Args:
        service: instead of the one of the settings.
        wake: called when there is work for this process's worker.

    Attributes:
        desk: what members do about it.
        sender: the last channel of notifications; None where no mail can be sent.
        door: reads the mail service's events; None where their key is not set.
        inbox: where they are stored.
        mails: what was sent, and the results of tests.
        queue: puts notices about accounts into the queue.
        handlers: the jobs.
    """

    def __init__(
        self,
        parts: Parts,
        members: Members,
        health: HealthBoard | None = None,
        metrics: MetricsHook | None = None,
        service: MailService | None = None,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        settings, clock = parts.settings, parts.clock
        found = service if service is not None else open_service(settings, health, metrics)
        self._service: MailService = found if found is not None else NoMail()
        store, self.mails = MailStore(parts.db, parts.jobs), MailLog(parts.db)
        sequence, self.queue = MailSequence(parts.db), MailQueue(parts.jobs)
        hasher = AddressHasher(mail_keys(settings, "mail-address"))
        links = MailLinks(settings.public_url, mail_keys(settings, "mail-links"), clock)
        sender = Sender(
            settings.mail_from.partition("<")[0].strip() or "GPUScout" if settings.mail_from else "GPUScout",
            settings.operator_contact,
            settings.sendgrid_templates,
        )
        mailer = Mailer(parts.db, store, self.mails, self._service, links, hasher, sender, clock=clock)
        self.desk = MailDesk(
            parts.db, store, sequence, self.queue, links, hasher, available=found is not None, clock=clock
        )
        self.sender: MailSender | None = NotificationMail(store, mailer) if found is not None else None
        key = settings.sendgrid_webhook_public_key
        self.inbox = MailInbox(parts.db, parts.jobs)
        self.door = EventDoor(key, hasher, self.inbox, clock=clock, wake=wake) if key is not None else None
        self._store = store
        self._clock = clock
        self._events = MailEvents(parts.db, self.inbox, store, self.mails, settings.sendgrid_groups, clock=clock)
        self._jobs = MailJobs(
            parts.db,
            store,
            sequence,
            self.queue,
            mailer,
            self._service,
            links,
            hasher,
            Site(settings.public_url),
            _Zones(members),
            clock=clock,
        )
        self.handlers: dict[str, Handler] = {
            CONFIRM_JOB: self._confirm,
            NOTICE_JOB: self._notice,
            WELCOME_JOB: self._welcome,
            ONBOARDING_JOB: self._onboarding,
            LIST_JOB: self._lists,
            EVENTS_JOB: self._work_events,
            PURGE_JOB: self._purge,
        }

    async def aclose(self) -> None:
        """Close all connections."""
        close = getattr(self._service, "aclose", None)
        if close is not None:
            await close()

    async def _confirm(self, run: JobRun) -> None:
        await _sending(self._jobs.confirm(str(run.job.payload["confirmation"])))

    async def _notice(self, run: JobRun) -> None:
        await _sending(self._jobs.notice(run.job.payload))

    async def _welcome(self, run: JobRun) -> None:
        step = SequenceStep(int(run.job.payload["member_id"]), int(run.job.payload["step"]))
        await _sending(self._jobs.welcome(step))

    async def _onboarding(self, _run: JobRun) -> None:
        await self._jobs.onboarding()

    async def _lists(self, run: JobRun) -> None:
        await _sending(self._jobs.tell_lists(run.job.payload))

    async def _work_events(self, run: JobRun) -> None:
        await self._events.work(str(run.job.payload["batch"]))

    async def _purge(self, _run: JobRun) -> None:
        now = self._clock()
        await self.mails.purge(now - MESSAGES_KEPT)
        await self.inbox.purge(now - EVENTS_KEPT)
        await self._store.purge_confirmations(now - CONFIRMATIONS_KEPT)


class _Zones:
    """The time zone that a member chose, else UTC."""

    def __init__(self, members: Members) -> None:
        self._members = members

    async def zone(self, member_id: int) -> str:
        return (await self._members.get(member_id)).timezone or "UTC"


async def _sending(work: Awaitable[None]) -> None:
    """What a mail that was not sent means for its job.

    Raises:
        JobFailed: it is tried again, or goes to the dead letters.
    """
    try:
        await work
    except MailWithheld as error:
        log.info("mail_withheld", reason=str(error))
    except NotSent as error:
        raise JobFailed(str(error), permanent=error.outcome == "refused", retry_after=error.retry_after) from error
    except UpstreamError as error:
        permanent = isinstance(error, BadStatus) and error.status in (400, 404)
        raise JobFailed(str(error), permanent=permanent, retry_after=error.retry_after) from error


def mail_schedule() -> dict[str, timedelta]:
    """Jobs that are due again and again."""
    return {ONBOARDING_JOB: ONBOARDING_EVERY, PURGE_JOB: PURGE_EVERY}
