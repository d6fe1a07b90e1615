"""Options of what members and servers choose: time zones, currencies, followed GPUs. Completed from memory."""

from __future__ import annotations

from typing import Any

import discord
from discord import app_commands

from cogs.account_errors import UnknownCurrency, UnknownZone
from cogs.options import CHOICES, find_gpu
from cogs.replies import text_of
from cogs.usage import seam
from config.currencies import Currencies
from gpuscout.accounts import timezones

Interaction = discord.Interaction[Any]


class ZoneOption(app_commands.Transformer):
    """A time zone in plain words; the value is its IANA name."""

    async def transform(self, interaction: Interaction, value: str, /) -> str:
        await timezones.warm()
        found = timezones.find_zone(value)
        if found is None:
            raise UnknownZone(value)
        return found

    async def autocomplete(self, interaction: Interaction, value: Any, /) -> list[Any]:
        await timezones.warm()
        now = seam(interaction.client).services.clock()
        language = text_of(interaction).locale
        return [
            app_commands.Choice(name=timezones.label(zone.id, now, language)[:100], value=zone.id)
            for zone in timezones.search(str(value), CHOICES)
        ]


class CurrencyOption(app_commands.Transformer):
    """A currency that the operator has given a rate for; the value is its code."""

    async def transform(self, interaction: Interaction, value: str, /) -> str:
        known = seam(interaction.client).services.members.currencies
        code = value.strip().upper()
        if code not in known.codes:
            raise UnknownCurrency(value, known.codes)
        return code

    async def autocomplete(self, interaction: Interaction, value: Any, /) -> list[Any]:
        known = seam(interaction.client).services.members.currencies
        language = text_of(interaction).locale
        typed = str(value).strip().casefold()
        named = [(f"{code} · {Currencies.name(code, language)}", code) for code in known.codes]
        return [app_commands.Choice(name=name[:100], value=code) for name, code in named if typed in name.casefold()][
            :CHOICES
        ]


class FollowedOption(app_commands.Transformer):
    """A GPU of the member's own watchlist."""

    async def transform(self, interaction: Interaction, value: str, /) -> str:
        services = seam(interaction.client).services
        text = value.strip()
        if text in await services.members.watchlist(interaction.user.id):
            return text  # also a model that nobody lists any more
        return await find_gpu(services, value)

    async def autocomplete(self, interaction: Interaction, value: Any, /) -> list[Any]:
        services = seam(interaction.client).services
        names = {slug: name for slug, name, _ in await services.market.known_gpus()}
        typed = str(value).strip().casefold()
        found = []
        for slug in await services.members.watchlist(interaction.user.id):
            model = services.gpus.get(slug)
            name = model.label if model else names.get(slug, slug)
            if typed in name.casefold() or typed in slug:
                found.append(app_commands.Choice(name=name[:100], value=slug))
        return found[:CHOICES]
