"""The request queue: order, rate, length and patience."""

from __future__ import annotations

import asyncio
import time

import pytest

from gpuscout.resilience import QueueFull, RequestQueue


async def test_first_come_first_served_at_the_given_rate() -> None:
    queue = RequestQueue("s", rate=50, burst=1)
    order: list[int] = []

    async def ask(number: int) -> None:
        await queue.acquire()
        order.append(number)

    start = time.monotonic()
    tasks = [asyncio.create_task(ask(number)) for number in range(6)]
    await asyncio.sleep(0.03)
    late = asyncio.create_task(ask(6))  # comes when a turn is about to be free
    await asyncio.gather(*tasks, late)
    assert order == list(range(7))
    assert time.monotonic() - start >= 6 / 50 * 0.9
    assert queue.waiting == 0


async def test_a_burst_goes_at_once() -> None:
    queue = RequestQueue("s", rate=1, per_seconds=60, burst=3, max_queue=0)
    for _ in range(3):
        await asyncio.wait_for(queue.acquire(), 10)
    with pytest.raises(QueueFull):
        await queue.acquire()


async def test_a_full_queue_refuses_at_once() -> None:
    queue = RequestQueue("s", rate=1, per_seconds=60, max_queue=2)
    await queue.acquire()
    waiting = [asyncio.create_task(queue.acquire()) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(QueueFull, match="2 requests are waiting"):
        await queue.acquire()
    for task in waiting:
        task.cancel()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    assert queue.waiting == 0


async def test_whoever_waits_too_long_leaves_and_does_not_hold_the_others() -> None:
    queue = RequestQueue("s", rate=2, max_wait=60)
    await queue.acquire()
    hasty = asyncio.create_task(queue.acquire(0.02))
    patient = asyncio.create_task(queue.acquire())
    with pytest.raises(QueueFull, match=r"within 0\.02 s"):
        await hasty
    await asyncio.wait_for(patient, 30)
    assert queue.waiting == 0


@pytest.mark.parametrize("arguments", [{"rate": 0}, {"rate": 1, "burst": 0}, {"rate": 1, "max_wait": -1}])
def test_senseless_settings_are_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="rate"):
        RequestQueue("s", **arguments)
