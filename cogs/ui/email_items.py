"""The controls of e-mail in ``/settings``. Each click concerns whoever clicked, nobody else."""

from __future__ import annotations

from typing import Any

from discord import ui

from cogs.email_flow import EmailFlow
from cogs.replies import Place, text_of
from cogs.ui.base import Interaction, ScoutItem, ScoutModal
from cogs.usage import record_interaction
from config.i18n import Text
from gpuscout.cards import email_card as cards
from gpuscout.cards.state import BadState


def email_items(flow: EmailFlow) -> tuple[type[ScoutItem[Any]], ...]:
    """The controls, bound to *flow*. discord.py makes their instances itself."""

    class EmailItem(ScoutItem[ui.Item[Any]], template=r"em\d+\|(?P<state>[a-z]+)"):
        """Any control of the panel."""

        usage_name = "e-mail panel"

        async def act(self, interaction: Interaction) -> None:
            await _act(flow, interaction, str(self.custom_id).partition("|")[2])

    return (EmailItem,)


async def _act(flow: EmailFlow, interaction: Interaction, action: str) -> None:
    if action == cards.PANEL:
        await flow.show(interaction, Place.PRIVATE)
    elif action == cards.FORM:
        panel = await flow.services.mail.panel(interaction.user.id)
        await interaction.response.send_modal(EmailForm(flow, panel.pending or panel.address, text_of(interaction)))
    elif action in (cards.OFF, cards.ON):
        await flow.switch(interaction, action == cards.ON)
    elif action == cards.KINDS:
        await flow.choose(interaction, _groups(interaction))
    elif action == cards.FORGET:
        await flow.forget(interaction)
    else:
        raise BadState("unknown action")


def _groups(interaction: Interaction) -> list[str]:
    """What was chosen in the menu."""
    data: dict[str, Any] = dict(interaction.data or {})
    values = data.get("values", [])
    if not isinstance(values, list) or not set(values) <= set(cards.GROUPS):
        raise BadState("unknown kind of mail")
    return [str(value) for value in values]


class EmailForm(ScoutModal):
    """One address. What is typed here is seen by nobody else in Discord."""

    def __init__(self, flow: EmailFlow, known: str | None, t: Text) -> None:
        super().__init__(title=t("Your e-mail address"), timeout=600)
        self._flow = flow
        self.address: ui.TextInput[Any] = ui.TextInput(
            custom_id="address", default=known, placeholder="name@example.com", min_length=5, max_length=254
        )
        self.add_item(
            ui.Label(
                text=t("Address")[:45],
                description=t("A link is sent to it; e-mail is on once you follow the link.")[:100],
                component=self.address,
            )
        )

    async def on_submit(self, interaction: Interaction, /) -> None:
        """Check it, send the link, and show the panel anew."""
        await self._flow.ask(interaction, self.address.value)
        record_interaction(interaction, "e-mail form", "component", "ok")
