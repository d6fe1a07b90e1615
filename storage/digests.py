"""Subscriptions to digests, and which were sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, delete, false, func, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.engine import Database
from storage.tables import member, server_settings
from storage.tables_delivery import notification, notification_item
from storage.tables_digests import digest_sent, digest_subscription

CHOSEN: Final = ("channel_id", "cadence", "weekday", "hour", "timezone", "locale", "next_at", "paused")
"""Columns that are set by whom the subscription belongs to."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a subscription is: a member's or a server's.

    Raises:
        ValueError: neither, or both.
    """

    member_id: int | None = None
    guild_id: int | None = None

    def __post_init__(self) -> None:
        if (self.member_id is None) == (self.guild_id is None):
            raise ValueError("a member or a server")


@dataclass(frozen=True, slots=True)
class StoredDigest:
    """A subscription as stored."""

    id: int
    member_id: int | None
    guild_id: int | None
    channel_id: int | None
    cadence: str
    weekday: int
    hour: int
    timezone: str
    locale: str
    next_at: datetime
    last_at: datetime | None
    paused: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class SentDigest:
    """One that was sent. ``net_day`` and ``gpus`` are those of the portfolio that it showed."""

    slot_at: datetime
    claimed_at: datetime
    notification_id: str
    missed: int
    net_day: float | None
    gpus: int | None


class DigestStore:
    """Rows of ``digest_subscription`` and ``digest_sent``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def get(self, owner: Owner) -> StoredDigest | None:
        """The owner's subscription, or None."""
        async with self._db.read() as conn:
            row = (await conn.execute(select(digest_subscription).where(_of(owner)))).one_or_none()
            return None if row is None else StoredDigest(**row._mapping)

    async def put(self, owner: Owner, values: Mapping[str, Any], at: datetime) -> StoredDigest:
        """Make or change the owner's subscription; all of :data:`CHOSEN` but ``paused`` are needed to make one.

        Raises:
            ValueError: another column is named.
        """
        if not values.keys() <= set(CHOSEN):
            raise ValueError("unknown column")
        index = "member_id" if owner.member_id is not None else "guild_id"
        statement = (
            self._db.insert(digest_subscription)
            .values(member_id=owner.member_id, guild_id=owner.guild_id, created_at=at, updated_at=at, **values)
            .on_conflict_do_update(index_elements=[index], set_={**values, "updated_at": at})
            .returning(digest_subscription)
        )
        async with self._db.write() as conn:
            return StoredDigest(**(await conn.execute(statement)).one()._mapping)

    async def remove(self, owner: Owner) -> bool:
        """End the subscription; False when there was none."""
        async with self._db.write() as conn:
            return await self.erase(owner, conn) == 1

    async def erase(self, owner: Owner, conn: AsyncConnection) -> int:
        """As :meth:`remove`, inside the caller's transaction; how many there were."""
        gone = await conn.execute(delete(digest_subscription).where(_of(owner)))
        return gone.rowcount

    async def alerts_told(
        self, owner: Owner, since: datetime, until: datetime, limit: int
    ) -> tuple[Sequence[Mapping[str, Any]], int]:
        """Payloads of the owner's alerts of a time, newest first, at most *limit*; and how many there were."""
        mine = notification.c.member_id == owner.member_id
        if owner.member_id is None:
            mine = notification.c.member_id.is_(None) & (notification.c.guild_id == owner.guild_id)
        query = (
            select(notification_item.c.payload)
            .join(notification, notification.c.id == notification_item.c.notification_id)
            .where(
                mine,
                notification.c.kind == "alert",
                notification.c.created_at > since,
                notification.c.created_at <= until,
                # Samples, and what only tells of other alerts, are none.
                func.coalesce(notification_item.c.payload["test"].as_boolean(), false()).is_not(true()),
                notification_item.c.payload["kind"].as_string() != "digest",
            )
        )
        newest = query.order_by(notification.c.created_at.desc(), notification_item.c.id.desc()).limit(limit)
        async with self._db.read() as conn:
            total = await conn.scalar(select(func.count()).select_from(query.subquery()))
            return [row.payload for row in await conn.execute(newest)], int(total or 0)

    # --- the planner's ---

    async def due(self, now: datetime, limit: int, after: int = 0) -> Sequence[StoredDigest]:
        """Subscriptions that are due and not paused, by id, from the one after *after* on."""
        query = (
            select(digest_subscription)
            .where(
                digest_subscription.c.next_at <= now,
                digest_subscription.c.paused.is_(None),
                digest_subscription.c.id > after,
            )
            .order_by(digest_subscription.c.id)
            .limit(limit)
        )
        async with self._db.read() as conn:
            return [StoredDigest(**row._mapping) for row in await conn.execute(query)]

    async def astray(self, limit: int) -> Sequence[tuple[StoredDigest, str]]:
        """Subscriptions whose time was computed in another zone than their owner's, with the owner's."""
        members = (
            select(digest_subscription, func.coalesce(member.c.timezone, "UTC").label("zone"))
            .outerjoin(member, member.c.id == digest_subscription.c.member_id)
            .where(
                digest_subscription.c.member_id.is_not(None),
                func.coalesce(member.c.timezone, "UTC") != digest_subscription.c.timezone,
            )
            .limit(limit)
        )
        chosen = func.coalesce(server_settings.c.settings["timezone"].as_string(), "UTC")
        servers = (
            select(digest_subscription, chosen.label("zone"))
            .outerjoin(server_settings, server_settings.c.guild_id == digest_subscription.c.guild_id)
            .where(digest_subscription.c.guild_id.is_not(None), chosen != digest_subscription.c.timezone)
            .limit(limit)
        )
        found = []
        async with self._db.read() as conn:
            for query in (members, servers):
                for row in await conn.execute(query):
                    values = dict(row._mapping)
                    zone = str(values.pop("zone"))
                    found.append((StoredDigest(**values), zone))
        return found

    async def rezone(self, known: StoredDigest, zone: str, next_at: datetime) -> None:
        """Note a time computed in another zone, unless somebody else changed the subscription."""
        async with self._db.write() as conn:
            await conn.execute(
                update(digest_subscription)
                .where(_unchanged(known), digest_subscription.c.timezone == known.timezone)
                .values(timezone=zone, next_at=next_at)
            )

    async def claim(self, conn: AsyncConnection, known: StoredDigest, next_at: datetime, last_at: datetime) -> bool:
        """Move a subscription on to *next_at*, inside the caller's transaction.

        False when somebody else did so first, or it was changed or ended since *known* was read.
        """
        moved = await conn.execute(
            update(digest_subscription)
            .where(_unchanged(known), digest_subscription.c.updated_at == known.updated_at)
            .values(next_at=next_at, last_at=last_at)
            .returning(digest_subscription.c.id)
        )
        return moved.one_or_none() is not None

    async def sent(self, conn: AsyncConnection, subscription_id: int, sent: SentDigest) -> None:
        """Note a digest, inside the caller's transaction."""
        values = {name: getattr(sent, name) for name in SentDigest.__slots__}
        await conn.execute(digest_sent.insert().values(subscription_id=subscription_id, **values))

    async def last_sent(self, subscription_id: int) -> SentDigest | None:
        """The newest digest of a subscription."""
        query = (
            select(*(digest_sent.c[name] for name in SentDigest.__slots__))
            .where(digest_sent.c.subscription_id == subscription_id)
            .order_by(digest_sent.c.slot_at.desc())
            .limit(1)
        )
        async with self._db.read() as conn:
            row = (await conn.execute(query)).one_or_none()
            return None if row is None else SentDigest(**row._mapping)

    async def forget(self, before: datetime) -> int:
        """Erase what is noted of digests older than *before*; how many."""
        async with self._db.write() as conn:
            gone = await conn.execute(delete(digest_sent).where(digest_sent.c.slot_at < before))
            return gone.rowcount

    async def failed(self, known: StoredDigest) -> bool:
        """Whether the subscription's last digest could not be delivered, and nothing was changed since."""
        last = (
            select(digest_sent.c.notification_id)
            .where(digest_sent.c.subscription_id == known.id, digest_sent.c.claimed_at > known.updated_at)
            .order_by(digest_sent.c.slot_at.desc())
            .limit(1)
            .scalar_subquery()
        )
        query = select(notification.c.id).where(notification.c.id == last, notification.c.state == "failed")
        async with self._db.read() as conn:
            return (await conn.execute(query)).first() is not None

    async def pause(self, known: StoredDigest, reason: str) -> None:
        """Stop a digest until somebody changes it."""
        async with self._db.write() as conn:
            await conn.execute(update(digest_subscription).where(_unchanged(known)).values(paused=reason))


def _of(owner: Owner) -> ColumnElement[bool]:
    if owner.member_id is not None:
        return digest_subscription.c.member_id == owner.member_id
    return digest_subscription.c.guild_id == owner.guild_id


def _unchanged(known: StoredDigest) -> ColumnElement[bool]:
    return and_(digest_subscription.c.id == known.id, digest_subscription.c.next_at == known.next_at)
