"""What a source remembers from before this program was installed, loaded once into the rollups of the same series."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import structlog

from config.catalogue import GpuCatalogue
from gpuscout.market.fallback import Cycle
from gpuscout.market.ingest import IngestReport
from gpuscout.market.models import QuoteFlag
from gpuscout.market.normalise import resolve_keys
from gpuscout.market.reader import VERSION_NAME
from gpuscout.market.rollup import SECONDS, roll_up
from gpuscout.market.rows import texts_of
from gpuscout.market.sources.base import FeedDocument, Observation, WrongShape
from gpuscout.market.sources.specified import SpecifiedSource
from gpuscout.resilience.errors import UpstreamError
from storage.backfill import BackfillStore
from storage.market import MarketStore, SeriesTexts
from storage.state import AppState

log = structlog.get_logger(__name__)

TRY_EVERY = timedelta(days=1)
_STATE = "market.first_history"
_BATCH = 500


class _Row(NamedTuple):
    """A raw quote as :func:`gpuscout.market.rollup.roll_up` reads it; nothing but price and utilization is known."""

    series_id: int
    ts: int
    source_id: int
    all_median: float | None
    utilization: float | None
    flags: int = int(QuoteFlag.UNSIZED)
    all_p10: float | None = None
    all_p90: float | None = None
    rented_median: float | None = None
    available_median: float | None = None
    demand: float | None = None
    rented_count: int = 0
    all_count: int = 0


class FirstHistory:
    """Loads the history of a source after its first cycle; when that fails, once a day again until it is there.

    Rollups that exist and buckets that hold raw quotes are left as they are; hours and days that are not over are left
    to raw quotes.

    Args:
        source: gives the source while a dialect is spoken that has history, else None.
    """

    def __init__(
        self,
        source: Callable[[], SpecifiedSource | None],
        store: MarketStore,
        state: AppState,
        catalogue: GpuCatalogue,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._source = source
        self._store = store
        self._backfill = BackfillStore(store.db)
        self._state = state
        self._catalogue = catalogue
        self._clock = clock

    async def after(self, report: IngestReport) -> int:
        """Load what is to be loaded once *report*'s cycle has found its source well; returns the rollups stored."""
        source = self._source()
        if source is None or report.problems or report.source != source.name:
            return 0
        known = await self._state.get(f"{_STATE}:{source.name}") or {}
        now = self._clock()
        tried = known.get("tried")
        if known.get("loaded") or (tried and now - datetime.fromisoformat(tried) < TRY_EVERY):
            return 0
        try:
            observations, rejected = await source.history(now)
        except (UpstreamError, WrongShape) as error:
            log.warning("first_history_unread", source=source.name, reason=str(error))
            await self._remember(source.name, now, loaded=False)
            return 0
        stored = await self._store_all(source, observations, now)
        await self._remember(source.name, now, loaded=True)
        log.info(
            "first_history_loaded", source=source.name, read=len(observations), rejected=len(rejected), stored=stored
        )
        return stored

    async def _remember(self, name: str, now: datetime, *, loaded: bool) -> None:
        await self._state.set(f"{_STATE}:{name}", {"tried": now.isoformat(), "loaded": loaded})

    async def _store_all(self, source: SpecifiedSource, observations: Sequence[Observation], now: datetime) -> int:
        document = FeedDocument("history", now, now, 0, observations, ())
        keyed, _, _ = await asyncio.to_thread(resolve_keys, document, source.platform, self._catalogue)
        seen: dict[tuple[SeriesTexts, int], Observation] = {}
        for key, item in keyed:
            seen.setdefault((texts_of(key), int((item.at or now).timestamp())), item)
        texts = list(dict.fromkeys(series for series, _ in seen))
        async with self._store.db.write() as conn:
            source_id = await self._store.source_id(conn, source.name)
            ids = await self._store.series_ids(conn, texts)
        rows = sorted(
            _Row(ids[series], ts, source_id, item.all.median, item.utilization) for (series, ts), item in seen.items()
        )
        stored = 0
        for tier, seconds in SECONDS.items():
            stored += await self._fill(tier, seconds, rows, int(now.timestamp()))
        if stored:
            async with self._store.db.write() as conn:
                await self._state.bump_version(conn, VERSION_NAME)
        return stored

    async def _fill(self, tier: str, seconds: int, rows: Sequence[_Row], now: int) -> int:
        over = now - now % seconds
        rolled: list[dict[str, Any]] = await asyncio.to_thread(roll_up, [row for row in rows if row.ts < over], seconds)
        stored = 0
        for first in range(0, len(rolled), _BATCH):
            batch = rolled[first : first + _BATCH]
            columns = list(batch[0])
            async with self._store.db.write() as conn:
                stored += await self._backfill.fill(
                    conn, tier, seconds, columns, [tuple(row[name] for name in columns) for row in batch]
                )
        return stored


class WithHistory:
    """A :class:`gpuscout.market.fallback.Cycle` that loads the source's history after its first good run."""

    def __init__(self, cycle: Cycle, history: FirstHistory) -> None:
        self._cycle = cycle
        self._history = history

    async def run(self) -> IngestReport:
        """One cycle."""
        report = await self._cycle.run()
        await self._history.after(report)
        return report

    async def aclose(self) -> None:
        """Close the connections of what is read."""
        await self._cycle.aclose()
