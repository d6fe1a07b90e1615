"""SIGKILL at any moment: after the next start the history is what it would have been without."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from sandbox.farm import FarmServer, SimClock
from storage import migrate
from storage import tables as t
from storage.engine import Database
from tests.e2e.driver import time_of
from tests.e2e.harness import PATIENCE, ROOT, Product, World, market, until, web
from tests.market.helpers import model_v1, model_v2

pytestmark = pytest.mark.xdist_group("e2e-kill")


def documents(number: int) -> dict[str, Any]:
    """The source's two documents at a moment; prices and counts differ from one to the next."""
    rng = random.Random(number)
    stamp = time_of(number).isoformat()
    v1, v2 = [], []
    for name, price in (("RTX 4090", 0.34), ("RTX 3090", 0.16), ("H100 SXM", 1.9), ("RTX 7777 Strange", 0.5)):
        rented, price = rng.randint(20, 60), round(price * rng.uniform(0.9, 1.1), 2)
        v1.append(model_v1(name, rented, 30, price, verified=rented // 2))
        v2.append(model_v2(name, (True, "8+", True, rented // 2, 10, round(price * 1.2, 2))))
    if number % 7 == 3:
        v1.append({"name": "Broken"})
    return {
        "v1": {"url": "/gpu-stats", "timestamp": stamp, "models": v1},
        "v2": {"url": "/gpu-stats/v2", "timestamp": stamp, "models": v2},
    }


class Life:
    """One life of the driver's process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def begin(cls, url: str, folder: Path, farm: FarmServer, number: int) -> Life:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.e2e.driver",
            url,
            str(folder),
            farm.url,
            str(number),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        return cls(process)

    def tell(self, number: int) -> None:
        """Begin the work of a document."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{number}\n".encode())

    async def done(self, number: int) -> None:
        """Wait for its end."""
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            line = await self._process.stdout.readline()
        assert line == f"done {number}\n".encode(), line

    async def killed(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()

    async def ended(self) -> None:
        """Its work is over: no more documents come."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        async with asyncio.timeout(PATIENCE):
            code = await self._process.wait()
        assert code == 0


async def run(url: str, folder: Path, count: int, kills: int, seed: int) -> None:
    """Work through *count* documents, killing the process *kills* times: once while it starts, then at work."""
    rng = random.Random(seed)
    doomed = set(rng.sample(range(1, count), max(0, kills - 1)))
    clock = SimClock.real_time()
    async with FarmServer(market(), clock, documents=documents(0)) as farm:
        lives = 0
        if kills:
            life = await Life.begin(url, folder, farm, lives)
            await asyncio.sleep(rng.uniform(0.5, 1.5))  # the moment is what is tested
            await life.killed()
            lives += 1
        life = await Life.begin(url, folder, farm, lives)
        for number in range(count):
            farm.set_documents(documents(number))
            life.tell(number)
            if number in doomed:
                await asyncio.sleep(rng.uniform(0.0, 0.12))
                await life.killed()
                lives += 1
                life = await Life.begin(url, folder, farm, lives)
                life.tell(number)
            await life.done(number)
        await life.ended()


_KEY = [t.series.c[name] for name in ("platform", "gpu", "region", "tier", "verification", "segment")]


async def history(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Quotes, rollups and updates by natural keys: ids may differ between two runs."""
    db = Database(url)
    found: dict[str, list[tuple[Any, ...]]] = {}
    try:
        async with db.read() as conn:
            for table in (t.quote, t.rollup_hour, t.rollup_day):
                values = [c for c in table.c if c.name not in ("series_id", "source_id", "update_id")]
                query = select(*_KEY, *values).join(t.series, t.series.c.id == table.c.series_id)
                rows = [tuple(row) for row in await conn.execute(query)]
                found[table.name] = sorted(rows, key=repr)
            update = t.market_update
            columns = (update.c.feed, update.c.source_time_ms, update.c.read, update.c.rejected, update.c.stored)
            found["market_update"] = sorted(tuple(row) for row in await conn.execute(select(*columns)))
            unknown = select(t.unknown_gpu.c.slug, t.unknown_gpu.c.name, t.unknown_gpu.c.times)
            found["unknown_gpu"] = sorted(tuple(row) for row in await conn.execute(unknown))
            watermark = select(t.app_state.c.value).where(t.app_state.c.key == "market.rolled_until")
            found["watermark"] = [tuple(row) for row in await conn.execute(watermark)]
    finally:
        await db.close()
    return found


async def order(url: str) -> dict[str, Any]:
    """What must be 0 or empty in a database that is in order."""
    db = Database(url)
    try:
        async with db.read() as conn:
            counted = (
                select(t.market_update.c.id, t.market_update.c.stored, func.count(t.quote.c.ts).label("quotes"))
                .outerjoin(t.quote, t.quote.c.update_id == t.market_update.c.id)
                .where(t.market_update.c.source_time_ms // 1000 >= select(func.min(t.quote.c.ts)).scalar_subquery())
                .group_by(t.market_update.c.id, t.market_update.c.stored)
            )
            wrong = [row.id for row in await conn.execute(counted) if row.stored != row.quotes]
            kept = select(t.quote.c.series_id).union(select(t.rollup_day.c.series_id))
            lonely = select(func.count()).select_from(t.series).where(t.series.c.id.not_in(kept))
            stuck = select(t.job.c.kind, t.job.c.state).where(t.job.c.state != "done")
            twice = select(t.job.c.dedupe_key).group_by(t.job.c.dedupe_key).having(func.count(t.job.c.dedupe_key) > 1)
            return {
                "updates whose quotes are not all there": wrong,
                "series without any row": (await conn.execute(lonely)).scalar_one(),
                "jobs that are not done": [tuple(row) for row in await conn.execute(stuck)],
                "keys with two jobs": [tuple(row) for row in await conn.execute(twice)],
            }
    finally:
        await db.close()


def sqlite(folder: Path) -> str:
    folder.mkdir()
    return f"sqlite+aiosqlite:///{folder / 'gpuscout.db'}"


async def compare(calm: str, killed: str, tmp_path: Path, count: int, kills: int, seed: int) -> None:
    await run(calm, tmp_path / "calm", count, 0, seed)
    await run(killed, tmp_path / "killed", count, kills, seed)
    expected, found = await history(calm), await history(killed)
    for name, rows in expected.items():
        assert rows, f"{name} is empty: nothing was compared"
        assert found[name] == rows, name
    for url in (calm, killed):
        assert not {what: value for what, value in (await order(url)).items() if value}


async def test_killed_a_few_times(tmp_path: Path) -> None:
    await compare(sqlite(tmp_path / "calm"), sqlite(tmp_path / "killed"), tmp_path, count=28, kills=5, seed=1)


@pytest.mark.deep
@pytest.mark.parametrize("seed", range(3))
async def test_killed_many_times(tmp_path: Path, seed: int) -> None:
    # A hundred hours: raw quotes are rolled up by the day and purged meanwhile.
    await compare(sqlite(tmp_path / "calm"), sqlite(tmp_path / "killed"), tmp_path, count=200, kills=40, seed=seed)


@pytest.mark.deep
@pytest.mark.postgres
async def test_killed_many_times_on_postgresql(postgres_server: Any, tmp_path: Path) -> None:
    names = ("kill_calm", "kill_killed")
    async with postgres_server.admin() as conn:
        for name in names:
            await conn.execute(f"DROP DATABASE IF EXISTS {name}")
            await conn.execute(f"CREATE DATABASE {name}")
    urls = [postgres_server.url(name) for name in names]
    for url in urls:
        await migrate.upgrade(url)
    (tmp_path / "calm").mkdir()
    (tmp_path / "killed").mkdir()
    await compare(urls[0], urls[1], tmp_path, count=120, kills=20, seed=7)


async def test_nothing_is_left_running_after_a_kill(tmp_path: Path) -> None:
    """Chart workers end with the process that owns them, however it ends."""
    async with World() as world, Product(world.environment(tmp_path), folder=tmp_path) as product:
        await product.start()
        async with web(product.url) as site:
            await site.ready()
            await site.draws()
        assert product.process is not None
        children = _children(product.process.pid)
        assert children, "a chart worker is there"
        product.process.send_signal(signal.SIGKILL)
        await product.ended()
        await until(lambda: not [pid for pid in children if _alive(pid)], "the workers end too")
        await product.start()
        count = len(product.events("ingest_done"))
        await product.said("ingest_done", count=count + 1)
        await product.stop()
        assert product.trouble == []


def _children(pid: int) -> list[int]:
    return [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
