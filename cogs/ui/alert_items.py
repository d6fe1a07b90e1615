"""The controls of alerts, on cards, on messages and in DMs, alive as long as the message."""

from __future__ import annotations

from typing import Any

from discord import ui

from cogs.alert_build import Asked
from cogs.alert_errors import NotServerRule
from cogs.alert_kinds import BY_SLUG
from cogs.alert_panel import AlertPanel, place_of
from cogs.replies import Place, Reply, text_of
from cogs.server_flow import require_admin
from cogs.ui.alert_confirm import Proposal
from cogs.ui.alert_forms import AlertForm, NewForm
from cogs.ui.base import Interaction, ScoutItem
from cogs.ui.pager import pager_items
from cogs.ui.price_items import open_state
from gpuscout.alerts.ports import RuleView
from gpuscout.alerts.rules import Rule
from gpuscout.cards import state as price_state
from gpuscout.cards.alert_state import PAGE_PREFIX, SNOOZE_HOURS, AlertAction, AlertControl, unpack
from gpuscout.cards.state import BadState
from gpuscout.market.models import MarketUnavailable, UnknownSeries


def alert_items(panel: AlertPanel) -> tuple[type[ScoutItem[Any]], ...]:
    """The controls, bound to *panel*. discord.py makes their instances itself."""

    class AlertItem(ScoutItem[ui.Item[Any]], template=r"alert\d+\|(?P<state>.+)"):
        """Any button or menu of an alert."""

        usage_name = "alert control"

        async def act(self, interaction: Interaction) -> None:
            await _act(panel, interaction, unpack(str(self.custom_id)))

    class AlertMe(ScoutItem[ui.Button[Any]], template=r"price\d+\|alert(?P<state>.*)"):
        """Alert me, on a price card: the form with the card's model."""

        usage_name = "price to alert"

        async def act(self, interaction: Interaction) -> None:
            state = await open_state(panel.services, price_state.unpack(self.custom_id))
            t = text_of(interaction)
            asked = Asked(
                BY_SLUG["price-below"],
                gpu=state.gpu,
                platform=state.platform,
                region=state.region,
                machines=state.verification,
            )

            async def use(answer: Interaction, rule: Rule) -> None:
                await Proposal.show(panel.flow, Reply(answer, Place.PRIVATE), panel.flow.owner(answer), rule)

            names = await panel.flow.names(interaction)
            level = await _suggested(panel, state)
            form = NewForm(asked, names.gpu(state.gpu), level, panel.services.clock, use, t)
            await interaction.response.send_modal(form)

    async def turn(interaction: Interaction, state: str, page: int) -> None:
        if state == "m":
            await panel.list(Reply(interaction, place_of(interaction)), page)
            return
        guild = require_admin(interaction)
        if state != str(guild.id):
            raise BadState("another server's list")
        await panel.list(Reply(interaction, place_of(interaction)), page, guild_id=guild.id)

    return (AlertItem, AlertMe, *pager_items(PAGE_PREFIX, turn))


async def _suggested(panel: AlertPanel, state: price_state.PriceState) -> str:
    """A level to start from: five per cent under the card's price, at least a cent; empty without a price."""
    try:
        view = await panel.services.market.price(state.gpu, platform=state.platform, region=state.region)
    except (MarketUnavailable, UnknownSeries):
        return ""
    price = view.quote.price
    return "" if price is None else f"{max(0.01, min(price * 0.95, price - 0.01)):.2f}"


async def _act(panel: AlertPanel, interaction: Interaction, control: AlertControl) -> None:
    action = control.action
    reply = Reply(interaction, place_of(interaction))
    if action is AlertAction.WHY:
        await panel.why(reply, _key(interaction, control), control.rule_id)
    elif action in (AlertAction.MUTE, AlertAction.UNMUTE):
        await panel.mute(reply, control, off=action is AlertAction.MUTE)
    elif action is AlertAction.LIST:
        await panel.list(reply)
    elif action is AlertAction.RESTORE:
        if control.whose == "g":
            require_admin(interaction)
        await panel.restore(reply, _key(interaction, control), control.rule_id)
    elif action is AlertAction.PICK:
        await panel.open(reply, await panel.find(interaction, _picked(interaction, control)))
    elif action is AlertAction.CHART and control.whose == "g":
        await panel.open_public(reply, _key(interaction, control), control.rule_id)
    else:
        await _change(panel, interaction, reply, control, await panel.find(interaction, control))


async def _change(
    panel: AlertPanel, interaction: Interaction, reply: Reply, control: AlertControl, view: RuleView
) -> None:
    """What only the rule's owner may do."""
    match control.action:
        case AlertAction.SNOOZE:
            await panel.snooze(reply, view, _hours(interaction))
        case AlertAction.WAKE:
            await panel.wake(reply, view)
        case AlertAction.PAUSE:
            await panel.pause(reply, view)
        case AlertAction.RESUME:
            await panel.resume(reply, view)
        case AlertAction.CHART:
            await panel.open(reply, view, chart=True)
        case AlertAction.EDIT:
            await edit(panel, interaction, view)
        case AlertAction.TEST:
            await panel.test(reply, view)
        case AlertAction.REMOVE:
            await panel.ask_remove(reply, view)
        case AlertAction.DROP:
            await panel.remove(reply, view)
        case AlertAction.RENEW:
            await panel.renew(reply, view)
        case _:
            await panel.open(reply, view)


async def edit(panel: AlertPanel, interaction: Interaction, view: RuleView) -> None:
    """The form of a stored rule; what it gives is proposed before it is saved."""
    names = await panel.flow.names(interaction)

    async def use(answer: Interaction, rule: Rule) -> None:
        await Proposal.show(panel.flow, Reply(answer, place_of(answer)), view.owner, rule, view)

    form = AlertForm.of(view.rule, names, panel.services.clock(), use, text_of(interaction))
    await interaction.response.send_modal(form)


def _key(interaction: Interaction, control: AlertControl) -> str:
    """Key of the owner whose ledger may be read: one's own, or that of the server where one is."""
    if control.whose == "g" and interaction.guild_id != control.guild_id:
        raise NotServerRule
    return control.owner_key(interaction.user.id)


def _values(interaction: Interaction) -> list[str]:
    data: dict[str, Any] = dict(interaction.data or {})
    values = data.get("values", [])
    return [str(value) for value in values] if isinstance(values, list) else []


def _hours(interaction: Interaction) -> int:
    values = _values(interaction)
    if len(values) != 1 or values[0] not in {str(hours) for hours in SNOOZE_HOURS}:
        raise BadState("unknown hours")
    return int(values[0])


def _picked(interaction: Interaction, control: AlertControl) -> AlertControl:
    values = _values(interaction)
    if len(values) != 1 or not (values[0].isascii() and values[0].isdigit()) or len(values[0]) > 18:
        raise BadState("no rule chosen")
    return AlertControl(AlertAction.OPEN, int(values[0]), control.whose, control.guild_id)
