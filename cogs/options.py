"""Command options: autocompleted from memory, and checked again when they arrive.

A choice's value is a slug, but Discord lets members send free text instead, so every transformer resolves and
validates what it gets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, Final, TypeVar

import discord
import structlog
from discord import app_commands
from discord.ext import commands

from cogs.errors import NoName, UnknownName
from cogs.preferences import preferences_of
from cogs.replies import text_of
from cogs.services import Services
from cogs.usage import seam
from config.catalogue import GpuModel
from config.countries import find_country
from config.i18n import Text, translator_for
from gpuscout.cards.price_text import region_name
from gpuscout.cards.state import DEFAULT_RANGE
from gpuscout.market.models import GLOBAL
from gpuscout.market.ports import RANGES

T = TypeVar("T")

log = structlog.get_logger(__name__)

CHOICES: Final = 25
SUGGESTIONS: Final = 3
_PATIENCE: Final = 1.0
_LONGEST: Final = 100
Choice = app_commands.Choice[str]
Interaction = discord.Interaction[Any]


async def listed_gpus(services: Services) -> list[tuple[str, str, int]]:
    """(slug, name, GPUs listed) of models with quotes, largest first; empty when the market cannot tell in time."""
    return await or_nothing(services.market.known_gpus())


async def or_nothing(work: Awaitable[Sequence[T]]) -> list[T]:
    """What the market knows, or nothing: completion goes on from the catalogues, which are in memory."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return list(await work)
    except Exception:
        log.warning("autocomplete_without_market", exc_info=True)
        return []


async def find_gpu(services: Services, value: str) -> str:
    """The slug that *value* (a slug, a spelling, or an unknown model's name) means.

    Raises:
        UnknownName: with the nearest spellings.
    """
    text = value.strip()[:_LONGEST]
    if not text:
        raise NoName
    if model := services.gpus.get(text.lower()):
        return model.slug
    found = services.gpus.resolve(text)
    if found.known:
        return found.slug
    for slug, name, _ in await listed_gpus(services):
        if slug == found.slug or slug == text.lower() or name.casefold() == text.casefold():
            return slug
    nearest = services.gpus.suggest(text, SUGGESTIONS)
    raise UnknownName("gpu", text, [model.name for model in nearest])


def find_platform(services: Services, value: str) -> str:
    """The platform's slug.

    Raises:
        UnknownName: with the nearest spellings.
    """
    text = value.strip()[:_LONGEST]
    platform = services.platforms.get(text.lower()) or services.platforms.resolve(text)
    if platform is None:
        raise UnknownName("platform", text, [p.name for p in services.platforms.suggest(text, SUGGESTIONS)])
    return platform.slug


async def find_region(services: Services, value: str, t: Text | None = None) -> str:
    """The region as the market names it; a country is found by its code and by its name, in English and as *t* says it.

    Raises:
        UnknownName: with the regions that there are.
    """
    text = value.strip()[:_LONGEST]
    regions = list(await services.market.regions())
    country = find_country(text, *([t.locale] if t else []))
    for region in (GLOBAL, *regions):
        if region.casefold() in (text.casefold(), country):
            return region
    shown = t or translator_for(None)
    raise UnknownName("region", text, [region_name(region, shown) for region in regions[:SUGGESTIONS]])


def find_range(value: str) -> str:
    """The range's name.

    Raises:
        UnknownName: it is not offered.
    """
    text = value.strip().lower()
    if text not in RANGES:
        raise UnknownName("range", value, list(RANGES))
    return text


def _gpu_label(model: GpuModel, listed: int | None, t: Text) -> str:
    parts = [model.label]
    if model.vram_gb is not None and not model.unstated:
        parts.append(f"{model.vram_gb} GB")
    if listed:
        parts.append(t("{count} listed", count=t.number(listed)))
    return " · ".join(parts)[:_LONGEST]


class GpuOption(app_commands.Transformer):
    """A GPU model; the value is its slug."""

    async def transform(self, interaction: Interaction, value: str, /) -> str:
        return await find_gpu(seam(interaction.client).services, value)

    async def autocomplete(self, interaction: Interaction, value: Any, /) -> list[Any]:
        services = seam(interaction.client).services
        t = text_of(interaction)
        listed = await listed_gpus(services)
        counts = {slug: count for slug, _, count in listed}
        typed = str(value)
        extra = [(slug, name) for slug, name, _ in listed if services.gpus.get(slug) is None]
        variants = [model for slug in counts if (model := services.gpus.get(slug)) is not None]
        found = services.gpus.search(typed, limit=500, extra=[*variants, *extra])
        if counts:  # what has prices first, the largest first while nothing is typed
            if typed.strip():
                found.sort(key=lambda model: model.slug not in counts)
            else:  # the server's own model before all
                first = preferences_of(interaction).server.gpu
                found.sort(key=lambda model: (model.slug != first, -counts.get(model.slug, 0)))
        return [
            app_commands.Choice(name=_gpu_label(model, counts.get(model.slug), t), value=model.slug[:_LONGEST])
            for model in found[:CHOICES]
        ]


class PlatformOption(app_commands.Transformer):
    """A platform; the value is its slug."""

    async def transform(self, interaction: Interaction, value: str, /) -> str:
        return find_platform(seam(interaction.client).services, value)

    async def autocomplete(self, interaction: Interaction, value: Any, /) -> list[Any]:
        services = seam(interaction.client).services
        with_quotes = set(await or_nothing(services.market.platforms()))
        found = services.platforms.search(str(value), limit=100)
        if with_quotes:
            found = [platform for platform in found if platform.slug in with_quotes] or found
        return [app_commands.Choice(name=p.name, value=p.slug) for p in found[:CHOICES]]


class RegionOption(app_commands.Transformer):
    """A region that has quotes; a country is offered by its name, the largest market first."""

    async def transform(self, interaction: Interaction, value: str, /) -> str:
        return await find_region(seam(interaction.client).services, value, text_of(interaction))

    async def autocomplete(self, interaction: Interaction, value: Any, /) -> list[Any]:
        t = text_of(interaction)
        typed = str(value).strip().casefold()
        known = await or_nothing(seam(interaction.client).services.market.regions())
        regions = [GLOBAL, *(region for region in known if region != GLOBAL)]
        named = [(region_name(region, t), region) for region in regions]
        return [
            app_commands.Choice(name=name[:_LONGEST], value=region[:_LONGEST])
            for name, region in named
            if typed in name.casefold() or typed in region.casefold()
        ][:CHOICES]


class RangeOption(app_commands.Transformer):
    """The time a chart covers: a fixed choice, checked again."""

    @property
    def choices(self) -> list[Any]:
        return [app_commands.Choice(name=name, value=name) for name in RANGES]

    async def transform(self, interaction: Interaction, value: str, /) -> str:
        return find_range(value)


class PriceOptions(commands.FlagConverter):
    """The options of ``/price``; as text, the words after "price" in any order that makes sense."""

    gpu: app_commands.Transform[str, GpuOption] = commands.flag(description="The GPU model, for example RTX 4090")
    platform: app_commands.Transform[str, PlatformOption] | None = commands.flag(
        default=None, description="Where it is rented out; left out: where most are listed"
    )
    region: app_commands.Transform[str, RegionOption] | None = commands.flag(
        default=None, description="Left out: worldwide"
    )
    range: app_commands.Transform[str, RangeOption] = commands.flag(
        default=DEFAULT_RANGE, description="Time that the chart covers; left out: 7 days"
    )

    @classmethod
    async def convert(cls, ctx: commands.Context[Any], argument: str) -> PriceOptions:
        """Read ``RTX 4090 vast 30d``: the longest GPU name first, then platform, region and range.

        Raises:
            NoName: nothing was said.
            UnknownName: a word means nothing here.
        """
        services = seam(ctx.bot).services
        words = argument.split()[:20]
        found, rest = services.gpus.parse_tail(" ".join(words))
        options = cls.__new__(cls)
        options.platform, options.region, options.range = None, None, DEFAULT_RANGE
        if found is not None:
            options.gpu = found.slug
        else:
            options.gpu, rest = await cls._unlisted_gpu(services, words)
        index = 0
        while index < len(rest):
            index += await options._take(services, rest[index:])
        return options

    @staticmethod
    async def _unlisted_gpu(services: Services, words: list[str]) -> tuple[str, list[str]]:
        """A model that the catalogue does not know but the market lists."""
        if not words:
            raise NoName
        names = {name.casefold(): slug for slug, name, _ in await listed_gpus(services)}
        for end in range(len(words), 0, -1):
            if slug := names.get(" ".join(words[:end]).casefold()):
                return slug, words[end:]
        return await find_gpu(services, " ".join(words)), []

    async def _take(self, services: Services, words: list[str]) -> int:
        """Use the first word or words; returns how many."""
        if words[0].lower() in RANGES:
            self.range = words[0].lower()
            return 1
        for end in (2, 1):
            if len(words) >= end and (platform := services.platforms.resolve(" ".join(words[:end]))):
                self.platform = platform.slug
                return end
        self.region, taken = await self._region(services, words)
        return taken

    @staticmethod
    async def _region(services: Services, words: list[str]) -> tuple[str, int]:
        """The region that the words begin with, and how many words name it."""
        for end in range(len(words), 0, -1):
            try:
                return await find_region(services, " ".join(words[:end])), end
            except UnknownName:
                continue
        text = " ".join(words)
        suggestions = [p.name for p in services.platforms.suggest(text, SUGGESTIONS)]
        raise UnknownName("platform", text, suggestions)
