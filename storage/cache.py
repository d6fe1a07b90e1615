"""Bytes by key with an end of life, and notices to whoever listens. In this process, or shared through Redis.

A cache only saves work: it may forget anything at any time, and it never fails its reader. Keys of derived data carry
the version of the data (``market:17:quotes``), so nothing ever has to be taken out of it when the data change.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import structlog

from storage.fanout import Fanout, Subscription

log = structlog.get_logger(__name__)

Compute = Callable[[], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class CacheStats:
    """Counters since the start. ``errors`` are failures of the shared cache; each was a miss to its reader."""

    hits: int
    misses: int
    errors: int = 0
    entries: int | None = None
    bytes: int | None = None


class Cache(Protocol):
    """What the rest of the program asks of a cache."""

    async def get(self, key: str) -> bytes | None:
        """The value, or None when it is not there (any more)."""
        ...

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """Keep *value* for at most *ttl* seconds."""
        ...

    async def delete(self, key: str) -> None:
        """Forget *key*."""
        ...

    async def get_or_compute(self, key: str, ttl: float, compute: Compute) -> bytes:
        """The value of *key*, computed if it is not there; callers of this process share one computation.

        A cancelled caller does not end the computation that others wait for. What *compute* raises, all its waiters
        see; nothing is kept then.
        """
        ...

    async def publish(self, channel: str, message: bytes) -> None:
        """Tell every subscriber of *channel*, at most once each, without a promise that it arrives."""
        ...

    def subscribe(self, channel: str) -> AbstractAsyncContextManager[Subscription]:
        """Messages of *channel* from now on: ``async with cache.subscribe("market") as notices: async for …``.

        The queue is bounded; a slow reader loses the oldest. The iteration ends when the cache is closed.
        """
        ...

    def stats(self) -> CacheStats:
        """Counters."""
        ...

    async def aclose(self) -> None:
        """End subscriptions, computations and connections."""
        ...


class SingleFlight:
    """One running computation a key, owned here: it outlives a cancelled caller and is cancelled by :meth:`aclose`."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[bytes]] = {}

    async def run(self, key: str, work: Compute) -> bytes:
        """Join the computation of *key*, or start it with *work*."""
        task = self._running.get(key)
        if task is None:

            async def compute() -> bytes:
                return await work()

            task = asyncio.create_task(compute(), name=f"cache-{key}")
            self._running[key] = task
            task.add_done_callback(lambda done: self._ended(key, done))
        return await asyncio.shield(task)

    def _ended(self, key: str, task: asyncio.Task[bytes]) -> None:
        del self._running[key]
        if not task.cancelled() and (error := task.exception()) is not None:
            # Its waiters have it too, but all of them may have left.
            log.debug("cache_compute_failed", key=key, error=repr(error))

    async def aclose(self) -> None:
        """Cancel what still runs."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class MemoryCache:
    """A :class:`Cache` in this process: least recently used goes first when *max_bytes* are full.

    Args:
        max_bytes: bound on the sum of keys and values.
        clock: monotonic seconds, for tests.
    """

    def __init__(self, max_bytes: int = 64 * 1024 * 1024, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._entries: OrderedDict[str, tuple[bytes, float]] = OrderedDict()
        self._bytes = 0
        self._hits = 0
        self._misses = 0
        self._flights = SingleFlight()
        self._fanout = Fanout()

    async def get(self, key: str) -> bytes | None:
        """See :class:`Cache`."""
        found = self._entries.get(key)
        if found is not None and found[1] <= self._clock():
            self._remove(key)
            found = None
        if found is None:
            self._misses += 1
            return None
        self._entries.move_to_end(key)
        self._hits += 1
        return found[0]

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """See :class:`Cache`. A value larger than the whole cache is not kept."""
        self._remove(key)
        size = len(key) + len(value)
        if ttl <= 0 or size > self._max_bytes:
            return
        self._entries[key] = (value, self._clock() + ttl)
        self._bytes += size
        while self._bytes > self._max_bytes:
            self._remove(next(iter(self._entries)))

    async def delete(self, key: str) -> None:
        """See :class:`Cache`."""
        self._remove(key)

    def _remove(self, key: str) -> None:
        found = self._entries.pop(key, None)
        if found is not None:
            self._bytes -= len(key) + len(found[0])

    async def get_or_compute(self, key: str, ttl: float, compute: Compute) -> bytes:
        """See :class:`Cache`."""
        found = await self.get(key)
        if found is not None:
            return found

        async def work() -> bytes:
            value = await compute()
            await self.set(key, value, ttl)
            return value

        return await self._flights.run(key, work)

    async def publish(self, channel: str, message: bytes) -> None:
        """See :class:`Cache`."""
        self._fanout.deliver(channel, message)

    @asynccontextmanager
    async def subscribe(self, channel: str) -> AsyncIterator[Subscription]:
        """See :class:`Cache`."""
        with self._fanout.subscribe(channel) as subscription:
            yield subscription

    def stats(self) -> CacheStats:
        """See :class:`Cache`."""
        return CacheStats(self._hits, self._misses, entries=len(self._entries), bytes=self._bytes)

    async def aclose(self) -> None:
        """See :class:`Cache`."""
        self._fanout.close()
        await self._flights.aclose()


def open_cache(redis_url: str | None = None, *, max_bytes: int = 64 * 1024 * 1024) -> Cache:
    """The cache that the settings ask for: Redis when *redis_url* is given, else in this process.

    Nothing is connected yet; a Redis that is away is met as misses.

    Raises:
        ValueError: *redis_url* is no Redis address; never contains it.
    """
    if redis_url is None:
        return MemoryCache(max_bytes)
    from storage.redis_cache import RedisCache  # the client is loaded only where it is used

    return RedisCache(redis_url)
