"""The renderer around real worker processes: cache, single flight, hangs, deaths, closing."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gpuscout.charts import ChartRenderer, ChartSpec, ChartUnavailable, process
from gpuscout.charts.process import Worker, WorkerDied
from gpuscout.charts.render import render
from tests.charts.builders import price_spec, spec
from tests.charts.processes import eventually, gone, needs_stop


def variants(count: int) -> list[ChartSpec]:
    return [spec(title=f"Chart {number}") for number in range(count)]


@pytest.fixture
async def renderer() -> AsyncIterator[ChartRenderer]:
    async with ChartRenderer(workers=1, timeout=120, start_timeout=120) as made:
        yield made


async def test_draws_the_very_bytes_of_render_and_caches_them(renderer: ChartRenderer) -> None:
    image = await renderer.render(price_spec())
    assert image.data == render(price_spec())
    assert (image.mime, image.extension, image.key) == ("image/webp", "webp", price_spec().cache_key())
    assert await renderer.render(price_spec()) is image
    png = await renderer.render(price_spec(format="png"))
    assert (png.mime, png.extension) == ("image/png", "png")
    assert Image.open(io.BytesIO(png.data)).format == "PNG"
    stats = renderer.stats()
    assert (stats.hits, stats.misses, stats.drawn, stats.failures, stats.workers) == (1, 2, 2, 0, 1)
    assert stats.cached_bytes == len(image.data) + len(png.data)
    assert stats.drawing_seconds > 0


async def test_no_worker_before_the_first_chart_unless_warmed(renderer: ChartRenderer) -> None:
    assert renderer.worker_pids == ()
    await renderer.warm()
    (pid,) = renderer.worker_pids
    await renderer.warm()
    await renderer.render(price_spec())
    assert renderer.worker_pids == (pid,)


async def test_equal_charts_at_once_are_drawn_once(renderer: ChartRenderer) -> None:
    images = await asyncio.gather(*(renderer.render(price_spec()) for _ in range(8)))
    assert all(image is images[0] for image in images)
    stats = renderer.stats()
    assert (stats.misses, stats.joined, stats.drawn) == (1, 7, 1)


async def test_a_caller_that_leaves_takes_the_chart_from_nobody(renderer: ChartRenderer) -> None:
    leaving = asyncio.create_task(renderer.render(price_spec()))
    staying = asyncio.create_task(renderer.render(price_spec()))
    await asyncio.sleep(0.05)
    leaving.cancel()
    assert (await staying).data
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert renderer.stats().drawn == 1


async def test_two_workers_work_at_once_and_agree() -> None:
    charts = variants(6)
    async with ChartRenderer(workers=2, timeout=120, start_timeout=120) as two:
        images = await asyncio.gather(*map(two.render, charts))
        assert len(two.worker_pids) == 2
    assert [image.data for image in images] == [render(chart) for chart in charts]


async def test_cache_forgets_what_was_not_used_longest() -> None:
    first, second, third = variants(3)
    size = len(render(first))
    async with ChartRenderer(workers=1, timeout=120, start_timeout=120, cache_bytes=int(size * 2.5)) as small:
        for chart in (first, second, first, third):
            await small.render(chart)
        assert small.stats().cached_images == 2
        assert small.stats().cached_bytes <= size * 2.5
        await small.render(first)
        assert small.stats().drawn == 3
        await small.render(second)
        assert small.stats().drawn == 4


async def test_full_queue_answers_at_once() -> None:
    async with ChartRenderer(workers=1, timeout=120, start_timeout=120, queue_limit=3) as renderer:
        waiting = [asyncio.create_task(renderer.render(chart)) for chart in variants(3)]
        await asyncio.sleep(0)
        with pytest.raises(ChartUnavailable, match="3 charts are waiting"):
            await renderer.render(price_spec())
        assert renderer.stats().drawn == 0, "it waited for none of them"
        assert all(image.data for image in await asyncio.gather(*waiting))
        assert renderer.stats().failures == 1


@needs_stop
async def test_a_hung_worker_is_killed_and_replaced() -> None:
    async with ChartRenderer(workers=1, timeout=1.5, start_timeout=120) as renderer:
        await renderer.warm()
        (hung,) = renderer.worker_pids
        os.kill(hung, signal.SIGSTOP)
        begun = time.monotonic()
        with pytest.raises(ChartUnavailable):
            await renderer.render(price_spec())
        assert time.monotonic() - begun < 1.5 + 3.0  # 3 s for a busy machine
        assert await eventually(lambda: gone(hung))
        assert await eventually(lambda: renderer.stats().queued == 0)
        renderer._timeout = 120.0  # what is not hung may take as long as it needs
        await renderer.warm()
        assert (await renderer.render(price_spec())).data
        stats = renderer.stats()
        assert (stats.timeouts, stats.starts, stats.failures) == (1, 2, 1)
        assert hung not in renderer.worker_pids


@needs_stop
async def test_a_hung_worker_hinders_no_other() -> None:
    async with ChartRenderer(workers=2, timeout=6.0, start_timeout=120) as renderer:
        await renderer.warm(2)
        *_, first = renderer.worker_pids
        os.kill(first, signal.SIGSTOP)
        stuck, fine = (asyncio.create_task(renderer.render(chart)) for chart in variants(2))
        assert (await fine).data
        assert not stuck.done()
        with pytest.raises(ChartUnavailable):
            await stuck
        assert await eventually(lambda: gone(first))


@needs_stop
async def test_workers_that_died_idle_are_replaced_unnoticed() -> None:
    async with ChartRenderer(workers=2, timeout=120, start_timeout=120) as renderer:
        await renderer.warm(2)
        dead = renderer.worker_pids
        for pid in dead:
            os.kill(pid, signal.SIGKILL)
        assert await eventually(lambda: not renderer.worker_pids)
        assert (await renderer.render(price_spec())).data
        assert renderer.stats().failures == 0
        assert len(renderer.worker_pids) == 1
        assert not set(renderer.worker_pids) & set(dead)


@needs_stop
async def test_a_worker_that_dies_while_drawing_is_replaced_once(renderer: ChartRenderer) -> None:
    await renderer.warm()
    (dying,) = renderer.worker_pids
    os.kill(dying, signal.SIGSTOP)
    chart = asyncio.create_task(renderer.render(price_spec()))
    await asyncio.sleep(0.1)
    os.kill(dying, signal.SIGKILL)
    assert (await chart).data == render(price_spec())


async def test_a_chart_that_cannot_be_drawn_fails_alone(renderer: ChartRenderer) -> None:
    broken = price_spec()
    # Bypasses validation as a defect would: the zone does not exist in the worker.
    object.__setattr__(broken, "timezone", "Nowhere/Land")
    with pytest.raises(ChartUnavailable, match="unknown time zone"):
        await renderer.render(broken)
    pids = renderer.worker_pids
    assert (await renderer.render(price_spec())).data
    assert renderer.worker_pids == pids
    assert renderer.stats().failures == 1


async def test_workers_that_cannot_start_are_reported_and_not_tried_all_the_time(monkeypatch: Any) -> None:
    monkeypatch.setattr(process, "_BOOT", "raise SystemExit('no matplotlib here')")
    async with ChartRenderer(workers=1, timeout=120, start_timeout=120) as renderer:
        with pytest.raises(ChartUnavailable, match="could be started"):
            await renderer.render(price_spec())
        renderer._no_start_before += 30.0  # a machine may be so slow that a second is over
        with pytest.raises(ChartUnavailable, match="fail to start"):
            await renderer.render(price_spec())
        renderer._no_start_before -= 30.0
        monkeypatch.undo()
        await asyncio.sleep(1.1)
        assert (await renderer.render(price_spec())).data


async def test_a_worker_slow_to_start_is_given_up(monkeypatch: Any) -> None:
    monkeypatch.setattr(process, "_BOOT", "import time; time.sleep(60)")
    with pytest.raises(WorkerDied, match=r"not ready within 0\.3 s"):
        await Worker.start(0.3, watchdog=10)


async def test_closing_ends_charts_and_workers_within_two_seconds() -> None:
    renderer = ChartRenderer(workers=2, timeout=120, start_timeout=120)
    await renderer.render(price_spec())
    drawn = renderer.stats().drawn
    flying = [asyncio.create_task(renderer.render(chart)) for chart in variants(40)]
    # In the middle: some charts are drawn, a worker draws, most wait.
    assert await eventually(lambda: renderer.stats().drawn >= drawn + 2)
    pids = renderer.worker_pids
    assert pids
    begun = time.monotonic()
    await renderer.aclose()
    assert time.monotonic() - begun < 2.0 + 3.0  # 3 s for a busy machine
    assert all(gone(pid) for pid in pids)
    results = await asyncio.gather(*flying, return_exceptions=True)
    assert sum(isinstance(result, ChartUnavailable) for result in results) >= 20
    assert all(isinstance(result, ChartUnavailable) or result.data for result in results)  # type: ignore[union-attr]
    with pytest.raises(ChartUnavailable, match="closed"):
        await renderer.render(price_spec())
    await renderer.aclose()


@needs_stop
async def test_closing_kills_a_worker_that_does_not_stop() -> None:
    renderer = ChartRenderer(workers=1, start_timeout=120)
    await renderer.warm()
    (stuck,) = renderer.worker_pids
    os.kill(stuck, signal.SIGSTOP)
    begun = time.monotonic()
    await renderer.aclose()
    assert time.monotonic() - begun < 2.0 + 3.0  # 3 s for a busy machine
    assert gone(stuck)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads environments through /proc")
async def test_workers_see_no_secrets(monkeypatch: Any, renderer: ChartRenderer) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "hush-hush")
    await renderer.warm()
    (pid,) = renderer.worker_pids
    environment = Path(f"/proc/{pid}/environ").read_bytes()
    assert b"PATH=" in environment
    assert b"hush-hush" not in environment
