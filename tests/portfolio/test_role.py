"""Portfolios in the program: put together over the stored rows, and the job that takes snapshots."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from pathlib import Path

from bot.app import build
from config.settings import Settings
from gpuscout.portfolio.models import HoldingDraft, SnapshotPoint
from gpuscout.portfolio.snapshots import SNAPSHOT_JOB
from sandbox.farm import FarmServer, Market
from storage.machines import MachineStore

MEMBER = 7
PATIENCE = 90.0


async def test_from_the_farm_to_a_snapshot(tmp_path: Path) -> None:
    """The real process over the simulated market: a machine is followed, valued, and remembered by the hourly job."""
    farm = FarmServer(Market(seed=0))
    await farm.start()
    settings = Settings(
        _env_file=None,
        database_url=f"sqlite+aiosqlite:///{tmp_path / 'gpuscout.db'}",
        data_dir=tmp_path / "data",
        farm_url=(farm.url,),
        market_fallback="off",
        market_source="simulator",
        ingest_interval_seconds=60,
        web_port=0,
    )
    stop = asyncio.Event()
    deadline = time.monotonic() + PATIENCE
    try:
        async with build(settings, ("ingest", "worker"), "0") as app:
            running = asyncio.create_task(app.run(stop))
            machines = MachineStore(app.parts.db)
            while await machines.listed_since("simulator") is None or not await app.market.known_gpus():
                assert time.monotonic() < deadline and not running.done()
                await asyncio.sleep(0.1)
            portfolios = app._portfolios()
            largest = (await machines.by_gpu(["rtx-4090"], 0, 1))[0]
            held = await portfolios.add_machine(MEMBER, largest.machine_id)
            await portfolios.add(MEMBER, HoldingDraft(gpu="rtx-4090", quantity=8, platform="vast", asked_price=0.35))
            view = await portfolios.value(MEMBER)
            assert held.machine is not None and held.machine.listed
            assert [found.unvalued for found in view.holdings] == [None, None]
            assert len(await portfolios.advice(MEMBER)) == 2
            async with app.parts.db.write() as conn:
                await app.parts.jobs.enqueue(conn, SNAPSHOT_JOB, {}, concurrency_key=SNAPSHOT_JOB)
            app._wake()
            history: list[SnapshotPoint] = []
            while not history:
                assert time.monotonic() < deadline and not running.done()
                history = list(await portfolios.history(MEMBER, 2))
                await asyncio.sleep(0.1)
            assert history[0].holdings == 2
            assert history[0].gpus == 8 + largest.num_gpus
            assert app.scheduler is not None
            assert app.scheduler._every[SNAPSHOT_JOB] == timedelta(hours=1)
            stop.set()
            assert await running == 0
    finally:
        await farm.stop()
