"""The worker process and its parent: what each imports, and that neither outlives its use."""

from __future__ import annotations

import asyncio
import dataclasses
import pickle
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from gpuscout.charts import process
from gpuscout.charts.worker import REQUEST, RESPONSE, Status
from tests.charts.processes import eventually, gone, needs_stop


def _script(text: str) -> subprocess.Popen[str]:
    root = Path(__file__).resolve().parents[2]
    return subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True, cwd=root)


def test_the_parent_never_imports_matplotlib_or_numpy() -> None:
    script = """
import asyncio, sys
from gpuscout.charts import ChartRenderer, alt_text
from tests.charts.builders import price_spec
async def main():
    async with ChartRenderer(workers=1, timeout=120, start_timeout=120) as renderer:
        assert (await renderer.render(price_spec())).data and alt_text(price_spec())
asyncio.run(main())
print([name for name in ("matplotlib", "numpy", "PIL") if name in sys.modules])
"""
    run = _script(script)
    out, _ = run.communicate(timeout=300)
    assert run.returncode == 0
    assert out.splitlines()[-1] == "[]"


@needs_stop
async def test_workers_end_when_the_parent_is_killed() -> None:
    script = """
import asyncio
from gpuscout.charts import ChartRenderer
from tests.charts.builders import price_spec, compare_spec
async def main():
    renderer = ChartRenderer(workers=2, timeout=120, start_timeout=120)
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
        assert await eventually(lambda: all(map(gone, pids)))
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
        assert worker.wait(timeout=30) == 0


def test_a_hanging_worker_is_ended_by_its_watchdog() -> None:
    with _bare_worker(0.3) as worker:
        assert worker.stderr
        assert worker.wait(timeout=30) != 0
        assert b"Timeout" in worker.stderr.read()
