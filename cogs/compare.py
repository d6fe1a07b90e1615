"""``/compare``: several models, platforms or tiers on one chart."""

from __future__ import annotations

from typing import Any

from discord.ext import commands

from cogs.compare_flow import CompareFlow
from cogs.compare_options import CompareOptions
from cogs.hybrid import hybrid
from cogs.replies import Place, Reply
from cogs.ui.compare_items import compare_items
from cogs.usage import seam
from config.i18n import translator_for


class Compare(commands.Cog):
    """Comparisons."""

    def __init__(self, flow: CompareFlow) -> None:
        self.flow = flow

    @hybrid("compare", "Up to six models, platforms or tiers side by side, on one chart", "market")
    async def compare(self, ctx: commands.Context[Any], *, options: CompareOptions) -> None:
        """Answer with a card; by mention with one plain embed."""
        if ctx.interaction is None:
            t = translator_for(ctx.guild.preferred_locale.value if ctx.guild else None)
            settings = seam(ctx.bot).mention("settings")
            await ctx.send(embed=await self.flow.embed(options.gpus, options.metric, options.range, settings, t))
            return
        reply = Reply(ctx.interaction, Place.PUBLIC)
        await self.flow.ask(reply, options.gpus, options.metric, options.range, ctx.author.id)


async def register(bot: commands.AutoShardedBot, flow: CompareFlow) -> None:
    """Add the cog and the card's controls to *bot*."""
    bot.add_dynamic_items(*compare_items(flow))
    await bot.add_cog(Compare(flow))
