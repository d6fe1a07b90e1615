"""The controls of a comparison, alive as long as the message."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from discord import ui

from cogs.compare_flow import CompareFlow
from cogs.replies import Place, Reply
from cogs.ui.base import Interaction, ScoutItem
from gpuscout.cards.compare_state import CompareAction, unpack
from gpuscout.cards.state import BadState
from gpuscout.market.metrics import Metric


def compare_items(flow: CompareFlow) -> tuple[type[ScoutItem[Any]], ...]:
    """The controls, bound to *flow*."""

    class CompareButton(ScoutItem[ui.Button[Any]], template=r"compare\d+\|(?!metric)(?P<state>.+)"):
        """Refresh, range, Show data; and, on other cards, the way here."""

        usage_name = "compare button"

        async def act(self, interaction: Interaction) -> None:
            packed = unpack(self.custom_id)
            state = await flow.reopen(packed)
            if packed.action is CompareAction.DATA:
                await flow.data(Reply(interaction, Place.PRIVATE), state)
                return
            if packed.action is CompareAction.OPEN:
                await flow.show(Reply(interaction, Place.PRIVATE), state.owned_by(interaction.user.id))
                return
            if packed.action is CompareAction.RANGE:
                state = replace(state, range=packed.target)
            await flow.turn(interaction, state)

    class CompareMetric(ScoutItem[ui.Select[Any]], template=r"compare\d+\|metric(?P<state>.+)"):
        """Another figure."""

        usage_name = "compare metric"

        async def act(self, interaction: Interaction) -> None:
            state = await flow.reopen(unpack(self.custom_id))
            try:
                metric = Metric(self.item.values[0])
            except (IndexError, ValueError):
                raise BadState("unknown figure") from None
            await flow.turn(interaction, replace(state, metric=metric))

    return CompareButton, CompareMetric
