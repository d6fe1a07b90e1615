"""Machines one by one: the newest state of each, and what can be counted over them.

Nothing here knows an address, a coordinate or a host's name: such things never get this far. A machine counts as listed
while ``last_seen`` is not before the newest document that was stored whole (:meth:`MachineStore.listed_since`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, Select, case, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import tables as t
from storage.engine import Database

BATCH = 500
"""Rows of one write transaction."""
FEED = "machines"
"""Name of the document that machines come from."""

_COLUMNS = tuple(column.name for column in t.machine.c)
_KEYS = ("platform", "machine_id")

RELIABILITY_BANDS = (0.90, 0.95, 0.98, 0.99, 1.0)
"""Lower ends of the bands above the first, which begins at 0."""


class MachineState(NamedTuple):
    """What a source says of a machine now. Prices are USD per GPU-hour, ``end_date`` is in epoch seconds."""

    machine_id: int
    gpu: str
    vram_gb: float | None
    num_gpus: int
    num_rented: int
    price: float
    min_bid: float | None
    reliability: float | None
    verification: str
    datacenter: bool
    country: str | None
    end_date: int | None


class MachineFilter(NamedTuple):
    """Which machines a question is about; None asks for any.

    ``gpus`` are model slugs; ``min_gpus`` and ``max_gpus`` bound the GPUs of the machine, both included.
    """

    platform: str | None = None
    gpus: Sequence[str] | None = None
    country: str | None = None
    verified: bool | None = None
    datacenter: bool | None = None
    min_gpus: int | None = None
    max_gpus: int | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """The filter as SQL."""
        c = t.machine.c
        found: list[ColumnElement[bool]] = []
        if self.platform is not None:
            found.append(c.platform == self.platform)
        if self.gpus is not None:
            found.append(c.gpu.in_(self.gpus))
        if self.country is not None:
            found.append(c.country == self.country)
        if self.verified is not None:
            verified = c.verification == "verified"
            found.append(verified if self.verified else ~verified)
        if self.datacenter is not None:
            found.append(c.datacenter.is_(self.datacenter))
        if self.min_gpus is not None:
            found.append(c.num_gpus >= self.min_gpus)
        if self.max_gpus is not None:
            found.append(c.num_gpus <= self.max_gpus)
        return found


ANY_MACHINE = MachineFilter()


class CountryCount(NamedTuple):
    """Machines and GPUs of a country; None is where the source does not say."""

    country: str | None
    machines: int
    gpus: int
    rented: int


class PricePoint(NamedTuple):
    """GPUs that ask one price (USD per GPU-hour), and how many of them are rented."""

    price: float
    gpus: int
    rented: int


class MachineAsk(NamedTuple):
    """One listed machine: what it asks (USD per GPU-hour), its GPUs, and how many are rented."""

    price: float
    gpus: int
    rented: int


class ReliabilityBand(NamedTuple):
    """GPUs on machines of a reliability from *low* (included) to *high* (excluded, but for the last band)."""

    low: float
    high: float
    machines: int
    gpus: int
    rented: int


class MachineStore:
    """The machine table."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._upsert: str | None = None

    # --- writing ---

    async def upsert(
        self, conn: AsyncConnection, platform: str, source_id: int, seen: int, rows: Sequence[MachineState]
    ) -> None:
        """Store what was seen at *seen* (epoch seconds) in the caller's transaction, at most :data:`BATCH` machines.

        A machine keeps the time it was first seen; a state older than the stored one changes nothing.

        Raises:
            ValueError: more rows than one transaction should hold.
        """
        if len(rows) > BATCH:
            raise ValueError(f"at most {BATCH} machines a transaction")
        if not rows:
            return
        if self._upsert is None:
            insert = self.db.insert(t.machine)
            statement = insert.on_conflict_do_update(
                index_elements=list(_KEYS),
                set_={name: insert.excluded[name] for name in _COLUMNS if name not in (*_KEYS, "first_seen")},
                where=t.machine.c.last_seen <= insert.excluded.last_seen,
            )
            self._upsert = str(statement.compile(dialect=conn.dialect, column_keys=list(_COLUMNS)))
        # Plain tuples in the order of the columns: naming each value costs more than storing it.
        await conn.exec_driver_sql(self._upsert, [(platform, row[0], source_id, *row[1:], seen, seen) for row in rows])

    async def purge(self, conn: AsyncConnection, platform: str, before: int) -> int:
        """Forget at most :data:`BATCH` machines that were last seen before *before* (epoch seconds); how many."""
        c = t.machine.c
        gone = (
            select(c.machine_id)
            .where(c.platform == platform, c.last_seen < before)
            .order_by(c.machine_id)
            .limit(BATCH)
            .scalar_subquery()
        )
        done = await conn.execute(delete(t.machine).where(c.platform == platform, c.machine_id.in_(gone)))
        return done.rowcount

    # --- reading ---

    async def _all(self, query: Select[Any]) -> Sequence[Row[Any]]:
        async with self.db.read() as conn:
            rows: Sequence[Row[Any]] = (await conn.execute(query)).all()
        return rows

    async def listed_since(self, source: str) -> int | None:
        """Time of the newest document of *source* that was stored whole (epoch seconds); None before the first."""
        query = (
            select(func.max(t.market_update.c.source_time_ms))
            .join(t.source, t.source.c.id == t.market_update.c.source_id)
            .where(t.source.c.slug == source, t.market_update.c.feed == FEED)
        )
        async with self.db.read() as conn:
            newest: int | None = (await conn.execute(query)).scalar_one()
        return None if newest is None else newest // 1000

    async def get(self, platform: str, machine_id: int) -> Row[Any] | None:
        """The stored state of one machine, listed or gone (see ``last_seen``); None when it was never seen."""
        query = select(t.machine).where(t.machine.c.platform == platform, t.machine.c.machine_id == machine_id)
        rows = await self._all(query)
        return rows[0] if rows else None

    async def get_many(self, platform: str, machine_ids: Sequence[int]) -> Sequence[Row[Any]]:
        """The stored states of some machines, by id; those never seen are left out.

        Raises:
            ValueError: more ids than one statement should hold.
        """
        if len(machine_ids) > BATCH:
            raise ValueError(f"at most {BATCH} machines a question")
        c = t.machine.c
        query = select(t.machine).where(c.platform == platform, c.machine_id.in_(machine_ids)).order_by(c.machine_id)
        return await self._all(query)

    async def by_gpu(self, gpus: Sequence[str], since: int, limit: int = BATCH) -> Sequence[Row[Any]]:
        """Machines of some models that are listed, largest first."""
        c = t.machine.c
        query = (
            select(t.machine)
            .where(c.gpu.in_(gpus), c.last_seen >= since)
            .order_by(c.num_gpus.desc(), c.platform, c.machine_id)
            .limit(limit)
        )
        return await self._all(query)

    async def countries(self, since: int, which: MachineFilter = ANY_MACHINE) -> list[CountryCount]:
        """Listed machines by country, most GPUs first."""
        c = t.machine.c
        gpus = func.sum(c.num_gpus)
        query = (
            select(c.country, func.count(), gpus, func.sum(c.num_rented))
            .where(c.last_seen >= since, *which.conditions())
            .group_by(c.country)
            .order_by(gpus.desc(), c.country)
        )
        return [CountryCount._make(row) for row in await self._all(query)]

    async def prices(self, since: int, which: MachineFilter) -> list[PricePoint]:
        """What listed machines ask and how much of them is rented, cheapest first: the evidence of rent by price."""
        c = t.machine.c
        query = (
            select(c.price, func.sum(c.num_gpus), func.sum(c.num_rented))
            .where(c.last_seen >= since, c.price.is_not(None), *which.conditions())
            .group_by(c.price)
            .order_by(c.price)
        )
        return [PricePoint._make(row) for row in await self._all(query)]

    async def asks(self, since: int, which: MachineFilter, limit: int = 20_000) -> list[MachineAsk]:
        """Listed machines with a price, cheapest first: what :meth:`prices` adds up, machine by machine."""
        c = t.machine.c
        query = (
            select(c.price, c.num_gpus, c.num_rented)
            .where(c.last_seen >= since, c.price > 0, *which.conditions())
            .order_by(c.price, c.num_gpus, c.num_rented)
            .limit(limit)
        )
        return [MachineAsk._make(row) for row in await self._all(query)]

    async def reliability(self, since: int, which: MachineFilter = ANY_MACHINE) -> list[ReliabilityBand]:
        """Listed machines by reliability, least reliable first; those whose reliability is unknown are left out."""
        c = t.machine.c
        lows = (0.0, *RELIABILITY_BANDS[:-1])
        # The highest band whose lower end is reached.
        band = case(*((c.reliability >= low, number) for number, low in reversed(list(enumerate(lows)))))
        query = (
            select(band.label("band"), func.count(), func.sum(c.num_gpus), func.sum(c.num_rented))
            .where(c.last_seen >= since, c.reliability.is_not(None), *which.conditions())
            .group_by(band)
            .order_by(band)
        )
        return [
            ReliabilityBand._make((lows[row[0]], RELIABILITY_BANDS[row[0]], *row[1:])) for row in await self._all(query)
        ]
