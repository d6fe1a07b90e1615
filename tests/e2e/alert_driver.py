"""Alerts and deliveries in a process of their own that lives by the test's clock, to be killed at any moment.

Reads the number of a document a line, lets the product's workers ingest, evaluate and deliver, and answers ``done N``
once no work is left. The receivers are the test's: a Discord and a webhook receiver on loopback.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import bot.parts
from bot.app import App, build
from bot.scheduler import INGEST_JOB
from config.logging import configure_logging
from config.settings import Settings
from gpuscout.market.trends import MARKET_WORK
from gpuscout.resilience.public_connect import WITH_LOOPBACK
from gpuscout.resilience.ratelimit import RequestQueue
from tests.e2e.driver import time_of

SECRET_KEY = "sixteen bytes and more for tests alone"


class AlertClock:
    """Stands still a minute after the document's time; in the document that a new life begins with, later by a lease.

    Never later than that: old data hold alerts back.
    """

    def __init__(self, life: int = 0) -> None:
        self._reborn = life > 0
        self._first: int | None = None
        self._number = 0

    def show(self, number: int) -> None:
        """Go to a document's time."""
        self._first = number if self._first is None else self._first
        self._number = number

    def __call__(self) -> datetime:
        late = 180 if self._reborn and self._number == self._first else 60
        return time_of(self._number) + timedelta(seconds=late)


def settings_of(config: dict[str, Any]) -> Settings:
    """The settings of a life; the test opens the same database with them."""
    return Settings(
        _env_file=None,
        database_url=config["database"],
        redis_url=None,
        data_dir=Path(config["folder"]),
        discord_token=config["token"],
        discord_api_url=config["discord"],
        discord_gateway_url=config["gateway"],
        secret_key=SECRET_KEY,
        farm_url=(config["farm"],),
        market_fallback="off",
        market_machines=False,
        web_port=0,
    )


async def work(app: App, clock: AlertClock, number: int) -> None:
    """One document and everything that it causes."""
    clock.show(number)
    async with app.parts.db.write() as conn:
        await app.parts.jobs.enqueue(conn, INGEST_JOB, {}, concurrency_key=MARKET_WORK, max_attempts=5)
    assert app.worker is not None
    app.worker.wake()
    while True:
        counts = await app.parts.jobs.counts()
        if not counts["ready"] and not counts["running"]:
            return
        await asyncio.sleep(0.01)


async def main(config: dict[str, Any], life: int) -> None:
    def queue(name: str, **options: Any) -> RequestQueue:
        return RequestQueue(name, **(options | {"rate": 1000.0, "burst": 1000}))

    bot.parts.RequestQueue = queue  # type: ignore[assignment,misc]
    configure_logging("WARNING", "json")
    clock = AlertClock(life)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    stop, up = asyncio.Event(), asyncio.Event()
    async with build(settings_of(config), ("ingest", "worker"), "0-e2e", clock) as app:
        app.webhook_rules = WITH_LOOPBACK
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
    asyncio.run(main(json.loads(sys.argv[1]), int(sys.argv[2])))
