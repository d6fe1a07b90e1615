"""The message menu "Prices of GPUs named here"."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, Final

import discord
from discord import app_commands
from discord.app_commands import locale_str
from discord.ext import commands

from cogs.facts import market_facts
from cogs.preferences import preferences_of
from cogs.replies import PATIENT, Place, Reply, text_of
from cogs.services import Services
from cogs.usage import seam
from config.catalogue import GpuModel
from config.gpu_text import LONGEST_TEXT, NamesInText
from gpuscout.cards.compare_state import MAX_SERIES
from gpuscout.cards.named_card import NamedGpu, named_card, nothing_named_card
from gpuscout.market.overview import MarketLine, Overview

MENU: Final = "Prices of GPUs named here"
DESCRIPTION: Final = "What the GPUs that a message names rent for, for you alone"

Interaction = discord.Interaction[Any]


class Named(commands.Cog):
    """Prices where GPUs are talked about. The target of a menu comes with its text; no intent is needed."""

    def __init__(self, services: Services, tree: app_commands.CommandTree[Any]) -> None:
        self.services = services
        self._tree = tree
        self._names = NamesInText(services.gpus)
        self._menu: app_commands.ContextMenu = app_commands.ContextMenu(
            name=locale_str(MENU), callback=self.prices, extras={"category": "market", "description": DESCRIPTION}
        )

    async def prices(self, interaction: Interaction, message: discord.Message) -> None:
        """Answer the member alone with a line for each model that *message* names."""
        reply, t = Reply(interaction, Place.PRIVATE), text_of(interaction)
        client = seam(interaction.client)
        # A long text is some hundredths of a second of work.
        models = await asyncio.to_thread(self._names.find, text_of_message(message), MAX_SERIES)
        if not models:
            await reply.send(view=nothing_named_card(client.mention("price"), client.mention("market"), t))
            return
        overview = await reply.within(PATIENT, self.services.market.overview())
        found = self._with_lines(models, overview, preferences_of(interaction).server.platform)
        lines = [item.line for item in found if item.line is not None]
        facts = market_facts(
            self.services,
            max((line.quote.at for line in lines), default=overview.newest),
            {line.quote.source for line in lines} or overview.sources,
            preferences_of(interaction).member.tariff,
            client.mention("settings"),
        )
        await reply.send(view=named_card(found, interaction.user.id, facts, t))

    def _with_lines(self, models: Sequence[GpuModel], overview: Overview, preferred: str | None) -> list[NamedGpu]:
        """Each model with its largest line, that of the server's own platform first. A name that means several models,
        none of which is listed under it, stands for those of them that are."""
        lines: dict[str, MarketLine] = {}
        for line in overview.current(self.services.clock()):
            other = lines.get(line.key.gpu)
            if other is None or _weight(line, preferred) > _weight(other, preferred):
                lines[line.key.gpu] = line
        found: list[NamedGpu] = []
        for model in models:
            members = [slug for slug in model.members if slug in lines] if model.slug not in lines else []
            if members:
                found += [NamedGpu(lines[slug].gpu_name, lines[slug]) for slug in members]
            else:
                found.append(NamedGpu(model.label, lines.get(model.slug)))
        unique = {item.line.key.gpu if item.line is not None else item.name: item for item in found}
        return list(unique.values())[:MAX_SERIES]

    async def cog_load(self) -> None:
        """Add the menu."""
        self._tree.add_command(self._menu)

    async def cog_unload(self) -> None:
        """Take the menu away."""
        self._tree.remove_command(self._menu.name, type=self._menu.type)


def _weight(line: MarketLine, preferred: str | None) -> tuple[bool, int]:
    return line.key.platform == preferred, line.quote.all.count


def text_of_message(message: discord.Message) -> str:
    """All that a message says: its own text, what it forwards, embeds and cards."""
    parts: list[str | None] = [message.content, *(snapshot.content for snapshot in message.message_snapshots)]
    for embed in message.embeds:
        parts += [embed.title, embed.description]
        parts += [f"{field.name}\n{field.value}" for field in embed.fields]
    parts += _displayed(message.components)
    return "\n".join(part for part in parts if part)[:LONGEST_TEXT]


def _displayed(components: Sequence[Any]) -> Iterator[str]:
    """Texts of a layout's components, nested ones included."""
    for component in components:
        if isinstance(component, discord.TextDisplay):
            yield component.content
        yield from _displayed(getattr(component, "children", ()))


async def register(bot: commands.AutoShardedBot, services: Services) -> None:
    """Add the menu to *bot*."""
    await bot.add_cog(Named(services, bot.tree))
