"""From a list of models, platforms or tiers to one card."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

import discord

from cogs.drawn import ChartBook, DrawnChart
from cogs.facts import market_facts
from cogs.preferences import preferences_of
from cogs.replies import PATIENT, QUICK, Place, Reply, text_of
from cogs.selection import Selection
from cogs.services import Services
from cogs.ui.base import Interaction
from cogs.usage import seam
from config.i18n import Text
from gpuscout.cards.chart_spec import POINTS
from gpuscout.cards.compare_card import (
    Comparison,
    compare_card,
    compare_chart,
    compare_data_card,
    compare_embed,
)
from gpuscout.cards.compare_state import MAX_SERIES, CompareState, PackedComparison
from gpuscout.cards.compare_text import Compared, LastPrice, Names
from gpuscout.charts.model import ChartSpec
from gpuscout.market.earnings import hosting_share
from gpuscout.market.metrics import Hosting, Metric
from gpuscout.market.models import (
    ANY,
    GLOBAL,
    STALE_LIMIT,
    MarketUnavailable,
    Quote,
    SeriesKey,
    Tier,
    UnknownSeries,
    Verification,
)
from gpuscout.market.past import matching
from gpuscout.market.ports import RANGES

DATA_ROWS: Final = 4
"""Stored rows of each series that Show data lists."""


class CompareFlow:
    """Answers comparisons wherever they come from."""

    def __init__(self, services: Services, book: ChartBook) -> None:
        self.services = services
        self.book = book

    # --- which series ---

    async def choose(self, selections: Sequence[Selection], preferred: str | None) -> tuple[SeriesKey, ...]:
        """The series that are meant; one model alone is compared with itself: by place, else by verification.

        Args:
            preferred: the server's own platform, taken where an item names none and it lists the model.

        Raises:
            MarketUnavailable, UnknownSeries: as for one price.
        """
        await self._refuse_old_data()
        if len(selections) == 1:
            return await self._spread(selections[0])
        keys = [await self._best(selection, preferred) for selection in selections]
        return tuple(dict.fromkeys(keys))[:MAX_SERIES]

    async def _best(self, selection: Selection, preferred: str | None) -> SeriesKey:
        """The largest series that fits; of those without a current quote the one that is stored longest."""
        quotes = await self._fitting(selection)
        if quotes:
            at_home = [quote for quote in quotes if quote.key.platform == preferred]
            return max(at_home or quotes, key=lambda quote: (quote.listed, quote.all.count, quote.at)).key
        if past := await self._past(selection):
            return past[0]
        listed = await self.services.market.quotes(gpu=selection.gpu, segments=True)
        places = sorted({self.services.platform_name(quote.key.platform) for quote in listed})
        raise UnknownSeries(await self._gpu_name(selection.gpu), _said(selection), None, places)

    async def _past(self, selection: Selection) -> list[SeriesKey]:
        """Worldwide series with history that fit the selection, whether or not they are listed now."""
        found = matching(
            await self.services.market.stored_series(selection.gpu),
            platform=selection.platform,
            region=GLOBAL,
            tier=selection.tier,
            verification=selection.verification or ANY,
        )
        return [series.key for series in found]

    async def _fitting(self, selection: Selection) -> list[Quote]:
        """Current worldwide quotes of a model that fit the selection."""
        return [
            quote
            for quote in await self.services.market.quotes(gpu=selection.gpu, region=GLOBAL, segments=True)
            if quote.key.segment == ANY
            and quote.key.verification == (selection.verification or ANY)
            and selection.platform in (None, quote.key.platform)
            and selection.tier in (None, quote.key.tier)
        ]

    async def _spread(self, selection: Selection) -> tuple[SeriesKey, ...]:
        """The series of one model: its places and tiers, or verified beside unverified machines of the only one."""
        best = await self._best(selection, None)
        # What is listed now comes first, the largest of it on top; then what was.
        keys = list(
            dict.fromkeys([*(quote.key for quote in await self._fitting(selection)), *await self._past(selection)])
        )
        if len(keys) < 2 and selection.verification is None:
            quotes = await self.services.market.quotes(gpu=selection.gpu, platform=best.platform, segments=True)
            known = {quote.key for quote in quotes}
            split = [
                key
                for verification in (Verification.ANY, Verification.VERIFIED, Verification.UNVERIFIED)
                if (key := replace(best, verification=verification.value)) in known
            ]
            keys = split or keys
        return tuple(keys)[:MAX_SERIES]

    async def _refuse_old_data(self) -> None:
        """Raise MarketUnavailable when there is nothing fresh enough to show, as every other view does."""
        quotes = await self.services.market.quotes(segments=True, include_hidden=True)
        newest = max((quote.at for quote in quotes), default=None)
        if newest is None or self.services.clock() - newest > STALE_LIMIT:
            raise MarketUnavailable(newest, await self.services.market.next_poll_in())

    async def reopen(self, packed: PackedComparison) -> CompareState:
        """The state behind a custom id: its series among the current ones, else among all that could ever be.

        Raises:
            BadState: a series is not known any more.
        """
        quotes = await self.services.market.quotes(segments=True, include_hidden=True)
        known: Collection[SeriesKey] = [quote.key for quote in quotes]
        if packed.missing(known):
            gpus = [model.slug for model in self.services.gpus.models]
            gpus += [slug for slug, _, _ in await self.services.market.known_gpus()]
            platforms = [platform.slug for platform in self.services.platforms.platforms]
            platforms += await self.services.market.stored_platforms()
            # Some ten thousand digests: a tenth of a second, in a thread.
            return await asyncio.to_thread(lambda: packed.open([*known, *_conceivable(gpus, set(platforms))]))
        return packed.open(known)

    # --- what is shown ---

    async def ask(self, reply: Reply, selections: Sequence[Selection], metric: Metric, range_: str, owner: int) -> None:
        """A fresh card.

        Raises:
            MarketUnavailable, UnknownSeries: before anything public is shown, when the market answers in time.
        """
        preferred = preferences_of(reply.interaction).server.platform
        keys = await reply.within(PATIENT, self.choose(selections, preferred))
        await self.show(reply, CompareState(owner, keys, metric, range_))

    async def show(self, reply: Reply, state: CompareState) -> None:
        """The card of a state, with current figures."""
        interaction = reply.interaction
        t, chosen = text_of(interaction), preferences_of(interaction)
        settings = seam(interaction.client).mention("settings")
        comparison = await reply.within(PATIENT, self._compare(state, chosen.member.tariff, settings, t))
        drawn = await reply.within(QUICK, self._chart(comparison, state, chosen.timezone, t))
        if drawn is None:
            await reply.send(view=compare_card(comparison, state, None, (), t))
        else:
            card = compare_card(comparison, state, drawn.file, drawn.lines, t)
            await reply.send(view=card, files=[drawn.upload()])

    async def turn(self, interaction: Interaction, state: CompareState) -> None:
        """Edit the card for its owner; anyone else gets a copy of his own."""
        user = interaction.user.id
        place = Place.IN_PLACE if state.owner == user else Place.PRIVATE
        await self.show(Reply(interaction, place), state.owned_by(user))

    async def embed(
        self, selections: Sequence[Selection], metric: Metric, range_: str, settings: str, t: Text
    ) -> discord.Embed:
        """The plain answer to a mention.

        Raises:
            MarketUnavailable, UnknownSeries: as the market says.
        """
        state = CompareState(0, await self.choose(selections, None), metric, range_)
        return compare_embed(await self._compare(state, None, settings, t), state, t)

    async def data(self, reply: Reply, state: CompareState) -> None:
        """The stored rows behind a comparison, for the member who clicked."""
        t = text_of(reply.interaction)
        market = self.services.market
        names = await self._names(state.keys, t)
        rows = await reply.within(
            PATIENT, asyncio.gather(*(market.rows_behind(key, limit=DATA_ROWS) for key in state.keys))
        )
        card = compare_data_card(
            dict(zip(state.keys, rows, strict=True)),
            names,
            methodology=self.services.methodology_url,
            simulated=self.services.settings.simulated,
            t=t,
        )
        await reply.send(view=card)

    async def _compare(self, state: CompareState, tariff: float | None, settings: str, t: Text) -> Comparison:
        await self._refuse_old_data()
        quotes = {quote.key: quote for quote in await self.services.market.quotes(segments=True)}
        then = await self.services.market.earlier(state.keys, state.range)
        shown = [quotes[key] for key in state.keys if key in quotes]
        newest = max((quote.at for quote in shown), default=self.services.clock())
        facts = market_facts(self.services, newest, {quote.source for quote in shown}, tariff, settings)
        items = [
            Compared(
                key,
                quotes.get(key),
                then.get(key),
                self._hosting(key, facts.tariff),
                None if key in quotes else await self._last_price(key),
            )
            for key in state.keys
        ]
        return Comparison(items, await self._names(state.keys, t), facts)

    async def _last_price(self, key: SeriesKey) -> LastPrice | None:
        """The last day of a series that is not listed now."""
        try:
            view = await self.services.market.last_known(
                key.gpu, platform=key.platform, region=key.region, tier=key.tier, verification=key.verification
            )
        except UnknownSeries:
            return None
        price = view.quote.price
        return None if price is None or view.quote.key != key else LastPrice(price, view.quote.at)

    def _hosting(self, key: SeriesKey, tariff: float) -> Hosting:
        model = self.services.gpus.get(key.gpu)
        share = hosting_share(self.services.platforms.get(key.platform))
        return Hosting(share, model.tdp_w if model is not None else None, tariff)

    async def _names(self, keys: Sequence[SeriesKey], t: Text) -> Names:
        unlisted = {slug: name for slug, name, _ in await self.services.market.known_gpus()}

        def gpu_name(slug: str) -> str:
            model = self.services.gpus.get(slug)
            return model.label if model is not None else unlisted.get(slug, slug)

        return Names.of(keys, gpu_name, self.services.platform_name, t)

    async def _gpu_name(self, slug: str) -> str:
        return self.services.gpus.label_of(slug)

    async def _chart(self, comparison: Comparison, state: CompareState, timezone: str, t: Text) -> DrawnChart | None:
        newest = max((item.quote.at for item in comparison.items if item.quote is not None), default=None)
        end = self.book.end(newest if newest is not None else self.services.clock())
        version = await self.services.market.version()

        async def describe() -> ChartSpec:
            read, start = self.services.market.history, end - RANGES[state.range]
            histories = await asyncio.gather(*(read(key, start, end, points=POINTS) for key in state.keys))
            return compare_chart(comparison, histories, state, end, t, timezone=timezone)

        tariff = comparison.facts.tariff if state.metric is Metric.EARNINGS else None
        key = ("compare", version, state.keys, state.metric, state.range, tariff, t.locale, timezone, end)
        return await self.book.draw(key, describe, f"compare-{state.metric}-{state.range}")


def _conceivable(gpus: Collection[str], platforms: Collection[str]) -> list[SeriesKey]:
    return [
        SeriesKey(platform, gpu, GLOBAL, tier.value, verification.value)
        for gpu in gpus
        for platform in platforms
        for tier in Tier
        for verification in Verification
    ]


def _said(selection: Selection) -> str | None:
    """What was asked for besides the model, for the sentence that says there is none."""
    words = [word for word in (selection.platform, selection.tier, selection.verification) if word is not None]
    return " ".join(words) or None
