"""Slash commands: parse, ask the domain, answer with a card."""

from __future__ import annotations

from discord.ext import commands

from cogs import pricing
from cogs.services import Services


async def load_all(bot: commands.AutoShardedBot, services: Services) -> None:
    """Add every cog to *bot*, in the order in which help shows them."""
    await pricing.register(bot, services)
