"""The controls of webhook cards: alive as long as the message, and each one asks again whose it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import discord
from discord import ui

from cogs.ui.base import Interaction, ScoutItem, ScoutModal
from cogs.ui.pager import pager_items
from cogs.usage import record_interaction
from cogs.webhook_flow import WebhookFlow, in_place, private
from config.i18n import Text
from gpuscout.cards.state import BadState
from gpuscout.cards.webhook_card import event_names
from gpuscout.cards.webhook_state import PAGE_PREFIX, TEMPLATE, Action, State, check_id, unpack
from gpuscout.delivery.webhook_url import MAX_URL


def webhook_items(flow: WebhookFlow) -> tuple[type[ScoutItem[Any]], ...]:
    """The controls, bound to *flow*. discord.py makes their instances itself."""

    async def turn(interaction: Interaction, state: str, page: int) -> None:
        await flow.show_log(in_place(interaction), check_id(state), page)

    class WebhookItem(ScoutItem[ui.Item[Any]], template=TEMPLATE):
        """Any control of a webhook card."""

        usage_name = "webhook control"

        async def act(self, interaction: Interaction) -> None:
            await _act(flow, interaction, unpack(str(self.custom_id)))

    return (WebhookItem, *pager_items(PAGE_PREFIX, turn))


async def _act(flow: WebhookFlow, interaction: Interaction, state: State) -> None:
    reply = in_place(interaction)
    match state.action:
        case Action.LIST:
            await flow.show_list(reply)
        case Action.OPEN:
            await flow.show(reply, check_id(_chosen(interaction)))
        case Action.SHOW:
            await flow.show(reply, check_id(state.id))
        case Action.TEST:
            await flow.test(reply, check_id(state.id))
        case Action.ENABLE:
            await flow.enable(reply, check_id(state.id))
        case Action.ROTATE:
            await flow.rotate(private(interaction), check_id(state.id))
        case Action.REMOVE:
            await flow.ask_remove(private(interaction), check_id(state.id))
        case Action.LOG:
            await flow.show_log(reply, check_id(state.id))
        case Action.DELIVERY:
            await flow.show_delivery(reply, check_id(_chosen(interaction)))
        case Action.LOOK:
            await flow.show_delivery(reply, check_id(state.id))
        case Action.REPLAY:
            await flow.replay(reply, check_id(state.id))


def _chosen(interaction: Interaction) -> str:
    """What was chosen in a menu, as Discord sent it."""
    data: dict[str, Any] = dict(interaction.data or {})
    values = data.get("values", [])
    if not isinstance(values, list) or len(values) != 1:
        raise BadState("nothing chosen")
    return str(values[0])


class AddressForm(ScoutModal):
    """Asks for the address, which may hold a token, and what is sent there: nothing of it is in the channel's log."""

    def __init__(
        self,
        flow: WebhookFlow,
        chosen: Sequence[str],
        offered: Sequence[str],
        t: Text,
        *,
        gpu: str | None,
        platform: str | None,
        guild: discord.Guild | None,
    ) -> None:
        super().__init__(title=t("A new webhook")[:45], timeout=600)
        self._flow = flow
        self._gpu, self._platform, self._guild = gpu, platform, guild
        words = event_names(t)
        self.address: ui.TextInput[Any] = ui.TextInput(
            custom_id="url", placeholder="https://hooks.example.com/gpuscout", max_length=MAX_URL
        )
        self.events: ui.Select[Any] = ui.Select(
            custom_id="events",
            min_values=1,
            max_values=len(offered),
            options=[
                discord.SelectOption(label=words[event][:100], value=event, default=event in chosen)
                for event in offered
            ],
        )
        self.add_item(
            ui.Label(
                text=t("Address")[:45],
                description=t("https, or that of a Discord channel webhook")[:100],
                component=self.address,
            )
        )
        self.add_item(ui.Label(text=t("What is sent there")[:45], component=self.events))

    async def on_submit(self, interaction: Interaction, /) -> None:
        """Store it, or say what is wrong with it."""
        await self._flow.add(
            private(interaction),
            self.address.value,
            list(self.events.values),
            gpu=self._gpu,
            platform=self._platform,
            guild=self._guild,
        )
        record_interaction(interaction, "webhook form", "component", "ok")
