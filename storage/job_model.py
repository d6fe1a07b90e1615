"""What a job is, and how long a failed one waits."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

JobState = Literal["ready", "running", "done", "dead", "discarded"]
STATES: tuple[JobState, ...] = ("ready", "running", "done", "dead", "discarded")


def utc_now() -> datetime:
    """The present, aware UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with full jitter: before try *n* + 1 wait a random time in [0, min(cap, base · 2^(n-1))].

    Full jitter spreads callers that failed together (M. Brooker, "Exponential Backoff And Jitter", 2015).

    Attributes:
        base: seconds, the longest first wait.
        cap: seconds, the longest wait of all.
    """

    base: float = 1.0
    cap: float = 900.0

    def delay(self, attempts: int, retry_after: float | None = None, rng: random.Random | None = None) -> timedelta:
        """The wait after *attempts* failed tries; never shorter than the *retry_after* seconds a peer asked for."""
        ceiling = min(self.cap, self.base * 2.0 ** min(max(attempts - 1, 0), 63))
        jitter = (rng or random).uniform(0.0, ceiling)
        return timedelta(seconds=jitter if retry_after is None else max(0.0, retry_after) + min(jitter, 1.0))


DEFAULT_BACKOFF = Backoff()


@dataclass(frozen=True, slots=True)
class Job:
    """A job as claimed or listed. ``payload`` is the JSON object given to :meth:`JobStore.enqueue`."""

    id: int
    kind: str
    payload: Mapping[str, Any]
    state: JobState
    run_at: datetime
    attempts: int
    max_attempts: int
    created_at: datetime
    dedupe_key: str | None = None
    concurrency_key: str | None = None
    lease_until: datetime | None = None
    lease_token: str | None = field(default=None, repr=False)
    last_error: str | None = None
    finished_at: datetime | None = None

    @property
    def last_try(self) -> bool:
        """True when a failure now makes the job ``dead``."""
        return self.attempts >= self.max_attempts
