"""``/about``: version, sources, links, invitation."""

from __future__ import annotations

from typing import Any

from discord.ext import commands

from cogs.hybrid import hybrid
from cogs.replies import PATIENT, Place, Reply, text_of
from cogs.services import Services
from config.i18n import Text, translator_for
from gpuscout.cards.about_card import about_page
from gpuscout.cards.links import invite_url
from gpuscout.cards.page import Page, page_card, page_embed


class About(commands.Cog):
    """Who this is."""

    def __init__(self, services: Services) -> None:
        self.services = services

    @hybrid("about", "Version, uptime, where the prices come from, and how to add me", "bot")
    async def about(self, ctx: commands.Context[Any]) -> None:
        """Answer with a card; by mention with an embed."""
        if ctx.interaction is None:
            t = translator_for(ctx.guild.preferred_locale.value if ctx.guild else None)
            await ctx.send(embed=page_embed(await self._page(ctx.bot.application_id, t)))
            return
        reply = Reply(ctx.interaction, Place.PUBLIC)
        page = await reply.within(PATIENT, self._page(ctx.bot.application_id, text_of(ctx.interaction)))
        await reply.send(view=page_card(page))

    async def _page(self, application_id: int | None, t: Text) -> Page:
        settings = self.services.settings
        links = [(t("Market page"), f"{settings.public_url}/"), (t("Methodology"), self.services.methodology_url)]
        if settings.support_url:
            links.append((t("Support"), settings.support_url))
        if application_id is not None:
            links.insert(0, (t("Add to Discord"), invite_url(application_id)))
        names = [status.source for status in await self.services.market.sources()] or [settings.market_source]
        return about_page(
            version=self.services.version,
            started_at=self.services.started_at,
            sources=[self.services.source_link(name) for name in names],
            links=links,
            legal=[(t("Privacy"), self.services.privacy_url), (t("Terms"), self.services.terms_url)],
            simulated=settings.simulated,
            t=t,
        )


async def register(bot: commands.AutoShardedBot, services: Services) -> None:
    """Add the cog to *bot*."""
    await bot.add_cog(About(services))
