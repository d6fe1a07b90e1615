"""The controls of notifications in ``/settings``. Each click concerns whoever clicked, nobody else."""

from __future__ import annotations

from typing import Any

from discord import ui

from cogs.replies import Place, text_of
from cogs.settings_flow import DeliveryFlow, read_quiet
from cogs.ui.base import Interaction, ScoutItem, ScoutModal
from cogs.usage import record_interaction
from config.i18n import Text
from gpuscout.accounts.delivery_choices import CHANNELS as KNOWN
from gpuscout.accounts.delivery_choices import MUTABLE_KINDS, Choice
from gpuscout.cards import settings_delivery_card as cards
from gpuscout.cards.delivery_text import minute_text
from gpuscout.cards.state import BadState


def delivery_items(flow: DeliveryFlow) -> tuple[type[ScoutItem[Any]], ...]:
    """The controls, bound to *flow*. discord.py makes their instances itself."""

    class DeliveryItem(ScoutItem[ui.Item[Any]], template=r"ntf\d+\|(?P<state>[a-z]+)"):
        """Any control of the panel."""

        usage_name = "notifications panel"

        async def act(self, interaction: Interaction) -> None:
            await _act(flow, interaction, str(self.custom_id).partition("|")[2])

    return (DeliveryItem,)


async def _act(flow: DeliveryFlow, interaction: Interaction, action: str) -> None:
    if action == cards.PANEL:
        await flow.show(interaction, Place.PRIVATE)
    elif action == cards.CHANNELS:
        await flow.set_channels(interaction, _order(interaction))
    elif action == cards.KINDS:
        await flow.set_kinds(interaction, _known(interaction))
    elif action == cards.QUIET:
        choice = await flow.services.choices.get(interaction.user.id)
        await interaction.response.send_modal(QuietForm(flow, choice, text_of(interaction)))
    elif action == cards.NO_QUIET:
        await flow.change(interaction, quiet="off")
    elif action == cards.CRITICAL:
        await flow.toggle_critical(interaction)
    elif action == cards.DM_AGAIN:
        await flow.try_dm_again(interaction)
    else:
        raise BadState("unknown action")


def _values(interaction: Interaction) -> list[str]:
    """What was chosen in a menu, as Discord sent it."""
    data: dict[str, Any] = dict(interaction.data or {})
    values = data.get("values", [])
    return [str(value) for value in values] if isinstance(values, list) else []


def _order(interaction: Interaction) -> list[str]:
    values = _values(interaction)
    order = values[0].split(cards.SEPARATOR) if len(values) == 1 else []
    if not order or not set(order) <= set(KNOWN) or len(set(order)) != len(order):
        raise BadState("no order of channels")
    return order


def _known(interaction: Interaction) -> list[str]:
    kinds = _values(interaction)
    if not set(kinds) <= set(MUTABLE_KINDS):
        raise BadState("unknown kind")
    return kinds


class QuietForm(ScoutModal):
    """From when until when it is quiet, by the member's clock."""

    def __init__(self, flow: DeliveryFlow, choice: Choice, t: Text) -> None:
        super().__init__(title=t("Quiet hours"), timeout=600)
        self._flow = flow
        quiet = choice.quiet
        start, end = (minute_text(quiet.start), minute_text(quiet.end)) if quiet else ("22:00", "07:00")
        self.start: ui.TextInput[Any] = ui.TextInput(custom_id="start", default=start, max_length=8, required=False)
        self.end: ui.TextInput[Any] = ui.TextInput(custom_id="end", default=end, max_length=8, required=False)
        self._label(t("From"), t("By your own clock, for example 22:00"), self.start)
        self._label(t("Until"), t("For example 07:00; leave both empty for no quiet hours"), self.end)

    def _label(self, text: str, description: str, field: ui.TextInput[Any]) -> None:
        self.add_item(ui.Label(text=text[:45], description=description[:100], component=field))

    async def on_submit(self, interaction: Interaction, /) -> None:
        """Check, save, and show the panel anew."""
        quiet = read_quiet(self.start.value, self.end.value)
        await self._flow.change(interaction, quiet=quiet or "off")
        record_interaction(interaction, "quiet hours form", "component", "ok")
