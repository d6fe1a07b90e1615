"""What the notifications part of ``/settings`` does: change one thing, answer with the panel as it is now."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import discord

from cogs.account_errors import NotATime
from cogs.preferences import preferences_of
from cogs.replies import PATIENT, Place, Reply, text_of
from cogs.services import Services
from cogs.usage import seam
from gpuscout.accounts import timezones
from gpuscout.accounts.delivery_choices import MUTABLE_KINDS, Choice, Quiet, quiet_until
from gpuscout.accounts.timezones import zone_of
from gpuscout.cards.settings_delivery_card import DeliveryFacts, delivery_card
from gpuscout.delivery.mail.address import masked

Interaction = discord.Interaction[Any]

_TIME: Final = re.compile(r"(\d{1,2})(?:[:.h](\d{2}))?\s*(am|pm|uhr|h)?", re.IGNORECASE)


class DeliveryFlow:
    """Reads and changes the delivery choices of whoever clicked."""

    def __init__(self, services: Services) -> None:
        self.services = services

    async def show(self, interaction: Interaction, place: Place) -> None:
        """The panel as things are."""
        reply = Reply(interaction, place)
        choice = await reply.within(PATIENT, self.services.choices.get(interaction.user.id))
        await self._send(reply, choice, None)

    async def change(self, interaction: Interaction, **values: Any) -> None:
        """Change something, then the panel."""
        reply = Reply(interaction, Place.IN_PLACE)
        choice = await reply.within(PATIENT, self.services.choices.change(interaction.user.id, **values))
        await self._send(reply, choice, "✅ " + text_of(interaction)("Saved."))

    async def set_channels(self, interaction: Interaction, channels: Sequence[str]) -> None:
        """Set the order. E-mail keeps its place at the end for those who may confirm an address later."""
        choice = await self.services.choices.get(interaction.user.id)
        later = "email" in choice.channels and await self.address(choice.member_id) is None
        await self.change(interaction, channels=[*channels, "email"] if later else channels)

    async def set_kinds(self, interaction: Interaction, wanted: Sequence[str]) -> None:
        """Mute every kind that is not *wanted*."""
        await self.change(interaction, muted_kinds=[kind for kind in MUTABLE_KINDS if kind not in wanted])

    async def toggle_critical(self, interaction: Interaction) -> None:
        """Whether critical alerts come in quiet hours."""
        choice = await self.services.choices.get(interaction.user.id)
        await self.change(interaction, critical_passes=not choice.critical_passes)

    async def try_dm_again(self, interaction: Interaction) -> None:
        """Switch direct messages on, and send one that shows whether they arrive."""
        reply = Reply(interaction, Place.IN_PLACE)
        await reply.acknowledge()
        member_id, t = interaction.user.id, text_of(interaction)
        choices = self.services.choices
        await choices.reactivate(member_id)
        reach = await self.services.opt_in.ask(member_id, t)
        if reach == "closed":
            await choices.switch_dm_off(member_id)
        said = {
            "works": "✅ " + t("A direct message has arrived: they are on again."),
            "closed": "⚠️ " + t("Discord refused it again: direct messages stay off until you allow them."),
            "unknown": "⏳ "
            + t("Discord did not answer; direct messages are on, and the next one shows whether they work."),
        }[reach]
        await self._send(reply, await choices.get(member_id), said)

    async def _send(self, reply: Reply, choice: Choice, note: str | None) -> None:
        facts = await reply.within(PATIENT, self._facts(reply.interaction, choice))
        settings = seam(reply.interaction.client).mention("settings")
        await reply.send(view=delivery_card(choice, facts, settings, note, text_of(reply.interaction)))

    async def _facts(self, interaction: Interaction, choice: Choice) -> DeliveryFacts:
        services = self.services
        await timezones.warm()
        own = preferences_of(interaction).member.timezone
        zone, now = own or "UTC", services.clock()
        refusal = await services.choices.last_refusal(choice.member_id) if choice.dm_off_at is not None else None
        return DeliveryFacts(
            timezones.label(zone, now, text_of(interaction).locale),
            own_zone=own is not None,
            address=await self.address(choice.member_id),
            refusal=refusal,
            quiet_until=quiet_until(choice, zone_of(zone), now),
        )

    async def address(self, member_id: int) -> str | None:
        """The confirmed address that mail goes to, masked; None where there is none."""
        panel = await self.services.mail.panel(member_id)
        return masked(panel.address) if panel.on and panel.address is not None else None


def read_time(text: str) -> int | None:
    """Minutes after midnight of a time as people write it: ``22``, ``22:30``, ``10 pm``; None: it is none."""
    found = _TIME.fullmatch(text.strip())
    if found is None:
        return None
    hour, minute, half = int(found[1]), int(found[2] or 0), (found[3] or "").lower()
    if half in ("am", "pm"):
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half == "pm" else 0)
    if hour == 24 and minute == 0:
        hour = 0
    return hour * 60 + minute if hour < 24 and minute < 60 else None


def read_quiet(start: str, end: str) -> Quiet | None:
    """Quiet hours as typed; None where both are empty.

    Raises:
        NotATime: one of them is no time, or both are the same.
    """
    if not start.strip() and not end.strip():
        return None
    times = []
    for text in (start, end):
        found = read_time(text)
        if found is None:
            raise NotATime(text)
        times.append(found)
    if times[0] == times[1]:
        raise NotATime(end, same=True)
    return Quiet(*times)
