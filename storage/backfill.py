"""Rows of the backfill: rollups that fill holes and never replace what is there, and how far a file was loaded."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import tables as t
from storage.engine import Database
from storage.market import rollup_table

RollupRow = tuple[Any, ...]


class BackfillStore:
    """Writes rollups of history files."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._sql: dict[tuple[str, tuple[str, ...]], str] = {}

    async def fill(
        self, conn: AsyncConnection, tier: str, bucket_seconds: int, columns: Sequence[str], rows: Sequence[RollupRow]
    ) -> int:
        """Store the rollups of *rows* that are not there yet; returns how many that were.

        A bucket that holds raw quotes of its series is left to them: they are rolled up when it is over, and until
        then a stored row would hide them.

        Args:
            tier: ``hour`` or ``day``.
            columns: names of the values of a row; ``series_id`` and ``ts`` are the first two.
        """
        if not rows:
            return 0
        table = rollup_table(tier)
        series = sorted({row[0] for row in rows})
        live = await self._live_buckets(conn, series, bucket_seconds)
        rows = [row for row in rows if (row[0], row[1]) not in live]
        if not rows:
            return 0
        counted = select(func.count()).select_from(table).where(table.c.series_id.in_(series))
        before = (await conn.execute(counted)).scalar_one()
        key = (tier, tuple(columns))
        if key not in self._sql:
            statement = self.db.insert(table).on_conflict_do_nothing()
            self._sql[key] = str(statement.compile(dialect=conn.dialect, column_keys=list(columns)))
        # Plain numbers in the order of the statement: naming and converting each would cost more than storing it.
        await conn.exec_driver_sql(self._sql[key], list(rows))
        return int((await conn.execute(counted)).scalar_one() - before)

    async def _live_buckets(
        self, conn: AsyncConnection, series: Collection[int], bucket_seconds: int
    ) -> set[tuple[int, int]]:
        bucket = (t.quote.c.ts - t.quote.c.ts % bucket_seconds).label("bucket")
        query = select(t.quote.c.series_id, bucket).where(t.quote.c.series_id.in_(series)).distinct()
        return {(row.series_id, row.bucket) for row in await conn.execute(query)}

    async def name_unknown(
        self, conn: AsyncConnection, source_id: int, names: Collection[tuple[str, str]], at: datetime
    ) -> None:
        """Remember (slug, name) of GPUs that the catalogue does not know; those that are known already stay."""
        if names:
            await conn.execute(
                self.db.insert(t.unknown_gpu).on_conflict_do_nothing(),
                [
                    {
                        "slug": slug,
                        "name": name[:200],
                        "source_id": source_id,
                        "first_seen": at,
                        "last_seen": at,
                        "times": 1,
                    }
                    for slug, name in names
                ],
            )

    async def record(self, content_hash: str) -> Row[Any] | None:
        """What is known of a file or run by its hash: ``series_done``, ``finished_at`` and the rest; None if new."""
        async with self.db.read() as conn:
            return (
                await conn.execute(select(t.backfill_file).where(t.backfill_file.c.content_hash == content_hash))
            ).one_or_none()

    async def forget_record(self, conn: AsyncConnection, content_hash: str) -> None:
        """Drop what is known of a file or run."""
        await conn.execute(t.backfill_file.delete().where(t.backfill_file.c.content_hash == content_hash))

    async def keep_record(
        self,
        conn: AsyncConnection,
        content_hash: str,
        *,
        name: str,
        series_done: int,
        rows_read: int,
        rows_rejected: int,
        finished_at: datetime | None,
        updated_at: datetime,
    ) -> None:
        """Note how far a file or run is loaded."""
        insert = self.db.insert(t.backfill_file).values(
            content_hash=content_hash,
            name=name[:200],
            series_done=series_done,
            rows_read=rows_read,
            rows_rejected=rows_rejected,
            finished_at=finished_at,
            updated_at=updated_at,
        )
        changed = ("name", "series_done", "rows_read", "rows_rejected", "finished_at", "updated_at")
        await conn.execute(
            insert.on_conflict_do_update(
                index_elements=["content_hash"], set_={column: insert.excluded[column] for column in changed}
            )
        )
