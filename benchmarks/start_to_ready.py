"""Starting: from the process's start until the web answers and the gateway is being connected, and what it then holds.

``gpuscout run`` with all roles, a token and a current database, against the sandbox's Discord on loopback; the bare
way is a process that imports the core set (discord.py, aiohttp.web, SQLAlchemy's asyncio, aiosqlite, APScheduler) and
nothing else.

Run ``python -m benchmarks start_to_ready [--quick]``. ``vs_bare_imports`` may be at most 2.5, the idle process at most
160 MiB, and none of the heavy libraries may be imported while it idles.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from datetime import UTC, datetime

from benchmarks.market_fixture import SOURCE, fill_quotes, series_keys
from benchmarks.measure import emit, in_turns, median_ratio, say
from benchmarks.program import Place, imported, place, running
from storage.engine import Database

START_LIMIT = 2.5
RSS_LIMIT_MIB = 160.0
CORE_SET = ("discord", "aiohttp.web", "sqlalchemy.ext.asyncio", "aiosqlite", "apscheduler.schedulers.asyncio")
HEAVY = (
    "numpy",
    "matplotlib",
    "PIL",
    "alembic",
    "anthropic",
    "google.genai",
    "stripe",
    "sendgrid",
    "sentry_sdk",
    "opentelemetry",
    "redis",
    "asyncpg",
)
"""Libraries that a process on the embedded default needs only when it uses them."""


async def bare_imports(where: Place) -> float:
    """Milliseconds from the start of a process until it has imported the core set."""
    begun = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", f"import {', '.join(CORE_SET)}; print('ready', flush=True)",
        cwd=where.folder, env=where.environment, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    line = await process.stdout.readline()
    seconds = time.perf_counter() - begun
    if await process.wait() != 0 or line != b"ready\n":
        raise RuntimeError("the core set cannot be imported")
    return seconds * 1000


async def resident_mib(pid: int) -> float:
    """Resident memory of a process, by ``ps``."""
    process = await asyncio.create_subprocess_exec("ps", "-o", "rss=", "-p", str(pid), stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return int(out) / 1024


async def _polled_now(db: Database) -> None:
    await fill_quotes(db, series_keys(), [datetime.now(UTC)])


async def run(quick: bool) -> None:
    """All measurements."""
    rounds, idle = (3, 3.0) if quick else (15, 20.0)

    async def ours(_number: int) -> float:
        async with running(where) as (_, milliseconds):
            return milliseconds

    async def bare(_number: int) -> float:
        return await bare_imports(where)

    async with place(_polled_now, MARKET_SOURCE=SOURCE) as where:
        times = await in_turns({"ours": ours, "bare": bare}, rounds, warm_up=1)
        emit("start_to_ready.p50", statistics.median(times["ours"]), "ms")
        emit("start_to_ready.bare_imports_p50", statistics.median(times["bare"]), "ms")
        ratio = median_ratio(times, "ours", "bare")
        emit("start_to_ready.vs_bare_imports", ratio, "ratio", START_LIMIT, ratio)
        say(f"idle for {idle:.0f} s")
        async with running(where) as (process, _):
            await asyncio.sleep(idle)
            resident = await resident_mib(process.pid)
            modules = await imported(where, process)
        emit("start_to_ready.idle_rss", resident, "MiB", RSS_LIMIT_MIB, resident / RSS_LIMIT_MIB)
        emit("start_to_ready.idle_modules", len(modules), "modules")
        heavy = sorted(modules & set(HEAVY))
        if heavy:
            say(f"imported at idle: {', '.join(heavy)}")
        emit("start_to_ready.heavy_modules", len(heavy), "modules", 0, None)


def main(quick: bool = False) -> None:
    """Runs all and prints JSON lines; ``quick`` starts it less often."""
    asyncio.run(run(quick))
