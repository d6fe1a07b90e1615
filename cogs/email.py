"""E-mail: its panel hangs on ``/settings``, its controls live here."""

from __future__ import annotations

from discord.ext import commands

from cogs.email_flow import EmailFlow
from cogs.services import Services
from cogs.ui.email_items import email_items


async def register(bot: commands.AutoShardedBot, services: Services) -> None:
    """Add the controls to *bot*."""
    bot.add_dynamic_items(*email_items(EmailFlow(services)))
