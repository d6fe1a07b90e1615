"""From a question about a price to its card: the market first, the chart beside the acknowledgement."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import discord

from cogs.csv_file import NothingStored, write_export
from cogs.drawn import ChartBook, DrawnChart
from cogs.preferences import Preferences, preferences_of
from cogs.replies import PATIENT, QUICK, Reply, text_of
from cogs.services import Services
from config.i18n import Text
from gpuscout.cards.chart_spec import POINTS, price_chart
from gpuscout.cards.data_card import data_card
from gpuscout.cards.export_card import export_card
from gpuscout.cards.price_card import PriceFacts, price_card, price_embed, range_label
from gpuscout.cards.price_text import LocalRate
from gpuscout.cards.state import PriceState
from gpuscout.charts.model import ChartSpec
from gpuscout.market.export import EXPORT_POINTS
from gpuscout.market.models import ANY, GLOBAL, MarketUnavailable, PriceView, Quote, SeriesKey, UnknownSeries
from gpuscout.market.ports import RANGES

DATA_ROWS: Final = 12


class PriceFlow:
    """Answers price questions wherever they come from."""

    def __init__(self, services: Services, book: ChartBook) -> None:
        self.services = services
        self.book = book

    async def ask(
        self, reply: Reply, *, gpu: str, platform: str | None, region: str | None, range_: str, owner: int
    ) -> None:
        """A fresh card; without *platform* the server's own, where it lists the model.

        Raises:
            MarketUnavailable, UnknownSeries: before anything public is shown, when the market answers in time.
        """
        preferred = preferences_of(reply.interaction).server.platform if platform is None else platform
        view = await reply.within(PATIENT, self._find(gpu, platform, preferred, region))
        state = PriceState(owner, view.gpu, view.platform, view.region, range_)
        await self._show(reply, view, state)

    async def _find(self, gpu: str, platform: str | None, preferred: str | None, region: str | None) -> PriceView:
        """The view on the preferred platform; where that has none and was not asked for, on the largest."""
        try:
            return await self.services.market.price(gpu, platform=preferred, region=region)
        except UnknownSeries:
            if preferred == platform:
                raise
            return await self.services.market.price(gpu, platform=platform, region=region)

    async def show(self, reply: Reply, state: PriceState) -> None:
        """The card of a known state, with current figures.

        Raises:
            MarketUnavailable, UnknownSeries: as :meth:`ask`.
        """
        work = self.services.market.price(
            state.gpu,
            platform=state.platform,
            region=state.region,
            verification=state.verification,
            segment=state.segment,
        )
        await self._show(reply, await reply.within(PATIENT, work), state)

    async def _show(self, reply: Reply, view: PriceView, state: PriceState) -> None:
        t = text_of(reply.interaction)
        facts, file = await reply.within(QUICK, self._prepare(view, state.range, t, preferences_of(reply.interaction)))
        await reply.send(view=price_card(view, state, facts, t), files=[file] if file else [])

    async def _prepare(
        self, view: PriceView, range_: str, t: Text, chosen: Preferences
    ) -> tuple[PriceFacts, discord.File | None]:
        drawn, others = await asyncio.gather(self._chart(view, range_, t, chosen.timezone), self._others(view))
        currency = chosen.member.currency
        rate = self.services.members.currencies.get(currency)
        name = self.services.platform_name
        facts = PriceFacts(
            platform_name=name(view.platform),
            methodology=self.services.methodology_url,
            chart=None if drawn is None else drawn.file,
            others=others,
            platform_names={quote.key.platform: name(quote.key.platform) for quote in others},
            local=None if currency is None or rate is None else LocalRate(currency, rate.per_usd, rate.as_of),
        )
        return facts, None if drawn is None else drawn.upload()

    async def _chart(self, view: PriceView, range_: str, t: Text, timezone: str) -> DrawnChart | None:
        """The chart, or None: a card without a picture is still an answer."""
        end = self.book.end(view.quote.at)

        async def describe() -> ChartSpec:
            history = await self.services.market.history(view.quote.key, end - RANGES[range_], end, points=POINTS)
            return price_chart(history, view, self.services.platform_name(view.platform), t, timezone=timezone)

        key = ("price", view.version, view.quote.key, range_, t.locale, timezone, end)
        return await self.book.draw(key, describe, f"{view.gpu}-{view.platform}-{range_}")

    async def _others(self, view: PriceView) -> Sequence[Quote]:
        """The same model on other platforms, in the same region."""
        quotes = await self.services.market.quotes(gpu=view.gpu, region=view.region)
        return [quote for quote in quotes if quote.key.platform != view.platform]

    async def embed(self, *, gpu: str, platform: str | None, region: str | None, t: Text) -> discord.Embed:
        """The plain answer to a mention.

        Raises:
            MarketUnavailable, UnknownSeries: as the market says.
        """
        view = await self.services.market.price(gpu, platform=platform, region=region)
        facts = PriceFacts(self.services.platform_name(view.platform), self.services.methodology_url)
        return price_embed(view, facts, t)

    async def data(self, reply: Reply, state: PriceState) -> None:
        """The stored rows behind a card, for the member who clicked. Shown even when they are too old for a card."""
        # Cards show on-demand series, the key's default; it is not asked of the market, which hides old data.
        key = SeriesKey(
            platform=state.platform,
            gpu=state.gpu,
            region=state.region or GLOBAL,
            verification=state.verification or ANY,
            segment=state.segment or ANY,
        )
        rows = await reply.within(PATIENT, self.services.market.rows_behind(key, limit=DATA_ROWS))
        source_name, source_url = self.services.source_link(rows[0].source) if rows else ("", None)
        await reply.send(
            view=data_card(
                key,
                rows,
                gpu_name=await self.gpu_name(state.gpu),
                platform_name=self.services.platform_name(state.platform),
                source_name=source_name,
                source_url=source_url,
                methodology=self.services.methodology_url,
                simulated=self.services.settings.simulated,
                t=text_of(reply.interaction),
            )
        )

    async def export(self, reply: Reply, state: PriceState) -> None:
        """The series and range of a card as a CSV file, for the member who clicked.

        Raises:
            Refusal: there is nothing to export, or the file is too large for this place.
        """
        t = text_of(reply.interaction)
        key = await reply.within(PATIENT, self._series_of(state))
        end = self.services.clock()
        work = self.services.market.history(key, end - RANGES[state.range], end, points=EXPORT_POINTS)
        history = await reply.within(PATIENT, work)
        if not history.points:
            raise NothingStored
        file = await write_export(history, state.range, self._is_simulated, reply.interaction.filesize_limit)
        card = export_card(
            history,
            file.filename,
            gpu_name=await self.gpu_name(state.gpu),
            platform_name=self.services.platform_name(key.platform),
            range_=range_label(state.range, t),
            sources=[self.services.source_link(slug) for slug in history.sources.values()],
            methodology=self.services.methodology_url,
            simulated=any(map(self._is_simulated, history.sources.values())),
            t=t,
        )
        await reply.send(view=card, files=[file])

    async def _series_of(self, state: PriceState) -> SeriesKey:
        """The series that a card shows; the on-demand one where the market shows none now."""
        where = {"platform": state.platform, "region": state.region}
        which = {"verification": state.verification, "segment": state.segment}
        try:
            return (await self.services.market.price(state.gpu, **where, **which)).quote.key
        except (MarketUnavailable, UnknownSeries):
            return SeriesKey(state.platform, state.gpu, state.region or GLOBAL, **which)

    def _is_simulated(self, source: str) -> bool:
        origin = self.services.platforms.source(source)
        return self.services.settings.simulated or (origin is not None and origin.simulated)

    async def gpu_name(self, slug: str) -> str:
        """The name to show for a slug, of the catalogue or as the source spelled it."""
        if model := self.services.gpus.get(slug):
            return model.label
        names = {known: name for known, name, _ in await self.services.market.known_gpus()}
        return names.get(slug, slug)
