"""What a job is, and how long a failed one waits."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol

JobState = Literal["ready", "running", "done", "dead", "discarded"]
STATES: tuple[JobState, ...] = ("ready", "running", "done", "dead", "discarded")


def utc_now() -> datetime:
    """The present, aware UTC."""
    return datetime.now(UTC)


class RetryStrategy(Protocol):
    """How long a failed job waits for its next try."""

    def delay(
        self, attempts: int, retry_after: float | None = None, rng: random.Random | None = None
    ) -> timedelta | None:
        """The wait after *attempts* failed tries, never shorter than the *retry_after* seconds a peer asked for; None:
        to the dead letters now."""
        ...


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with full jitter: before try *n* + 1 wait a random time in [0, min(cap, base · 2^(n-1))].

    For everything that asks a service which may be down or busy: full jitter spreads callers that failed together (M.
    Brooker, "Exponential Backoff And Jitter", 2015).

    Attributes:
        base: seconds, the longest first wait.
        cap: seconds, the longest wait of all.
    """

    base: float = 1.0
    cap: float = 900.0

    def delay(self, attempts: int, retry_after: float | None = None, rng: random.Random | None = None) -> timedelta:
        """See :class:`RetryStrategy`."""
        ceiling = min(self.cap, self.base * 2.0 ** min(max(attempts - 1, 0), 63))
        return _wait((rng or random).uniform(0.0, ceiling), retry_after)


@dataclass(frozen=True, slots=True)
class Linear:
    """Each wait *step* seconds longer than the last, up to *cap*: for what is away for a known while, such as a
    service under maintenance."""

    step: float = 60.0
    cap: float = 900.0

    def delay(self, attempts: int, retry_after: float | None = None, rng: random.Random | None = None) -> timedelta:
        """See :class:`RetryStrategy`."""
        return _wait(min(self.cap, self.step * max(attempts, 1)), retry_after)


@dataclass(frozen=True, slots=True)
class Immediate:
    """At once, for blips such as a cut connection; after *tries* such tries it was none, and waits like *then*."""

    tries: int = 2
    then: Backoff = field(default_factory=Backoff)

    def delay(self, attempts: int, retry_after: float | None = None, rng: random.Random | None = None) -> timedelta:
        """See :class:`RetryStrategy`."""
        if attempts <= self.tries:
            return _wait(0.0, retry_after)
        return self.then.delay(attempts - self.tries, retry_after, rng)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Never again by itself: for work that a person has to look at when it fails."""

    def delay(self, attempts: int, retry_after: float | None = None, rng: random.Random | None = None) -> None:
        """See :class:`RetryStrategy`."""


def _wait(seconds: float, retry_after: float | None) -> timedelta:
    return timedelta(seconds=seconds if retry_after is None else max(0.0, retry_after) + min(seconds, 1.0))


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
