"""The market at a glance: every ranking and the card of `/market`, on two weeks of polls of a hundred models.

*Warm* is what a member waits for between two polls: the overview of the present data version, ranked and made into a
card. *Cold* is the first reader of a new version, who reads what every model was a day and a week ago, since when it is
known and what is gone; *loop* is the longest that the event loop is held meanwhile.

Run ``python -m benchmarks market_overview [--quick]``. The median of ``warm`` may be at most 10 ms; the others are
reported.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

from benchmarks.market_fixture import SOURCE, fill_quotes, series_keys, sqlite_databases
from benchmarks.measure import emit, percentile, say
from bot.parts import make_reader, open_parts
from config.i18n import translator_for
from config.settings import Settings
from gpuscout.cards.market_card import market_card
from gpuscout.cards.market_state import VIEWS, MarketState
from gpuscout.cards.market_text import MarketFacts
from gpuscout.market.earnings import DEFAULT_TARIFF
from gpuscout.market.models import Freshness
from gpuscout.market.overview import Overview
from storage.engine import Database

WARM_LIMIT_MS = 10.0
NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
_TEXT = translator_for("en-US")


def _card(overview: Overview, view: str) -> None:
    facts = MarketFacts(
        now=NOW,
        freshness=Freshness.FRESH,
        tariff=DEFAULT_TARIFF,
        own_tariff=False,
        settings="`/settings`",
        platform_name=str.title,
        sources=[(SOURCE, None)],
        methodology=None,
    )
    market_card(overview, MarketState(1, view), facts, _TEXT)


async def _loop_delay(stop: asyncio.Event) -> float:
    """Longest time in milliseconds that a callback which was due had to wait."""
    worst = 0.0
    while not stop.is_set():
        due = time.perf_counter() + 0.001
        await asyncio.sleep(0.001)
        worst = max(worst, (time.perf_counter() - due) * 1000)
    return worst


async def _measure(url: str, rounds: int) -> None:
    parts = open_parts(Settings(_env_file=None, database_url=url), lambda: NOW)
    try:
        cold, held = [], []
        for _ in range(max(3, rounds // 20)):
            reader = make_reader(parts)
            await reader.quotes()  # the snapshot is everybody's; the overview alone is measured
            stop = asyncio.Event()
            watching = asyncio.create_task(_loop_delay(stop))
            await asyncio.sleep(0.01)
            begun = time.perf_counter()
            overview = await reader.overview()
            cold.append((time.perf_counter() - begun) * 1000)
            stop.set()
            held.append(await watching)
        say(f"{len(overview.lines)} models, {len(overview.gone)} gone")
        warm = []
        for number in range(-2, rounds):
            begun = time.perf_counter()
            _card(await reader.overview(), VIEWS[number % len(VIEWS)])
            if number >= 0:
                warm.append((time.perf_counter() - begun) * 1000)
    finally:
        await parts.aclose()
    usual = percentile(warm, 50)
    emit("market_overview.warm", usual, "ms", WARM_LIMIT_MS, usual / WARM_LIMIT_MS)
    emit("market_overview.warm_p95", percentile(warm, 95), "ms")
    emit("market_overview.cold", percentile(cold, 50), "ms")
    emit("market_overview.loop", percentile(held, 50), "ms")


async def run(quick: bool) -> None:
    """On SQLite; what PostgreSQL adds is a round trip a statement of the cold one."""
    step, days = (timedelta(hours=1), 8) if quick else (timedelta(minutes=15), 14)
    keys = series_keys()
    times = [NOW - n * step for n in range(days * 24 * 3600 // int(step.total_seconds()))][::-1]

    async def fill(db: Database) -> None:
        begun = time.perf_counter()
        await fill_quotes(db, keys, times)
        say(f"{len(times) * len(keys):,} quotes written in {time.perf_counter() - begun:.0f} s")

    async with sqlite_databases(("market",), fill) as urls:
        await _measure(urls["market"], 60 if quick else 200)


def main(quick: bool = False) -> None:
    """Runs all and prints JSON lines; ``quick`` on a tenth of the rows."""
    asyncio.run(run(quick))
