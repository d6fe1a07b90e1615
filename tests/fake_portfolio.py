"""Holdings, machines and snapshots in memory, by the rules of the stores; anything undefined raises."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from sqlalchemy.ext.asyncio import AsyncConnection

from storage.holdings import VALUES, Added, OnChange
from storage.machines import MachineAsk, MachineFilter
from tests.fake_market import SEEN

LISTED = int(SEEN.timestamp())
"""When the fake list of machines was read."""
MACHINE = 31_416
"""A machine of eight RTX 4090 that is half rented."""
GONE = 27_182
"""A machine that is no longer listed."""


def machine_row(machine_id: int = MACHINE, **changes: Any) -> Any:
    """A row of the machine table."""
    row: dict[str, Any] = {
        "platform": "vast",
        "machine_id": machine_id,
        "gpu": "rtx-4090",
        "num_gpus": 8,
        "num_rented": 4,
        "price": 0.3467,
        "min_bid": 0.2,
        "reliability": 0.9967,
        "verification": "verified",
        "datacenter": False,
        "country": "de",
        "end_date": LISTED + 40 * 86_400,
        "first_seen": LISTED - 90 * 86_400,
        "last_seen": LISTED,
    }
    return SimpleNamespace(**(row | changes))


def falling_asks(count: int = 240, *, seed: int = 7) -> list[MachineAsk]:
    """Machines of a market in which dear ones stand idle: nine of ten rented at 0.26, one of ten at 0.46."""
    rng = random.Random(seed)
    asks = []
    for number in range(count):
        price = 0.24 + 0.24 * number / count
        share = min(0.95, max(0.05, 0.92 - 4.2 * max(0.0, price - 0.27)))
        asks.append(MachineAsk(round(price, 4), 4, 4 if rng.random() < share else 0))
    return asks


@dataclass
class FakeMachineRows:
    """The machine table. ``compared`` are the machines that a holding is compared with."""

    rows: dict[tuple[str, int], Any] = field(
        default_factory=lambda: {
            ("vast", MACHINE): machine_row(),
            ("vast", GONE): machine_row(GONE, last_seen=LISTED - 3 * 86_400, num_rented=0),
        }
    )
    compared: list[MachineAsk] = field(default_factory=falling_asks)
    listed: int | None = LISTED
    asked: list[MachineFilter] = field(default_factory=list)

    async def listed_since(self, source: str) -> int | None:
        return self.listed

    async def get(self, platform: str, machine_id: int) -> Any:
        return self.rows.get((platform, machine_id))

    async def get_many(self, platform: str, machine_ids: Sequence[int]) -> Sequence[Any]:
        return [self.rows[platform, wanted] for wanted in machine_ids if (platform, wanted) in self.rows]

    async def asks(self, since: int, which: MachineFilter, limit: int = 20_000) -> Sequence[MachineAsk]:
        self.asked.append(which)
        return self.compared[:limit]


@dataclass
class FakeHoldingRows:
    """The tables of :mod:`storage.holdings`."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    plans: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    days: dict[tuple[int, date], Mapping[str, Any]] = field(default_factory=dict)
    error: Exception | None = None

    async def list(self, member_id: int) -> Sequence[Mapping[str, Any]]:
        if self.error is not None:
            raise self.error
        return [dict(row) for row in self.rows.values() if row["member_id"] == member_id and row["removed_at"] is None]

    def _mine(self, member_id: int, holding_id: str) -> dict[str, Any] | None:
        row = self.rows.get(holding_id)
        return row if row is not None and row["member_id"] == member_id else None

    async def get(self, member_id: int, holding_id: str) -> Mapping[str, Any] | None:
        row = self._mine(member_id, holding_id)
        return None if row is None or row["removed_at"] is not None else dict(row)

    async def add(
        self, member_id: int, rows: Sequence[Mapping[str, Any]], at: datetime, limit: int | None, on_change: OnChange
    ) -> Added:
        present = await self.list(member_id)
        if limit is not None and len(present) + len(rows) > limit:
            return Added(full=len(present))
        for row in rows:
            if (taken := _taken(present, row)) is not None:
                return Added(taken=taken)
        added: Any = []
        for row in rows:
            found = f"{len(self.rows) + 1:020d}"
            self.rows[found] = {
                **dict.fromkeys(VALUES),
                **row,
                "id": found,
                "member_id": member_id,
                "created_at": at,
                "updated_at": at,
                "removed_at": None,
            }
            added.append(dict(self.rows[found]))
        await on_change(_NO_CONNECTION, member_id)
        return Added(rows=added)

    async def edit(
        self, member_id: int, holding_id: str, values: Mapping[str, Any], at: datetime, on_change: OnChange
    ) -> Mapping[str, Any] | None:
        row = self._mine(member_id, holding_id)
        if row is None or row["removed_at"] is not None:
            return None
        row.update(values, updated_at=at)
        await on_change(_NO_CONNECTION, member_id)
        return dict(row)

    async def remove(
        self, member_id: int, holding_id: str, at: datetime, on_change: OnChange
    ) -> Mapping[str, Any] | None:
        row = self._mine(member_id, holding_id)
        if row is None or row["removed_at"] is not None:
            return None
        row["removed_at"] = at
        await on_change(_NO_CONNECTION, member_id)
        return dict(row)

    async def restore(
        self, member_id: int, holding_id: str, since: datetime, at: datetime, limit: int | None, on_change: OnChange
    ) -> Added:
        row = self._mine(member_id, holding_id)
        if row is None or (row["removed_at"] is not None and row["removed_at"] <= since):
            return Added()
        if row["removed_at"] is not None:
            present = await self.list(member_id)
            if limit is not None and len(present) + 1 > limit:
                return Added(full=len(present))
            if (taken := _taken(present, row)) is not None:
                return Added(taken=taken)
            row.update(removed_at=None, updated_at=at)
            await on_change(_NO_CONNECTION, member_id)
        return Added(rows=[dict(row)])

    async def tariff_plan(self, member_id: int) -> Mapping[str, Any] | None:
        return self.plans.get(member_id)

    async def put_tariff_plan(self, member_id: int, plan: Mapping[str, Any] | None, at: datetime) -> None:
        if plan is None:
            self.plans.pop(member_id, None)
        else:
            self.plans[member_id] = plan

    async def snapshots(self, member_id: int, since: date) -> Sequence[Mapping[str, Any]]:
        return [row for (owner, day), row in sorted(self.days.items()) if owner == member_id and day >= since]

    def remember_days(self, member_id: int, last: datetime, count: int, net_day: float = 20.0) -> None:
        """Daily snapshots with a rhythm, the newest at *last*."""
        for back in range(count):
            at = last - timedelta(days=back)
            net = net_day * (1 + 0.1 * ((back % 7) - 3) / 3)
            self.days[member_id, at.date()] = {
                "day": at.date(),
                "holdings": 1,
                "gpus": 8,
                "gross_day": net * 1.5,
                "net_day": net,
                "market_net_day": net * 0.95,
                "at": at,
            }


_NO_CONNECTION = cast(AsyncConnection, None)
"""Nothing in memory needs a connection; whoever is told of a change must not use it."""


def _taken(present: Sequence[Mapping[str, Any]], row: Mapping[str, Any]) -> str | None:
    if row["machine_id"] is None:
        return None
    place = (row["platform"], row["machine_id"])
    return next((str(o["id"]) for o in present if (o["platform"], o["machine_id"]) == place), None)
