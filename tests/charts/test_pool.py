"""The renderer around real worker processes: cache, single flight, hangs, deaths, closing."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gpuscout.charts import ChartRenderer, ChartSpec, ChartUnavailable, process
from gpuscout.charts.process import Worker, WorkerDied
from gpuscout.charts.render import render
from gpuscout.charts.worker import REQUEST, RESPONSE, Status
from tests.charts.builders import price_spec, spec

needs_stop = pytest.mark.skipif(sys.platform == "win32", reason="stops processes by POSIX signals")


def variants(count: int) -> list[ChartSpec]:
    return [spec(title=f"Chart {number}") for number in range(count)]


def gone(pid: int) -> bool:
    """Whether the process has ended (a zombie that nobody collected has)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


async def eventually(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


@pytest.fixture
async def renderer() -> AsyncIterator[ChartRenderer]:
    async with ChartRenderer(workers=1, timeout=30) as made:
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
    async with ChartRenderer(workers=2, timeout=30) as two:
        images = await asyncio.gather(*map(two.render, charts))
        assert len(two.worker_pids) == 2
    assert [image.data for image in images] == [render(chart) for chart in charts]


async def test_cache_forgets_what_was_not_used_longest() -> None:
    first, second, third = variants(3)
    size = len(render(first))
    async with ChartRenderer(workers=1, timeout=30, cache_bytes=int(size * 2.5)) as small:
        for chart in (first, second, first, third):
            await small.render(chart)
        assert small.stats().cached_images == 2
        assert small.stats().cached_bytes <= size * 2.5
        await small.render(first)
        assert small.stats().drawn == 3
        await small.render(second)
        assert small.stats().drawn == 4


async def test_full_queue_answers_at_once() -> None:
    async with ChartRenderer(workers=1, timeout=30, queue_limit=3) as renderer:
        waiting = [asyncio.create_task(renderer.render(chart)) for chart in variants(3)]
        await asyncio.sleep(0)
        begun = time.monotonic()
        with pytest.raises(ChartUnavailable, match="3 charts are waiting"):
            await renderer.render(price_spec())
        assert time.monotonic() - begun < 0.1
        assert all(image.data for image in await asyncio.gather(*waiting))
        assert renderer.stats().failures == 1


@needs_stop
async def test_a_hung_worker_is_killed_and_replaced() -> None:
    async with ChartRenderer(workers=1, timeout=1.5) as renderer:
        await renderer.warm()
        (hung,) = renderer.worker_pids
        os.kill(hung, signal.SIGSTOP)
        begun = time.monotonic()
        with pytest.raises(ChartUnavailable):
            await renderer.render(price_spec())
        assert time.monotonic() - begun < 2
        assert await eventually(lambda: gone(hung), 2)
        assert await eventually(lambda: renderer.stats().queued == 0)
        await renderer.warm()
        assert (await renderer.render(price_spec())).data
        stats = renderer.stats()
        assert (stats.timeouts, stats.starts, stats.failures) == (1, 2, 1)
        assert hung not in renderer.worker_pids


@needs_stop
async def test_a_hung_worker_hinders_no_other() -> None:
    async with ChartRenderer(workers=2, timeout=1.5) as renderer:
        await renderer.warm(2)
        *_, first = renderer.worker_pids
        os.kill(first, signal.SIGSTOP)
        stuck, fine = await asyncio.gather(*map(renderer.render, variants(2)), return_exceptions=True)
        assert isinstance(stuck, ChartUnavailable)
        assert not isinstance(fine, BaseException)
        assert await eventually(lambda: gone(first), 2)


@needs_stop
async def test_workers_that_died_idle_are_replaced_unnoticed() -> None:
    async with ChartRenderer(workers=2, timeout=30) as renderer:
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
    async with ChartRenderer(workers=1, timeout=30) as renderer:
        with pytest.raises(ChartUnavailable, match="could be started"):
            await renderer.render(price_spec())
        begun = time.monotonic()
        with pytest.raises(ChartUnavailable, match="fail to start"):
            await renderer.render(price_spec())
        assert time.monotonic() - begun < 0.2
        monkeypatch.undo()
        await asyncio.sleep(1.1)
        assert (await renderer.render(price_spec())).data


async def test_a_worker_slow_to_start_is_given_up(monkeypatch: Any) -> None:
    monkeypatch.setattr(process, "_BOOT", "import time; time.sleep(60)")
    with pytest.raises(WorkerDied, match=r"not ready within 0\.3 s"):
        await Worker.start(0.3, watchdog=10)


async def test_closing_ends_charts_and_workers_within_two_seconds() -> None:
    renderer = ChartRenderer(workers=2, timeout=30)
    await renderer.render(price_spec())
    flying = [asyncio.create_task(renderer.render(chart)) for chart in variants(8)]
    await asyncio.sleep(0.2)
    pids = renderer.worker_pids
    assert pids
    begun = time.monotonic()
    await renderer.aclose()
    assert time.monotonic() - begun < 2
    assert all(gone(pid) for pid in pids)
    results = await asyncio.gather(*flying, return_exceptions=True)
    assert sum(isinstance(result, ChartUnavailable) for result in results) >= 6
    assert all(isinstance(result, ChartUnavailable) or result.data for result in results)  # type: ignore[union-attr]
    with pytest.raises(ChartUnavailable, match="closed"):
        await renderer.render(price_spec())
    await renderer.aclose()


@needs_stop
async def test_closing_kills_a_worker_that_does_not_stop() -> None:
    renderer = ChartRenderer(workers=1)
    await renderer.warm()
    (stuck,) = renderer.worker_pids
    os.kill(stuck, signal.SIGSTOP)
    begun = time.monotonic()
    await renderer.aclose()
    assert time.monotonic() - begun < 2
    assert gone(stuck)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads environments through /proc")
async def test_workers_see_no_secrets(monkeypatch: Any, renderer: ChartRenderer) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "hush-hush")
    await renderer.warm()
    (pid,) = renderer.worker_pids
    environment = Path(f"/proc/{pid}/environ").read_bytes()
    assert b"PATH=" in environment
    assert b"hush-hush" not in environment


def _script(text: str) -> subprocess.Popen[str]:
    root = Path(__file__).resolve().parents[2]
    return subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True, cwd=root)


def test_the_parent_never_imports_matplotlib_or_numpy() -> None:
    script = """
import asyncio, sys
from gpuscout.charts import ChartRenderer, alt_text
from tests.charts.builders import price_spec
async def main():
    async with ChartRenderer(workers=1, timeout=30) as renderer:
        assert (await renderer.render(price_spec())).data and alt_text(price_spec())
asyncio.run(main())
print([name for name in ("matplotlib", "numpy", "PIL") if name in sys.modules])
"""
    run = _script(script)
    out, _ = run.communicate(timeout=30)
    assert run.returncode == 0
    assert out.splitlines()[-1] == "[]"


@needs_stop
async def test_workers_end_when_the_parent_is_killed() -> None:
    script = """
import asyncio
from gpuscout.charts import ChartRenderer
from tests.charts.builders import price_spec, compare_spec
async def main():
    renderer = ChartRenderer(workers=2, timeout=30)
    await asyncio.gather(renderer.render(price_spec()), renderer.render(compare_spec()))
    print("pids", *renderer.worker_pids, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    parent = _script(script)
    try:
        assert parent.stdout is not None
        line = ""
        while not line.startswith("pids"):
            line = await asyncio.to_thread(parent.stdout.readline)
            assert line, "the parent ended early"
        pids = [int(part) for part in line.split()[1:]]
        assert len(pids) == 2
        parent.kill()
        assert await eventually(lambda: all(map(gone, pids)), 3)
    finally:
        parent.kill()
        parent.communicate()


@dataclasses.dataclass
class Hang:
    """Unpickles into a sleep: a drawing that does not come back."""

    seconds: float

    def __reduce__(self) -> tuple[Any, ...]:
        return time.sleep, (self.seconds,)


def _bare_worker(watchdog: float) -> subprocess.Popen[bytes]:
    worker = subprocess.Popen(
        [sys.executable, "-c", process._BOOT, process._ROOT, str(watchdog)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert worker.stdin and worker.stdout
    status, size = RESPONSE.unpack(worker.stdout.read(RESPONSE.size))
    assert status == Status.READY
    worker.stdout.read(size)
    payload = pickle.dumps(Hang(60))
    worker.stdin.write(REQUEST.pack(len(payload)) + payload)
    worker.stdin.flush()
    return worker


def test_a_hanging_worker_ends_with_its_input() -> None:
    with _bare_worker(60) as worker:
        assert worker.stdin
        time.sleep(0.2)
        assert worker.poll() is None
        worker.stdin.close()
        assert worker.wait(timeout=2) == 0


def test_a_hanging_worker_is_ended_by_its_watchdog() -> None:
    with _bare_worker(0.3) as worker:
        assert worker.stderr
        assert worker.wait(timeout=3) != 0
        assert b"Timeout" in worker.stderr.read()
