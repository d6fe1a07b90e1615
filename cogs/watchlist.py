"""``/watchlist``: GPUs that a member follows. For his eyes only."""

from __future__ import annotations

import asyncio
from typing import Any

from discord import app_commands
from discord.app_commands import locale_str
from discord.ext import commands

from cogs.account_errors import ListFull
from cogs.account_options import FollowedOption
from cogs.options import GpuOption
from cogs.replies import PATIENT, Place, Reply, text_of
from cogs.services import Services
from cogs.slash import describe, slash
from cogs.ui.base import Interaction
from cogs.usage import seam
from gpuscout.accounts.members import WATCHLIST_LIMIT
from gpuscout.cards.kit import plain
from gpuscout.cards.watchlist_card import Followed, watchlist_card
from gpuscout.market.models import UnknownSeries


class Watchlist(commands.GroupCog, name=locale_str("watchlist"), description=locale_str("GPUs you follow")):
    """Follow GPUs."""

    def __init__(self, services: Services) -> None:
        super().__init__()
        self.services = services

    @slash("add", "Follow a GPU: its price, how it moves and how busy it is, in one list", "yours")
    @describe(gpu="The GPU model, for example RTX 4090")
    async def add(self, interaction: Interaction, gpu: app_commands.Transform[str, GpuOption]) -> None:
        """Follow one more and show the list."""
        outcome = await self.services.members.watch(interaction.user.id, gpu)
        if outcome == "full":
            raise ListFull(WATCHLIST_LIMIT)
        t = text_of(interaction)
        name = plain(await self._name(gpu), 60)
        note = (
            t("You follow **{gpu}** now.", gpu=name)
            if outcome == "added"
            else t("You follow **{gpu}** already.", gpu=name)
        )
        await self._show(interaction, ("✅ " if outcome == "added" else "") + note)

    @slash("remove", "Stop following a GPU", "yours")
    @describe(gpu="One of the GPUs you follow")
    async def remove(self, interaction: Interaction, gpu: app_commands.Transform[str, FollowedOption]) -> None:
        """Stop following one and show the list."""
        removed = await self.services.members.unwatch(interaction.user.id, gpu)
        t = text_of(interaction)
        name = plain(await self._name(gpu), 60)
        note = (
            t("You no longer follow **{gpu}**.", gpu=name) if removed else t("You did not follow **{gpu}**.", gpu=name)
        )
        await self._show(interaction, ("✅ " if removed else "") + note)

    @slash("show", "The GPUs you follow: price, change over a day, how busy", "yours")
    async def show(self, interaction: Interaction) -> None:
        """Show the list."""
        await self._show(interaction, None)

    async def _show(self, interaction: Interaction, note: str | None) -> None:
        reply = Reply(interaction, Place.PRIVATE)
        followed = await reply.within(PATIENT, self._followed(interaction.user.id))
        mention = seam(interaction.client).mention
        commands_ = (mention("watchlist add"), mention("watchlist remove"))
        await reply.send(view=watchlist_card(followed, WATCHLIST_LIMIT, note, commands_, text_of(interaction)))

    async def _followed(self, member_id: int) -> list[Followed]:
        """The list with current figures.

        Raises:
            MarketUnavailable: there are no data to show for any.
        """
        slugs = await self.services.members.watchlist(member_id)
        return list(await asyncio.gather(*(self._one(slug) for slug in slugs)))

    async def _one(self, slug: str) -> Followed:
        try:
            view = await self.services.market.price(slug)
        except UnknownSeries:
            return Followed(slug, await self._name(slug), None)
        return Followed(slug, await self._name(slug), view)

    async def _name(self, slug: str) -> str:
        if model := self.services.gpus.get(slug):
            return model.name
        names: dict[str, Any] = {known: name for known, name, _ in await self.services.market.known_gpus()}
        return str(names.get(slug, slug))


async def register(bot: commands.AutoShardedBot, services: Services) -> None:
    """Add the cog to *bot*."""
    await bot.add_cog(Watchlist(services))
