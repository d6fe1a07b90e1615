"""500.farm in whichever dialect it speaks: its exporter's, or the specified one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal

import structlog

from gpuscout.market.sources.base import FetchResult, MarketSource
from gpuscout.market.sources.exporter import ExporterSource
from gpuscout.market.sources.specified import SpecifiedSource
from storage.state import AppState

log = structlog.get_logger(__name__)

Dialect = Literal["exporter", "specified"]

PROBE_EVERY = timedelta(days=1)
STATE_KEY = "market.farm_dialect"


class FarmSource:
    """Implements :class:`gpuscout.market.sources.base.MarketSource` by the dialect that answers.

    The exporter knows more (counts, segments), so it is asked first; only when nothing of it can be read the specified
    dialect is tried. What answered is remembered and then asked alone; at start and once a day the other is given a
    chance again. A dialect that falls silent in between is reported as sick, not left.
    """

    platform = "vast"

    def __init__(self, exporter: ExporterSource, specified: SpecifiedSource, state: AppState) -> None:
        self._dialects: Mapping[Dialect, ExporterSource | SpecifiedSource] = {
            "exporter": exporter,
            "specified": specified,
        }
        self._state = state
        self._dialect: Dialect = "exporter"
        self._probed_at: datetime | None = None

    @property
    def name(self) -> str:
        """See :class:`gpuscout.market.sources.base.MarketSource`."""
        return self._source.name

    @property
    def headline_feeds(self) -> frozenset[str]:
        """See :class:`gpuscout.market.sources.base.MarketSource`."""
        return self._source.headline_feeds

    @property
    def dialect(self) -> Dialect:
        """The dialect that is read now."""
        return self._dialect

    @property
    def _source(self) -> MarketSource:
        return self._dialects[self._dialect]

    async def fetch(self, now: datetime) -> FetchResult:
        """Read the dialect in use; find out which that is when it is time to."""
        if self._probed_at is not None and now - self._probed_at < PROBE_EVERY:
            return await self._source.fetch(now)
        return await self._probe(now)

    async def _probe(self, now: datetime) -> FetchResult:
        """The first dialect that answers; the remembered one's failure when none does."""
        if self._probed_at is None:
            self._dialect = await self._remembered()
        results: dict[Dialect, FetchResult] = {}
        for dialect, source in self._dialects.items():
            result = results[dialect] = await source.fetch(now)
            if result.documents or result.unchanged:
                self._probed_at = now
                await self._use(dialect)
                return result
        # Nothing answers: the next cycle tries both again.
        return results[self._dialect]

    async def _remembered(self) -> Dialect:
        found = await self._state.get(STATE_KEY)
        return "specified" if found == "specified" else "exporter"

    async def _use(self, dialect: Dialect) -> None:
        if dialect != self._dialect:
            log.warning("farm_dialect_changed", before=self._dialect, now=dialect)
            # What the other one last heard is no state to go on from.
            self._source.forget()
        self._dialect = dialect
        if await self._state.get(STATE_KEY) != dialect:
            await self._state.set(STATE_KEY, dialect)

    @property
    def history_source(self) -> SpecifiedSource | None:
        """The source of history, while a dialect is spoken that has one."""
        source = self._dialects[self._dialect]
        return source if isinstance(source, SpecifiedSource) else None

    def forget(self) -> None:
        """See :class:`gpuscout.market.sources.base.MarketSource`."""
        for source in self._dialects.values():
            source.forget()

    async def aclose(self) -> None:
        """Close the connections."""
        for source in self._dialects.values():
            await source.aclose()
