"""The buttons of a payback card, alive as long as the message."""

from __future__ import annotations

from typing import Any

from discord import ui

from cogs.portfolio_flow import PortfolioFlow
from cogs.replies import Place, Reply
from cogs.roi_flow import RoiFlow
from cogs.ui.base import Interaction, ScoutItem
from cogs.ui.portfolio_forms import place_of
from gpuscout.cards.roi_state import unpack
from gpuscout.cards.state import BadState
from gpuscout.portfolio.models import HoldingDraft


def roi_items(flow: RoiFlow, portfolio: PortfolioFlow) -> tuple[type[ScoutItem[Any]], ...]:
    """The buttons, bound to the flows. discord.py makes their instances itself."""

    class RoiButton(ScoutItem[ui.Button[Any]], template=r"roi1\|(?P<state>.*)"):
        """How it is computed; add it to the portfolio."""

        usage_name = "roi card"

        async def act(self, interaction: Interaction) -> None:
            action, question = unpack(self.custom_id)
            if action == "how":
                await flow.how(Reply(interaction, Place.PRIVATE), question)
                return
            if action != "add":
                raise BadState("unknown action")
            draft = HoldingDraft(
                gpu=question.gpu,
                quantity=question.quantity,
                platform=question.platform,
                asked_price=question.price,
                power_w=question.power_w,
                tariff=question.tariff,
                fee=question.fee,
                purchase_price=question.cost,
            )
            # The card turns into the holding: its button cannot be pressed twice.
            await portfolio.add(Reply(interaction, place_of(interaction)), draft)

    return (RoiButton,)
