"""Subscriptions to digests in memory, with the manners of the real store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from storage.digests import CHOSEN, Owner, SentDigest, StoredDigest


@dataclass
class FakeDigestRows:
    rows: dict[Owner, StoredDigest] = field(default_factory=dict)
    alerts: dict[Owner, list[tuple[datetime, Mapping[str, Any]]]] = field(default_factory=dict)
    sent: dict[int, list[SentDigest]] = field(default_factory=dict)

    async def get(self, owner: Owner) -> StoredDigest | None:
        return self.rows.get(owner)

    async def put(self, owner: Owner, values: Mapping[str, Any], at: datetime) -> StoredDigest:
        assert values.keys() <= set(CHOSEN)
        known = self.rows.get(owner)
        if known is None:
            made = StoredDigest(
                id=len(self.rows) + 1,
                member_id=owner.member_id,
                guild_id=owner.guild_id,
                last_at=None,
                created_at=at,
                updated_at=at,
                **values,
            )
        else:
            made = replace(known, updated_at=at, **values)
        self.rows[owner] = made
        return made

    async def remove(self, owner: Owner) -> bool:
        return self.rows.pop(owner, None) is not None

    async def alerts_told(
        self, owner: Owner, since: datetime, until: datetime, limit: int
    ) -> tuple[Sequence[Mapping[str, Any]], int]:
        found = [payload for at, payload in self.alerts.get(owner, []) if since < at <= until]
        return found[::-1][:limit], len(found)

    async def last_sent(self, subscription_id: int) -> SentDigest | None:
        return max(self.sent.get(subscription_id, []), key=lambda each: each.slot_at, default=None)
