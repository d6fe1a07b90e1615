"""Reading the overview: current quotes joined with what was, in a handful of statements a data version."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from config.catalogue import GpuCatalogue
from config.platforms import PlatformCatalogue
from gpuscout.market.earlier import raw_at, read_earlier
from gpuscout.market.earnings import hosting_share
from gpuscout.market.models import ANY, GLOBAL, STALE_LIMIT, Quote, SeriesKey
from gpuscout.market.overview import MOVER_WINDOWS, NEWS_WINDOW, Gone, MarketLine, Overview
from gpuscout.market.rollup import DAY, HOUR
from storage.market import MarketStore
from storage.market_many import Instant, lifetimes, rollups_at

GpuPlace = tuple[str, str]
"""Platform and model: what is new or gone, whatever its tier."""


def is_headline(key: SeriesKey) -> bool:
    """Whether *key* is one of the series that the overview lists."""
    return (key.region, key.verification, key.segment) == (GLOBAL, ANY, ANY)


async def read_overview(
    store: MarketStore,
    gpus: GpuCatalogue,
    platforms: PlatformCatalogue,
    *,
    version: int,
    newest: datetime,
    quotes: Iterable[Quote],
    name: Callable[[str], str],
) -> Overview:
    """The overview of *quotes*, the current ones of a data version.

    Args:
        newest: newest source time among them.
        name: the name to show for a model's slug.
    """
    listed = [quote for quote in quotes if is_headline(quote.key) and quote.listed]
    shown = [quote for quote in listed if not quote.outlier]
    earlier = await read_earlier(store, shown, *MOVER_WINDOWS)
    lives = await lifetimes(store.db, {quote.key.platform for quote in listed}, GLOBAL)
    beginnings = _beginnings(lives)

    def line(quote: Quote) -> MarketLine:
        model = gpus.get(quote.key.gpu)
        return MarketLine(
            quote=quote,
            gpu_name=name(quote.key.gpu),
            earlier={window: then[quote.key] for window, then in earlier.items() if quote.key in then},
            share=hosting_share(platforms.get(quote.key.platform)),
            power_w=model.tdp_w if model is not None else None,
            first_seen=beginnings.get((quote.key.platform, quote.key.gpu)),
        )

    return Overview(
        version=version,
        newest=newest,
        lines=[line(quote) for quote in shown],
        gone=await _gone(store, lives, listed, name),
        flagged=len(listed) - len(shown),
        sources=sorted({quote.source for quote in listed}),
    )


def _first_seen(row: Any) -> int | None:
    """First time a series was listed: of its raw quotes, unless a daily rollup reaches further back than their day."""
    if row.first_raw is None or (row.first_day is not None and row.first_day < row.first_raw - row.first_raw % DAY):
        return row.first_day  # type: ignore[no-any-return]
    return row.first_raw  # type: ignore[no-any-return]


def _last_seen(row: Any) -> int | None:
    return max((ts for ts in (row.last_raw, row.last_hour) if ts is not None), default=None)


def _beginnings(lives: Sequence[Any]) -> dict[GpuPlace, datetime]:
    """When each model was first listed on its platform; left out where that is merely when our records begin."""
    models: dict[GpuPlace, int] = {}
    records: dict[str, int] = {}
    for row in lives:
        if (first := _first_seen(row)) is not None:
            place = (row.platform, row.gpu)
            models[place] = min(first, models.get(place, first))
            records[row.platform] = min(first, records.get(row.platform, first))
    return {
        place: datetime.fromtimestamp(first, UTC)
        for place, first in models.items()
        if _came_later(first, records[place[0]])
    }


def _came_later(first: int, records: int) -> bool:
    """Whether *first* lies after *records* for certain: what begins at midnight may be a rollup and mean any time."""
    if first // DAY == records // DAY:
        return first > records and records % DAY != 0
    return first > records


async def _gone(
    store: MarketStore, lives: Sequence[Any], listed: Sequence[Quote], name: Callable[[str], str]
) -> list[Gone]:
    """Models last listed within a week, and not among what their platform lists now."""
    present = {(quote.key.platform, quote.key.gpu) for quote in listed}
    now: dict[str, int] = {}
    for quote in listed:
        now[quote.key.platform] = max(int(quote.at.timestamp()), now.get(quote.key.platform, 0))
    last: dict[GpuPlace, tuple[int, Any]] = {}
    for row in lives:
        place, seen = (row.platform, row.gpu), _last_seen(row)
        if seen is not None and (place not in last or seen > last[place][0]):
            last[place] = (seen, row)
    found = [
        (seen, row)
        for place, (seen, row) in last.items()
        # Within the limit a model may merely be missing from a document or two.
        if place not in present and STALE_LIMIT.total_seconds() < now[place[0]] - seen <= NEWS_WINDOW.total_seconds()
    ]
    figures = await _last_figures(store, found)
    gone = [
        Gone(
            key=SeriesKey(row.platform, row.gpu, row.region, row.tier, row.verification, row.segment),
            gpu_name=name(row.gpu),
            last_seen=datetime.fromtimestamp(seen, UTC),
            price=figures[row.series_id][0],
            total=figures[row.series_id][1],
        )
        for seen, row in found
    ]
    return sorted(gone, key=lambda item: (-item.last_seen.timestamp(), -item.total, item.key))


async def _last_figures(
    store: MarketStore, found: Sequence[tuple[int, Any]]
) -> Mapping[int, tuple[float | None, float]]:
    """Price and GPUs by series id of the rows that are the last of their series."""
    figures: dict[int, tuple[float | None, float]] = {}
    raw = [Instant(row.series_id, seen) for seen, row in found if seen == row.last_raw]
    hours = [Instant(row.series_id, seen - seen % HOUR) for seen, row in found if seen != row.last_raw]
    if raw:
        figures.update((key, (then.price, then.total)) for key, then in (await raw_at(store, raw, 0)).items())
    if hours:
        for row in await rollups_at(store.db, "hour", hours):
            figures[row.series_id] = (row.price, row.total)
    return figures
