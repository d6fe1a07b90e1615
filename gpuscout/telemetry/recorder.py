"""Usage events to storage and metrics."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from gpuscout.telemetry.metrics import Metrics
from gpuscout.telemetry.usage import IdHasher
from storage.usage import UsageEvent, UsageStore

_BOT_SURFACES = {"slash", "mention", "component"}


class StoredUsage:
    """Implements :class:`gpuscout.telemetry.usage.UsageRecorder`: hashes identities, buffers, counts."""

    def __init__(self, store: UsageStore, hasher: IdHasher, metrics: Metrics, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._hasher = hasher
        self._metrics = metrics
        self._clock = clock

    def record(
        self,
        name: str,
        *,
        surface: str,
        outcome: str,
        latency_ms: float | None = None,
        plan: str = "free",
        member_id: int | None = None,
        guild_id: int | None = None,
        locale: str | None = None,
    ) -> None:
        """See :class:`gpuscout.telemetry.usage.UsageRecorder`."""
        self._store.record(
            UsageEvent(
                at=self._clock(),
                name=name[:64],
                surface=surface[:16],
                outcome=outcome[:32],
                latency_ms=latency_ms,
                plan=plan[:16],
                member_hash=None if member_id is None else self._hasher.member(member_id),
                guild_hash=None if guild_id is None else self._hasher.guild(guild_id),
                locale=locale[:10] if locale else None,
            )
        )
        if surface in _BOT_SURFACES and latency_ms is not None:
            self._metrics.command(name, outcome, latency_ms / 1000)


class NoUsage:
    """Implements :class:`gpuscout.telemetry.usage.UsageRecorder` for one-shot commands, where nobody uses anything."""

    def record(
        self,
        name: str,
        *,
        surface: str,
        outcome: str,
        latency_ms: float | None = None,
        plan: str = "free",
        member_id: int | None = None,
        guild_id: int | None = None,
        locale: str | None = None,
    ) -> None:
        """Keep nothing."""
