"""The controls of a market card, alive as long as the message."""

from __future__ import annotations

from typing import Any

from discord import ui

from cogs.market_flow import MarketFlow
from cogs.ui.base import Interaction, ScoutItem
from cogs.ui.pager import pager_items
from gpuscout.cards.market_state import PAGE_PREFIX, unpack, unpack_state
from gpuscout.cards.state import BadState


def market_items(flow: MarketFlow) -> tuple[type[ScoutItem[Any]], ...]:
    """The controls, bound to *flow*."""

    async def turn(interaction: Interaction, state: str, page: int) -> None:
        await flow.turn(interaction, unpack_state(state, page))

    class MarketRefresh(ScoutItem[ui.Button[Any]], template=r"market\d+\.refresh\|(?P<state>.+)"):
        """The same page with current figures."""

        usage_name = "market refresh"

        async def act(self, interaction: Interaction) -> None:
            _, state = unpack(self.custom_id)
            await flow.turn(interaction, state)

    class MarketView(ScoutItem[ui.Select[Any]], template=r"market\d+\.view\|(?P<state>.+)"):
        """Another ranking."""

        usage_name = "market view"

        async def act(self, interaction: Interaction) -> None:
            _, state = unpack(self.custom_id)
            await flow.turn(interaction, state.viewing(_chosen(self.item)))

    class MarketOpen(ScoutItem[ui.Select[Any]], template=r"market\d+\.open\|(?P<state>.+)"):
        """The price card of an entry."""

        usage_name = "market open"

        async def act(self, interaction: Interaction) -> None:
            unpack(self.custom_id)
            await flow.open_card(interaction, _chosen(self.item))

    return (MarketRefresh, MarketView, MarketOpen, *pager_items(PAGE_PREFIX, turn))


def _chosen(item: ui.Select[Any]) -> str:
    if not item.values:
        raise BadState("nothing chosen")
    return str(item.values[0])
