"""A queue in front of a service that limits how often it may be asked."""

from __future__ import annotations

import asyncio

from aiolimiter import AsyncLimiter

from gpuscout.resilience.errors import QueueFull


class RequestQueue:
    """First come, first served, at a bounded rate, with bounded length and waiting time.

    To be used from one event loop.
    """

    def __init__(
        self,
        service: str,
        *,
        rate: float,
        per_seconds: float = 1.0,
        burst: float = 1.0,
        max_queue: int = 100,
        max_wait: float = 30.0,
    ) -> None:
        """Args:
        service: Name in errors.
        rate: Requests in ``per_seconds`` on the long run.
        burst: Requests that may go at once after a quiet time.
        max_queue: Most callers waiting at a time.
        max_wait: Longest wait of one caller in seconds.
        """
        if rate <= 0 or per_seconds <= 0 or burst < 1 or max_queue < 0 or max_wait < 0:
            raise ValueError("rate, period and burst must be above 0, queue and wait at least 0")
        self.service = service
        self._limiter = AsyncLimiter(burst, burst * per_seconds / rate)
        self._turn = asyncio.Lock()
        self._max_queue = max_queue
        self._max_wait = max_wait
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """Callers in the queue now."""
        return self._waiting

    async def acquire(self, max_wait: float | None = None) -> None:
        """Return when the next request may be sent.

        Args:
            max_wait: A shorter longest wait in seconds than the queue's own.

        Raises:
            QueueFull: The queue is full, or the turn did not come in time.
        """
        # The lock keeps the order: the limiter alone would let a newcomer overtake.
        if not self._waiting and self._limiter.has_capacity():
            await self._limiter.acquire()  # does not wait
            return
        if self._waiting >= self._max_queue:
            raise QueueFull(self.service, f"{self._waiting} requests are waiting already")
        patience = self._max_wait if max_wait is None else min(max_wait, self._max_wait)
        self._waiting += 1
        limit = asyncio.timeout(patience)
        try:
            async with limit, self._turn:
                await self._limiter.acquire()
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise QueueFull(self.service, f"its turn did not come within {patience:g} s") from error
        finally:
            self._waiting -= 1
