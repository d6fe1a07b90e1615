"""Slash commands: parse, ask the domain, answer with a card."""

from __future__ import annotations

from discord.ext import commands

from cogs import about, compare, help, market, named, pricing, server, settings, status, watchlist
from cogs.compare_flow import CompareFlow
from cogs.drawn import ChartBook
from cogs.market_flow import MarketFlow
from cogs.price_flow import PriceFlow
from cogs.services import Services


async def load_all(bot: commands.AutoShardedBot, services: Services) -> None:
    """Add every cog to *bot*, in the order in which help shows them."""
    book = ChartBook(services)
    prices = PriceFlow(services, book)
    await pricing.register(bot, prices)
    await compare.register(bot, CompareFlow(services, book))
    await market.register(bot, MarketFlow(services, prices))
    for room in (named, watchlist, settings, server, status, help, about):
        await room.register(bot, services)
