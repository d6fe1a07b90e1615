"""Notifications by e-mail: the last channel, with the words of the first one."""

from __future__ import annotations

import asyncio
from typing import Final

from config.i18n import Text, translator_for
from gpuscout.delivery.channels import Letter, Message, NotSent
from gpuscout.delivery.mail.discord_text import convert_pictures, flat, message_blocks, plain_line, tone_of
from gpuscout.delivery.mail.mailer import Mailer, Receiver
from gpuscout.delivery.mail.models import KINDS, Block, MailContent, MailKind, Paragraph
from storage.attempts import Notification
from storage.mail import MailStore

_OTHER: Final[MailKind] = "notice"


class NotificationMail:
    """Implements :class:`gpuscout.delivery.channels.MailSender`."""

    def __init__(self, store: MailStore, mailer: Mailer) -> None:
        self._store = store
        self._mailer = mailer

    async def address(self, member_id: int) -> str | None:
        """Where the member may be written to; None: nowhere."""
        return await self._store.confirmed_address(member_id)

    async def send(self, notification: Notification, address: str, letter: Letter, message: Message) -> str:
        """Send; our id of the mail. The same notification is sent once, unless an answer was lost.

        Args:
            message: what the notification looks like in Discord.

        Raises:
            NotSent: see there.
        """
        member_id = notification.target.member_id
        known = await self._store.get(member_id) if member_id is not None else None
        if known is None or not known.on or known.address != address:
            raise NotSent("refused", "the member has no confirmed address (any more)")
        kind = next((each for each in KINDS if each == notification.kind), _OTHER)
        t = letter.t if letter.t.locale.split("-")[0] != "en" else translator_for(known.locale)

        async def compose(_variant: str) -> MailContent:
            return await asyncio.to_thread(
                notification_content, kind, notification.severity, message, t, letter.timezone
            )

        return await self._mailer.send(
            Receiver(known.member_id, known.address, known.address_hash),
            kind,
            f"notification:{notification.id}",
            compose,
            t,
            notification_id=notification.id,
            elsewhere=notification.may_repeat
            or any(each.channel != "email" and each.outcome == "unknown" for each in notification.attempts),
        )


def notification_content(kind: MailKind, severity: str, message: Message, t: Text, zone: str) -> MailContent:
    """A rendered notification as a mail. Slow where there are pictures: for a thread."""
    title, body = message_blocks(message, t, zone)
    shown, pictures = convert_pictures(message.pictures)
    found: list[Block] = list(body)
    # After the first words, before the figures: where Discord shows it too.
    found[1:1] = shown
    titles = {"digest": t("Your GPUScout digest"), "alert": t("A GPUScout alert")}
    subject = title or next((flat(each.spans) for each in body if isinstance(each, Paragraph)), "") or "GPUScout"
    return MailContent(
        subject=subject,
        title=title or titles.get(kind, t("A message from GPUScout")),
        blocks=found,
        reason=reason_of(kind, t),
        preheader=plain_line(message, t, zone),
        tone=tone_of(severity),
        pictures=pictures,
    )


def reason_of(kind: MailKind, t: Text) -> str:
    """Why the receiver gets a mail of *kind*, in a sentence."""
    if kind == "alert":
        return t("You get this because of an alert of yours, and e-mail is among your channels.")
    if kind == "digest":
        return t("You get this because you asked GPUScout for a digest, and e-mail is among your channels.")
    if kind in ("security", "billing"):
        return t("You get this because it concerns your account.")
    if kind == "confirm":
        return t("You get this because somebody entered this address in GPUScout. If it was not you, ignore it.")
    if kind.startswith("welcome"):
        return t("You get this because you confirmed this address in GPUScout. At most three such mails come.")
    return t("You get this because you use GPUScout, and e-mail is among your channels.")
