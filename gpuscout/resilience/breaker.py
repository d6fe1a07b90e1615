"""A circuit breaker: stop calling a service that keeps failing, then ask once whether it is back.

Libraries at hand let every waiting caller through when the pause is over; a service that
is just recovering would meet all of them. Here exactly one call asks.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from enum import StrEnum
from types import TracebackType
from typing import Self, TypeVar

import httpx
import structlog

from gpuscout.resilience.errors import BadStatus, CircuitOpen, DeadlineExceeded, ResponseTooLarge
from gpuscout.resilience.retry import Clock, is_retriable

log = structlog.get_logger(__name__)

T = TypeVar("T")


class BreakerState(StrEnum):
    """Closed: calls pass. Open: calls are refused. Half-open: one call passes."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


OnChange = Callable[[str, BreakerState, BreakerState], None]


class Permit:
    """Leave to call the service; to be settled with `success`, `failure` or `release`.

    A permit given while the breaker was closed may be used for the repetitions of one call.
    As a context manager it releases itself when it was not settled.
    """

    __slots__ = ("_breaker", "_settled", "probe")

    def __init__(self, breaker: CircuitBreaker, *, probe: bool) -> None:
        self._breaker = breaker
        self._settled = False
        self.probe = probe

    def success(self) -> None:
        """The service answered."""
        if not self._done():
            self._breaker._succeeded()

    def failure(self) -> None:
        """The service failed."""
        if not self._done():
            self._breaker._failed(self)

    def release(self) -> None:
        """The call ended without a verdict on the service, for example by cancellation."""
        if not self._done():
            self._breaker._released(self)

    def _done(self) -> bool:
        done = self._settled
        # A probe asks once; any other permit serves every try of its call.
        self._settled = self.probe
        return done

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class CircuitBreaker:
    """Opens after consecutive failures, refuses calls for a while, then lets one call ask.

    To be used from one event loop. Any success closes it. Once open, only the call whose
    failure opened it may finish its own repetitions; every other call is refused.
    """

    def __init__(
        self,
        service: str,
        *,
        threshold: int = 5,
        open_seconds: float = 60.0,
        clock: Clock = time.monotonic,
        on_change: OnChange | None = None,
    ) -> None:
        """Args:
        service: Name in errors and notices.
        threshold: Consecutive failures that open it.
        open_seconds: How long calls are refused before one may ask.
        clock: Monotonic seconds; for tests.
        on_change: Told the service, the old and the new state.
        """
        if threshold < 1 or open_seconds < 0:
            raise ValueError("a breaker needs a threshold of at least 1 and a pause of at least 0 s")
        self.service = service
        self._threshold = threshold
        self._open_seconds = open_seconds
        self._clock = clock
        self._on_change = on_change
        self._state = BreakerState.CLOSED
        self._failures = 0
        self._opened_at = 0.0
        self._probe: Permit | None = None
        self._opened_by: Permit | None = None

    @property
    def state(self) -> BreakerState:
        """The state now; open turns half-open by time alone."""
        if self._state is BreakerState.OPEN and self._remaining() <= 0:
            return BreakerState.HALF_OPEN
        return self._state

    @property
    def failures(self) -> int:
        """Consecutive failures so far."""
        return self._failures

    def _remaining(self) -> float:
        return self._opened_at + self._open_seconds - self._clock()

    def admit(self, permit: Permit | None = None) -> Permit:
        """Leave for one try.

        Args:
            permit: The one that an earlier try of the same call had, when there was one.

        Raises:
            CircuitOpen: The service is not to be called now.
        """
        if self._state is BreakerState.OPEN and self._remaining() <= 0:
            self._become(BreakerState.HALF_OPEN)
        if self._state is BreakerState.CLOSED:
            return permit if permit is not None and not permit.probe else Permit(self, probe=False)
        if self._state is BreakerState.HALF_OPEN and self._probe is None:
            self._probe = Permit(self, probe=True)
            return self._probe
        if self._state is BreakerState.OPEN and permit is not None and permit is self._opened_by:
            return permit
        wait = max(0.0, self._remaining())
        raise CircuitOpen(self.service, "paused after repeated failures", retry_after=wait)

    async def call(self, function: Callable[[], Awaitable[T]]) -> T:
        """Await ``function()`` under this breaker.

        Failures are the errors of `is_retriable`; an answer such as 404 proves that the
        service lives; any other error, and cancellation, says nothing about it.

        Raises:
            CircuitOpen: Not called.
        """
        with self.admit() as permit:
            try:
                result = await function()
            except Exception as error:
                self.judge(permit, error)
                raise
            permit.success()
            return result

    @staticmethod
    def judge(permit: Permit, error: BaseException) -> None:
        """Settle ``permit`` by what an error says about the service."""
        if is_retriable(error) or isinstance(error, DeadlineExceeded):
            permit.failure()
        elif isinstance(error, BadStatus | ResponseTooLarge | httpx.HTTPStatusError):
            permit.success()
        else:
            permit.release()

    def _succeeded(self) -> None:
        self._failures = 0
        self._become(BreakerState.CLOSED)

    def _failed(self, permit: Permit) -> None:
        if self._state is BreakerState.CLOSED:
            self._failures += 1
            if self._failures >= self._threshold:
                self._open(permit)
        elif permit is self._probe:
            self._failures += 1
            self._open(None)
        # A late failure of a call that began before the breaker opened is no news.

    def _released(self, permit: Permit) -> None:
        if permit is self._probe:
            self._probe = None

    def _open(self, permit: Permit | None) -> None:
        self._opened_at = self._clock()
        self._become(BreakerState.OPEN)
        self._opened_by = permit

    def _become(self, state: BreakerState) -> None:
        old, self._state = self._state, state
        self._probe = self._opened_by = None
        if old is state:
            return
        log.info("circuit_changed", service=self.service, old=old.value, new=state.value, failures=self._failures)
        if self._on_change is not None:
            try:
                self._on_change(self.service, old, state)
            except Exception:
                log.exception("circuit_listener_failed", service=self.service)
