"""The options of ``/compare``: a list that completes its last item, a figure, a range."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from discord import app_commands
from discord.app_commands import locale_str
from discord.ext import commands

from cogs.errors import NoName, UnknownName
from cogs.options import CHOICES, Interaction, RangeOption, listed_gpus, or_nothing
from cogs.selection import LONGEST, SEPARATOR, Selection, parse_selections
from cogs.services import Services
from cogs.usage import seam
from config.i18n import translator_for
from gpuscout.cards.compare_state import MAX_SERIES
from gpuscout.cards.compare_text import metric_name
from gpuscout.cards.state import DEFAULT_RANGE
from gpuscout.market.metrics import Metric
from gpuscout.market.models import ANY, GLOBAL
from gpuscout.market.ports import RANGES

_ENGLISH = translator_for("en-US")
_WIDEST: Final = 100
"""Characters of a choice."""


def find_metric(value: str) -> Metric:
    """The figure that *value* (its key, or its English name) means.

    Raises:
        UnknownName: there is none.
    """
    text = " ".join(value.split()).casefold()
    for metric in Metric:
        if text in (metric.value, metric_name(metric, _ENGLISH).casefold()):
            return metric
    raise UnknownName("metric", value, [metric_name(metric, _ENGLISH) for metric in Metric])


class MetricOption(app_commands.Transformer):
    """The figure to compare: a fixed choice, checked again."""

    @property
    def choices(self) -> list[Any]:
        return [app_commands.Choice(name=locale_str(metric_name(m, _ENGLISH)), value=m.value) for m in Metric]

    async def transform(self, interaction: Interaction, value: str, /) -> Metric:
        return find_metric(value)


class SelectionOption(app_commands.Transformer):
    """Up to six models, platforms, tiers or verifications; completion finishes the last of them.

    Discord puts a choice's name into the field, where members go on typing, so name and value are the same text.
    """

    async def transform(self, interaction: Interaction, value: str, /) -> tuple[Selection, ...]:
        return await parse_selections(seam(interaction.client).services, value)

    async def autocomplete(self, interaction: Interaction, value: Any, /) -> list[Any]:
        services = seam(interaction.client).services
        typed = str(value)[:LONGEST]
        done, last = _at_last_item(typed)
        if len(done) >= MAX_SERIES:
            texts: Iterable[str] = [", ".join(done[:MAX_SERIES])]
        else:
            endings = await _endings(services, last, done)
            texts = (text for ending in endings if (text := _joined(services, done, ending)) is not None)
        unique = list(dict.fromkeys(text for text in texts if 0 < len(text) <= _WIDEST))[:CHOICES]
        return [app_commands.Choice(name=text, value=text) for text in unique]


def _at_last_item(typed: str) -> tuple[list[str], str]:
    """The finished items, and what is typed of the last one."""
    *done, last = SEPARATOR.split(typed)
    return [item.strip() for item in done if item.strip()], last.strip()


def _joined(services: Services, done: list[str], ending: str) -> str | None:
    """The whole list with its new end; earlier models by their shortest spelling where the list gets too long."""
    text = ", ".join([*done, ending])
    if len(text) <= _WIDEST:
        return text
    text = ", ".join([*(_shortest(services, item) for item in done), ending])
    return text if len(text) <= _WIDEST else None


def _shortest(services: Services, item: str) -> str:
    """The shortest spelling of the model that an item begins with, and the words after it."""
    found, rest = services.gpus.parse_tail(item)
    if found is None or found.model is None:
        return item
    names = [found.model.name, *found.model.aliases, found.model.slug]
    fitting = [name for name in names if "," not in name and services.gpus.resolve(name).slug == found.slug]
    return " ".join([min(fitting, key=len, default=item), *rest])


async def _endings(services: Services, last: str, done: list[str]) -> list[str]:
    """What the last item may become, best first."""
    listed = await listed_gpus(services)
    counts = {slug: count for slug, _, count in listed}
    found, rest = services.gpus.parse_tail(last)
    if found is not None and found.model is not None and rest:
        begun = [found.model.name, *rest[:-1]]
        return [" ".join([*begun, word]) for word in _beginning(await _words_after(services, found.slug), rest[-1])]
    extra = [(slug, name) for slug, name, _ in listed if services.gpus.get(slug) is None]
    models = services.gpus.search(last, limit=200, extra=extra)
    if counts:
        if last:
            models.sort(key=lambda model: model.slug not in counts)
        else:
            models.sort(key=lambda model: -counts.get(model.slug, 0))
    chosen = {resolution.slug for item in done if (resolution := services.gpus.parse_tail(item)[0]) is not None}
    endings = [model.name for model in models if model.slug not in chosen][:CHOICES]
    if found is not None and found.model is not None:
        # The model is there: what may stand behind it.
        endings[1:1] = [f"{found.model.name} {word}" for word in await _words_after(services, found.slug)]
    elif done and last and (before := services.gpus.parse_tail(done[-1])[0]) is not None:
        # "RTX 4090 verified, un…": the model of the item before is meant.
        endings[:0] = _beginning(await _words_after(services, before.slug), last)
    return endings


def _beginning(words: Iterable[str], typed: str) -> list[str]:
    return [word for word in words if word.casefold().startswith(typed.casefold())]


async def _words_after(services: Services, gpu: str) -> list[str]:
    """What may stand behind a model: where, how and how checked it is listed, where there is a choice."""
    quotes = await or_nothing(services.market.quotes(gpu=gpu, region=GLOBAL, segments=True))
    choices = (
        sorted({quote.key.verification for quote in quotes} - {ANY}, reverse=True),
        sorted({services.platform_name(quote.key.platform) for quote in quotes}),
        sorted({quote.key.tier for quote in quotes}),
    )
    return [word for words in choices if len(words) > 1 for word in words]


class CompareOptions(commands.FlagConverter):
    """The options of ``/compare``; as text, the list with figure and range at its end."""

    gpus: app_commands.Transform[tuple[Selection, ...], SelectionOption] = commands.flag(
        description="Up to six with commas: RTX 4090, RTX 5090; or RTX 4090 vast, runpod; or 4090 verified, unverified"
    )
    metric: app_commands.Transform[Metric, MetricOption] = commands.flag(
        default=Metric.PRICE, description="The figure to compare; left out: the price"
    )
    range: app_commands.Transform[str, RangeOption] = commands.flag(
        default=DEFAULT_RANGE, description="Time that the chart covers; left out: 7 days"
    )

    @classmethod
    async def convert(cls, ctx: commands.Context[Any], argument: str) -> CompareOptions:
        """Read ``RTX 4090, RTX 5090 utilization 30d``.

        Raises:
            NoName, TooMany, UnknownName: as :func:`cogs.selection.parse_selections`.
        """
        options = cls.__new__(cls)
        options.metric, options.range = Metric.PRICE, DEFAULT_RANGE
        words = argument[:LONGEST].split(" ")
        while words:
            word = words[-1].strip().casefold()
            if word in RANGES:
                options.range = word
            elif word in {metric.value for metric in Metric}:
                options.metric = Metric(word)
            elif word:
                break
            words.pop()
        if not words:
            raise NoName
        options.gpus = await parse_selections(seam(ctx.bot).services, " ".join(words))
        return options
