"""``/status``: how fresh the data are, how the bot is doing."""

from __future__ import annotations

import math
from typing import Any

from discord.ext import commands

from cogs.hybrid import hybrid
from cogs.replies import PATIENT, Place, Reply, text_of
from cogs.services import Services
from config.i18n import Text, translator_for
from gpuscout.cards.page import Page, page_card, page_embed
from gpuscout.cards.status_card import BotFacts, Told, status_page
from gpuscout.delivery.promise import PROMISED_SECONDS


class Status(commands.Cog):
    """The condition of data and program."""

    def __init__(self, services: Services) -> None:
        self.services = services

    @hybrid("status", "How fresh the market data are and whether everything works", "bot")
    async def status(self, ctx: commands.Context[Any]) -> None:
        """Answer with a card; by mention with an embed."""
        if ctx.interaction is None:
            t = translator_for(ctx.guild.preferred_locale.value if ctx.guild else None)
            await ctx.send(embed=page_embed(await self._page(ctx.bot, t)))
            return
        reply = Reply(ctx.interaction, Place.PUBLIC)
        page = await reply.within(PATIENT, self._page(ctx.bot, text_of(ctx.interaction)))
        await reply.send(view=page_card(page))

    async def _page(self, bot: commands.AutoShardedBot, t: Text) -> Page:
        services = self.services
        jobs = await services.operations.jobs()
        times = await services.operations.delivery_times()
        latency = bot.latency if bot.latencies else math.nan
        facts = BotFacts(
            started_at=services.started_at,
            servers=len(bot.guilds),
            shards=len(bot.shards) or 1,
            latency=latency if math.isfinite(latency) else None,
            database_ms=await services.operations.database_latency_ms(),
            waiting=jobs.ready,
            running=jobs.running,
            dead=jobs.dead,
            told=Told(times.count, times.p50, times.p99, PROMISED_SECONDS),
        )
        return status_page(
            await services.market.sources(),
            facts,
            now=services.clock(),
            interval=services.market.freshness_interval(),
            next_poll=await services.market.next_poll_in(),
            source_link=services.source_link,
            t=t,
        )


async def register(bot: commands.AutoShardedBot, services: Services) -> None:
    """Add the cog to *bot*."""
    await bot.add_cog(Status(services))
