"""``/help``: what there is, by category, with commands one can click."""

from __future__ import annotations

from typing import Any

from discord import AppCommandType, app_commands, ui
from discord.ext import commands

from cogs.hybrid import hybrid
from cogs.replies import Place, Reply, text_of
from cogs.services import Services
from cogs.ui.base import Interaction, ScoutItem
from cogs.usage import seam
from config.i18n import Text, translator_for
from gpuscout.cards.help_card import HelpEntry, check_category, help_card, help_page
from gpuscout.cards.page import page_embed
from gpuscout.cards.state import BadState


def help_entries(bot: Any, t: Text) -> list[HelpEntry]:
    """Every command that says where it belongs, with its translated description; message menus come last."""
    client = seam(bot)
    found = []
    for command in bot.tree.walk_commands():
        category = command.extras.get("category")
        if isinstance(command, app_commands.Command) and category:
            found.append(HelpEntry(client.mention(command.qualified_name), t(command.description), str(category)))
    for menu in bot.tree.get_commands(type=AppCommandType.message):
        if category := menu.extras.get("category"):
            name = t("“{name}” (a message's menu → Apps)", name=t(menu.name))
            found.append(HelpEntry(name, t(menu.extras["description"]), str(category)))
    return found


class HelpMenu(ScoutItem[ui.Select[Any]], template=r"help\d+\|(?P<state>.*)"):
    """Turns to another category, in place."""

    usage_name = "help menu"

    async def act(self, interaction: Interaction) -> None:
        if not self.item.values:
            raise BadState("nothing chosen")
        t = text_of(interaction)
        category = check_category(self.item.values[0], t)
        methodology = seam(interaction.client).services.methodology_url
        card = help_card(help_entries(interaction.client, t), category, methodology, t)
        await Reply(interaction, Place.IN_PLACE).send(view=card)


class Help(commands.Cog):
    """The way into everything else."""

    def __init__(self, services: Services) -> None:
        self.services = services

    @hybrid("help", "What I can do, with commands you can click", "bot")
    async def help(self, ctx: commands.Context[Any]) -> None:
        """Answer the member alone with a menu; by mention with an embed of everything."""
        methodology = self.services.methodology_url
        if ctx.interaction is None:
            t = translator_for(ctx.guild.preferred_locale.value if ctx.guild else None)
            await ctx.send(embed=page_embed(help_page(help_entries(ctx.bot, t), None, methodology, t)))
            return
        t = text_of(ctx.interaction)
        card = help_card(help_entries(ctx.bot, t), None, methodology, t)
        await Reply(ctx.interaction, Place.PRIVATE).send(view=card)


async def register(bot: commands.AutoShardedBot, services: Services) -> None:
    """Add the cog and its menu to *bot*."""
    bot.add_dynamic_items(HelpMenu)
    await bot.add_cog(Help(services))
