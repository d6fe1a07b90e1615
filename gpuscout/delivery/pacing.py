"""Keeping within Discord's limits before it has to say so.

Discord allows a bot 50 requests in any second over all routes, and asks not to open many new DMs quickly (it publishes
no number; bots that opened some dozens at once were quarantined). The limits of single routes are kept by discord.py,
from the headers of the answers.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

PER_SECOND: Final = 50
SPARE: Final = 1
"""Requests a second left to the rest of the program: posts, look-ups. Answers to interactions do not count."""
OPENINGS: Final = 10
OPENING_SECONDS: Final = 60.0
"""New DM channels in any minute."""


class Window:
    """At most *limit* uses in any *seconds*, wherever between its begin and its end the other side counts a use.

    A place is free again *seconds* after its use **ended**: counted where the other side counts, two uses of one place
    are then surely *seconds* apart, however long requests are on their way. First come, first served.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, limit: int, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        if limit < 1 or seconds <= 0:
            raise ValueError("a window needs a limit of at least 1 and a length")
        self._seconds = seconds
        self._clock = clock
        self._free = limit
        self._ended: deque[float] = deque()
        self._turn = asyncio.Lock()
        self._given_back = asyncio.Event()
        self._paused_until = 0.0

    @asynccontextmanager
    async def use(self) -> AsyncIterator[None]:
        """Wait for a place and hold it for the length of the block."""
        async with self._turn:
            await self._take()
        try:
            yield
        finally:
            self._ended.append(self._clock())
            self._given_back.set()

    async def _take(self) -> None:
        while True:
            wait = self.wait()
            if wait == 0.0:
                self._free -= 1
                return
            self._given_back.clear()
            try:
                async with asyncio.timeout(wait):
                    await self._given_back.wait()
            except TimeoutError:
                continue

    def wait(self) -> float | None:
        """Seconds until a place is free; 0 now, None when that depends on what is under way."""
        now = self._clock()
        while self._ended and now - self._ended[0] >= self._seconds:
            self._ended.popleft()
            self._free += 1
        if now < self._paused_until:
            return self._paused_until - now
        if self._free > 0:
            return 0.0
        return max(0.001, self._ended[0] + self._seconds - now) if self._ended else None

    def pause(self, seconds: float) -> None:
        """Nothing for so long: the other side asked for it."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)


class DiscordPace:
    """The windows of one process's bot.

    Args:
        per_second: requests in any second.
        openings: new DM channels in any *opening_seconds*.
    """

    def __init__(
        self,
        per_second: int = PER_SECOND - SPARE,
        *,
        openings: int = OPENINGS,
        opening_seconds: float = OPENING_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.requests = Window(per_second, 1.0, clock=clock)
        self.openings = Window(openings, opening_seconds, clock=clock)
