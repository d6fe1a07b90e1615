"""Where and when members want to hear, as rows of ``member_delivery``; and what became of their direct messages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.engine import Database
from storage.tables_delivery import delivery_attempt, member_delivery, notification

CHOSEN: Final = ("channels", "muted_kinds", "quiet_start", "quiet_end", "critical_passes")
"""Columns that a member chooses."""
DEFAULT_CHANNELS: Final = ("dm", "mention", "email")
"""Where a member hears who chose nothing, in order."""


class DeliveryChoiceStore:
    """Rows of ``member_delivery``. Every method takes the caller's transaction, or makes one of its own."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @asynccontextmanager
    async def _write(self, conn: AsyncConnection | None) -> AsyncIterator[AsyncConnection]:
        if conn is not None:
            yield conn
        else:
            async with self._db.write() as own:
                yield own

    async def get(self, member_id: int, conn: AsyncConnection | None = None) -> Mapping[str, Any] | None:
        """The member's row by column, or None when nothing was ever chosen or noted."""
        query = select(member_delivery).where(member_delivery.c.member_id == member_id)
        if conn is not None:
            row = (await conn.execute(query)).one_or_none()
        else:
            async with self._db.read() as own:
                row = (await own.execute(query)).one_or_none()
        return None if row is None else dict(row._mapping)

    async def put(
        self, member_id: int, values: Mapping[str, Any], at: datetime, conn: AsyncConnection | None = None
    ) -> None:
        """Set some columns of :data:`CHOSEN`.

        Raises:
            ValueError: another column is named.
        """
        if not values.keys() <= set(CHOSEN):
            raise ValueError("unknown column")
        async with self._write(conn) as open_conn:
            await self._upsert(open_conn, member_id, values, at)

    async def dm_failed(self, member_id: int, at: datetime, limit: int, conn: AsyncConnection | None = None) -> bool:
        """Count a direct message that can never arrive. True for the one that switches them off: the *limit*th in
        a row."""
        async with self._write(conn) as open_conn:
            await self._upsert(open_conn, member_id, {}, at)
            counted = await open_conn.execute(
                update(member_delivery)
                .where(member_delivery.c.member_id == member_id)
                .values(dm_failures=member_delivery.c.dm_failures + 1)
                .returning(member_delivery.c.dm_failures, member_delivery.c.dm_off_at)
            )
            row = counted.one()
            if row.dm_failures < limit or row.dm_off_at is not None:
                return False
            await open_conn.execute(
                update(member_delivery).where(member_delivery.c.member_id == member_id).values(dm_off_at=at)
            )
            return True

    async def dm_arrived(self, member_id: int, conn: AsyncConnection | None = None) -> None:
        """A direct message arrived: the count begins anew, and they are on. Writes nothing where that is so already."""
        async with self._write(conn) as open_conn:
            await open_conn.execute(
                update(member_delivery)
                .where(
                    member_delivery.c.member_id == member_id,
                    (member_delivery.c.dm_failures > 0) | member_delivery.c.dm_off_at.is_not(None),
                )
                .values(dm_failures=0, dm_off_at=None)
            )

    async def dm_opened(self, member_id: int, at: datetime, conn: AsyncConnection | None = None) -> None:
        """The first direct message, at opt-in, went out; the first time counts."""
        async with self._write(conn) as open_conn:
            await self._upsert(open_conn, member_id, {}, at)
            await open_conn.execute(
                update(member_delivery)
                .where(member_delivery.c.member_id == member_id, member_delivery.c.dm_opened_at.is_(None))
                .values(dm_opened_at=at)
            )

    async def dm_fresh(self, member_id: int, conn: AsyncConnection | None = None) -> None:
        """As if no direct message had ever been tried."""
        async with self._write(conn) as open_conn:
            await open_conn.execute(
                update(member_delivery)
                .where(member_delivery.c.member_id == member_id)
                .values(dm_failures=0, dm_off_at=None, dm_opened_at=None)
            )

    async def dm_off(self, member_id: int, at: datetime, conn: AsyncConnection | None = None) -> None:
        """Direct messages are off from *at* on."""
        async with self._write(conn) as open_conn:
            await self._upsert(open_conn, member_id, {}, at)
            await open_conn.execute(
                update(member_delivery).where(member_delivery.c.member_id == member_id).values(dm_off_at=at)
            )

    async def last_refusal(self, member_id: int) -> tuple[datetime, str] | None:
        """When Discord last refused a direct message to the member, and its reason."""
        query = (
            select(delivery_attempt.c.at, delivery_attempt.c.detail)
            .join(notification, notification.c.id == delivery_attempt.c.notification_id)
            .where(
                notification.c.member_id == member_id,
                delivery_attempt.c.channel == "dm",
                delivery_attempt.c.outcome == "refused",
            )
            .order_by(delivery_attempt.c.at.desc())
            .limit(1)
        )
        async with self._db.read() as conn:
            row = (await conn.execute(query)).one_or_none()
            return None if row is None else (row.at, row.detail or "")

    async def erase(self, member_id: int, conn: AsyncConnection) -> int:
        """Erase the member's row, inside the caller's transaction; how many there were."""
        gone = await conn.execute(delete(member_delivery).where(member_delivery.c.member_id == member_id))
        return gone.rowcount

    async def _upsert(self, conn: AsyncConnection, member_id: int, values: Mapping[str, Any], at: datetime) -> None:
        fresh = {"channels": list(DEFAULT_CHANNELS), "muted_kinds": [], **values}
        made = self._db.insert(member_delivery).values(member_id=member_id, updated_at=at, **fresh)
        if values:
            made = made.on_conflict_do_update(index_elements=["member_id"], set_={**values, "updated_at": at})
        else:
            made = made.on_conflict_do_nothing(index_elements=["member_id"])
        await conn.execute(made)
