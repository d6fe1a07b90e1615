"""From a question about payback to its card."""

from __future__ import annotations

from cogs.portfolio_flow import PortfolioFlow
from cogs.replies import PATIENT, Reply, text_of
from gpuscout.cards.roi_card import roi_card, roi_formula_card
from gpuscout.portfolio.models import Payback, RoiQuestion


class RoiFlow:
    """Answers questions about payback, on the terms of whoever asks."""

    def __init__(self, portfolio: PortfolioFlow) -> None:
        self._portfolio = portfolio

    async def ask(self, reply: Reply, question: RoiQuestion) -> None:
        """The card.

        Raises:
            BadHolding, NoValue: as the domain says.
        """
        found = await self._find(reply, question)
        facts = await self._portfolio.facts(reply.interaction)
        await reply.send(view=roi_card(found, question, facts, text_of(reply.interaction)))

    async def how(self, reply: Reply, question: RoiQuestion) -> None:
        """The formula with its numbers."""
        found = await self._find(reply, question)
        facts = await self._portfolio.facts(reply.interaction)
        await reply.send(view=roi_formula_card(found, facts, text_of(reply.interaction)))

    async def _find(self, reply: Reply, question: RoiQuestion) -> Payback:
        portfolios = self._portfolio.services.portfolios
        return await reply.within(PATIENT, portfolios.roi(reply.interaction.user.id, question))
