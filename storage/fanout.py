"""Messages to the listeners of this process: bounded queues that drop the oldest."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

QUEUE_LENGTH = 100


class Subscription:
    """An asynchronous iterator over the messages of one channel. ``dropped`` counts those lost to a slow reader."""

    def __init__(self, length: int = QUEUE_LENGTH) -> None:
        self._queue: deque[bytes] = deque(maxlen=length)
        self._changed = asyncio.Event()
        self._closed = False
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """Messages that are queued."""
        return len(self._queue)

    def put(self, message: bytes) -> None:
        """Add a message; the oldest goes when the queue is full."""
        if self._closed:
            return
        if len(self._queue) == self._queue.maxlen:
            self.dropped += 1
        self._queue.append(message)
        self._changed.set()

    def close(self) -> None:
        """End the iteration once what is queued has been read."""
        self._closed = True
        self._changed.set()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> bytes:
        while not self._queue:
            if self._closed:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._queue.popleft()


class Fanout:
    """The subscriptions of this process by channel."""

    def __init__(self) -> None:
        self._channels: dict[str, set[Subscription]] = {}
        self._closed = False

    def deliver(self, channel: str, message: bytes) -> None:
        """Put *message* into the queue of every subscription of *channel*."""
        for subscription in self._channels.get(channel, ()):
            subscription.put(message)

    def listeners(self, channel: str) -> int:
        """How many subscriptions *channel* has here."""
        return len(self._channels.get(channel, ()))

    @contextmanager
    def subscribe(self, channel: str) -> Iterator[Subscription]:
        """A subscription for the time of the block."""
        subscription = Subscription()
        if self._closed:
            subscription.close()
        self._channels.setdefault(channel, set()).add(subscription)
        try:
            yield subscription
        finally:
            members = self._channels[channel]
            members.discard(subscription)
            if not members:
                del self._channels[channel]

    def close(self) -> None:
        """End every subscription."""
        self._closed = True
        for members in self._channels.values():
            for subscription in members:
                subscription.close()
