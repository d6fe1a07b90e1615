"""``/price``: what a GPU earns and costs, with its history."""

from __future__ import annotations

from typing import Any

from discord.ext import commands

from cogs.hybrid import hybrid
from cogs.options import PriceOptions
from cogs.price_flow import PriceFlow
from cogs.replies import Place, Reply
from cogs.ui.price_items import price_items
from config.i18n import translator_for


class Pricing(commands.Cog):
    """Prices of GPU models."""

    def __init__(self, flow: PriceFlow) -> None:
        self.flow = flow

    @hybrid("price", "What a GPU rents for, what its host gets, how busy it is, and how that moved", "market")
    async def price(self, ctx: commands.Context[Any], *, options: PriceOptions) -> None:
        """Answer with a card; by mention with one plain embed."""
        if ctx.interaction is None:
            t = translator_for(ctx.guild.preferred_locale.value if ctx.guild else None)
            embed = await self.flow.embed(gpu=options.gpu, platform=options.platform, region=options.region, t=t)
            await ctx.send(embed=embed)
            return
        await self.flow.ask(
            Reply(ctx.interaction, Place.PUBLIC),
            gpu=options.gpu,
            platform=options.platform,
            region=options.region,
            range_=options.range,
            owner=ctx.author.id,
        )


async def register(bot: commands.AutoShardedBot, flow: PriceFlow) -> None:
    """Add the cog and the card's controls to *bot*."""
    bot.add_dynamic_items(*price_items(flow))
    await bot.add_cog(Pricing(flow))
