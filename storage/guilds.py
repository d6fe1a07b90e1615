"""Discord servers: when they came, whether they were greeted, when they left."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select, update

from storage.engine import Database
from storage.tables import guild


class GuildStore:
    """The servers that the bot has been in. Nothing but ids and times is kept."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def joined(self, guild_id: int, at: datetime) -> None:
        """Note that the bot is in *guild_id*. A server that comes back keeps its greeting and gets a new join time."""
        statement = self._db.insert(guild).values(id=guild_id, joined_at=at)
        async with self._db.write() as conn:
            await conn.execute(
                statement.on_conflict_do_update(
                    index_elements=["id"], set_={"joined_at": at, "left_at": None}, where=guild.c.left_at.is_not(None)
                )
            )

    async def claim_greeting(self, guild_id: int, at: datetime) -> bool:
        """True exactly once a server, whoever asks and however often: the caller may greet it now."""
        statement = self._db.insert(guild).values(id=guild_id, joined_at=at, greeted_at=at)
        async with self._db.write() as conn:
            claimed = await conn.execute(
                statement.on_conflict_do_update(
                    index_elements=["id"],
                    set_={"greeted_at": at, "left_at": None},
                    where=guild.c.greeted_at.is_(None),
                ).returning(guild.c.id)
            )
            return claimed.first() is not None

    async def left(self, guild_id: int, at: datetime) -> None:
        """Note that the bot is no longer in *guild_id*. A server never heard of is ignored."""
        async with self._db.write() as conn:
            await conn.execute(
                update(guild).where(guild.c.id == guild_id, guild.c.left_at.is_(None)).values(left_at=at)
            )

    async def count(self) -> int:
        """How many servers the bot is in."""
        async with self._db.read() as conn:
            found = await conn.execute(select(func.count()).select_from(guild).where(guild.c.left_at.is_(None)))
            return int(found.scalar_one())
