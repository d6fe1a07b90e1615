"""The cache that processes share. When Redis is away, slow or full, its readers see misses, never errors."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import redis.asyncio as redis
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from storage.cache import CacheStats, Compute, SingleFlight
from storage.fanout import Fanout, Subscription

log = structlog.get_logger(__name__)

T = TypeVar("T")

_AWAY = (RedisError, OSError, TimeoutError)
_PAUSE_SECONDS = 1.0
"""After a failure Redis is left alone for this long, so that not every reader waits for its timeout."""
_IDLE_SECONDS = 10.0
"""A listener that heard nothing for so long asks whether its connection still lives."""
_CONFIRM_SECONDS = 1.0


class RedisCache:
    """A :class:`storage.cache.Cache` in Redis.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``.
        prefix: put before every key and channel, so that a Redis may be shared.
        timeout: seconds that any one call may take, connecting included.

    Raises:
        ValueError: *url* is no Redis address; the message does not contain it, as it may hold a password.
    """

    def __init__(self, url: str, *, prefix: str = "gpuscout:", timeout: float = 0.5, max_connections: int = 32) -> None:
        try:
            self._client: redis.Redis = redis.from_url(
                url,
                socket_timeout=timeout,
                socket_connect_timeout=timeout,
                retry=Retry(NoBackoff(), 1),  # once more at once: an idle connection may have been cut
                max_connections=max_connections,
                health_check_interval=30,
            )
        except ValueError:
            raise ValueError("REDIS_URL is not a Redis address; write redis://host:6379/0") from None
        self._prefix = prefix
        self._timeout = timeout
        self._flights = SingleFlight()
        self._fanout = Fanout()
        self._listeners: dict[str, _Listener] = {}
        self._away_until = 0.0
        self._outage = False
        self._closed = False
        self._hits = 0
        self._misses = 0
        self._errors = 0

    async def get(self, key: str) -> bytes | None:
        """See :class:`storage.cache.Cache`."""
        value: bytes | None = await self._ask(lambda: self._client.get(self._prefix + key), None)
        if value is None:
            self._misses += 1
        else:
            self._hits += 1
        return value

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """See :class:`storage.cache.Cache`."""
        milliseconds = int(ttl * 1000)
        if milliseconds > 0:
            await self._ask(lambda: self._client.set(self._prefix + key, value, px=milliseconds), None)

    async def delete(self, key: str) -> None:
        """See :class:`storage.cache.Cache`."""
        await self._ask(lambda: self._client.delete(self._prefix + key), 0)

    async def get_or_compute(self, key: str, ttl: float, compute: Compute) -> bytes:
        """See :class:`storage.cache.Cache`."""

        async def work() -> bytes:
            found = await self.get(key)
            if found is not None:
                return found
            value = await compute()
            await self.set(key, value, ttl)
            return value

        return await self._flights.run(key, work)

    async def publish(self, channel: str, message: bytes) -> None:
        """See :class:`storage.cache.Cache`. Listeners of this process hear it even while Redis is away."""
        listener = self._listeners.get(channel)
        sent = await self._ask(lambda: self._client.publish(self._prefix + channel, message), None)
        if sent is None or listener is None or not listener.connected.is_set():
            self._fanout.deliver(channel, message)

    @asynccontextmanager
    async def subscribe(self, channel: str) -> AsyncIterator[Subscription]:
        """See :class:`storage.cache.Cache`. Reconnects by itself; what was sent meanwhile is lost."""
        with self._fanout.subscribe(channel) as subscription:
            listener = self._listeners.get(channel)
            if listener is None and not self._closed:
                listener = self._listeners[channel] = _Listener(self._client, self._prefix, channel, self._fanout)
            if listener is not None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_CONFIRM_SECONDS):
                        await listener.connected.wait()
            try:
                yield subscription
            finally:
                if listener is not None and self._fanout.listeners(channel) == 1:
                    self._listeners.pop(channel, None)
                    await listener.aclose()

    def stats(self) -> CacheStats:
        """See :class:`storage.cache.Cache`."""
        return CacheStats(self._hits, self._misses, self._errors)

    async def ping(self) -> float:
        """Seconds that Redis takes to answer. Unlike all others this raises when it does not."""
        started = time.monotonic()
        async with asyncio.timeout(self._timeout):
            await self._client.ping()
        return time.monotonic() - started

    async def aclose(self) -> None:
        """See :class:`storage.cache.Cache`."""
        self._closed = True
        self._fanout.close()
        await self._flights.aclose()
        for listener in list(self._listeners.values()):
            await listener.aclose()
        self._listeners.clear()
        await self._client.aclose()

    async def _ask(self, call: Callable[[], Awaitable[Any]], otherwise: T) -> Any | T:
        """What Redis answers, or *otherwise* while it is away. One log line an outage, one when it is over."""
        if self._closed or time.monotonic() < self._away_until:
            return otherwise
        try:
            async with asyncio.timeout(self._timeout):
                answer = await call()
        except _AWAY as error:
            self._errors += 1
            self._away_until = time.monotonic() + _PAUSE_SECONDS
            if not self._outage:
                self._outage = True
                log.warning("cache_away", error=repr(error))
            return otherwise
        if self._outage:
            self._outage = False
            log.info("cache_back")
        return answer


class _Listener:
    """One subscribed connection for one channel, kept alive by a task until it is closed."""

    def __init__(self, client: redis.Redis, prefix: str, channel: str, fanout: Fanout) -> None:
        self._client = client
        self._name = prefix + channel
        self._channel = channel
        self._fanout = fanout
        self.connected = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"cache-listener-{channel}")

    async def aclose(self) -> None:
        """End the task and its connection."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                await self._listen()
            except Exception as error:
                if self.connected.is_set():
                    failures = 0
                self.connected.clear()
                failures += 1
                if failures == 1 or not isinstance(error, _AWAY):
                    log.warning(
                        "cache_listener_away",
                        channel=self._channel,
                        error=repr(error),
                        exc_info=not isinstance(error, _AWAY),
                    )
                await asyncio.sleep(random.uniform(0.1, min(5.0, 0.2 * 2.0 ** min(failures, 5))))

    async def _listen(self) -> None:
        async with self._client.pubsub() as connection:
            await connection.subscribe(self._name)
            asked = False
            while True:
                message = await connection.get_message(timeout=_IDLE_SECONDS)
                if message is None:
                    if asked:
                        raise TimeoutError("no answer to the ping")
                    asked = True
                    await connection.ping()
                    continue
                asked = False
                if message["type"] == "subscribe":
                    self.connected.set()
                elif message["type"] == "message":
                    self._fanout.deliver(self._channel, message["data"])
