"""What ``/digest`` and its controls do: change one thing, answer with the panel as it is now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import discord

from cogs.preferences import preferences_of
from cogs.replies import PATIENT, Place, Reply, text_of
from cogs.services import Services
from cogs.usage import seam
from gpuscout.accounts import timezones
from gpuscout.accounts.delivery_choices import quiet_until
from gpuscout.accounts.timezones import zone_of
from gpuscout.cards.digest_card import digest_card
from gpuscout.cards.digest_panel import DigestFacts, digest_panel, rhythm_line
from gpuscout.cards.price_card import ChartFile
from gpuscout.delivery.digest_message import digest_picture
from gpuscout.digests.digests import rhythm_of, when_next
from gpuscout.digests.schedule import Rhythm
from storage.digests import Owner, StoredDigest

Interaction = discord.Interaction[Any]

COMMANDS: Final = ("settings", "watchlist add", "portfolio add")
DRAWING_SECONDS: Final = 12.0


class DigestFlow:
    """Reads and changes the digest of whoever clicked."""

    def __init__(self, services: Services) -> None:
        self.services = services

    async def show(self, interaction: Interaction, place: Place, note: str | None = None) -> None:
        """The panel as things are."""
        reply = Reply(interaction, place)
        stored = await reply.within(PATIENT, self.services.digests.get(self._owner(interaction)))
        await self._send(reply, stored, note)

    async def set(self, interaction: Interaction, rhythm: Rhythm, place: Place) -> None:
        """Subscribe or change, then the panel. The first time a direct message goes out, which shows whether it can."""
        reply = Reply(interaction, place)
        owner, t = self._owner(interaction), text_of(interaction)
        before = await reply.within(PATIENT, self.services.digests.get(owner))
        zone = preferences_of(interaction).member.timezone or "UTC"
        channel = interaction.channel_id if interaction.guild is not None else None
        stored = await reply.within(PATIENT, self.services.digests.set(owner, rhythm, zone, t.locale, channel))
        closed = False
        if before is None:
            closed = await reply.within(PATIENT, self.services.opt_in.ask(interaction.user.id, t)) == "closed"
        said = t("Your digest comes {when}.", when=rhythm_line(rhythm, t))
        await self._send(reply, stored, f"✅ {said}", dm_closed=closed)

    async def change(self, interaction: Interaction, **values: Any) -> None:
        """Change the day or the hour; what is not named stays."""
        reply = Reply(interaction, Place.IN_PLACE)
        stored = await reply.within(PATIENT, self.services.digests.get(self._owner(interaction)))
        now = rhythm_of(stored) if stored is not None else Rhythm()
        known: dict[str, Any] = {"cadence": now.cadence, "hour": now.hour, "weekday": now.weekday}
        await self.set(interaction, Rhythm(**{**known, **values}), Place.IN_PLACE)

    async def off(self, interaction: Interaction, place: Place) -> None:
        """End it, then the panel."""
        reply = Reply(interaction, place)
        t = text_of(interaction)
        ended = await reply.within(PATIENT, self.services.digests.off(self._owner(interaction)))
        await self._send(reply, None, "✅ " + t("Your digest is off.") if ended else t("You had no digest."))

    async def preview(self, interaction: Interaction) -> None:
        """What the digest would say now, for the member alone."""
        reply = Reply(interaction, Place.PRIVATE)
        t = text_of(interaction)
        zone = preferences_of(interaction).member.timezone or "UTC"
        composed = self.services.digests.preview(self._owner(interaction), zone, t.locale)
        content = await reply.within(PATIENT, composed)
        picture = await reply.within(PATIENT, digest_picture(content, self.services.charts, t))
        shown = ChartFile(picture.filename, picture.description) if picture else None
        await reply.send(view=digest_card(content, shown, t, preview=True), files=[picture.file()] if picture else [])

    # --- the panel ---

    async def _send(
        self, reply: Reply, stored: StoredDigest | None, note: str | None, *, dm_closed: bool = False
    ) -> None:
        t = text_of(reply.interaction)
        mention = seam(reply.interaction.client).mention
        commands = {name: mention(name) for name in COMMANDS}
        facts = await reply.within(PATIENT, self._facts(reply.interaction, stored, dm_closed))
        await reply.send(view=digest_panel(facts, commands, note, t))

    async def _facts(self, interaction: Interaction, stored: StoredDigest | None, dm_closed: bool) -> DigestFacts:
        services, member_id = self.services, interaction.user.id
        await timezones.warm()
        own = preferences_of(interaction).member.timezone
        zone, now = own or "UTC", services.clock()
        label = timezones.label(zone, now, text_of(interaction).locale)
        if stored is None:
            return DigestFacts(None, label, own_zone=own is not None)
        choice = await services.choices.get(member_id)
        due = when_next(stored, zone, now)
        return DigestFacts(
            rhythm_of(stored),
            label,
            own_zone=own is not None,
            next_at=due,
            last_at=stored.last_at,
            channels=await self._channels(member_id, choice.usable),
            muted=not choice.wants("digest"),
            held_until=quiet_until(choice, zone_of(zone), due),
            follows=bool(await services.members.watchlist(member_id) or await services.portfolios.list(member_id)),
            dm_closed=dm_closed or choice.dm_off_at is not None,
        )

    async def _channels(self, member_id: int, channels: Sequence[str]) -> list[str]:
        """Without e-mail where there is no confirmed address."""
        mail = (await self.services.mail.panel(member_id)).on
        return [channel for channel in channels if channel != "email" or mail]

    @staticmethod
    def _owner(interaction: Interaction) -> Owner:
        return Owner(member_id=interaction.user.id)
