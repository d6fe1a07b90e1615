"""Draws the real history of five models over four years, loaded by the product and drawn by its own chart room.

Run from the checkout: ``.venv/bin/python docs/make_history_pictures.py [--out docs/pictures]``. The recorded history is
looked for in ``GPUSCOUT_SHARED`` or beside the checkout; without it nothing is drawn. Only the pictures stay.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from config.catalogue import GpuCatalogue
from config.i18n import translator_for
from config.platforms import PlatformCatalogue
from gpuscout.cards.chart_spec import chart_labels
from gpuscout.cards.price_text import tier_name
from gpuscout.charts.model import ChartPanel, ChartSeries, ChartSpec
from gpuscout.charts.render import render
from gpuscout.market.backfill import Backfill
from gpuscout.market.models import GLOBAL, History, Tier
from gpuscout.market.past import StoredSeries, matching
from gpuscout.market.reader import MarketReader
from storage import migrate
from storage.cache import MemoryCache
from storage.engine import Database
from storage.market import MarketStore
from storage.state import AppState

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("GPUSCOUT_SHARED", ROOT.parent / "shared"))
HISTORY = SHARED / "data" / "history_to_2026-06.csv.gz"
MODELS = ("a100-pcie-40gb", "a100-pcie-80gb", "h100", "rtx-a6000", "tesla-v100-16gb")
START, END = datetime(2022, 7, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
JOINED = timedelta(days=120)
"""Price lists were recorded every few weeks or months; a longer silence is drawn as the gap it is."""
LINES = 5
POINTS = 1500


def months(history: History) -> int:
    """Months of which something is known: the longest told story comes first."""
    return len({point.ts // (30 * 86400) for point in history.points if point.price is not None})


async def longest(reader: MarketReader, gpu: str) -> list[History]:
    """The best told series of a model, one a platform and tier."""
    best: dict[tuple[str, str], History] = {}
    for series in candidates(await reader.stored_series(gpu)):
        history = await reader.history(series.key, START, END, POINTS)
        place = (series.key.platform, series.key.tier)
        if place not in best or months(history) > months(best[place]):
            best[place] = history
    ranked = sorted(best.values(), key=lambda history: (-months(history), history.key))
    return ranked[:LINES]


def candidates(stored: Sequence[StoredSeries]) -> list[StoredSeries]:
    """Series of all machines that reach over a year, of equally told ones the region nearest to most readers first."""
    reaching = [series for series in matching(stored) if series.last - series.first > timedelta(days=365)]
    return sorted(reaching, key=lambda series: not series.key.region.startswith(("us-east", "us-central")))


def chart(gpu: str, histories: Sequence[History], platforms: PlatformCatalogue, name: str) -> ChartSpec:
    """One line a series."""
    t = translator_for("en-US")
    lines, sources = [], []
    for history in histories:
        key = history.key
        platform = platforms.get(key.platform)
        label = " ".join(
            [
                platform.name if platform else key.platform,
                *([] if key.region == GLOBAL else [key.region]),
                *([] if key.tier == Tier.ON_DEMAND else [tier_name(key.tier, t)]),
            ]
        )
        known = [point for point in history.points if point.price is not None]
        times, values = tuple(float(point.ts) for point in known), tuple(point.price for point in known)
        lines.append(ChartSeries(f"{key.platform}-{key.tier}", label, times, values, emphasis=not lines))
        sources += [source for source in history.sources.values() if source not in sources]
    newest = max(line.times[-1] for line in lines)
    return ChartSpec(
        title=f"{name}: USD per GPU-hour, four years",
        subtitle=f"Lines join readings up to {JOINED.days} days apart",
        panels=(ChartPanel("usd_per_hour", tuple(lines)),),
        start=START.timestamp(),
        end=END.timestamp(),
        gap_seconds=JOINED.total_seconds(),
        source=", ".join(sources),
        as_of=newest,
        format="png",
        missing_note=t("No data"),
        labels=chart_labels(t),
    )


async def draw(out: Path) -> None:
    """Load the file into a database of its own and draw."""
    gpus, platforms = GpuCatalogue.load(), PlatformCatalogue.load()
    with tempfile.TemporaryDirectory(prefix="gpuscout-history-") as folder:
        url = f"sqlite+aiosqlite:///{folder}/history.db"
        await migrate.upgrade(url)
        db = Database(url)
        try:
            store, state = MarketStore(db), AppState(db)
            report = await Backfill(store, state, gpus, platforms).load([HISTORY])
            print(f"{report.read:,} rows, {report.series:,} series in {report.seconds:.1f} s")
            reader = MarketReader(store, state, MemoryCache(), gpus, platforms, interval=timedelta(minutes=15))
            for gpu in MODELS:
                histories = await longest(reader, gpu)
                path = out / f"history-{gpu}.png"
                path.write_bytes(render(chart(gpu, histories, platforms, reader.gpu_name(gpu))))
                told = [f"{h.key.platform} {h.key.region} {h.key.tier} ({months(h)} months)" for h in histories]
                print(f"{path}: {', '.join(told)}")
        finally:
            await db.close()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "pictures")
    arguments = parser.parse_args()
    if not HISTORY.exists():
        print(f"The recorded history is not here ({HISTORY}); set GPUSCOUT_SHARED. Nothing was drawn.")
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    asyncio.run(draw(arguments.out))


if __name__ == "__main__":
    main()
