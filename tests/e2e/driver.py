"""The product in a process of its own that lives by the test's clock, to be killed at any moment.

Reads the number of a document a line, sets its clock to that document's time, lets the worker read the source (and
roll up), and answers ``done N`` once no work is left. The work itself is the product's: jobs, worker, ingest, trends.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bot.parts
from bot.app import App, build
from bot.scheduler import INGEST_JOB, TRENDS_JOB
from config.logging import configure_logging
from config.settings import ALL_ROLES, Settings
from gpuscout.market.trends import MARKET_WORK
from gpuscout.resilience.ratelimit import RequestQueue

START = datetime(2026, 3, 1, 13, 7, tzinfo=UTC)
STEP = timedelta(minutes=30)
TRENDS_EVERY = 4
"""Documents between two runs of the trend job."""


def time_of(number: int) -> datetime:
    """When the source saw the market of a document."""
    return START + number * STEP


class StepClock:
    """Stands still at a minute after the document's time, and a little later with each life of the process."""

    def __init__(self, life: int) -> None:
        self._late = timedelta(seconds=60 + 90 * life)
        self.number = 0

    def __call__(self) -> datetime:
        return time_of(self.number) + self._late


async def work(app: App, clock: StepClock, number: int) -> None:
    """One document and everything that it causes."""
    clock.number = number
    kinds = [INGEST_JOB, *([TRENDS_JOB] if number % TRENDS_EVERY == TRENDS_EVERY - 1 else [])]
    async with app.parts.db.write() as conn:
        for kind in kinds:
            await app.parts.jobs.enqueue(conn, kind, {}, concurrency_key=MARKET_WORK, max_attempts=5)
    assert app.worker is not None
    app.worker.wake()
    while True:
        counts = await app.parts.jobs.counts()
        if not counts["ready"] and not counts["running"]:
            return
        await asyncio.sleep(0.01)


async def main(database_url: str, folder: Path, farm_url: str, life: int) -> None:
    def queue(name: str, **options: Any) -> RequestQueue:
        return RequestQueue(name, **(options | {"rate": 1000.0, "burst": 1000}))

    bot.parts.RequestQueue = queue  # type: ignore[assignment,misc]
    configure_logging("WARNING", "json")
    clock = StepClock(life)
    settings = Settings(
        _env_file=None,
        database_url=database_url,
        redis_url=None,
        data_dir=folder,
        discord_token=None,
        secret_key="sixteen bytes and more",
        farm_url=(farm_url,),
        market_fallback="off",
        market_machines=False,
        web_port=0,
        raw_retention_hours=48,
    )
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    stop, up = asyncio.Event(), asyncio.Event()
    async with build(settings, ALL_ROLES, "0-e2e", clock) as app:
        running = asyncio.create_task(app.run(stop, lambda _app: up.set()))
        await asyncio.wait({running, asyncio.create_task(up.wait())}, return_when=asyncio.FIRST_COMPLETED)
        try:
            async for line in lines:
                await work(app, clock, int(line))
                sys.stdout.write(f"done {int(line)}\n")
                sys.stdout.flush()
        finally:
            stop.set()
            await running


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
