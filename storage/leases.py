"""One leader among many processes: a row with an end, an owner, and a number that grows with every new owner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, and_, case, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.engine import Database
from storage.errors import LeaseLost
from storage.tables import lease as leases

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Lease:
    """A held lease. ``fence`` is larger than that of every earlier holder of the same name."""

    name: str
    holder: str
    fence: int
    until: datetime


class LeaseStore:
    """Leases by name.

    Args:
        db: the database.
        clock: aware UTC now, for tests. Without it PostgreSQL's own clock decides, so that hosts whose clocks
            differ agree; SQLite is one host.
    """

    def __init__(self, db: Database, *, clock: Callable[[], datetime] | None = None) -> None:
        self._db = db
        self._clock = clock

    async def acquire(self, name: str, holder: str, seconds: float) -> Lease | None:
        """Take *name* for *seconds* if it is free or run out; None when someone else has it.

        A holder that asks again while its lease runs keeps its fence; everything else gets a larger one, so a
        holder's name should be new with every start of its process.
        """
        async with self._db.write() as conn:
            now = await self._now(conn)
            until = now + timedelta(seconds=seconds)
            statement = self._db.insert(leases).values(name=name, holder=holder, fence=1, until=until)
            mine = leases.c.holder == holder
            running = leases.c.until > now
            taken = await conn.execute(
                statement.on_conflict_do_update(
                    index_elements=["name"],
                    set_={
                        "holder": holder,
                        "until": until,
                        "fence": leases.c.fence + case((and_(mine, running), 0), else_=1),
                    },
                    where=or_(mine, ~running),
                ).returning(leases.c.fence)
            )
            fence = taken.scalar_one_or_none()
        return None if fence is None else Lease(name, holder, int(fence), until)

    async def renew(self, lease: Lease, seconds: float) -> Lease | None:
        """Prolong *lease* to *seconds* from now; None when it ran out or went to someone else."""
        async with self._db.write() as conn:
            now = await self._now(conn)
            until = now + timedelta(seconds=seconds)
            result = await conn.execute(
                update(leases).where(self._held(lease), leases.c.until > now).values(until=until)
            )
        return Lease(lease.name, lease.holder, lease.fence, until) if result.rowcount == 1 else None

    async def release(self, lease: Lease) -> None:
        """Give *lease* back at once, if it is still ours. The row stays: it keeps the fence."""
        async with self._db.write() as conn:
            await conn.execute(update(leases).where(self._held(lease)).values(until=_EPOCH))

    async def check(self, conn: AsyncConnection, lease: Lease) -> None:
        """Make the caller's write transaction depend on *lease*: nobody can take it over before that ends.

        Raises:
            LeaseLost: the lease ran out or went to someone else.
        """
        now = await self._now(conn)
        held = select(leases.c.name).where(self._held(lease), leases.c.until > now).with_for_update()
        if (await conn.execute(held)).first() is None:
            raise LeaseLost(f"the lease {lease.name!r} is no longer held by {lease.holder}")

    async def _now(self, conn: AsyncConnection) -> datetime:
        if self._clock is not None:
            return self._clock()
        if self._db.dialect == "postgresql":
            now: datetime = (await conn.execute(select(func.clock_timestamp()))).scalar_one()
            return now.astimezone(UTC)
        return datetime.now(UTC)

    @staticmethod
    def _held(lease: Lease) -> ColumnElement[bool]:
        return and_(leases.c.name == lease.name, leases.c.holder == lease.holder, leases.c.fence == lease.fence)
