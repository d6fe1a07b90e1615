"""Charts drawn lately, ready to be sent again."""

from __future__ import annotations

import asyncio
import io
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import discord
import structlog

from cogs.services import Services
from gpuscout.cards.price_card import ChartFile
from gpuscout.charts.alt import alt_text
from gpuscout.charts.model import ChartSpec

log = structlog.get_logger(__name__)

CHART_PATIENCE: Final = 8.0
"""Seconds for history and chart together; then the card goes out without."""
DRAWN_CHARTS: Final = 64
"""Charts kept ready with their alternative texts, at most 80 KiB each; a new data version makes new ones."""


@dataclass(frozen=True, slots=True)
class DrawnChart:
    """A chart ready to send; ``lines`` are the keys of its series in the order of their colours."""

    file: ChartFile
    data: bytes
    lines: tuple[str, ...] = ()

    def upload(self) -> discord.File:
        """A fresh upload: discord.py uses each one up."""
        return discord.File(io.BytesIO(self.data), filename=self.file.filename, description=self.file.alt)


class ChartBook:
    """Draws charts for cards, each once for a data version."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._drawn: OrderedDict[Hashable, DrawnChart] = OrderedDict()

    async def draw(self, key: Hashable, describe: Callable[[], Awaitable[ChartSpec]], name: str) -> DrawnChart | None:
        """The chart, or None: a card without a picture is still an answer.

        Args:
            key: everything that decides what is drawn, the data version included.
            describe: reads the history and describes the chart.
            name: of the file, without its extension; made safe here.
        """
        if self._services.charts is None:
            return None
        if (drawn := self._drawn.get(key)) is not None:
            self._drawn.move_to_end(key)
            return drawn
        try:
            async with asyncio.timeout(CHART_PATIENCE):
                spec = await describe()
                image = await self._services.charts.render(spec)
        except Exception:
            log.warning("card_without_chart", chart=name, exc_info=True)
            return None
        stem = re.sub(r"[^a-z0-9-]+", "-", name.lower())[:80].strip("-")
        lines = tuple(series.key for panel in spec.panels for series in panel.series)
        drawn = DrawnChart(ChartFile(f"{stem}.{image.extension}", alt_text(spec)), image.data, lines)
        self._drawn[key] = drawn
        if len(self._drawn) > DRAWN_CHARTS:
            self._drawn.popitem(last=False)
        return drawn

    def end(self, newest: datetime) -> datetime:
        """Right end of a chart: the newest reading, or the last full interval when that is later.

        Not the present second, which would make every chart a new one.
        """
        now = self._services.clock()
        interval = self._services.market.freshness_interval().total_seconds()
        return max(newest, datetime.fromtimestamp(now.timestamp() // interval * interval, UTC))
