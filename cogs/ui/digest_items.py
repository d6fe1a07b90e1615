"""The controls of digests: alive as long as the message; each one concerns whoever clicks."""

from __future__ import annotations

from typing import Any

from discord import ui

from cogs.digest_flow import DigestFlow
from cogs.replies import Place
from cogs.ui.base import Interaction, ScoutItem
from gpuscout.cards.digest_card import OPEN, PANEL, STOP
from gpuscout.cards.digest_panel import DAILY, HOUR, RHYTHM, START
from gpuscout.cards.state import BadState
from gpuscout.digests.schedule import Rhythm


def digest_items(flow: DigestFlow) -> tuple[type[ScoutItem[Any]], ...]:
    """The controls, bound to *flow*. discord.py makes their instances itself."""

    class DigestItem(ScoutItem[ui.Item[Any]], template=r"dig\d+\|(?P<state>[a-z]+)"):
        """Any control of a digest or of its panel."""

        usage_name = "digest panel"

        async def act(self, interaction: Interaction) -> None:
            await _act(flow, interaction, str(self.custom_id).partition("|")[2])

    return (DigestItem,)


async def _act(flow: DigestFlow, interaction: Interaction, action: str) -> None:
    if action == OPEN:
        await flow.preview(interaction)
    elif action == PANEL:
        await flow.show(interaction, Place.PRIVATE)
    elif action == START:
        await flow.set(interaction, Rhythm(), Place.IN_PLACE)
    elif action == STOP:
        await flow.off(interaction, Place.PRIVATE if _from_digest(interaction) else Place.IN_PLACE)
    elif action == RHYTHM:
        await flow.change(interaction, **days_of(chosen(interaction)))
    elif action == HOUR:
        await flow.change(interaction, hour=hour_of(chosen(interaction)))
    else:
        raise BadState("unknown action")


def _from_digest(interaction: Interaction) -> bool:
    """Whether the click came from a digest itself, which stays as it is, and not from an ephemeral panel."""
    return interaction.message is not None and not interaction.message.flags.ephemeral


def chosen(interaction: Interaction) -> str:
    """The one value chosen in a menu.

    Raises:
        BadState: none or several.
    """
    data: dict[str, Any] = dict(interaction.data or {})
    values = data.get("values", [])
    if not isinstance(values, list) or len(values) != 1:
        raise BadState("nothing chosen")
    return str(values[0])


def days_of(value: str) -> dict[str, Any]:
    """Cadence and weekday that a value of the menu means.

    Raises:
        BadState: it is none of the menu's.
    """
    if value == DAILY:
        return {"cadence": "daily"}
    if value not in ("0", "1", "2", "3", "4", "5", "6"):
        raise BadState("unknown day")
    return {"cadence": "weekly", "weekday": int(value)}


def hour_of(value: str) -> int:
    """The hour that a value of the menu means.

    Raises:
        BadState: it is none of the menu's.
    """
    if not (value.isascii() and value.isdigit() and int(value) <= 23):
        raise BadState("unknown hour")
    return int(value)
