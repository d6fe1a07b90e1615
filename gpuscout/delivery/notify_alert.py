"""Notifications of kind ``alert`` as messages, and the notice that rules have ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

import structlog

from config.catalogue import GpuCatalogue
from config.platforms import PlatformCatalogue
from gpuscout.alerts.messages import AlertItem, ExpiredItem
from gpuscout.cards.alert_chart import POINTS, wish
from gpuscout.cards.alert_message import AlertMessage, MessageFacts, alert_message, expired_message
from gpuscout.cards.alert_text import Names
from gpuscout.charts.alt import alt_text
from gpuscout.charts.model import ChartSpec
from gpuscout.delivery.channels import Letter, Message, Picture
from gpuscout.delivery.ports import Charts, Mentions
from gpuscout.market.models import History
from gpuscout.market.ports import Market
from gpuscout.portfolio.models import Holding
from storage.attempts import Notification

log = structlog.get_logger(__name__)

CHART_SECONDS: Final = 3.0
CHARTS_AT_ONCE: Final = 3
"""While more charts are being drawn an alert goes out without one: a button shows it, and being told late is worse."""


class Holdings(Protocol):
    """The names of a member's rigs."""

    async def get(self, member_id: int, holding_id: str) -> Holding | None: ...


class AlertRenderer:
    """Makes alerts' messages.

    Args:
        charts: None: alerts have no picture.
        holdings: None: rigs are not named.
    """

    def __init__(
        self,
        market: Market,
        charts: Charts | None,
        holdings: Holdings | None,
        gpus: GpuCatalogue,
        platforms: PlatformCatalogue,
        mentions: Mentions,
        *,
        simulated: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._market = market
        self._charts = charts
        self._holdings = holdings
        self._gpus = gpus
        self._platforms = platforms
        self._mentions = mentions
        self._simulated = simulated
        self._clock = clock
        self._drawing = 0

    async def alert(self, told: Notification, letter: Letter) -> Message:
        """The kind ``alert``."""
        items = [AlertItem.model_validate(item) for item in told.items]
        drawn = self._charts is not None and self._drawing < CHARTS_AT_ONCE
        history = await self._history(items) if drawn else None
        shown = alert_message(items, await self._facts(told, letter, items, history), letter.t)
        return await self._message(shown)

    async def expired(self, told: Notification, letter: Letter) -> Message:
        """The notice ``alert_expired``."""
        items = [ExpiredItem.model_validate(item) for item in told.items]
        return await self._message(expired_message(items, await self._facts(told, letter, [], None), letter.t))

    async def _facts(
        self, told: Notification, letter: Letter, items: Sequence[AlertItem], history: History | None
    ) -> MessageFacts:
        private = letter.via in ("dm", "email")
        rigs = await self._rigs(told.target.member_id, items) if private else {}
        slugs = {item.source for item in items if item.source}
        known = {slug: self._platforms.source(slug) for slug in slugs}
        return MessageFacts(
            names=Names(gpu=self._gpus.label_of, platform=self._platforms.name_of, holding=rigs.get),
            mention=await self._mentions(),
            sources={slug: (source.name, source.url) for slug, source in known.items() if source is not None},
            private=private,
            simulated=self._simulated,
            guild_id=told.target.guild_id,
            history=history,
            timezone=letter.timezone,
        )

    async def _rigs(self, member_id: int | None, items: Sequence[AlertItem]) -> dict[str, str]:
        if self._holdings is None or member_id is None:
            return {}
        names: dict[str, str] = {}
        for holding_id in dict.fromkeys(item.holding_id for item in items if item.holding_id):
            holding = await self._holdings.get(member_id, holding_id)
            if holding is not None and holding.name:
                names[holding_id] = holding.name
        return names

    async def _history(self, items: Sequence[AlertItem]) -> History | None:
        """What the chart needs, or None: an alert without a picture is still one."""
        wanted = wish(items)
        if wanted is None:
            return None
        try:
            async with asyncio.timeout(CHART_SECONDS):
                end = max(self._clock(), items[-1].at)
                return await self._market.history(wanted.key, end - wanted.span, end, points=POINTS)
        except Exception:
            log.warning("alert_without_history", gpu=wanted.key.gpu, exc_info=True)
            return None

    async def _message(self, shown: AlertMessage) -> Message:
        picture = await self._picture(shown.chart) if shown.chart is not None else None
        if picture is not None:
            shown.show(picture.filename)
        return Message(
            text="",
            plain=shown.text,
            embeds=shown.embeds,
            view=shown.view,
            pictures=[picture] if picture is not None else [],
        )

    async def _picture(self, spec: ChartSpec) -> Picture | None:
        if self._charts is None:
            return None
        self._drawing += 1
        try:
            async with asyncio.timeout(CHART_SECONDS):
                image = await self._charts.render(spec)
        except Exception:
            log.warning("alert_without_chart", title=spec.title, exc_info=True)
            return None
        finally:
            self._drawing -= 1
        return Picture(f"alert.{image.extension}", image.data, alt_text(spec))
