"""Delivering one notification: the job ``delivery.notify``.

Every step is a transaction of its own, and the process may die between any two of them:

1. Load and render. Nothing was changed; the next worker does the same.
2. Begin: the group is closed and a try noted as ``unknown``, in one transaction.
3. Send, with a nonce made from the notification's id. Who dies before or after it leaves the try as ``unknown``; the
   next worker sends again with the same nonce, and Discord answers with the first message if there is one.
4. Settle: what came of the try, the notification's state and the end of the job (or its next time), in one
   transaction that the job's fencing token guards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from config.i18n import Text, translator_for
from gpuscout.accounts.delivery_choices import Choice, DeliveryChoices, choice_of, quiet_until
from gpuscout.accounts.servers import Servers
from gpuscout.accounts.timezones import zone_of
from gpuscout.cards.kit import relative
from gpuscout.delivery.channels import (
    Letter,
    MailSender,
    Message,
    NotSent,
    Renderers,
    Sender,
    Via,
    nonce_of,
)
from gpuscout.delivery.fallback import Step, is_late, next_step
from gpuscout.delivery.notify_ports import Hold, NotifyMetrics
from gpuscout.delivery.notify_refused import pause_refused
from gpuscout.delivery.notify_steps import Ended, GroupedSteps
from gpuscout.delivery.ports import DeliveryFailed
from storage.attempts import Arrived, Begun, DeliveryLedger, Notification
from storage.engine import Database
from storage.jobs import JobStore
from storage.notifications import NotificationStore, Target

log = structlog.get_logger(__name__)

ALWAYS: Final = ("security", "billing")
"""Kinds that quiet hours do not hold and that nobody can mute."""
DM_OFF: Final = "dm_off"
PLAIN_AFTER: Final = 3
"""After so many failed tries to draw a message it is sent without its picture and details."""
_ROUNDS: Final = 8


@dataclass(frozen=True, slots=True)
class _Reader:
    """Who reads it, and how he can be reached."""

    t: Text
    timezone: str
    channels: tuple[Via, ...]
    address: str | None = None
    choice: Choice | None = None


class Notifier:
    """Delivers notifications.

    Args:
        renderers: by kind of notification.
        discord: gives the sender; None where no token is set.
        mail: None: e-mail is not set up.
    """

    def __init__(
        self,
        db: Database,
        jobs: JobStore,
        notifications: NotificationStore,
        choices: DeliveryChoices,
        servers: Servers,
        renderers: Renderers,
        discord: Sender,
        *,
        mail: MailSender | None = None,
        metrics: NotifyMetrics | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._db = db
        self._ledger = DeliveryLedger(db)
        self._steps = GroupedSteps(db, jobs, self._ledger, choices)
        self._notifications = notifications
        self._refused = pause_refused(notifications)
        self._choices = choices
        self._servers = servers
        self._renderers = renderers
        self._discord = discord
        self._mail = mail
        self._metrics = metrics
        self._clock = clock

    async def deliver(self, notification_id: str, hold: Hold) -> str:
        """One try; returns what came of it: ``sent``, ``dropped``, ``failed``, ``again``, ``later`` or ``dead``.

        Raises:
            storage.errors.LeaseLost: another worker has the job; nothing of this try's end was stored.
        """
        for _ in range(_ROUNDS):
            told = await self._steps.load(notification_id)
            if told is None or told.closed:
                await self._finish(hold)
                return "gone" if told is None else told.state
            if not told.items:
                if await self._drop_empty(told, hold):
                    return "dropped"
                continue
            reader = await self._reader(told)
            ended = await self._obstacle(told, reader, hold)
            if ended is not None:
                return ended
            step = next_step(told, reader.channels, self._clock())
            if step.via is None:
                return await self._give_up(told, hold)
            letter = Letter(step.via, reader.t, reader.timezone)
            told = replace(told, may_repeat=told.may_repeat or step.may_repeat)
            message = await self._render(told, letter, hold)
            if message is None:
                return await self._drop(told, "nothing to tell", hold)
            ended = await self._try(told, reader, letter, message, step, hold)
            if ended is not None:
                return ended
        # Items keep joining, or channels keep refusing; either ends.
        async with self._db.write() as conn:
            return await hold.again(conn, "the notification changed too often while it was sent")

    # --- before ---

    async def _reader(self, told: Notification) -> _Reader:
        target = told.target
        if target.member_id is None:
            settings = None if target.guild_id is None else await self._servers.read(target.guild_id)
            locale = settings.locale if settings is not None else None
            zone = settings.timezone if settings is not None else None
            return _Reader(translator_for(locale), zone or "UTC", ("channel",))
        member, row = await self._steps.rows(target.member_id)
        choice = choice_of(target.member_id, row)
        address = await self._mail.address(target.member_id) if self._mail is not None else None
        possible = {"dm": True, "mention": target.channel_id is not None, "email": address is not None}
        channels: tuple[Via, ...] = tuple(via for via in choice.usable if possible[via])
        return _Reader(translator_for(member.get("locale")), member.get("timezone") or "UTC", channels, address, choice)

    async def _obstacle(self, told: Notification, reader: _Reader, hold: Hold) -> str | None:
        """Why it is not sent now, with the job settled accordingly; None: go on."""
        choice = reader.choice
        if choice is None or told.kind in ALWAYS:
            return None
        if not choice.wants(told.kind):
            return await self._drop(told, "muted", hold)
        if told.severity == "critical" and choice.critical_passes:
            return None
        until = quiet_until(choice, zone_of(reader.timezone), self._clock())
        if until is None:
            return None
        async with self._db.write() as conn:
            await self._ledger.postpone(conn, told.id, until)
            await hold.sleep_until(conn, until)
        return "later"

    async def _render(self, told: Notification, letter: Letter, hold: Hold) -> Message | None:
        try:
            return await self._renderers[told.kind](told, letter)
        except Exception:
            if hold.job.attempts < PLAIN_AFTER:
                raise
            # What is owed is told, if poorly, rather than not at all.
            log.exception("notification_drawn_plainly", notification=told.id, kind=told.kind)
            return Message(text="🔔 " + letter.t("Something you asked to be told of has happened: see `/alert why`."))

    # --- the try ---

    async def _try(
        self, told: Notification, reader: _Reader, letter: Letter, message: Message, step: Step, hold: Hold
    ) -> str | None:
        """One try through one channel; None: look again (it changed, or the channel refused)."""
        via = letter.via
        nonce = None if via == "email" else nonce_of(told.id, via)
        attempt = await self._steps.begin(Begun(told, via, self._clock(), nonce, step.may_repeat))
        if attempt is None:
            return None
        try:
            sent = await self._send(told, reader, letter, message, nonce or "")
        except NotSent as error:
            return await self._not_sent(told, reader, attempt, step, error, hold)
        now = self._clock()
        first = None
        if via == "dm" and reader.choice is not None and (reader.choice.dm_failures or not reader.choice.dm_opened_at):
            first = reader.choice.member_id
        await self._steps.end(Ended(Arrived(told.id, attempt, via, sent, now, step.note), hold.job, first))
        hold.finished = True
        self._count(told, via, "sent")
        if self._metrics is not None and via == "dm" and told.poll_at is not None and told.due_at <= told.created_at:
            self._metrics.poll_to_message(max(0.0, (now - told.poll_at).total_seconds()))
        log.info("notification_sent", notification=told.id, kind=told.kind, via=via, message=sent)
        return "sent"

    async def _send(self, told: Notification, reader: _Reader, letter: Letter, message: Message, nonce: str) -> str:
        target = told.target
        if letter.via == "email":
            assert self._mail is not None and reader.address is not None  # noqa: S101 - else it is no channel
            return await self._mail.send(told, reader.address, letter, message)
        try:
            discord = await self._discord()
        except DeliveryFailed as error:
            raise NotSent("failed", str(error), retry_after=error.retry_after) from error
        if discord is None:
            raise NotSent("failed", "DISCORD_TOKEN is not set")
        if is_late(told, self._clock()):
            due = max(told.created_at, told.due_at)
            line = letter.t("Sorry, this comes late: it was meant for {when}.", when=relative(due))
            message = replace(message, text=f"{message.text}\n-# {line}".strip())
        if letter.via == "dm":
            assert target.member_id is not None  # noqa: S101 - a member's channel
            return str(await discord.to_member(target.member_id, message, nonce))
        assert target.channel_id is not None  # noqa: S101 - else it is no channel
        user = target.member_id if letter.via == "mention" else None
        role = target.role_id if letter.via == "channel" else None
        return str(await discord.to_channel(target.channel_id, message, nonce, user=user, role=role))

    # --- after ---

    async def _not_sent(
        self, told: Notification, reader: _Reader, attempt: int, step: Step, error: NotSent, hold: Hold
    ) -> str | None:
        via = step.via
        assert via is not None  # noqa: S101 - it was tried
        detail = str(error) if step.note is None else f"{error} ({step.note})"
        log.info("notification_not_sent", notification=told.id, via=via, outcome=error.outcome, detail=detail)
        ended: str | None = None
        async with self._db.write() as conn:
            await self._ledger.not_sent(conn, attempt, error.outcome, detail)
            if error.outcome == "refused":
                if error.closed and reader.choice is not None:
                    await self._count_closed(conn, told, reader.choice)
                if error.ours:
                    # The same would be refused everywhere: a person has to look.
                    await self._ledger.close(conn, told.id, "failed")
                    await hold.bury(conn, detail)
                    ended = "dead"
            else:
                wait = None
                if step.again_by is not None:
                    wait = max(0.0, (step.again_by - self._clock()).total_seconds())
                ended = await hold.again(conn, detail, retry_after=error.retry_after, at_most=wait)
                if ended == "dead":
                    await self._ledger.close(conn, told.id, "failed")
        self._count(told, via, error.outcome)
        return "again" if ended == "ready" else ended

    async def _count_closed(self, conn: AsyncConnection, told: Notification, choice: Choice) -> None:
        """Count closed DMs; with the third in a row they are switched off, which the member hears elsewhere."""
        if not await self._choices.note_dm_failure(choice.member_id, conn):
            return
        now = self._clock()
        await self._notifications.add(
            conn,
            Target(choice.member_id, told.target.guild_id, told.target.channel_id),
            "notice",
            {"notice": DM_OFF},
            item_key=f"{DM_OFF}:{choice.member_id}:{now:%Y-%m-%dT%H:%M:%S}",
            group_key=f"notice:{DM_OFF}:{choice.member_id}",
            at=now,
        )
        log.warning("dm_switched_off", member=choice.member_id)

    async def _give_up(self, told: Notification, hold: Hold) -> str:
        """Every channel refused, or there is none: no try can mend that. The ledger keeps it."""
        async with self._db.write() as conn:
            if told.target.member_id is None:
                await self._refused(conn, told, self._clock())
            await self._ledger.close(conn, told.id, "failed")
            await hold.finish(conn)
        self._count(told, "none", "failed")
        log.warning("notification_undeliverable", notification=told.id, kind=told.kind)
        return "failed"

    async def _drop(self, told: Notification, reason: str, hold: Hold) -> str:
        async with self._db.write() as conn:
            await self._ledger.close(conn, told.id, "dropped")
            await hold.finish(conn)
        self._count(told, "none", "dropped")
        log.info("notification_dropped", notification=told.id, kind=told.kind, reason=reason)
        return "dropped"

    async def _drop_empty(self, told: Notification, hold: Hold) -> bool:
        """A notification may be opened for an item that another process added at the same instant."""
        async with self._db.write() as conn:
            dropped = await self._ledger.drop_empty(conn, told.id)
            if dropped:
                await hold.finish(conn)
        return dropped

    async def _finish(self, hold: Hold) -> None:
        async with self._db.write() as conn:
            await hold.finish(conn)

    def _count(self, told: Notification, via: str, outcome: str) -> None:
        if self._metrics is not None:
            self._metrics.notification(told.kind, via, outcome)


def notification_of(payload: Any) -> str:
    """The notification's id in the payload of the job."""
    return str(payload["notification"])
