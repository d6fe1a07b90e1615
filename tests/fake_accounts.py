"""Stored members and servers in memory, with the manners of the real stores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from storage.members import Erased, Watched
from storage.servers import FeedPost, StoredServer


@dataclass
class FakeMemberRows:
    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    watched: dict[int, dict[str, datetime]] = field(default_factory=dict)
    dm_channels: set[int] = field(default_factory=set)
    others: dict[int, dict[str, int]] = field(default_factory=dict)
    used: dict[str, tuple[int, datetime]] = field(default_factory=dict)
    error: Exception | None = None
    reads: int = 0

    async def get(self, member_id: int) -> Mapping[str, Any] | None:
        self.reads += 1
        if self.error is not None:
            raise self.error
        return self.rows.get(member_id)

    async def put(self, member_id: int, values: Mapping[str, Any], at: datetime) -> None:
        columns = {"timezone": None, "currency": None, "tariff": None, "locale": None, "created_at": at}
        self.rows[member_id] = {**columns, **self.rows.get(member_id, {}), **values, "id": member_id, "updated_at": at}

    async def watchlist(self, member_id: int) -> list[tuple[str, datetime]]:
        return list(self.watched.get(member_id, {}).items())

    async def watch(self, member_id: int, gpu: str, at: datetime, limit: int) -> Watched:
        mine = self.watched.setdefault(member_id, {})
        if gpu in mine:
            return "known"
        if len(mine) >= limit:
            return "full"
        mine[gpu] = at
        return "added"

    async def unwatch(self, member_id: int, gpu: str) -> bool:
        return self.watched.get(member_id, {}).pop(gpu, None) is not None

    async def uses(self, member_hash: str) -> tuple[int, datetime | None]:
        return self.used.get(member_hash, (0, None))

    async def has_dm_channel(self, member_id: int) -> bool:
        return member_id in self.dm_channels

    async def kept(self, member_id: int) -> Mapping[str, int]:
        return self.others.get(member_id, {})

    async def erase(self, member_id: int, member_hash: str) -> Erased:
        known = member_id in self.dm_channels
        self.dm_channels.discard(member_id)
        return Erased(
            settings=int(self.rows.pop(member_id, None) is not None),
            watched=len(self.watched.pop(member_id, {})),
            channels=int(known),
            uses=self.used.pop(member_hash, (0, None))[0],
            kept=self.others.pop(member_id, {}),
        )


@dataclass
class FakeServerRows:
    rows: dict[int, StoredServer] = field(default_factory=dict)
    posts: dict[int, FeedPost] = field(default_factory=dict)
    error: Exception | None = None

    async def get(self, guild_id: int) -> StoredServer | None:
        if self.error is not None:
            raise self.error
        return self.rows.get(guild_id)

    async def change(
        self,
        guild_id: int,
        edit: Callable[[Mapping[str, Any] | None], Mapping[str, Any]],
        at: datetime,
        conn: AsyncConnection | None = None,
    ) -> Mapping[str, Any]:
        known = self.rows.get(guild_id)
        changed = edit(known.settings if known else None)
        self.rows[guild_id] = StoredServer(guild_id, changed, at, known.erase_at if known else None)
        return changed

    async def left(self, guild_id: int, erase_at: datetime) -> None:
        known = self.rows.get(guild_id)
        if known is not None and known.erase_at is None:
            self.rows[guild_id] = replace(known, erase_at=erase_at)

    async def back(self, guild_id: int) -> bool:
        known = self.rows.get(guild_id)
        if known is None or known.erase_at is None:
            return False
        self.rows[guild_id] = replace(known, erase_at=None)
        return True

    async def present(self) -> dict[int, bool]:
        return {guild_id: row.erase_at is None for guild_id, row in self.rows.items()}

    async def erase(self, guild_id: int) -> None:
        self.rows.pop(guild_id, None)
        self.posts.pop(guild_id, None)

    async def newest_post(self, guild_id: int) -> FeedPost | None:
        return self.posts.get(guild_id)
