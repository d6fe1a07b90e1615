"""Slash commands: parse, ask the domain, answer with a card."""

from __future__ import annotations

from discord.ext import commands

from cogs import (
    about,
    alert,
    compare,
    digest,
    email,
    help,
    market,
    named,
    ops,
    portfolio,
    pricing,
    roi,
    server,
    settings,
    status,
    watchlist,
    webhook,
)
from cogs.compare_flow import CompareFlow
from cogs.drawn import ChartBook
from cogs.market_flow import MarketFlow
from cogs.portfolio_files import PortfolioFiles
from cogs.portfolio_flow import PortfolioFlow
from cogs.price_flow import PriceFlow
from cogs.services import Services


async def load_all(bot: commands.AutoShardedBot, services: Services) -> None:
    """Add every cog to *bot*, in the order in which help shows them."""
    book = ChartBook(services)
    prices = PriceFlow(services, book)
    await pricing.register(bot, prices)
    await compare.register(bot, CompareFlow(services, book))
    await market.register(bot, MarketFlow(services, prices))
    holdings = PortfolioFlow(services, book)
    await portfolio.register(bot, holdings, PortfolioFiles(holdings))
    await roi.register(bot, holdings)
    alerts = await alert.register(bot, services, book)
    for room in (named, watchlist, digest, webhook, settings, email):
        await room.register(bot, services)
    await server.register(bot, services, alerts)
    for room in (status, ops, help, about):
        await room.register(bot, services)
