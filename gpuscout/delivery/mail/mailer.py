"""Sending one mail: may it go, which variant, written down before, sent, settled after."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from config.i18n import Text
from gpuscout.delivery.channels import NotSent
from gpuscout.delivery.mail.address import AddressHasher
from gpuscout.delivery.mail.experiments import EXPERIMENTS, variant_of
from gpuscout.delivery.mail.links import MailLinks
from gpuscout.delivery.mail.models import GROUP_OF, Footer, Group, MailContent, MailKind, one_line
from gpuscout.delivery.mail.render import render_html, render_text
from gpuscout.delivery.mail.sendgrid import MailService, OutgoingMail
from storage.engine import Database
from storage.mail import ALL, MailStore
from storage.mail_log import MailLog, MailMessage, MailState

log = structlog.get_logger(__name__)

MAX_TRIES: Final = 20
"""After so many tries a mail is given up whatever its job says: nobody gets twenty copies."""

Compose = Callable[[str], Awaitable[MailContent | None]]
"""Makes the content of one variant (``a`` where there is no test); None: there is nothing to say any more."""


class MailWithheld(NotSent):
    """The receiver declined it, his address is dead, or there is nothing to say any more: as it should be."""

    def __init__(self, detail: str) -> None:
        super().__init__("refused", detail)


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who a mail goes to.

    Attributes:
        confirmed: False only for the mail that asks for the confirmation.
    """

    member_id: int
    address: str
    address_hash: str
    confirmed: bool = True

    @property
    def subject(self) -> str:
        """What a signed link names: the member and the address, so that an old mail's link does not touch a new one."""
        return f"{self.member_id}-{self.address_hash[:16]}"


@dataclass(frozen=True, slots=True)
class Sender:
    """What every mail says of its sender."""

    name: str
    contact: str | None
    templates: Mapping[str, str]

    def template(self, kind: MailKind, variant: str | None) -> str | None:
        """The dynamic template of a kind and variant, if the operator set one."""
        return self.templates.get(f"{kind}.{variant}") or self.templates.get(kind)


class Mailer:
    """Sends mails, each cause once."""

    def __init__(
        self,
        db: Database,
        store: MailStore,
        mails: MailLog,
        service: MailService,
        links: MailLinks,
        hasher: AddressHasher,
        sender: Sender,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._db = db
        self._store = store
        self._log = mails
        self._service = service
        self._links = links
        self._hasher = hasher
        self._sender = sender
        self._clock = clock

    async def send(
        self,
        receiver: Receiver,
        kind: MailKind,
        key: str,
        compose: Compose,
        t: Text,
        *,
        notification_id: str | None = None,
        elsewhere: bool = False,
    ) -> str:
        """Send the mail of one cause; our id of it. One that was sent before is not sent again.

        Args:
            key: names the cause.
            elsewhere: the receiver may have got the same through another channel; the mail says so.

        Raises:
            NotSent: ``refused`` also where the receiver declined it or his address is dead.
        """
        message = await self._open(receiver, kind, key, notification_id)
        if message.state == "sent":
            return message.id
        if message.state == "withheld":
            raise MailWithheld(message.detail or "not wanted")
        if message.settled or message.tries >= MAX_TRIES:
            raise NotSent("refused", message.detail or "tried too often")
        # What was under way when its process ended, or whose answer was lost, may have arrived.
        again = message.may_repeat or message.state in ("sending", "unknown")
        try:
            content = await compose(message.variant or "a")
            mail = None
            if content is not None:
                # Jinja2 takes a moment to load.
                mail = await asyncio.to_thread(
                    self._mail, receiver, kind, message, content, t, again=again, elsewhere=elsewhere
                )
        except Exception:
            await self._settle(message, "unknown" if again else "failed", "could not be written")
            raise
        if mail is None:
            await self._settle(message, "withheld", "nothing to say any more")
            raise MailWithheld("there is nothing to say any more")
        async with self._db.write() as conn:
            await self._log.begin(conn, message, may_repeat=again or elsewhere)
        try:
            provider_id = await self._service.send(mail)
        except NotSent as error:
            outcome: MailState = "unknown" if again and error.outcome == "failed" else error.outcome
            await self._settle(message, outcome, str(error))
            log.info("mail_not_sent", message=message.id, kind=kind, outcome=error.outcome, detail=str(error))
            raise
        async with self._db.write() as conn:
            await self._log.settle(conn, message.id, "sent", self._clock(), provider_id=provider_id)
        log.info("mail_sent", message=message.id, kind=kind, variant=message.variant, may_repeat=again or elsewhere)
        return message.id

    async def _open(self, receiver: Receiver, kind: MailKind, key: str, notification_id: str | None) -> MailMessage:
        """Assignment and mail, written down before anything is sent; or the reason why it must not be."""
        now = self._clock()
        experiment = EXPERIMENTS.get(kind)
        async with self._db.write() as conn:
            variant = None
            if experiment is not None:
                wanted = variant_of(experiment, receiver.member_id)
                variant = await self._log.assign(conn, experiment, receiver.member_id, wanted, now)
            message = await self._log.open(
                conn,
                member_id=receiver.member_id,
                kind=kind,
                dedupe_key=key,
                address_hash=receiver.address_hash,
                at=now,
                notification_id=notification_id,
                experiment=experiment,
                variant=variant,
            )
            if message.settled:
                return message
            scopes = {ALL, GROUP_OF.get(kind, ALL)}
            digests = {*self._hasher.digests(receiver.address), receiver.address_hash}
            against = [each for each in await self._store.suppressions(digests, conn) if each.scope in scopes]
            if not against:
                return message
            why = f"suppressed: {against[0].reason} ({against[0].scope})"
            await self._log.settle(conn, message.id, "withheld", now, detail=why)
        raise MailWithheld(why)

    def _mail(
        self,
        receiver: Receiver,
        kind: MailKind,
        message: MailMessage,
        content: MailContent,
        t: Text,
        *,
        again: bool,
        elsewhere: bool,
    ) -> OutgoingMail:
        group: Group | None = GROUP_OF.get(kind)
        notes = []
        if again:
            notes.append(
                t("You may have had this mail before: the mail service's answer to the first one was lost on its way.")
            )
        elif elsewhere:
            notes.append(t("You may get this in Discord too: whether it arrived there could not be found out in time."))
        unsubscribe = None if group is None else self._links.url("unsubscribe", f"{receiver.subject}-{group}")
        footer = Footer(
            sender=self._sender.name,
            site=self._links.base,
            contact=self._sender.contact,
            preferences=self._links.url("preferences", receiver.subject) if receiver.confirmed else None,
            unsubscribe=unsubscribe,
            notes=notes,
        )
        return OutgoingMail(
            message_id=message.id,
            to=receiver.address,
            subject=one_line(content.subject),
            text=render_text(content, footer, t),
            html=render_html(content, footer, t),
            category=kind,
            group=group,
            unsubscribe=unsubscribe,
            template=self._sender.template(kind, message.variant),
            data={**content.data(), "preferences_url": footer.preferences or "", "notes": notes},
            variant=message.variant,
            tracked=kind in EXPERIMENTS,
            pictures=content.pictures,
        )

    async def _settle(self, message: MailMessage, state: MailState, detail: str) -> None:
        async with self._db.write() as conn:
            await self._log.settle(conn, message.id, state, self._clock(), detail=detail)
