"""When to try again, and how long to wait before.

Retries live in one layer only: libraries that would retry themselves are told not to.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal, TypeVar

import httpx
import tenacity
from tenacity.asyncio import AsyncRetrying

from gpuscout.resilience.errors import DeadlineExceeded, UpstreamError, retriable_status

T = TypeVar("T")

Sleep = Callable[[float], Awaitable[None]]
Clock = Callable[[], float]
OnRetry = Callable[[int, float, BaseException], None]


def is_retriable(error: BaseException) -> bool:
    """Whether the same call may succeed a moment later.

    Timeouts, connection errors and the statuses of `retriable_status` may; wrong
    requests, refused credentials and errors of our own may not.
    """
    if isinstance(error, DeadlineExceeded):
        return False
    if isinstance(error, UpstreamError):
        return error.retriable
    if isinstance(error, httpx.HTTPStatusError):
        return retriable_status(error.response.status_code)
    if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        return False
    return isinstance(error, httpx.TransportError | TimeoutError | ConnectionError)


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds to wait from a ``Retry-After`` header (RFC 9110 §10.2.3), or None.

    Args:
        value: The header: whole seconds or an HTTP date. Anything else gives None.
        now: The present moment, aware; only needed for a date.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, IndexError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


def _asked_to_wait(error: BaseException | None) -> float:
    """Seconds that the service asked for with its refusal, 0 when it did not."""
    if isinstance(error, httpx.HTTPStatusError):
        return parse_retry_after(error.response.headers.get("retry-after")) or 0.0
    if isinstance(error, UpstreamError) and error.retry_after is not None:
        return error.retry_after if math.isfinite(error.retry_after) else 0.0
    return 0.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and after what pauses a failed call is repeated.

    Attributes:
        kind: ``exponential`` doubles the pause (temporary failures, rate limits), ``linear``
            adds ``base`` each time (predictable maintenance), ``immediate`` does not pause
            (network blips).
        retries: Most repetitions after the first try.
        base: First pause in seconds.
        max_wait: Longest pause in seconds, Retry-After aside.
        jitter: Draw each pause uniformly between 0 and its length ("full jitter"), so that
            many callers do not return at once.
        deadline: Seconds for the first try, all pauses and all repetitions together.
        retry_after_cap: Longest pause in seconds that a service may ask for.
    """

    kind: Literal["exponential", "linear", "immediate"] = "exponential"
    retries: int = 5
    base: float = 1.0
    max_wait: float = 60.0
    jitter: bool = False
    deadline: float | None = None
    retry_after_cap: float = 120.0

    def __post_init__(self) -> None:
        if self.kind not in ("exponential", "linear", "immediate"):
            raise ValueError(f"unknown retry kind {self.kind!r}")
        if self.retries < 0 or min(self.base, self.max_wait, self.retry_after_cap) < 0:
            raise ValueError("retries and waits cannot be negative")
        if self.deadline is not None and self.deadline <= 0:
            raise ValueError("a deadline must be above 0 seconds")

    def pause(self, retry: int) -> float:
        """Longest pause in seconds before repetition ``retry`` (1 = the first)."""
        if self.kind == "immediate":
            return 0.0
        if self.kind == "linear":
            return min(self.max_wait, self.base * retry)
        return min(self.max_wait, self.base * 2.0 ** min(retry - 1, 64))

    def pauses(self) -> tuple[float, ...]:
        """All pauses without jitter: 1, 2, 4, 8, 16 for the default."""
        return tuple(self.pause(retry) for retry in range(1, self.retries + 1))

    async def run(
        self,
        call: Callable[[], Awaitable[T]],
        *,
        retry_if: Callable[[BaseException], bool] = is_retriable,
        on_retry: OnRetry | None = None,
        sleep: Sleep = asyncio.sleep,
        clock: Clock = time.monotonic,
        rng: random.Random | None = None,
    ) -> T:
        """Call until it succeeds, fails for good, or retries or time run out.

        Args:
            call: Makes one try; only for calls that may be repeated safely.
            retry_if: Which errors are worth another try.
            on_retry: Told the number of the coming repetition, the pause in seconds and the
                error, before each pause.
            sleep: Pauses; for tests.
            clock: Monotonic seconds; for tests.
            rng: Source of the jitter; for tests.

        Raises:
            DeadlineExceeded: The deadline passed while a try was under way. When it would
                pass during a pause, the last error is raised at once instead.
            BaseException: The last error of ``call``, unchanged.
        """
        draw = (rng or random).uniform
        ends = math.inf if self.deadline is None else clock() + self.deadline

        def wait(state: tenacity.RetryCallState) -> float:
            longest = self.pause(state.attempt_number)
            pause = draw(0.0, longest) if self.jitter else longest
            error = state.outcome.exception() if state.outcome else None
            return max(pause, min(_asked_to_wait(error), self.retry_after_cap))

        def stop(state: tenacity.RetryCallState) -> bool:
            return state.attempt_number > self.retries or clock() + state.upcoming_sleep >= ends

        def before_sleep(state: tenacity.RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            if on_retry is not None and error is not None:
                on_retry(state.attempt_number, state.upcoming_sleep, error)

        async def attempt() -> T:
            return await call()

        retrying = AsyncRetrying(
            sleep=sleep,
            wait=wait,
            stop=stop,
            retry=tenacity.retry_if_exception(retry_if),
            before_sleep=before_sleep,
            reraise=True,
        )
        if self.deadline is None:
            return await retrying(attempt)
        limit = asyncio.timeout(self.deadline)
        try:
            async with limit:
                return await retrying(attempt)
        except TimeoutError as error:
            if limit.expired():
                raise DeadlineExceeded(f"no answer within {self.deadline:g} s") from error
            raise


BACKGROUND = RetryPolicy()
"""For jobs that nobody waits for: five repetitions after 1, 2, 4, 8 and 16 seconds."""


ONCE = RetryPolicy(retries=0)
"""For changes that must not be repeated blindly: whoever asks for them decides when to try again."""


def interactive(deadline: float) -> RetryPolicy:
    """For calls that a person waits for: two quick repetitions within ``deadline`` seconds."""
    return RetryPolicy(
        retries=2, base=min(0.2, deadline / 10), jitter=True, deadline=deadline, retry_after_cap=deadline
    )
