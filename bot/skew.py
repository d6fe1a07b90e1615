"""How far our clock is from Discord's, by the ``Date`` header of its answers.

An interaction's age is read off its id, which Discord's clock wrote. With a wrong clock here every command
would look too old (or never too old), so ages are corrected by the smallest shift that all recent answers allow.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from types import SimpleNamespace
from typing import Final

import aiohttp
import structlog

log = structlog.get_logger(__name__)

_SAMPLES: Final = 16
_SLOW: Final = 10.0
"""Answers slower than this, in seconds, tell nothing useful."""
_SET: Final = 0.5
"""A clock that moved this many seconds more or less than time passed was set."""


class ClockSkew:
    """Estimates local time minus Discord's time, in seconds.

    The header has whole seconds: an answer asked for at *sent* and had at *received* (local) that says *date* was
    made between *date* and *date* + 1 (Discord's clock), so the shift lies between ``sent - date - 1`` and
    ``received - date``. The intersection over recent answers narrows it; when it becomes empty a clock was set,
    and only the newest answer counts.

    A clock may also be set between two answers, and whoever drops every command for its age asks Discord nothing
    and never hears of it. So ages are counted on from the last answer by a clock that nobody sets.

    Args:
        now: Local time, epoch seconds.
        steady: Seconds of a clock that only ever goes on.
    """

    def __init__(self, now: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._steady = steady
        self._heard: tuple[float, float] | None = None  # the last answer by both clocks
        self._bounds: deque[tuple[float, float]] = deque(maxlen=_SAMPLES)
        self._low = float("-inf")
        self._high = float("inf")

    def observe(self, date: float, sent: float, received: float) -> None:
        """Take one answer into account. All in epoch seconds; *sent* and *received* by the local clock."""
        if not 0 <= received - sent <= _SLOW:
            return  # slow, or the local clock was set meanwhile
        self._heard = (received, self._steady())
        low, high = sent - date - 1, received - date
        if low > self._high or high < self._low:
            if abs((low + high) / 2) > 1:
                log.warning("clock_differs_from_discord", seconds=round((low + high) / 2, 1))
            self._bounds.clear()
        self._bounds.append((low, high))
        self._low = max(bound[0] for bound in self._bounds)
        self._high = min(bound[1] for bound in self._bounds)
        if self._low > self._high:  # old samples contradict each other: the newest one is right
            self._bounds.clear()
            self._bounds.append((low, high))
            self._low, self._high = low, high

    @property
    def seconds(self) -> float:
        """The smallest shift that the evidence allows; 0 without evidence."""
        return min(max(0.0, self._low), self._high)

    def age(self, created: float) -> float:
        """Seconds since *created* (epoch seconds of Discord's clock)."""
        return self._now() - self._set_by() - self.seconds - created

    def _set_by(self) -> float:
        """Seconds by which the local clock was set since the last answer."""
        if self._heard is None:
            return 0.0
        local, steady = self._heard
        moved = (self._now() - local) - (self._steady() - steady)
        return moved if abs(moved) > _SET else 0.0

    def trace_config(self) -> aiohttp.TraceConfig:
        """What to give discord.py as ``http_trace``."""
        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(self._started)
        trace.on_request_end.append(self._ended)
        return trace

    async def _started(
        self, _session: aiohttp.ClientSession, context: SimpleNamespace, _params: aiohttp.TraceRequestStartParams
    ) -> None:
        context.sent = self._now()

    async def _ended(
        self, _session: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestEndParams
    ) -> None:
        header = params.response.headers.get("Date")
        if not header:
            return
        try:
            date = parsedate_to_datetime(header).timestamp()
        except ValueError:
            return  # a proxy's odd header is no evidence
        self.observe(date, context.sent, self._now())
