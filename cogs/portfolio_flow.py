"""What the commands and controls of a portfolio do: ask the domain for the member's own, answer with a card."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import discord

from cogs.drawn import ChartBook, DrawnChart
from cogs.portfolio_errors import NoSuchHolding, NothingToShow, TooLateToUndo
from cogs.preferences import preferences_of
from cogs.replies import PATIENT, Reply, text_of
from cogs.services import Services
from cogs.usage import seam
from config.i18n import Text
from gpuscout.cards.advice_card import advice_card, evidence_card
from gpuscout.cards.portfolio_card import portfolio_card
from gpuscout.cards.portfolio_chart import LEAST_POINTS, portfolio_chart
from gpuscout.cards.portfolio_formula import holding_formula_card, portfolio_formula_card
from gpuscout.cards.portfolio_holding import holding_card, remove_card, removed_card
from gpuscout.cards.portfolio_state import PortfolioState
from gpuscout.cards.portfolio_text import PortfolioFacts, simulated
from gpuscout.cards.price_text import LocalRate
from gpuscout.charts.model import ChartSpec
from gpuscout.market.models import Freshness, freshness
from gpuscout.portfolio.models import Holding, HoldingDraft, HoldingValuation, PortfolioView, SnapshotPoint


class PortfolioFlow:
    """Answers about the portfolio of whoever asks."""

    def __init__(self, services: Services, book: ChartBook) -> None:
        self.services = services
        self.book = book

    async def facts(self, interaction: discord.Interaction[Any], gpus: Iterable[str] = ()) -> PortfolioFacts:
        """What the cards show besides the figures; *gpus* are models whose names are needed."""
        services = self.services
        names = {slug: model.label for slug in gpus if (model := services.gpus.get(slug)) is not None}
        if set(gpus) - names.keys():
            names |= {slug: name for slug, name, _ in await services.market.known_gpus() if slug not in names}
        chosen = preferences_of(interaction)
        currency = chosen.member.currency
        rate = services.members.currencies.get(currency)
        return PortfolioFacts(
            platform_name=services.platform_name,
            source_link=services.source_link,
            is_simulated=self._is_simulated,
            is_stale=self._is_stale,
            gpu_name=lambda slug: names.get(slug, slug),
            mention=seam(interaction.client).mention,
            methodology=services.methodology_url,
            local=None if currency is None or rate is None else LocalRate(currency, rate.per_usd, rate.as_of),
            timezone=chosen.timezone,
        )

    def _is_simulated(self, source: str) -> bool:
        origin = self.services.platforms.source(source)
        return self.services.settings.simulated or (origin is not None and origin.simulated)

    def _is_stale(self, at: datetime) -> bool:
        return freshness(at, self.services.clock(), self.services.market.freshness_interval()) is not Freshness.FRESH

    async def show(self, reply: Reply, state: PortfolioState, note: str | None = None) -> None:
        """The whole portfolio, on one page and over one range."""
        member = reply.interaction.user.id
        view = await reply.within(PATIENT, self.services.portfolios.value(member))
        history = await reply.within(PATIENT, self.services.portfolios.history(member, state.days))
        facts = await self.facts(reply.interaction)
        t = text_of(reply.interaction)
        drawn = await reply.within(PATIENT, self._chart(view, history, state.days, facts, t))
        card = portfolio_card(view, state, history, drawn.file if drawn else None, facts, note, t)
        await reply.send(view=card, files=[drawn.upload()] if drawn else [])

    async def _chart(
        self, view: PortfolioView, history: Sequence[SnapshotPoint], days: int, facts: PortfolioFacts, t: Text
    ) -> DrawnChart | None:
        if len(history) < LEAST_POINTS or not view.holdings:
            return None
        invented = simulated((valued.basis for valued in view.holdings), facts)
        end = self.book.end(history[-1].at)

        async def describe() -> ChartSpec:
            return portfolio_chart(history, days, end, t, simulated=invented, timezone=facts.timezone)

        key = ("portfolio", view.member_id, days, tuple(history), end, t.locale, facts.timezone, invented)
        return await self.book.draw(key, describe, f"portfolio-{days}d")

    async def _valued(self, reply: Reply, holding_id: str) -> HoldingValuation:
        """One of the member's own holdings, valued.

        Raises:
            NoSuchHolding: he has none of this id.
        """
        view = await reply.within(PATIENT, self.services.portfolios.value(reply.interaction.user.id))
        found = next((valued for valued in view.holdings if valued.holding.id == holding_id), None)
        if found is None:
            raise NoSuchHolding
        return found

    async def one(self, reply: Reply, state: PortfolioState, note: str | None = None) -> None:
        """One holding."""
        valued = await self._valued(reply, state.holding)
        facts, t = await self.facts(reply.interaction), text_of(reply.interaction)
        await reply.send(view=holding_card(valued, state, facts, note, t))

    async def how(self, reply: Reply, state: PortfolioState) -> None:
        """How the figures of a holding, or without one the totals, are computed."""
        t = text_of(reply.interaction)
        facts = await self.facts(reply.interaction)
        if state.holding:
            card = holding_formula_card(await self._valued(reply, state.holding), facts, t)
        else:
            view = await reply.within(PATIENT, self.services.portfolios.value(reply.interaction.user.id))
            if not view.holdings:
                raise NothingToShow
            card = portfolio_formula_card(view, facts, t)
        await reply.send(view=card)

    async def advice(self, reply: Reply, page: int = 0) -> None:
        """Advice for every holding.

        Raises:
            NothingToShow: there are none.
        """
        advices = await reply.within(PATIENT, self.services.portfolios.advice(reply.interaction.user.id))
        if not advices:
            raise NothingToShow
        facts, t = await self.facts(reply.interaction), text_of(reply.interaction)
        await reply.send(view=advice_card(advices, page, facts, t))

    async def why(self, reply: Reply, state: PortfolioState) -> None:
        """The evidence behind the advice for one holding."""
        advices = await reply.within(PATIENT, self.services.portfolios.advice(reply.interaction.user.id))
        found = next((advice for advice in advices if advice.holding.id == state.holding), None)
        if found is None:
            raise NoSuchHolding
        facts, t = await self.facts(reply.interaction), text_of(reply.interaction)
        await reply.send(view=evidence_card(found, state, facts, t))

    # --- changes ---

    async def add(self, reply: Reply, draft: HoldingDraft) -> None:
        """Store a holding and show it."""
        work = self.services.portfolios.add(reply.interaction.user.id, draft)
        await self._added(reply, await reply.within(PATIENT, work))

    async def add_machine(self, reply: Reply, machine_id: int, more: Mapping[str, Any]) -> None:
        """Store a holding that follows a machine, with what only the member knows of it, and show it."""
        portfolios, member = self.services.portfolios, reply.interaction.user.id

        async def work() -> Holding:
            draft = await portfolios.find_machine(machine_id)
            return await portfolios.add(member, replace(draft, **more))

        await self._added(reply, await reply.within(PATIENT, work()))

    async def _added(self, reply: Reply, holding: Holding) -> None:
        await self.one(reply, PortfolioState(holding.id), text_of(reply.interaction)("Added to your portfolio."))

    async def edit(self, reply: Reply, state: PortfolioState, values: Mapping[str, Any]) -> None:
        """Change a holding and show it.

        Raises:
            NoSuchHolding: the member has none of this id.
        """
        work = self.services.portfolios.edit(reply.interaction.user.id, state.holding, values)
        await self._own(reply, work)
        await self.one(reply, state, text_of(reply.interaction)("Saved."))

    async def ask_remove(self, reply: Reply, state: PortfolioState) -> None:
        """Ask before a holding is removed."""
        holding = await self._own(reply, self.services.portfolios.get(reply.interaction.user.id, state.holding))
        await reply.send(view=remove_card(holding, await self._name(reply, holding), state, text_of(reply.interaction)))

    async def remove(self, reply: Reply, state: PortfolioState) -> None:
        """Remove a holding, with a way back."""
        holding = await self._own(reply, self.services.portfolios.remove(reply.interaction.user.id, state.holding))
        await reply.send(
            view=removed_card(holding, await self._name(reply, holding), state, text_of(reply.interaction))
        )

    async def undo(self, reply: Reply, state: PortfolioState) -> None:
        """Bring a removed holding back.

        Raises:
            TooLateToUndo: it is erased.
        """
        work = self.services.portfolios.restore(reply.interaction.user.id, state.holding)
        if await reply.within(PATIENT, work) is None:
            raise TooLateToUndo
        await self.one(reply, state, text_of(reply.interaction)("It is back."))

    async def _own(self, reply: Reply, work: Awaitable[Holding | None]) -> Holding:
        found = await reply.within(PATIENT, work)
        if found is None:
            raise NoSuchHolding
        return found

    async def _name(self, reply: Reply, holding: Holding) -> str:
        return (await self.facts(reply.interaction, [holding.gpu])).gpu_name(holding.gpu)
