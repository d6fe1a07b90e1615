from __future__ import annotations

import asyncio
import time

import pytest
from structlog.testing import capture_logs

from gpuscout.telemetry.loopdelay import LoopDelaySampler


async def test_a_blocked_loop_is_seen_and_logged_once() -> None:
    delays: list[float] = []
    sampler = LoopDelaySampler(delays.append, interval=0.01, warn_above=0.08)

    async def seen(count: int) -> None:
        async with asyncio.timeout(30):
            while len(delays) < count:
                await asyncio.sleep(0)

    with capture_logs() as logs:
        await sampler.start()
        await seen(3)
        blocked = []
        for _ in range(2):
            before = len(delays)
            time.sleep(0.15)  # what no task may do
            await seen(before + 1)
            blocked.append(delays[before])
        await sampler.stop()
    assert all(delay >= 0 for delay in delays)
    assert min(blocked) > 0.1
    assert [entry["event"] for entry in logs] == ["event_loop_blocked"]


async def test_it_has_one_task_and_leaves_none() -> None:
    before = asyncio.all_tasks()
    sampler = LoopDelaySampler(lambda _: None, interval=0.01)
    await sampler.stop()
    await sampler.start()
    await sampler.start()
    assert len(asyncio.all_tasks() - before) == 1 and sampler.running
    await sampler.stop()
    assert asyncio.all_tasks() == before and not sampler.running
    await sampler.start()
    assert sampler.running
    await sampler.stop()


async def test_an_observer_that_fails_is_reported_and_not_raised() -> None:
    def broken(_: float) -> None:
        raise RuntimeError("no place to put it")

    sampler = LoopDelaySampler(broken, interval=0.001)
    with capture_logs() as logs:
        await sampler.start()
        async with asyncio.timeout(30):
            while sampler.running:
                await asyncio.sleep(0.001)
        await sampler.stop()
    assert [entry["event"] for entry in logs] == ["loop_delay_sampler_failed"]


def test_an_interval_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        LoopDelaySampler(lambda _: None, interval=0)
