"""Delivery choices in memory, with the manners of the real store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from gpuscout.plans.tiers import Tier
from storage.delivery_choices import CHOSEN, DEFAULT_CHANNELS


@dataclass
class FakeChoiceRows:
    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    refusals: dict[int, tuple[datetime, str]] = field(default_factory=dict)

    async def get(self, member_id: int, conn: AsyncConnection | None = None) -> Mapping[str, Any] | None:
        return self.rows.get(member_id)

    async def put(
        self, member_id: int, values: Mapping[str, Any], at: datetime, conn: AsyncConnection | None = None
    ) -> None:
        assert values.keys() <= set(CHOSEN)
        self._row(member_id, at).update(values, updated_at=at)

    async def dm_failed(self, member_id: int, at: datetime, limit: int, conn: AsyncConnection | None = None) -> bool:
        row = self._row(member_id, at)
        row["dm_failures"] += 1
        if row["dm_failures"] < limit or row["dm_off_at"] is not None:
            return False
        row["dm_off_at"] = at
        return True

    async def dm_arrived(self, member_id: int, conn: AsyncConnection | None = None) -> None:
        if member_id in self.rows:
            self.rows[member_id].update(dm_failures=0, dm_off_at=None)

    async def dm_opened(self, member_id: int, at: datetime, conn: AsyncConnection | None = None) -> None:
        row = self._row(member_id, at)
        row["dm_opened_at"] = row["dm_opened_at"] or at

    async def dm_fresh(self, member_id: int, conn: AsyncConnection | None = None) -> None:
        if member_id in self.rows:
            self.rows[member_id].update(dm_failures=0, dm_off_at=None, dm_opened_at=None)

    async def dm_off(self, member_id: int, at: datetime, conn: AsyncConnection | None = None) -> None:
        self._row(member_id, at)["dm_off_at"] = at

    async def last_refusal(self, member_id: int) -> tuple[datetime, str] | None:
        return self.refusals.get(member_id)

    def _row(self, member_id: int, at: datetime) -> dict[str, Any]:
        return self.rows.setdefault(
            member_id,
            {
                "member_id": member_id,
                "channels": list(DEFAULT_CHANNELS),
                "muted_kinds": [],
                "quiet_start": None,
                "quiet_end": None,
                "critical_passes": False,
                "dm_failures": 0,
                "dm_off_at": None,
                "dm_opened_at": None,
                "updated_at": at,
            },
        )


@dataclass
class FakeTiers:
    """Everybody's tier; free unless a test says otherwise."""

    tiers: dict[int, Tier] = field(default_factory=dict)

    async def tier(self, member_id: int) -> Tier:
        return self.tiers.get(member_id, "free")
