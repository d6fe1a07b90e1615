"""A notifier over the sandbox's Discord, its rows on either database, and a clock that tests move."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import discord
from sqlalchemy import select

from bot.dm_role import open_client
from bot.notify_role import NOTIFY_BACKOFF
from bot.parts import Parts, open_parts
from bot.worker import JobRun
from config.settings import Settings
from gpuscout.accounts.delivery_choices import DeliveryChoices
from gpuscout.accounts.servers import Servers
from gpuscout.cards.page import Page, page_card
from gpuscout.delivery.channels import Letter, Message, NotSent, Picture
from gpuscout.delivery.discord_notify import DiscordNotifications
from gpuscout.delivery.notify import Notifier, notification_of
from gpuscout.delivery.notify_notice import notice_renderer
from gpuscout.delivery.pacing import DiscordPace
from gpuscout.telemetry.metrics import Metrics
from sandbox.discord.models import User
from sandbox.discord.server import SandboxDiscord
from storage.attempts import DeliveryLedger, Notification
from storage.delivery_choices import DeliveryChoiceStore
from storage.notifications import NOTIFY_JOB, NotificationStore, Target
from storage.servers import ServerStore
from storage.tables_delivery import notification

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MESSAGES = "POST /channels/{channel_id}/messages"
ALICE_MAIL = "ann@example.com"


@dataclass
class Clock:
    """The desk's time."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def move(self, **span: float) -> None:
        self.now += timedelta(**span)


@dataclass
class Mailbox:
    """E-mail in memory: who has a confirmed address, what was sent, and how it fails next."""

    addresses: dict[int, str] = field(default_factory=dict)
    sent: list[tuple[Notification, str, Letter]] = field(default_factory=list)
    failures: list[NotSent] = field(default_factory=list)

    async def address(self, member_id: int) -> str | None:
        return self.addresses.get(member_id)

    async def send(self, notification: Notification, address: str, letter: Letter, message: Message) -> str:
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append((notification, address, letter))
        return f"mail-{len(self.sent)}"


async def draw_alert(told: Notification, letter: Letter) -> Message | None:
    """Alerts of the tests: an embed with a button and a picture; a card where the first item asks for one."""
    names = ", ".join(str(item["name"]) for item in told.items)
    if told.items[0].get("broken"):
        raise RuntimeError("cannot be drawn")
    if told.items[0].get("card"):
        return Message(text="", card=page_card(Page(names, ["below 0.30"])))
    view = discord.ui.View(timeout=None)
    view.add_item(discord.ui.Button(label="Why", custom_id="why|1"))
    embed = discord.Embed(title=names, description=letter.via)
    return Message(embeds=[embed], view=view, pictures=[Picture("chart.webp", b"picture", "a chart")])


@dataclass
class Desk:
    """Everything a test of delivery touches."""

    discord: SandboxDiscord
    ann: User
    channel_id: int
    guild_id: int
    role_id: int
    parts: Parts
    clock: Clock
    mail: Mailbox
    metrics: Metrics
    notifier: Notifier
    sender: DiscordNotifications
    notifications: NotificationStore
    choices: DeliveryChoices
    ledger: DeliveryLedger

    async def add(self, name: str = "RTX 4090", *, target: Target | None = None, **options: Any) -> str:
        """An alert of Ann's, made in the market channel."""
        where = target or Target(self.ann.id, self.guild_id, self.channel_id)
        payload = {"name": name, **options.pop("payload", {})}
        settings = {"at": self.clock(), "item_key": name, "group_key": f"alert:{where.key}", "poll_at": self.clock()}
        async with self.parts.db.write() as conn:
            found = await self.notifications.add(
                conn, where, options.pop("kind", "alert"), payload, **{**settings, **options}
            )
        assert found is not None
        return found

    async def claim(self) -> JobRun:
        """The job that is due, as a worker has it."""
        (job,) = await self.parts.jobs.claim([NOTIFY_JOB], 1, 60.0, self.clock())
        return JobRun(job, self.parts.jobs, NOTIFY_BACKOFF[NOTIFY_JOB])

    async def deliver(self) -> str:
        """One try of the job that is due."""
        run = await self.claim()
        return await self.notifier.deliver(notification_of(run.job.payload), run)

    async def due(self) -> int:
        """How many deliveries could be claimed now."""
        jobs = await self.parts.jobs.claim([NOTIFY_JOB], 10, 60.0, self.clock())
        for job in jobs:
            async with self.parts.db.write() as conn:
                await self.parts.jobs.release(conn, job)
        return len(jobs)

    async def get(self, notification_id: str) -> Notification:
        found = await self.ledger.load(notification_id)
        assert found is not None
        return found

    async def tries(self, notification_id: str) -> list[tuple[str, str]]:
        """The ledger of one notification: channel and outcome of each try."""
        return [(each.channel, each.outcome) for each in (await self.get(notification_id)).attempts]

    async def every(self) -> list[Notification]:
        """All notifications, oldest first."""
        async with self.parts.db.read() as conn:
            ids = (await conn.execute(select(notification.c.id).order_by(notification.c.created_at))).scalars().all()
        return [await self.get(each) for each in ids]

    def said(self, channel_id: int | None = None) -> list[dict[str, Any]]:
        """What the bot wrote: in one channel, else in Ann's DM."""
        world = self.discord.world
        where = channel_id or next((c.id for c in world.channels.values() if self.ann.id in c.recipients), 0)
        return [m.data for m in world.bucket(where).values() if m.author_id == world.bot.id]

    async def break_discord(self, **faults: Any) -> None:
        await self.discord.control.apply_faults(faults)

    def asked(self, part: str) -> int:
        return sum(part in f"{record.method} {record.path}" for record in self.discord.requests)


@asynccontextmanager
async def open_desk(db_url: str, restore: Callable[[], None] = lambda: None) -> AsyncIterator[Desk]:
    server = SandboxDiscord()
    ann = server.add_user("ann")
    guild = server.add_guild("GPU Hosts", owner=ann.id, members=[ann.id], channels=["market"])
    role = server.setup.add_role(guild.id, "alerts")
    await server.start()
    settings = Settings(_env_file=None, database_url=db_url, discord_token=server.token, discord_api_url=server.api_url)
    clock = Clock()
    parts = open_parts(settings, clock)
    closers: list[Any] = []
    client = await open_client(settings, None, lambda _name, close: closers.append(close))
    sender = DiscordNotifications(client, parts.state, DiscordPace())
    notifications = NotificationStore(parts.db, parts.jobs)
    choices = DeliveryChoices(DeliveryChoiceStore(parts.db), clock=clock)
    mail, metrics = Mailbox(), Metrics()

    async def discord_sender() -> DiscordNotifications:
        return sender

    notifier = Notifier(
        parts.db,
        parts.jobs,
        notifications,
        choices,
        Servers(ServerStore(parts.db), clock=clock),
        {"alert": draw_alert, "notice": notice_renderer()},
        discord_sender,
        mail=mail,
        metrics=metrics,
        clock=clock,
    )
    try:
        yield Desk(
            discord=server,
            ann=ann,
            channel_id=guild.channel_ids[0],
            guild_id=guild.id,
            role_id=role.id,
            parts=parts,
            clock=clock,
            mail=mail,
            metrics=metrics,
            notifier=notifier,
            sender=sender,
            notifications=notifications,
            choices=choices,
            ledger=DeliveryLedger(parts.db),
        )
    finally:
        for close in closers:
            await close()
        await parts.aclose()
        await server.stop()
        restore()
