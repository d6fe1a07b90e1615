"""The controls of portfolio cards, alive as long as the message. Each one asks for the holdings of whoever clicks."""

from __future__ import annotations

from typing import Any

from discord import ui

from cogs.portfolio_errors import NoSuchHolding
from cogs.portfolio_files import PortfolioFiles
from cogs.portfolio_flow import PortfolioFlow
from cogs.preferences import preferences_of
from cogs.replies import Place, Reply, text_of
from cogs.ui.base import Interaction, ScoutItem
from cogs.ui.pager import pager_items
from cogs.ui.portfolio_forms import AddForm, CostsForm, EditForm, TariffForm, UploadForm, place_of
from cogs.ui.price_items import open_state
from gpuscout.cards import advice_card, portfolio_card
from gpuscout.cards import state as price_state
from gpuscout.cards.portfolio_state import Do, PortfolioState, check_days, check_holding, unpack
from gpuscout.cards.state import BadState
from gpuscout.portfolio.models import Holding, HoldingDraft


def portfolio_items(flow: PortfolioFlow, files: PortfolioFiles) -> tuple[type[ScoutItem[Any]], ...]:
    """The controls, bound to *flow* and *files*. discord.py makes their instances itself."""

    class PortfolioItem(ScoutItem[ui.Item[Any]], template=r"pf1\|(?P<state>.*)"):
        """Any button or menu of a portfolio card."""

        usage_name = "portfolio card"

        async def act(self, interaction: Interaction) -> None:
            do, state = unpack(str(self.custom_id))
            await _act(flow, files, interaction, do, state)

    class HoldButton(ScoutItem[ui.Button[Any]], template=r"price\d+\|hold(?P<state>.*)"):
        """Add to portfolio, on a price card: the form with the card's model and machines."""

        usage_name = "price to portfolio"

        async def act(self, interaction: Interaction) -> None:
            state = await open_state(flow.services, price_state.unpack(self.custom_id))
            preset = HoldingDraft(
                gpu=state.gpu,
                platform=state.platform,
                region=state.region,
                verification=state.verification,
                segment=state.segment,
            )
            names = (await flow.facts(interaction, [state.gpu])).gpu_name
            await interaction.response.send_modal(AddForm(flow, text_of(interaction), preset, names(state.gpu)))

    async def turn(interaction: Interaction, state: str, page: int) -> None:
        place = PortfolioState(days=check_days(state), page=page)
        await flow.show(Reply(interaction, place_of(interaction)), place)

    async def turn_advice(interaction: Interaction, _state: str, page: int) -> None:
        await flow.advice(Reply(interaction, place_of(interaction)), page)

    return (
        PortfolioItem,
        HoldButton,
        *pager_items(portfolio_card.PAGER, turn),
        *pager_items(advice_card.PAGER, turn_advice),
    )


async def _act(
    flow: PortfolioFlow, files: PortfolioFiles, interaction: Interaction, do: Do, state: PortfolioState
) -> None:
    here = Reply(interaction, place_of(interaction))
    apart = Reply(interaction, Place.PRIVATE)
    if do in (Do.ADD, Do.EDIT, Do.COSTS, Do.UPLOAD, Do.TARIFF):
        await _open_form(flow, files, interaction, do, state)
    elif do is Do.SHOW:
        await flow.show(here, state)
    elif do is Do.PICK:
        await flow.one(here, state.of(_picked(interaction)))
    elif do is Do.ONE:
        await flow.one(here, state)
    elif do is Do.ASK:
        await flow.ask_remove(here, state)
    elif do is Do.REMOVE:
        await flow.remove(here, state)
    elif do is Do.UNDO:
        await flow.undo(here, state)
    elif do is Do.HOW:
        await flow.how(apart, state)
    elif do is Do.ADVICE:
        await flow.advice(here)
    elif do is Do.WHY:
        await flow.why(here, state if state.holding else state.of(_picked(interaction)))
    elif do is Do.EXPORT:
        await files.export(apart)
    elif do is Do.TEMPLATE:
        await files.template(apart)
    elif do is Do.STORE:
        await files.store(here)
    else:
        await files.drop(here)


def _picked(interaction: Interaction) -> str:
    """What was chosen in a menu, as Discord sent it."""
    data: dict[str, Any] = dict(interaction.data or {})
    values = data.get("values")
    if not isinstance(values, list) or len(values) != 1:
        raise BadState("nothing chosen")
    return check_holding(str(values[0]))


async def _open_form(
    flow: PortfolioFlow, files: PortfolioFiles, interaction: Interaction, do: Do, state: PortfolioState
) -> None:
    t = text_of(interaction)
    if do is Do.ADD:
        await interaction.response.send_modal(AddForm(flow, t))
    elif do is Do.UPLOAD:
        await interaction.response.send_modal(UploadForm(files, t))
    elif do is Do.TARIFF:
        plan = await flow.services.portfolios.tariff_plan(interaction.user.id)
        zone = preferences_of(interaction).member.timezone or "UTC"
        await interaction.response.send_modal(TariffForm(flow, plan, state, zone, t))
    else:
        holding = await own_holding(flow, interaction, state.holding)
        form = EditForm if do is Do.EDIT else CostsForm
        await interaction.response.send_modal(form(flow, holding, state, t))


async def own_holding(flow: PortfolioFlow, interaction: Interaction, holding_id: str) -> Holding:
    """A holding of whoever clicked.

    Raises:
        NoSuchHolding: he has none of this id.
    """
    holding = await flow.services.portfolios.get(interaction.user.id, holding_id)
    if holding is None:
        raise NoSuchHolding
    return holding
