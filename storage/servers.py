"""Settings of Discord servers, the posts of their market feed, and their erasure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.engine import Database
from storage.tables import app_state, feed_post, server_settings
from storage.tables_alerts import alert_rule
from storage.tables_digests import digest_subscription
from storage.webhooks import erase_guild_webhooks

Json = Mapping[str, Any]
_ERASED_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class StoredServer:
    """One server's settings as stored; ``settings`` is JSON that the accounts room understands."""

    guild_id: int
    settings: Json
    updated_at: datetime
    erase_at: datetime | None


@dataclass(frozen=True, slots=True)
class FeedPost:
    """One claimed post of a server's feed; without ``message_id`` it is not (known to be) sent yet."""

    slot: str
    channel_id: int
    message_id: int | None
    claimed_at: datetime


def feed_state_key(guild_id: int) -> str:
    """Key in ``app_state`` of what the feed remembers between two looks (see ``gpuscout.delivery.feed``)."""
    return f"feed:{guild_id}"


class ServerStore:
    """Server settings by Discord server id."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def get(self, guild_id: int) -> StoredServer | None:
        """The stored settings, or None when nothing was ever set."""
        async with self._db.read() as conn:
            row = (
                await conn.execute(select(server_settings).where(server_settings.c.guild_id == guild_id))
            ).one_or_none()
            return None if row is None else _server(row)

    async def change(
        self, guild_id: int, edit: Callable[[Json | None], Json], at: datetime, conn: AsyncConnection | None = None
    ) -> Json:
        """Read, edit and write a server's settings with nobody in between; returns what is stored now.

        *edit* gets None for a server without settings. It may be called again, so it must only compute.
        """
        if conn is None:
            async with self._db.write() as own:
                return await self.change(guild_id, edit, at, own)
        query = select(server_settings.c.settings).where(server_settings.c.guild_id == guild_id).with_for_update()
        row = (await conn.execute(query)).one_or_none()
        if row is None:
            fresh = dict(edit(None))
            made = await conn.execute(
                self._db.insert(server_settings)
                .values(guild_id=guild_id, settings=fresh, updated_at=at)
                .on_conflict_do_nothing(index_elements=["guild_id"])
                .returning(server_settings.c.guild_id)
            )
            if made.one_or_none() is not None:
                return fresh
            row = (await conn.execute(query)).one()  # somebody else was first
        changed = dict(edit(row.settings))
        await conn.execute(
            update(server_settings)
            .where(server_settings.c.guild_id == guild_id)
            .values(settings=changed, updated_at=at)
        )
        return changed

    async def left(self, guild_id: int, erase_at: datetime) -> None:
        """The bot was removed: the settings are erased at *erase_at* unless it comes back. Repeats change nothing."""
        async with self._db.write() as conn:
            await conn.execute(
                update(server_settings)
                .where(server_settings.c.guild_id == guild_id, server_settings.c.erase_at.is_(None))
                .values(erase_at=erase_at)
            )

    async def back(self, guild_id: int) -> bool:
        """The bot is in the server (again): keep its settings. True when they were about to be erased."""
        async with self._db.write() as conn:
            result = await conn.execute(
                update(server_settings)
                .where(server_settings.c.guild_id == guild_id, server_settings.c.erase_at.is_not(None))
                .values(erase_at=None)
            )
            return result.rowcount == 1

    async def present(self) -> dict[int, bool]:
        """Every server that has settings, with whether the bot is thought to be in it."""
        async with self._db.read() as conn:
            rows = await conn.execute(select(server_settings.c.guild_id, server_settings.c.erase_at))
            return {int(row.guild_id): row.erase_at is None for row in rows}

    async def with_feed(self, modes: tuple[str, ...]) -> list[StoredServer]:
        """Servers the bot is in whose feed has one of *modes*."""
        mode = server_settings.c.settings["feed"]["mode"].as_string()
        query = select(server_settings).where(server_settings.c.erase_at.is_(None), mode.in_(modes))
        async with self._db.read() as conn:
            rows = await conn.execute(query.order_by(server_settings.c.guild_id))
            return [_server(row) for row in rows]

    async def erase(self, guild_id: int) -> None:
        """Erase what a server's admins set, the feed's posts and memory, its alerts, digest and webhooks, now."""
        async with self._db.write() as conn:
            await _erase(conn, [guild_id])

    async def erase_due(self, now: datetime) -> list[int]:
        """Erase the servers whose time has come; returns their ids. Some hundred a call."""
        async with self._db.write() as conn:
            rows = await conn.execute(
                select(server_settings.c.guild_id)
                .where(server_settings.c.erase_at <= now)
                .order_by(server_settings.c.erase_at)
                .limit(_ERASED_AT_ONCE)
                .with_for_update(skip_locked=True)
            )
            due = [int(row.guild_id) for row in rows]
            if due:
                await _erase(conn, due)
            return due

    # --- the feed ---

    async def claim_post(self, conn: AsyncConnection, guild_id: int, slot: str, channel_id: int, at: datetime) -> bool:
        """Claim a slot of a server's feed, in the caller's transaction. True for exactly one caller, ever."""
        made = await conn.execute(
            self._db.insert(feed_post)
            .values(guild_id=guild_id, slot=slot, channel_id=channel_id, claimed_at=at)
            .on_conflict_do_nothing(index_elements=["guild_id", "slot"])
            .returning(feed_post.c.slot)
        )
        return made.one_or_none() is not None

    async def post_of(self, guild_id: int, slot: str) -> FeedPost | None:
        """The claimed post of a slot."""
        async with self._db.read() as conn:
            row = (
                await conn.execute(select(feed_post).where(feed_post.c.guild_id == guild_id, feed_post.c.slot == slot))
            ).one_or_none()
            return None if row is None else FeedPost(row.slot, row.channel_id, row.message_id, row.claimed_at)

    async def claimed_since(self, conn: AsyncConnection, guild_id: int, since: datetime) -> int:
        """How many posts were claimed since then."""
        found = await conn.scalar(
            select(func.count())
            .select_from(feed_post)
            .where(feed_post.c.guild_id == guild_id, feed_post.c.claimed_at >= since)
        )
        return int(found or 0)

    async def is_claimed(self, conn: AsyncConnection, guild_id: int, slot: str) -> bool:
        """Whether a slot is claimed."""
        query = select(feed_post.c.slot).where(feed_post.c.guild_id == guild_id, feed_post.c.slot == slot)
        return (await conn.execute(query)).one_or_none() is not None

    async def newest_post(self, guild_id: int) -> FeedPost | None:
        """The newest post that was sent."""
        async with self._db.read() as conn:
            row = (
                await conn.execute(
                    select(feed_post)
                    .where(feed_post.c.guild_id == guild_id, feed_post.c.message_id.is_not(None))
                    .order_by(feed_post.c.claimed_at.desc())
                    .limit(1)
                )
            ).one_or_none()
            return None if row is None else FeedPost(row.slot, row.channel_id, row.message_id, row.claimed_at)

    async def sent(self, conn: AsyncConnection, guild_id: int, slot: str, message_id: int) -> None:
        """Note the message of a claimed post."""
        await conn.execute(
            update(feed_post)
            .where(feed_post.c.guild_id == guild_id, feed_post.c.slot == slot)
            .values(message_id=message_id)
        )

    async def forget_posts(self, before: datetime) -> int:
        """Forget posts that no slot can meet again; returns how many."""
        async with self._db.write() as conn:
            result = await conn.execute(delete(feed_post).where(feed_post.c.claimed_at < before))
            return result.rowcount


async def _erase(conn: AsyncConnection, guilds: list[int]) -> None:
    await conn.execute(delete(server_settings).where(server_settings.c.guild_id.in_(guilds)))
    await conn.execute(delete(feed_post).where(feed_post.c.guild_id.in_(guilds)))
    await conn.execute(delete(app_state).where(app_state.c.key.in_([feed_state_key(guild) for guild in guilds])))
    await conn.execute(delete(digest_subscription).where(digest_subscription.c.guild_id.in_(guilds)))
    await conn.execute(delete(alert_rule).where(alert_rule.c.owner.in_([f"g:{guild}" for guild in guilds])))
    for guild in guilds:
        await erase_guild_webhooks(conn, guild)


def _server(row: Any) -> StoredServer:
    return StoredServer(int(row.guild_id), row.settings, row.updated_at, row.erase_at)
