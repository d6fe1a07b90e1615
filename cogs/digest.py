"""``/digest``: a daily or weekly summary of a member's GPUs. For his eyes only."""

from __future__ import annotations

from discord import app_commands
from discord.app_commands import locale_str
from discord.ext import commands

from cogs.digest_flow import DigestFlow
from cogs.replies import Place
from cogs.services import Services
from cogs.slash import describe, slash
from cogs.ui.base import Interaction
from cogs.ui.digest_items import digest_items
from gpuscout.digests.digests import rhythm_of
from gpuscout.digests.schedule import Cadence, Rhythm
from storage.digests import Owner

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Digest(commands.GroupCog, name=locale_str("digest"), description=locale_str("A summary of your GPUs")):
    """Subscribe to a digest, or end it."""

    def __init__(self, flow: DigestFlow) -> None:
        super().__init__()
        self.flow = flow

    @slash("set", "Your portfolio, GPUs and alerts in one message, daily or weekly at your hour", "alerts")
    @describe(every="Daily or weekly", hour="Hour of the day in your time zone, 0 to 23", weekday="Day of a weekly one")
    @app_commands.choices(
        every=[
            app_commands.Choice(name=locale_str("Every day"), value="daily"),
            app_commands.Choice(name=locale_str("Every week"), value="weekly"),
        ],
        weekday=[app_commands.Choice(name=locale_str(name), value=str(day)) for day, name in enumerate(WEEKDAYS)],
    )
    async def set(
        self,
        interaction: Interaction,
        every: str | None = None,
        hour: app_commands.Range[int, 0, 23] | None = None,
        weekday: str | None = None,
    ) -> None:
        """Set what was given; a weekday alone means a weekly digest. What was set before stays."""
        stored = await self.flow.services.digests.get(Owner(member_id=interaction.user.id))
        now = rhythm_of(stored) if stored is not None else Rhythm()
        cadence: Cadence = now.cadence
        if every is not None:
            cadence = "weekly" if every == "weekly" else "daily"
        elif weekday is not None:
            cadence = "weekly"
        rhythm = Rhythm(cadence, now.hour if hour is None else hour, now.weekday if weekday is None else int(weekday))
        await self.flow.set(interaction, rhythm, Place.PRIVATE)

    @slash("off", "No digest any more", "alerts")
    async def off(self, interaction: Interaction) -> None:
        """End it."""
        await self.flow.off(interaction, Place.PRIVATE)


async def register(bot: commands.AutoShardedBot, services: Services) -> None:
    """Add the cog and its controls to *bot*."""
    flow = DigestFlow(services)
    bot.add_dynamic_items(*digest_items(flow))
    await bot.add_cog(Digest(flow))
