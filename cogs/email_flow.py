"""What the e-mail part of ``/settings`` does: change one thing, answer with the panel as it is now."""

from __future__ import annotations

from typing import Any

import discord

from cogs.email_errors import NoAddress, TooManyAddresses
from cogs.preferences import preferences_of
from cogs.replies import PATIENT, Place, Reply, text_of
from cogs.services import Services
from cogs.usage import seam
from gpuscout.cards.email_card import EmailFacts, email_card
from gpuscout.delivery.mail.address import BadAddress
from gpuscout.delivery.mail.desk import MailPanel, TooManyLinks
from gpuscout.delivery.mail.models import GROUPS

Interaction = discord.Interaction[Any]


class EmailFlow:
    """Reads and changes the e-mail of whoever clicked."""

    def __init__(self, services: Services) -> None:
        self.services = services

    async def show(self, interaction: Interaction, place: Place) -> None:
        """The panel as things are."""
        reply = Reply(interaction, place)
        panel = await reply.within(PATIENT, self.services.mail.panel(interaction.user.id))
        await self._send(reply, panel, None)

    async def ask(self, interaction: Interaction, typed: str) -> None:
        """Send a link to an address. The answer is the same whatever becomes of it."""
        reply, t = Reply(interaction, Place.IN_PLACE), text_of(interaction)
        member = preferences_of(interaction).member
        asked = self.services.mail.ask(interaction.user.id, typed, member.locale or t.locale)
        try:
            await reply.within(PATIENT, asked)
        except BadAddress:
            raise NoAddress from None
        except TooManyLinks:
            raise TooManyAddresses from None
        panel = await self.services.mail.panel(interaction.user.id)
        await self._send(reply, panel, "✅ " + t("If mail can be sent to this address, a link is on its way to it."))

    async def switch(self, interaction: Interaction, on: bool) -> None:
        """E-mail off, or on again."""
        reply, t = Reply(interaction, Place.IN_PLACE), text_of(interaction)
        panel = await reply.within(PATIENT, self.services.mail.switch(interaction.user.id, on))
        await self._send(reply, panel, "✅ " + (t("E-mail is on.") if panel.on else t("E-mail is off.")))

    async def choose(self, interaction: Interaction, wanted: list[str]) -> None:
        """Which groups of kinds come."""
        reply, t = Reply(interaction, Place.IN_PLACE), text_of(interaction)
        await reply.acknowledge()
        for group in GROUPS:
            await self.services.mail.want(interaction.user.id, group, group in wanted)
        await self._send(reply, await self.services.mail.panel(interaction.user.id), "✅ " + t("Saved."))

    async def forget(self, interaction: Interaction) -> None:
        """Remove the address."""
        reply, t = Reply(interaction, Place.IN_PLACE), text_of(interaction)
        await reply.within(PATIENT, self.services.mail.forget(interaction.user.id))
        await self._send(
            reply, await self.services.mail.panel(interaction.user.id), "✅ " + t("The address is removed.")
        )

    async def _send(self, reply: Reply, panel: MailPanel, note: str | None) -> None:
        facts = EmailFacts(
            panel.available,
            address=panel.address,
            confirmed_at=panel.confirmed_at,
            pending=panel.pending,
            off_reason=panel.off_reason,
            off_at=panel.off_at,
            declined=panel.declined,
            preferences=panel.preferences,
        )
        settings = seam(reply.interaction.client).mention("settings")
        await reply.send(view=email_card(facts, settings, note, text_of(reply.interaction)))
