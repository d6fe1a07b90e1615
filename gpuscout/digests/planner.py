"""Which digests are due: each is claimed, noted and put on its way in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from gpuscout.accounts.delivery_choices import DeliveryChoices
from gpuscout.accounts.servers import Servers
from gpuscout.accounts.timezones import zone_of
from gpuscout.digests.compose import DigestComposer, Wanted
from gpuscout.digests.digests import rhythm_of
from gpuscout.digests.models import KIND, DigestContent
from gpuscout.digests.ports import PlannerRows
from gpuscout.digests.schedule import newest_slot, next_slot
from storage.digests import Owner, SentDigest, StoredDigest
from storage.engine import Database
from storage.events import EventStore
from storage.notifications import NotificationStore, Target

log = structlog.get_logger(__name__)

PLAN_JOB: Final = "digests.plan"
BATCH: Final = 100
WAITS: Final = timedelta(hours=2)
"""How long a digest waits for the market to be heard again; then it comes without prices."""
KEPT: Final = timedelta(days=100)
"""What was sent is noted so long."""


class DigestPlanner:
    """Looks which digests are due."""

    def __init__(
        self,
        db: Database,
        rows: PlannerRows,
        notifications: NotificationStore,
        events: EventStore,
        composer: DigestComposer,
        choices: DeliveryChoices,
        servers: Servers,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._db = db
        self._rows = rows
        self._notifications = notifications
        self._events = events
        self._composer = composer
        self._choices = choices
        self._servers = servers
        self._clock = clock

    async def plan(self) -> int:
        """One look; returns how many digests were put on their way. One owner's trouble stops no other's."""
        await self._follow_zones()
        made, after = 0, 0
        while batch := await self._rows.due(self._clock(), BATCH, after):
            for known in batch:
                after = known.id
                try:
                    made += await self._one(known)
                except Exception:
                    log.exception("digest_failed", subscription=known.id)
        return made

    async def tidy(self) -> int:
        """Erase what is noted of old digests; how many."""
        return await self._rows.forget(self._clock() - KEPT)

    async def _follow_zones(self) -> None:
        """Owners who moved to another zone since their time was computed."""
        now = self._clock()
        for known, zone in await self._rows.astray(BATCH):
            await self._rows.rezone(known, zone, next_slot(rhythm_of(known), zone_of(zone), now))

    async def _one(self, known: StoredDigest) -> bool:
        now = self._clock()
        rhythm, zone = rhythm_of(known), zone_of(known.timezone)
        slot, missed = newest_slot(rhythm, zone, known.next_at, now)
        following = next_slot(rhythm, zone, now)
        owner = Owner(known.member_id, None if known.member_id is not None else known.guild_id)
        if owner.member_id is not None and not (await self._choices.get(owner.member_id)).wants(KIND):
            async with self._db.write() as conn:
                await self._rows.claim(conn, known, following, now)
            return False
        if owner.guild_id is not None and await self._rows.failed(known):
            # The channel took no post: another one would only be refused again.
            await self._rows.pause(known, "channel")
            log.warning("digest_paused", guild=owner.guild_id, channel=known.channel_id)
            return False
        wanted = Wanted(owner, rhythm, known.timezone, known.locale, slot, missed, known)
        content = await self._compose(wanted)
        if content.as_of is None and now - slot < WAITS:
            return False  # due as before: the next look tries again
        async with self._db.write() as conn:
            if not await self._rows.claim(conn, known, following, now):
                return False
            return await self._send(conn, known, content, slot, now)

    async def _compose(self, wanted: Wanted) -> DigestContent:
        if wanted.owner.guild_id is not None:
            return await self._composer.for_server(wanted, await self._servers.read(wanted.owner.guild_id))
        return await self._composer.for_member(wanted)

    async def _send(
        self, conn: AsyncConnection, known: StoredDigest, content: DigestContent, slot: datetime, now: datetime
    ) -> bool:
        target = Target(known.member_id, known.guild_id, known.channel_id)
        key = f"{KIND}:{target.key}:{known.id}:{slot:%Y-%m-%dT%H:%M:%S}"
        payload: dict[str, Any] = content.model_dump(mode="json")
        notification = await self._notifications.add(
            conn, target, KIND, payload, item_key=key, group_key=f"{KIND}:{target.key}", at=now
        )
        if notification is None:
            return False
        part = content.portfolio
        sent = SentDigest(
            slot_at=slot,
            claimed_at=now,
            notification_id=notification,
            missed=content.missed,
            net_day=part.net_day if part is not None else None,
            gpus=part.gpus if part is not None else None,
        )
        await self._rows.sent(conn, known.id, sent)
        if known.member_id is not None:
            data = summary(content, slot)
            await self._events.emit(
                conn, "portfolio.summary", data, member_id=known.member_id, dedupe_key=f"summary:{key}", at=now
            )
        log.info("digest_planned", subscription=known.id, slot=slot.isoformat(), missed=content.missed)
        return True


def summary(content: DigestContent, slot: datetime) -> dict[str, Any]:
    """The data of a ``portfolio.summary`` event: what the digest says, without its picture and its looks."""
    shown = content.model_dump(
        mode="json", include={"cadence", "since", "until", "portfolio", "movers", "alerts_total", "as_of", "simulated"}
    )
    return {**shown, "due_at": slot.isoformat(), "sources": [name for name, _ in content.sources]}
