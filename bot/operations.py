"""How the process itself is doing, and who is shut out: small answers for cogs and web."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bot.parts import Parts
from cogs.services import JobCounts, UnknownGpu
from gpuscout.delivery.promise import MEASURED_OVER, DeliveryTimes
from storage.attempts import DeliveryLedger
from storage.job_model import Job
from storage.schema import is_current
from storage.state import AppState
from web.services import ReadinessCheck

BLOCKLIST_KEY = "discord.blocked"
_BLOCKLIST_SECONDS = 10.0
_TIMES_SECONDS = 60.0


class ProcessOperations:
    """Implements :class:`cogs.services.Operations`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._ledger = DeliveryLedger(parts.db)
        self._times = DeliveryTimes.of([])
        self._measured_at = float("-inf")

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

    async def delivery_times(self) -> DeliveryTimes:
        """See :class:`cogs.services.Operations`."""
        if time.monotonic() - self._measured_at >= _TIMES_SECONDS:
            since = self._parts.clock() - MEASURED_OVER
            self._times = DeliveryTimes.of(await self._ledger.poll_to_message(since))
            self._measured_at = time.monotonic()
        return self._times

    async def oldest_due(self) -> datetime | None:
        """See :class:`cogs.services.Operations`."""
        return await self._parts.jobs.oldest_due()

    async def dead_letters(self, limit: int, offset: int = 0) -> Sequence[Job]:
        """See :class:`cogs.services.Operations`."""
        return await self._parts.jobs.list_dead(limit, offset=offset)

    async def job(self, job_id: int) -> Job | None:
        """See :class:`cogs.services.Operations`."""
        return await self._parts.jobs.get(job_id)

    async def retry_dead(self, job_id: int) -> bool:
        """See :class:`cogs.services.Operations`."""
        return await self._parts.jobs.requeue(job_id)

    async def discard_dead(self, job_id: int) -> bool:
        """See :class:`cogs.services.Operations`."""
        return await self._parts.jobs.discard(job_id)

    async def unknown_gpus(self, limit: int) -> Sequence[UnknownGpu]:
        """See :class:`cogs.services.Operations`."""
        rows = await self._parts.store.unknown_names()
        return [UnknownGpu(row.name, row.slug, row.times, row.last_seen) for row in rows[:limit]]


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
