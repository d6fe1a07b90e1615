"""Starting: from the process's start until the web answers and the gateway is being connected, and what it then holds.

``gpuscout run`` with all roles, a token and a current database, against the sandbox's Discord on loopback; the bare
way is a process that imports the core set (discord.py, aiohttp.web, SQLAlchemy's asyncio, aiosqlite, APScheduler) and
nothing else.

Run ``python -m benchmarks start_to_ready [--quick]``. ``vs_bare_imports`` may be at most 2.5, the idle process at most
160 MiB, and none of the heavy libraries may be imported while it idles.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.market_fixture import SOURCE, fill_quotes, series_keys, sqlite_databases
from benchmarks.measure import emit, in_turns, median_ratio, say
from sandbox.discord.server import SandboxDiscord
from storage.engine import Database
from tests.services import free_port

START_LIMIT = 2.5
RSS_LIMIT_MIB = 160.0
PATIENCE = 60.0
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

ROOT = Path(__file__).resolve().parent.parent
# The program itself; asked by a signal, it writes down what it has imported.
_PROGRAM = """
import pathlib, signal, sys
file = pathlib.Path(sys.argv.pop())
def write(*_):
    file.with_suffix(".tmp").write_text(" ".join(sys.modules))
    file.with_suffix(".tmp").replace(file)
signal.signal(signal.SIGUSR1, write)
from bot.cli import main
main()
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the program runs: its Discord, its folder and its environment."""

    discord: SandboxDiscord
    folder: Path
    environment: dict[str, str]


@asynccontextmanager
async def place() -> AsyncIterator[Place]:
    """A Discord on loopback, and an embedded database that is current and was polled a moment ago."""

    async def fill(db: Database) -> None:
        await fill_quotes(db, series_keys(), [datetime.now(UTC)])

    discord = SandboxDiscord()
    ann = discord.add_user("ann")
    discord.add_guild("Hosts", owner=ann.id, members=[ann.id], channels=["market"])
    await discord.start()
    try:
        async with sqlite_databases(("gpuscout",), fill) as urls:
            folder = Path(urls["gpuscout"].removeprefix("sqlite+aiosqlite:///")).parent
            kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
            yield Place(
                discord,
                folder,
                kept
                | {
                    "PYTHONPATH": str(ROOT),
                    "DATABASE_URL": urls["gpuscout"],
                    "DATA_DIR": str(folder),
                    "DISCORD_TOKEN": discord.token,
                    "DISCORD_API_URL": discord.api_url,
                    "DISCORD_GATEWAY_URL": discord.gateway_url,
                    "MARKET_SOURCE": SOURCE,
                    "FARM_URL": "http://127.0.0.1:9",
                    "LOG_LEVEL": "WARNING",
                },
            )
    finally:
        await discord.stop()


@asynccontextmanager
async def running(where: Place) -> AsyncIterator[tuple[asyncio.subprocess.Process, float]]:
    """The program, ready; and the milliseconds that took. Stopped as an operator does afterwards."""
    port = free_port()
    before = where.discord.gateway.identify_count
    begun = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PROGRAM, "run", str(where.folder / "modules"),
        cwd=where.folder, env={**where.environment, "WEB_PORT": str(port)}, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(PATIENCE):
            web = False
            while not web or where.discord.gateway.identify_count == before:
                if process.returncode is not None:
                    raise RuntimeError(f"gpuscout run ended with exit code {process.returncode}")
                web = web or _accepts(port)
                await asyncio.sleep(0.002)
        yield process, (time.perf_counter() - begun) * 1000
    finally:
        await _stop(process)


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGINT)
    try:
        async with asyncio.timeout(PATIENCE):
            code = await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    if code != 0:
        raise RuntimeError(f"gpuscout run ended with exit code {code}")


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


async def imported(where: Place, process: asyncio.subprocess.Process) -> set[str]:
    """Names of the modules that the running program has imported."""
    file = where.folder / "modules"
    file.unlink(missing_ok=True)
    process.send_signal(signal.SIGUSR1)
    async with asyncio.timeout(PATIENCE):
        while not file.exists():
            await asyncio.sleep(0.01)
    return set(file.read_text().split())


async def run(quick: bool) -> None:
    """All measurements."""
    rounds, idle = (3, 3.0) if quick else (15, 20.0)

    async def ours(_number: int) -> float:
        async with running(where) as (_, milliseconds):
            return milliseconds

    async def bare(_number: int) -> float:
        return await bare_imports(where)

    async with place() as where:
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
