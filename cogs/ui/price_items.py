"""The controls of a price card, alive as long as the message."""

from __future__ import annotations

from typing import Any

from discord import ui

from cogs.price_flow import PriceFlow
from cogs.replies import Place, Reply
from cogs.services import Services
from cogs.ui.base import Interaction, ScoutItem
from gpuscout.cards.state import BadState, Packed, PriceAction, PriceState, unpack


def price_items(flow: PriceFlow) -> tuple[type[ScoutItem[Any]], ...]:
    """The controls, bound to *flow*. discord.py makes their instances itself, so they cannot be given it later."""

    class PriceButton(ScoutItem[ui.Button[Any]], template=r"price\d+\|(?!segment|hold|alert)(?P<state>.+)"):
        """Refresh, range, Show data, Export CSV; and, on other cards, the way here."""

        usage_name = "price button"

        async def act(self, interaction: Interaction) -> None:
            packed = unpack(self.custom_id)
            state = await open_state(flow.services, packed)
            if packed.action is PriceAction.DATA:
                await flow.data(Reply(interaction, Place.PRIVATE), state)
                return
            if packed.action is PriceAction.EXPORT:
                await flow.export(Reply(interaction, Place.PRIVATE), state)
                return
            if packed.action is PriceAction.OPEN:
                await flow.show(Reply(interaction, Place.PRIVATE), state.owned_by(interaction.user.id))
                return
            if packed.action is PriceAction.RANGE:
                state = state.over(packed.target)
            await _show(flow, interaction, state)

    class PriceSelect(ScoutItem[ui.Select[Any]], template=r"price\d+\|segment(?P<state>.*)"):
        """Which machines count."""

        usage_name = "price segment"

        async def act(self, interaction: Interaction) -> None:
            state = await open_state(flow.services, unpack(self.custom_id))
            if not self.item.values:
                raise BadState("nothing chosen")
            await _show(flow, interaction, state.choosing(self.item.values[0]))

    return PriceButton, PriceSelect


async def open_state(services: Services, packed: Packed) -> PriceState:
    """The state behind a custom id, digests looked up among what is known."""
    if not packed.closed:
        return packed.state
    market = services.market
    gpus = [model.slug for model in services.gpus.models] + [slug for slug, _, _ in await market.known_gpus()]
    platforms = [platform.slug for platform in services.platforms.platforms]
    return packed.open(gpus, platforms, await market.regions())


async def _show(flow: PriceFlow, interaction: Interaction, state: PriceState) -> None:
    """Edit the card for its owner; anyone else gets a copy of his own."""
    user = interaction.user.id
    place = Place.IN_PLACE if state.owner == user else Place.PRIVATE
    await flow.show(Reply(interaction, place), state.owned_by(user))
