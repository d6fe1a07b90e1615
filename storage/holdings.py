"""Stored holdings, tariff plans and daily snapshots of members' portfolios.

Every statement names the member, so nothing of another member's can be read or changed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.engine import Database
from storage.ids import new_id
from storage.tables_portfolio import holding, portfolio_snapshot, tariff_plan

OnChange = Callable[[AsyncConnection, int], Awaitable[None]]
"""Called with the connection and the member inside every write transaction that changes a member's holdings."""

VALUES: Final = (
    "name",
    "machine_id",
    "platform",
    "gpu",
    "quantity",
    "region",
    "tier",
    "verification",
    "segment",
    "asked_price",
    "power_w",
    "tariff",
    "fee",
    "purchase_price",
    "purchased_on",
    "mining_usd_day",
)
"""Columns of a holding that are not its identity."""
_BATCH: Final = 500
_MOMENT: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Added:
    """What came of adding: the rows, or how many there were where *limit* allowed no more, or whose machine it was.

    Attributes:
        rows: what is stored now; empty when nothing was added.
        full: holdings there were, when the limit stood in the way.
        taken: id of the holding that has the machine already.
    """

    rows: Sequence[Mapping[str, Any]] = ()
    full: int | None = None
    taken: str | None = None


class HoldingStore:
    """The holding, tariff_plan and portfolio_snapshot tables."""

    def __init__(self, db: Database) -> None:
        self.db = db

    # --- holdings ---

    async def list(self, member_id: int) -> Sequence[Mapping[str, Any]]:
        """The member's holdings, oldest first."""
        async with self.db.read() as conn:
            return await self.list_in(conn, member_id)

    async def list_in(self, conn: AsyncConnection, member_id: int) -> Sequence[Mapping[str, Any]]:
        """The same inside a transaction, for whoever follows a change."""
        rows = await conn.execute(
            select(holding)
            .where(holding.c.member_id == member_id, holding.c.removed_at.is_(None))
            .order_by(holding.c.created_at, holding.c.id)
        )
        return [_plain(row) for row in rows]

    async def get(self, member_id: int, holding_id: str) -> Mapping[str, Any] | None:
        """One of the member's holdings."""
        query = select(holding).where(
            holding.c.id == holding_id, holding.c.member_id == member_id, holding.c.removed_at.is_(None)
        )
        async with self.db.read() as conn:
            row = (await conn.execute(query)).one_or_none()
            return None if row is None else _plain(row)

    async def add(
        self, member_id: int, rows: Sequence[Mapping[str, Any]], at: datetime, limit: int | None, on_change: OnChange
    ) -> Added:
        """Add all of *rows* or none, unless the member would have more than *limit*.

        Two that come at once cannot pass the limit together.
        """
        async with self.db.write() as conn:
            await self.db.one_at_a_time(conn, member_id)
            present = await self.list_in(conn, member_id)
            if limit is not None and len(present) + len(rows) > limit:
                return Added(full=len(present))
            for row in rows:
                taken = _with_machine(present, row)
                if taken is not None:
                    return Added(taken=taken)
            ids = [new_id() for _ in rows]
            # Each a moment later than the one before, so that they are listed in the order in which they were added.
            newest = max((row["created_at"] for row in present), default=at - _MOMENT)
            begin = max(at, newest + _MOMENT)
            records = [
                {
                    **dict.fromkeys(VALUES),
                    **_stored(row),
                    "id": found,
                    "member_id": member_id,
                    "created_at": begin + number * _MOMENT,
                    "updated_at": at,
                }
                for number, (found, row) in enumerate(zip(ids, rows, strict=True))
            ]
            for first in range(0, len(records), _BATCH):
                await conn.execute(insert(holding), records[first : first + _BATCH])
            await on_change(conn, member_id)
            stored = {row["id"]: row for row in await self.list_in(conn, member_id)}
            return Added(rows=[stored[found] for found in ids])

    async def edit(
        self, member_id: int, holding_id: str, values: Mapping[str, Any], at: datetime, on_change: OnChange
    ) -> Mapping[str, Any] | None:
        """Change some columns of :data:`VALUES`; the row as it is now, or None when there is none."""
        if not values.keys() <= set(VALUES):
            raise ValueError("unknown column")
        async with self.db.write() as conn:
            row = (
                await conn.execute(
                    update(holding)
                    .where(holding.c.id == holding_id, holding.c.member_id == member_id, holding.c.removed_at.is_(None))
                    .values(**_stored(values), updated_at=at)
                    .returning(*holding.c)
                )
            ).one_or_none()
            if row is None:
                return None
            await on_change(conn, member_id)
            return _plain(row)

    async def remove(
        self, member_id: int, holding_id: str, at: datetime, on_change: OnChange
    ) -> Mapping[str, Any] | None:
        """Take a holding out; it stays for :meth:`restore` until :meth:`forget_removed`."""
        async with self.db.write() as conn:
            row = (
                await conn.execute(
                    update(holding)
                    .where(holding.c.id == holding_id, holding.c.member_id == member_id, holding.c.removed_at.is_(None))
                    .values(removed_at=at)
                    .returning(*holding.c)
                )
            ).one_or_none()
            if row is None:
                return None
            await on_change(conn, member_id)
            return _plain(row)

    async def restore(
        self, member_id: int, holding_id: str, since: datetime, at: datetime, limit: int | None, on_change: OnChange
    ) -> Added:
        """Bring back a holding that was removed after *since*; no rows when there is none. One that is there stays."""
        async with self.db.write() as conn:
            await self.db.one_at_a_time(conn, member_id)
            query = select(holding).where(holding.c.id == holding_id, holding.c.member_id == member_id)
            row = (await conn.execute(query)).one_or_none()
            if row is None or (row.removed_at is not None and row.removed_at <= since):
                return Added()
            if row.removed_at is None:
                return Added(rows=[_plain(row)])
            present = await self.list_in(conn, member_id)
            if limit is not None and len(present) + 1 > limit:
                return Added(full=len(present))
            taken = _with_machine(present, _plain(row))
            if taken is not None:
                return Added(taken=taken)
            back = await conn.execute(
                update(holding)
                .where(holding.c.id == holding_id, holding.c.member_id == member_id)
                .values(removed_at=None, updated_at=at)
                .returning(*holding.c)
            )
            found = _plain(back.one())
            await on_change(conn, member_id)
            return Added(rows=[found])

    async def forget_removed(self, before: datetime) -> int:
        """Erase what was removed before then; returns how many."""
        async with self.db.write() as conn:
            done = await conn.execute(delete(holding).where(holding.c.removed_at <= before))
            return done.rowcount

    # --- tariff plans ---

    async def tariff_plan(self, member_id: int) -> Mapping[str, Any] | None:
        """The member's plan as stored."""
        query = select(tariff_plan.c.plan).where(tariff_plan.c.member_id == member_id)
        async with self.db.read() as conn:
            row = (await conn.execute(query)).one_or_none()
            return None if row is None else dict(row.plan)

    async def put_tariff_plan(self, member_id: int, plan: Mapping[str, Any] | None, at: datetime) -> None:
        """Store a plan, or forget it."""
        async with self.db.write() as conn:
            if plan is None:
                await conn.execute(delete(tariff_plan).where(tariff_plan.c.member_id == member_id))
                return
            values = {"plan": dict(plan), "updated_at": at}
            await conn.execute(
                self.db.insert(tariff_plan)
                .values(member_id=member_id, **values)
                .on_conflict_do_update(index_elements=["member_id"], set_=values)
            )

    # --- snapshots ---

    async def members(self, after: int | None, limit: int) -> Sequence[int]:
        """Members with holdings, by id, the next *limit* after *after*."""
        query = select(holding.c.member_id).where(holding.c.removed_at.is_(None)).distinct()
        if after is not None:
            query = query.where(holding.c.member_id > after)
        async with self.db.read() as conn:
            rows = await conn.execute(query.order_by(holding.c.member_id).limit(limit))
            return [int(row.member_id) for row in rows]

    async def put_snapshots(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Store snapshots; a later look at the same day replaces the earlier one. At most some hundred a call."""
        if not rows:
            return
        statement = self.db.insert(portfolio_snapshot)
        keys = ("member_id", "day")
        changed = {
            column.name: statement.excluded[column.name] for column in portfolio_snapshot.c if column.name not in keys
        }
        async with self.db.write() as conn:
            await conn.execute(
                statement.on_conflict_do_update(
                    index_elements=list(keys),
                    set_=changed,
                    where=portfolio_snapshot.c.at <= statement.excluded.at,
                ),
                [{**row, "day": row["day"].isoformat()} for row in rows],
            )

    async def snapshots(self, member_id: int, since: date) -> Sequence[Mapping[str, Any]]:
        """The member's snapshots from a day on, oldest first."""
        query = (
            select(portfolio_snapshot)
            .where(portfolio_snapshot.c.member_id == member_id, portfolio_snapshot.c.day >= since.isoformat())
            .order_by(portfolio_snapshot.c.day)
        )
        async with self.db.read() as conn:
            rows = await conn.execute(query)
            return [{**row._mapping, "day": date.fromisoformat(row.day)} for row in rows]

    async def forget_snapshots(self, before: date) -> int:
        """Forget snapshots of days before then; returns how many."""
        async with self.db.write() as conn:
            done = await conn.execute(delete(portfolio_snapshot).where(portfolio_snapshot.c.day < before.isoformat()))
            return done.rowcount


def _with_machine(present: Sequence[Mapping[str, Any]], row: Mapping[str, Any]) -> str | None:
    """Id of the holding among *present* that has the machine of *row*."""
    if row.get("machine_id") is None:
        return None
    for other in present:
        if (other["platform"], other["machine_id"]) == (row["platform"], row["machine_id"]):
            return str(other["id"])
    return None


def _plain(row: Row[Any]) -> dict[str, Any]:
    found = dict(row._mapping)
    if found["purchased_on"] is not None:
        found["purchased_on"] = date.fromisoformat(found["purchased_on"])
    return found


def _stored(row: Mapping[str, Any]) -> dict[str, Any]:
    day = row.get("purchased_on")
    return {**row, "purchased_on": day.isoformat()} if isinstance(day, date) else dict(row)
