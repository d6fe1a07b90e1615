"""``/market``: what moves, what is rented, what earns, what is new and what is gone."""

from __future__ import annotations

from typing import Any

from discord import app_commands
from discord.app_commands import locale_str
from discord.ext import commands

from cogs.errors import UnknownName
from cogs.hybrid import hybrid
from cogs.market_flow import MarketFlow
from cogs.options import Interaction
from cogs.replies import Place, Reply
from cogs.ui.market_items import market_items
from cogs.usage import seam
from config.i18n import translator_for
from gpuscout.cards.market_state import GLANCE, VIEWS, MarketState
from gpuscout.cards.market_text import view_name

_ENGLISH = translator_for("en-US")


def find_view(value: str) -> str:
    """The view that *value* (its key, or its English name) means.

    Raises:
        UnknownName: there is none.
    """
    text = " ".join(value.split()).casefold()
    for view in VIEWS:
        if text in (view, view_name(view, _ENGLISH).casefold()):
            return view
    raise UnknownName("ranking", value, VIEWS[:3])


class ViewOption(app_commands.Transformer):
    """A ranking: a fixed choice, checked again."""

    @property
    def choices(self) -> list[Any]:
        return [app_commands.Choice(name=locale_str(view_name(view, _ENGLISH)), value=view) for view in VIEWS]

    async def transform(self, interaction: Interaction, value: str, /) -> str:
        return find_view(value)


class MarketOptions(commands.FlagConverter):
    """The options of ``/market``; as text, the words after "market"."""

    sort: app_commands.Transform[str, ViewOption] = commands.flag(
        default=GLANCE, description="What to list; left out: a little of everything"
    )

    @classmethod
    async def convert(cls, ctx: commands.Context[Any], argument: str) -> MarketOptions:
        """Read ``up-7d`` or ``best earners``.

        Raises:
            UnknownName: there is no such ranking.
        """
        options = cls.__new__(cls)
        options.sort = find_view(argument) if argument.strip() else GLANCE
        return options


class Market(commands.Cog):
    """The market as a whole."""

    def __init__(self, flow: MarketFlow) -> None:
        self.flow = flow

    @hybrid("market", "What moves, what is rented most, what earns best, what is new and what is gone", "market")
    async def market(self, ctx: commands.Context[Any], *, options: MarketOptions) -> None:
        """Answer with a card; by mention with one plain embed."""
        if ctx.interaction is None:
            t = translator_for(ctx.guild.preferred_locale.value if ctx.guild else None)
            await ctx.send(embed=await self.flow.embed(options.sort, seam(ctx.bot).mention("settings"), t))
            return
        await self.flow.show(Reply(ctx.interaction, Place.PUBLIC), MarketState(ctx.author.id, options.sort))


async def register(bot: commands.AutoShardedBot, flow: MarketFlow) -> None:
    """Add the cog and the card's controls to *bot*."""
    bot.add_dynamic_items(*market_items(flow))
    await bot.add_cog(Market(flow))
