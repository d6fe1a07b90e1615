"""Two sources of one market: the second steps in while the first is sick, and now and then both are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

import structlog
from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncConnection

from gpuscout.market.ingest import Ingest, IngestReport
from gpuscout.market.models import ANY, GLOBAL, THIN_SAMPLE, Quote, SeriesKey
from gpuscout.market.normalise import NormalisedDocument
from gpuscout.market.reader import VERSION_NAME
from gpuscout.market.rows import key_of, quote_of
from gpuscout.market.sources.base import FetchResult, MarketSource
from gpuscout.market.watch import is_shown, retire, set_remark
from storage.market import MarketStore
from storage.state import AppState

log = structlog.get_logger(__name__)

SICK_CYCLES = 2
"""Cycles in a row in which the first source is sick, from which on the second is read."""
COMPARE_EVERY = 4
MAX_RATIO = 0.25
"""Two medians differ when the larger lies more than this above the smaller …"""
MIN_DIFFERENCE = 0.05
"""… by at least so many USD per GPU-hour …"""
MIN_GPUS = THIN_SAMPLE
"""… and both rest on at least so many GPUs."""
LEAST_SHARE = 0.5
"""A second source that lists fewer GPUs than this part of what was last known lists not the whole market."""
_STATE = "market.fallback"
_RECENT_SECONDS = 24 * 3600
_NAMED = 5


class Cycle(Protocol):
    """Something that runs ingest cycles."""

    async def run(self) -> IngestReport:
        """One cycle."""
        ...

    async def aclose(self) -> None:
        """Close the connections of what is read."""
        ...


class FallbackState(BaseModel):
    """What is remembered between cycles and restarts."""

    model_config = ConfigDict(extra="ignore")

    sick: int = 0
    """Cycles in a row in which the first source was sick."""
    active_since: datetime | None = None
    """Since when the second source is read; None while the first is."""
    healthy: int = 0
    """Cycles in a row in which the first source was well."""
    disagreeing: list[str] = []
    """Models that differed at the last comparison."""


class WholeMarket:
    """Implements :class:`gpuscout.market.sources.base.MarketSource` on a source that may see only a part.

    An answer with fewer than half of the GPUs that were last known of the platform is no view of the whole market: its
    medians would be those of the part. It is reported as a problem and not stored.
    """

    def __init__(self, source: MarketSource, store: MarketStore) -> None:
        self._source = source
        self._store = store
        self.name, self.platform, self.headline_feeds = source.name, source.platform, source.headline_feeds

    async def fetch(self, now: datetime) -> FetchResult:
        """Read the source; refuse a part of the market."""
        result = await self._source.fetch(now)
        seen = sum(
            item.all.count
            for document in result.documents
            if document.feed in self.headline_feeds
            for item in document.observations
            if (item.verification, item.segment, item.region) == (ANY, ANY, GLOBAL)
        )
        known = sum(quote.all.count for quote in (await headline_quotes(self._store, self.platform)).values())
        if not result.documents or seen >= known * LEAST_SHARE:
            return result
        # Asked again next time: what is refused must not be taken for known.
        self._source.forget()
        reason = f"lists {seen} GPUs, {known} were known: not the whole market"
        return FetchResult(problems={document.feed: reason for document in result.documents})

    def forget(self) -> None:
        """See :class:`gpuscout.market.sources.base.MarketSource`."""
        self._source.forget()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._source.aclose()


async def headline_quotes(store: MarketStore, platform: str, source: str | None = None) -> dict[SeriesKey, Quote]:
    """The newest worldwide headline quotes of a platform (or of one source of it), of the last day with data."""
    newest = await store.newest_source_time()
    if newest is None:
        return {}
    rows = await store.latest_quotes(newest - _RECENT_SECONDS)
    found: dict[SeriesKey, Quote] = {}
    for row in rows:
        key = key_of(await store.series_texts(row.series_id))
        if key == SeriesKey(platform, key.gpu) and source in (None, row.source):
            found[key] = quote_of(row, key)
    return found


def disagreements(first: Mapping[SeriesKey, Quote], second: Mapping[SeriesKey, Quote]) -> list[tuple[str, str]]:
    """Models of which two sources say medians beyond the band, with both in words, in order of their names."""
    found = []
    for key in sorted(first.keys() & second.keys()):
        one, other = first[key], second[key]
        if one.price is None or other.price is None or min(one.all.count, other.all.count) < MIN_GPUS:
            continue
        low, high = sorted((one.price, other.price))
        if high - low >= MIN_DIFFERENCE and high > low * (1 + MAX_RATIO):
            found.append((key.gpu, f"{key.gpu} ${one.price:.3f} against ${other.price:.3f}"))
    return found


class GuardedIngest:
    """Runs cycles of a first source and, when that is needed, of a second one of the same series.

    Both store under their own names, so every quote says where it came from, and the newest quote of a series is
    shown. A cycle in which the first source is well again ends the second's part at once.

    Args:
        compare_every: cycles in which the first is well between two comparisons; 0 never compares.
    """

    def __init__(
        self,
        first: Ingest,
        second: Ingest,
        store: MarketStore,
        state: AppState,
        *,
        compare_every: int = COMPARE_EVERY,
    ) -> None:
        self._first = first
        self._second = second
        self._store = store
        self._state = state
        self._compare_every = compare_every

    async def run(self) -> IngestReport:
        """One cycle; the report is the first source's, with what the second stored added to it."""
        report = await self._first.run()
        before = FallbackState.model_validate(await self._state.get(_STATE) or {})
        if report.sick & self._first.source.headline_feeds:
            return await self._while_sick(report, before)
        await self._while_well(before)
        return report

    async def _while_sick(self, report: IngestReport, before: FallbackState) -> IngestReport:
        state = before.model_copy(update={"sick": before.sick + 1, "healthy": 0})
        if state.sick < SICK_CYCLES:
            await self._save(state)
            return report
        other = await self._second.run()
        if before.active_since is None and other.stored:
            state.active_since = self._first.clock()
            log.warning("market_source_switched", sick=report.source, now=other.source, problems=list(report.problems))
        await self._save(state)
        return replace(
            report,
            stored=report.stored + other.stored,
            updates=(*report.updates, *(f"{other.source} {feed}" for feed in other.updates)),
            problems=(*report.problems, *(f"{other.source} {problem}" for problem in other.problems)),
            version=other.version or report.version,
        )

    async def _while_well(self, before: FallbackState) -> None:
        state = before.model_copy(update={"sick": 0, "active_since": None, "healthy": before.healthy + 1})
        name = self._second.source.name
        if await is_shown(self._state, name):
            async with self._store.db.write() as conn:
                await retire(self._state, name, conn)
                await self._save(state, conn)
                # What is shown changes although nothing was stored: the second source's health.
                await self._state.bump_version(conn, VERSION_NAME)
            if before.active_since is not None:
                log.warning("market_source_switched_back", now=self._first.source.name, before=name)
        if self._compare_every and state.healthy >= self._compare_every:
            state.healthy = 0
            state.disagreeing = await self._compare(state.disagreeing)
        await self._save(state)

    async def _compare(self, before: Sequence[str]) -> list[str]:
        """Read the second source without storing it; tell the operator of models that have begun to differ."""
        documents, problems = await self._second.peek()
        first_name, second_name = self._first.source.name, self._second.source.name
        if problems:
            log.info("market_sources_not_compared", source=second_name, problems=problems)
            return list(before)
        first = await headline_quotes(self._store, self._first.source.platform, first_name)
        found = disagreements(first, _headline(documents))
        models = [model for model, _ in found]
        words = "; ".join(text for _, text in found[:_NAMED]) + ("; …" if len(found) > _NAMED else "")
        remark = f"disagrees with {second_name} on {len(found)} models: {words}" if found else None
        async with self._store.db.write() as conn:
            await set_remark(self._state, first_name, remark, conn)
        if set(models) - set(before):
            log.warning("market_sources_disagree", first=first_name, second=second_name, models=models, detail=words)
        elif before and not models:
            log.info("market_sources_agree_again", first=first_name, second=second_name)
        return models

    async def _save(self, state: FallbackState, conn: AsyncConnection | None = None) -> None:
        await self._state.set(_STATE, state.model_dump(mode="json"), conn=conn)

    async def aclose(self) -> None:
        """Close the connections of both."""
        await self._first.aclose()
        await self._second.aclose()


def _headline(documents: Sequence[NormalisedDocument]) -> dict[SeriesKey, Quote]:
    return {
        quote.key: quote
        for document in documents
        for quote in document.quotes
        if quote.key == SeriesKey(quote.key.platform, quote.key.gpu)
    }
