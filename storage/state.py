"""Small things the program remembers, and the version numbers that caches key on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.engine import Database
from storage.job_model import utc_now
from storage.tables import app_state, data_version


class AppState:
    """JSON values by key, and counters that grow with every change of some data.

    Every method takes an optional connection: with one it is part of that transaction, without it has its own.
    """

    def __init__(self, db: Database, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._db = db
        self._clock = clock

    async def get(self, key: str, default: Any = None, *, conn: AsyncConnection | None = None) -> Any:
        """The JSON value stored under *key*, or *default*."""
        if conn is None:
            async with self._db.read() as own:
                return await self.get(key, default, conn=own)
        row = (await conn.execute(select(app_state.c.value).where(app_state.c.key == key))).one_or_none()
        return default if row is None else row.value

    async def get_many(self, keys: Sequence[str]) -> dict[str, Any]:
        """The values of those *keys* that are there."""
        query = select(app_state.c.key, app_state.c.value).where(app_state.c.key.in_(keys))
        async with self._db.read() as conn:
            return {row.key: row.value for row in await conn.execute(query)}

    async def set(self, key: str, value: Any, *, conn: AsyncConnection | None = None) -> None:
        """Store a JSON *value* under *key* (at most 100 characters)."""
        if conn is None:
            async with self._db.write() as own:
                await self.set(key, value, conn=own)
            return
        statement = self._db.insert(app_state).values(key=key, value=value, updated_at=self._clock())
        await conn.execute(
            statement.on_conflict_do_update(
                index_elements=["key"],
                set_={"value": statement.excluded.value, "updated_at": statement.excluded.updated_at},
            )
        )

    async def delete(self, key: str, *, conn: AsyncConnection | None = None) -> bool:
        """Forget *key*. False when it was not there."""
        if conn is None:
            async with self._db.write() as own:
                return await self.delete(key, conn=own)
        result = await conn.execute(delete(app_state).where(app_state.c.key == key))
        return result.rowcount == 1

    async def bump_version(self, conn: AsyncConnection, name: str) -> int:
        """Count *name* up in the transaction that changes its data; returns the new version.

        Readers key their caches on :meth:`version`, so a change by any process, command-line tools included, is
        seen without a message.
        """
        statement = self._db.insert(data_version).values(name=name, version=1)
        result = await conn.execute(
            statement.on_conflict_do_update(
                index_elements=["name"], set_={"version": data_version.c.version + 1}
            ).returning(data_version.c.version)
        )
        return int(result.scalar_one())

    async def version(self, name: str, *, conn: AsyncConnection | None = None) -> int:
        """The version of *name*; 0 before its first change."""
        if conn is None:
            async with self._db.read() as own:
                return await self.version(name, conn=own)
        found = await conn.scalar(select(data_version.c.version).where(data_version.c.name == name))
        return 0 if found is None else int(found)
