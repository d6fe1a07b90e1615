"""The first word in a new server: once, only where it may be said, without a ping."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import discord
import structlog
from discord.ext import commands

from cogs.errors import Mention
from cogs.services import GuildRegister
from config.i18n import translator_for
from gpuscout.cards.greeting_card import greeting_card

log = structlog.get_logger(__name__)


class Greeting(commands.Cog):
    """Keeps the register of servers and greets new ones."""

    def __init__(self, guilds: GuildRegister, mention: Mention, clock: Callable[[], datetime]) -> None:
        self._guilds = guilds
        self._mention = mention
        self._clock = clock

    @commands.Cog.listener()
    async def on_guild_join(self, guild: discord.Guild) -> None:
        """Greet in the system channel when the bot may post there; else say nothing.

        The claim comes before the message: a server is greeted at most once, also when the bot is removed and
        invited again, or dies in between.
        """
        if not await self._guilds.claim_greeting(guild.id, self._clock()):
            return
        channel = guild.system_channel
        if channel is None or not _may_post(channel, guild.me):
            log.info("greeting_without_place", guild=guild.id)
            return
        t = translator_for(guild.preferred_locale.value)
        try:
            await channel.send(
                view=greeting_card(self._mention, t), allowed_mentions=discord.AllowedMentions.none(), silent=True
            )
        except discord.HTTPException as error:
            log.info("greeting_not_delivered", guild=guild.id, detail=str(error))

    @commands.Cog.listener()
    async def on_guild_remove(self, guild: discord.Guild) -> None:
        """Note that the bot was removed."""
        await self._guilds.left(guild.id, self._clock())


def _may_post(channel: discord.TextChannel, me: discord.Member | None) -> bool:
    if me is None:
        return False
    rights = channel.permissions_for(me)
    return rights.view_channel and rights.send_messages
