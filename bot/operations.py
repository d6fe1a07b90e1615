"""How the process itself is doing, and who is shut out: small answers for cogs and web."""

from __future__ import annotations

import time
from typing import Any

from bot.parts import Parts
from cogs.services import JobCounts
from storage.schema import is_current
from storage.state import AppState
from web.services import ReadinessCheck

BLOCKLIST_KEY = "discord.blocked"
_BLOCKLIST_SECONDS = 10.0


class ProcessOperations:
    """Implements :class:`cogs.services.Operations`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def jobs(self) -> JobCounts:
        """See :class:`cogs.services.Operations`."""
        counts = await self._parts.jobs.counts()
        return JobCounts(ready=counts["ready"], running=counts["running"], dead=counts["dead"])

    async def database_latency_ms(self) -> float | None:
        """See :class:`cogs.services.Operations`."""
        try:
            return await self._parts.db.ping(timeout=2.0) * 1000
        except Exception:  # noqa: BLE001 - whatever the driver raises, the answer is: it does not answer
            return None


class StateBlocklist:
    """Implements :class:`cogs.services.Blocklist` on one remembered value, read again every ten seconds."""

    def __init__(self, state: AppState) -> None:
        self._state = state
        self._ids: frozenset[int] = frozenset()
        self._read_at = float("-inf")

    async def blocks(self, user_id: int, guild_id: int | None) -> bool:
        """See :class:`cogs.services.Blocklist`."""
        if time.monotonic() - self._read_at >= _BLOCKLIST_SECONDS:
            stored: Any = await self._state.get(BLOCKLIST_KEY, [])
            self._ids = frozenset(int(identity) for identity in stored)
            self._read_at = time.monotonic()
        return user_id in self._ids or guild_id in self._ids


def database_ready(parts: Parts) -> ReadinessCheck:
    """The database answers."""

    async def check() -> str | None:
        try:
            await parts.db.ping(timeout=2.0)
        except Exception as error:  # noqa: BLE001 - the reason is reported, whatever it is
            return f"the database does not answer ({type(error).__name__})"
        return None

    return ReadinessCheck("database", check)


def schema_ready(parts: Parts) -> ReadinessCheck:
    """The database is at this program's revision."""

    async def check() -> str | None:
        if await is_current(parts.db):
            return None
        return "the database is not at this program's revision; run: gpuscout db upgrade"

    return ReadinessCheck("migrations", check)
