"""What the users see happen: events for the page and for tests, one queue a subscriber."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Json = dict[str, Any]

#: Events kept for a subscriber that does not read; then he is cut off and has to reload.
MAX_BACKLOG = 1000


class Subscription:
    """One open event stream of one user."""

    def __init__(self, user_id: int) -> None:
        self.user_id = user_id
        self._queue: asyncio.Queue[Json | None] = asyncio.Queue()

    def put(self, event: Json) -> None:
        """Queue an event; a stream that fell too far behind is ended."""
        if self._queue.qsize() < MAX_BACKLOG:
            self._queue.put_nowait(event)
        else:
            self.end()

    def end(self) -> None:
        """Let :meth:`next` return None after what is queued."""
        self._queue.put_nowait(None)

    async def next(self) -> Json | None:
        """The next event; None when the stream was ended."""
        return await self._queue.get()


class Bus:
    """Hands events to the subscribers who may see them."""

    def __init__(self) -> None:
        self._open: set[Subscription] = set()

    @contextmanager
    def subscribe(self, user_id: int) -> Iterator[Subscription]:
        """An event stream of the user for as long as the block lasts."""
        subscription = Subscription(user_id)
        self._open.add(subscription)
        try:
            yield subscription
        finally:
            self._open.discard(subscription)

    def publish(self, event: str, data: Json, sees: Callable[[int], bool] | None = None) -> None:
        """Send ``event`` to every subscriber for whose user id ``sees`` is true (default: all)."""
        for subscription in list(self._open):
            if sees is None or sees(subscription.user_id):
                subscription.put({"t": event, "d": data})

    def to_user(self, user_id: int, event: str, data: Json) -> None:
        """Send ``event`` to one user only."""
        self.publish(event, data, lambda uid: uid == user_id)

    def close(self) -> None:
        """End every stream."""
        for subscription in list(self._open):
            subscription.end()
