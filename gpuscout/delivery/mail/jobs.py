"""Mails as jobs: enqueued in the transaction that causes them, sent by the worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import structlog
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from sqlalchemy.ext.asyncio import AsyncConnection

from config.i18n import translator_for
from gpuscout.delivery.mail.address import AddressHasher
from gpuscout.delivery.mail.contents import (
    STEPS,
    Notice,
    SecurityNotice,
    Site,
    billing_mail,
    confirm_mail,
    security_mail,
    welcome_mail,
)
from gpuscout.delivery.mail.links import LIFETIME, MailLinks
from gpuscout.delivery.mail.mailer import Mailer, Receiver
from gpuscout.delivery.mail.models import GROUPS, Group, MailContent
from gpuscout.delivery.mail.sendgrid import MailService
from storage.engine import Database
from storage.ids import new_id
from storage.jobs import JobStore
from storage.mail import ALL, Confirmation, MailStore
from storage.mail_sequence import MailSequence, SequenceStep

log = structlog.get_logger(__name__)

NOTICE_JOB: Final = "mail.notice"
WELCOME_JOB: Final = "mail.welcome"
ONBOARDING_JOB: Final = "mail.onboarding"
LIST_JOB: Final = "mail.list"
PURGE_JOB: Final = "mail.purge"
ATTEMPTS: Final = 10
PAUSES: Final = (timedelta(days=2), timedelta(days=4))
"""From one onboarding mail to the next."""
_OWN_TO_LIFT: Final = ("bounce", "unsubscribe")
"""Why nothing is sent to an address, where its owner may lift it himself by confirming it anew."""
_NOTICES: Final[TypeAdapter[Notice]] = TypeAdapter(Notice)


class Zones(Protocol):
    """Where a member's time zone is found."""

    async def zone(self, member_id: int) -> str: ...


class NoticeJob(BaseModel):
    """Payload of ``mail.notice``."""

    model_config = ConfigDict(frozen=True)

    member_id: int
    key: str = Field(max_length=100)
    notice: dict[str, Any]


class ListJob(BaseModel):
    """Payload of ``mail.list``: what the mail service must know of a choice made here."""

    model_config = ConfigDict(frozen=True)

    member_id: int
    group: str | None = None
    """None: take the address off every list that hinders mail to it."""
    declined: bool = False


class MailQueue:
    """Puts mails into the queue."""

    def __init__(self, jobs: JobStore) -> None:
        self._jobs = jobs

    async def notice(self, conn: AsyncConnection, member_id: int, notice: Notice, *, key: str) -> None:
        """Tell a member by e-mail of something about his account, inside the caller's transaction.

        Args:
            key: names the cause: the same twice is one mail.
        """
        payload = NoticeJob(member_id=member_id, key=key, notice=notice.model_dump(mode="json"))
        await self._enqueue(conn, NOTICE_JOB, payload.model_dump(mode="json"), f"{NOTICE_JOB}:{key}", member_id)

    async def welcome(self, conn: AsyncConnection, step: SequenceStep) -> None:
        """Send one of the onboarding mails."""
        payload = {"member_id": step.member_id, "step": step.step}
        key = f"{WELCOME_JOB}:{step.member_id}:{step.step}"
        await self._enqueue(conn, WELCOME_JOB, payload, key, step.member_id)

    async def onboarding(self, conn: AsyncConnection) -> None:
        """Look now who is due an onboarding mail."""
        await self._jobs.enqueue(conn, ONBOARDING_JOB, {}, concurrency_key=ONBOARDING_JOB)

    async def listed(self, conn: AsyncConnection, job: ListJob) -> None:
        """Tell the mail service of a choice."""
        # No key: a later choice must not be taken for this one; they run in the order in which they were made.
        await self._enqueue(conn, LIST_JOB, job.model_dump(mode="json"), f"{LIST_JOB}:{new_id()}", job.member_id)

    async def _enqueue(
        self, conn: AsyncConnection, kind: str, payload: Mapping[str, Any], key: str, member_id: int
    ) -> None:
        await self._jobs.enqueue(
            conn, kind, payload, dedupe_key=key, concurrency_key=f"mail:{member_id}", max_attempts=ATTEMPTS
        )


class MailJobs:
    """What the jobs do. A :class:`NotSent` that comes out of one is the worker's matter."""

    def __init__(
        self,
        db: Database,
        store: MailStore,
        sequence: MailSequence,
        queue: MailQueue,
        mailer: Mailer,
        service: MailService,
        links: MailLinks,
        hasher: AddressHasher,
        site: Site,
        zones: Zones,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._db = db
        self._store = store
        self._sequence = sequence
        self._queue = queue
        self._mailer = mailer
        self._service = service
        self._links = links
        self._hasher = hasher
        self._site = site
        self._zones = zones
        self._clock = clock

    async def confirm(self, confirmation_id: str) -> None:
        """Send the link of a request to confirm an address.

        An address that complained, or does not exist, gets none; nobody is told so. One that bounced or unsubscribed
        gets one when the member whose it was asks for it himself.

        Raises:
            NotSent: see there.
        """
        asked = await self._store.confirmation(confirmation_id)
        if asked is None or asked.used_at is not None or asked.expires_at <= self._clock():
            return
        await self._clear_own(asked)
        t = translator_for(asked.locale)
        hours = int(LIFETIME["confirm"].total_seconds() // 3600)

        async def compose(_variant: str) -> MailContent:
            return confirm_mail(self._links.url("confirm", asked.id), hours, t)

        receiver = Receiver(asked.member_id, asked.address, asked.address_hash, confirmed=False)
        await self._mailer.send(receiver, "confirm", f"confirm:{asked.id}", compose, t)

    async def _clear_own(self, asked: Confirmation) -> None:
        known = await self._store.get(asked.member_id)
        digests = {*self._hasher.digests(asked.address), asked.address_hash}
        if known is None or known.address_hash not in digests:
            return
        against = await self._store.suppressions(digests)
        if not any(each.scope == ALL and each.reason in _OWN_TO_LIFT for each in against):
            return
        # There first: should it fail, the next try finds the same here and tells it again.
        await self._service.lift(asked.address)
        async with self._db.write() as conn:
            await self._store.allow(conn, digests, [ALL], _OWN_TO_LIFT)

    async def notice(self, payload: Mapping[str, Any]) -> None:
        """Send a notice about an account, where the member has a confirmed address.

        Raises:
            NotSent: see there.
        """
        job = NoticeJob.model_validate(payload)
        notice = _NOTICES.validate_python(job.notice)
        known = await self._store.get(job.member_id)
        if known is None or not known.on:
            return
        t, zone = translator_for(known.locale), await self._zones.zone(job.member_id)

        async def compose(_variant: str) -> MailContent:
            if isinstance(notice, SecurityNotice):
                return security_mail(notice, self._site, zone, t)
            return billing_mail(notice, self._site, zone, t)

        receiver = Receiver(known.member_id, known.address, known.address_hash)
        await self._mailer.send(receiver, notice.type, f"notice:{job.key}", compose, t)

    async def welcome(self, step: SequenceStep) -> None:
        """Send one of the onboarding mails.

        Raises:
            NotSent: see there.
        """
        known = await self._store.get(step.member_id)
        if known is None or not known.on:
            return
        t = translator_for(known.locale)

        async def compose(variant: str) -> MailContent:
            return welcome_mail(step.step, variant, self._site, t)

        kind = STEPS[step.step - 1]
        receiver = Receiver(known.member_id, known.address, known.address_hash)
        await self._mailer.send(receiver, kind, f"{kind}:{step.member_id}", compose, t)

    async def onboarding(self) -> int:
        """Send the onboarding mails that are due; how many. It ends when the member acts, declines, or is through.

        The first mail comes in any case: it says that the address is on.
        """
        sent = 0
        for step in await self._sequence.due(self._clock()):
            known = await self._store.get(step.member_id)
            declined = known is None or not known.on or await self._declines(known.address, known.address_hash)
            acted = step.step > 1 and await self._sequence.has_acted(step.member_id)
            now = self._clock()
            async with self._db.write() as conn:
                if declined or acted:
                    await self._sequence.end(conn, step, "off" if declined else "acted", now)
                    continue
                last = step.step >= len(STEPS)
                if last:
                    moved = await self._sequence.end(conn, step, "finished", now)
                else:
                    moved = await self._sequence.advance(conn, step, now + PAUSES[step.step - 1])
                if moved:
                    await self._queue.welcome(conn, step)
                    sent += 1
        return sent

    async def _declines(self, address: str, address_hash: str) -> bool:
        against = await self._store.suppressions({*self._hasher.digests(address), address_hash})
        return any(each.scope in (ALL, "onboarding") for each in against)

    async def tell_lists(self, payload: Mapping[str, Any]) -> None:
        """Tell the mail service what a member chose here.

        Raises:
            NotSent: it could not be told.
        """
        job = ListJob.model_validate(payload)
        known = await self._store.get(job.member_id)
        if known is None:
            return
        group: Group | None = next((each for each in GROUPS if each == job.group), None)
        if group is None:
            await self._service.lift(known.address)
        else:
            await self._service.decline(known.address, group, job.declined)
