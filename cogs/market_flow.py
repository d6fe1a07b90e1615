"""From a question about the market to its card."""

from __future__ import annotations

from collections import Counter
from typing import Final

import discord

from cogs.facts import market_facts
from cogs.preferences import preferences_of
from cogs.price_flow import PriceFlow
from cogs.replies import PATIENT, Place, Reply, text_of
from cogs.services import Services
from cogs.ui.base import Interaction
from cogs.usage import seam
from config.i18n import Text
from gpuscout.cards.market_card import market_card, market_embed
from gpuscout.cards.market_state import MarketState
from gpuscout.cards.market_text import MarketFacts
from gpuscout.cards.state import DEFAULT_RANGE, BadState
from gpuscout.market.overview import Overview

_SETTINGS: Final = "settings"


class MarketFlow:
    """Answers questions about the whole market wherever they come from."""

    def __init__(self, services: Services, prices: PriceFlow) -> None:
        self.services = services
        self.prices = prices

    async def show(self, reply: Reply, state: MarketState) -> None:
        """The card of a state, with current figures.

        Raises:
            MarketUnavailable: before anything public is shown, when the market answers in time.
        """
        overview = await reply.within(PATIENT, self.services.market.overview())
        interaction = reply.interaction
        tariff = preferences_of(interaction).member.tariff
        facts = self._facts(overview, tariff, seam(interaction.client).mention(_SETTINGS))
        await reply.send(view=market_card(overview, state, facts, text_of(interaction)))

    async def turn(self, interaction: Interaction, state: MarketState) -> None:
        """Edit the card for its owner; anyone else gets a copy of his own."""
        user = interaction.user.id
        place = Place.IN_PLACE if state.owner == user else Place.PRIVATE
        await self.show(Reply(interaction, place), state.owned_by(user))

    async def embed(self, view: str, settings: str, t: Text) -> discord.Embed:
        """The plain answer to a mention; *settings* names the command that sets a tariff.

        Raises:
            MarketUnavailable: as the market says.
        """
        overview = await self.services.market.overview()
        return market_embed(overview, view, self._facts(overview, None, settings), t)

    async def open_card(self, interaction: Interaction, choice: str) -> None:
        """The price card of an entry (``platform/model``), for the member who chose it alone.

        Raises:
            BadState: the choice was not made by a card of ours.
        """
        platform, _, gpu = choice.partition("/")
        known = {slug for slug, _, _ in await self.services.market.known_gpus()}
        if gpu not in known or platform not in await self.services.market.platforms():
            raise BadState("no such entry")
        await self.prices.ask(
            Reply(interaction, Place.PRIVATE),
            gpu=gpu,
            platform=platform,
            region=None,
            range_=DEFAULT_RANGE,
            owner=interaction.user.id,
        )

    def _facts(self, overview: Overview, tariff: float | None, settings: str) -> MarketFacts:
        listed = Counter(line.key.platform for line in overview.lines)
        home = max(listed, key=lambda platform: (listed[platform], platform), default=None)
        return market_facts(self.services, overview.newest, overview.sources, tariff, settings, home=home)
