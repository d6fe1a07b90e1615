"""How late the event loop runs its callbacks: the first sign that something blocks it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)


class LoopDelaySampler:
    """Sleeps for *interval* seconds again and again and reports how much longer it took.

    The sampler owns its task: :meth:`start` makes it, :meth:`stop` cancels it and waits for its end.

    Args:
        observe: called with each delay in seconds (0 or more), in the event loop.
        interval: seconds between samples.
        warn_above: a delay above this many seconds is logged, at most once per ten seconds.
    """

    def __init__(self, observe: Callable[[float], None], *, interval: float = 0.25, warn_above: float = 0.25) -> None:
        if interval <= 0:
            raise ValueError("interval must be above 0 seconds")
        self._observe = observe
        self._interval = interval
        self._warn_above = warn_above
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        return self._task is not None and not self._task.done()

    async def start(self) -> None:
        """Begin sampling; does nothing when it already runs."""
        if not self.running:
            self._task = asyncio.create_task(self._run(), name="event-loop-delay")

    async def stop(self) -> None:
        """End sampling and wait until the task is gone; an error that had ended it is logged."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        (result,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(result, Exception):
            log.error("loop_delay_sampler_failed", error=repr(result))

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        quiet_until = 0.0
        while True:
            due = loop.time() + self._interval
            await asyncio.sleep(self._interval)
            now = loop.time()
            delay = max(0.0, now - due)
            self._observe(delay)
            if delay > self._warn_above and now >= quiet_until:
                quiet_until = now + 10.0
                log.warning("event_loop_blocked", seconds=round(delay, 3))
