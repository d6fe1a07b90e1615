"""Options of the portfolio commands: the member's own holdings, and fixed choices."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

import discord
from discord import app_commands
from discord.app_commands import locale_str

from cogs.options import CHOICES, GpuOption, PlatformOption, RegionOption
from cogs.portfolio_errors import NoSuchHolding
from cogs.portfolio_values import read_day
from cogs.replies import text_of
from cogs.services import Services
from cogs.usage import seam
from gpuscout.cards.portfolio_text import short_title
from gpuscout.market.models import Tier, Verification
from gpuscout.portfolio.checks import NAME_LENGTH, QUANTITY, RANGES
from gpuscout.portfolio.models import Holding, HoldingDraft

Interaction = discord.Interaction[Any]
_LONGEST: Final = 100

TIERS: Final = [
    app_commands.Choice(name=locale_str(name), value=tier.value)
    for name, tier in (
        ("on-demand", Tier.ON_DEMAND),
        ("spot", Tier.SPOT),
        ("community cloud", Tier.COMMUNITY),
        ("secure cloud", Tier.SECURE),
        ("reserved", Tier.RESERVED),
    )
]
SEGMENTS: Final = [
    app_commands.Choice(name=locale_str(name), value=value)
    for name, value in (
        ("All machines", "any"),
        ("Not datacenter, 1-3 GPUs", "non-dc:1-3"),
        ("Not datacenter, 4-7 GPUs", "non-dc:4-7"),
        ("Not datacenter, 8+ GPUs", "non-dc:8+"),
        ("Datacenter, 1-3 GPUs", "dc:1-3"),
        ("Datacenter, 4-7 GPUs", "dc:4-7"),
        ("Datacenter, 8+ GPUs", "dc:8+"),
    )
]
VERIFICATIONS: Final = [
    app_commands.Choice(name=locale_str(name), value=verification.value)
    for name, verification in (
        ("All machines", Verification.ANY),
        ("Verified machines", Verification.VERIFIED),
        ("Unverified machines", Verification.UNVERIFIED),
    )
]


def gpu_label(services: Services, slug: str) -> str:
    """A model by its name in the catalogue; its slug where there is none."""
    return services.gpus.label_of(slug)


def holding_label(services: Services, holding: HoldingDraft, interaction: Interaction) -> str:
    """E.g. ``Rig 1: 8 × RTX 4090 · Vast.ai · $0.35/h``."""
    t = text_of(interaction)
    parts = [short_title(holding, gpu_label(services, holding.gpu), t)]
    if holding.platform is not None:
        parts.append(services.platform_name(holding.platform))
    if holding.asked_price is not None:
        parts.append(t.money(holding.asked_price, per="h"))
    label = " · ".join(parts)
    return label if len(label) <= _LONGEST else label[: _LONGEST - 1] + "…"


class HoldingOption(app_commands.Transformer):
    """One of the member's own holdings; the value is its id."""

    async def transform(self, interaction: Interaction, value: str, /) -> Holding:
        """The holding with this id, or the only one with this name.

        Raises:
            NoSuchHolding: the member has none; another member's counts as none.
        """
        services = seam(interaction.client).services
        text = value.strip()
        holdings = await services.portfolios.list(interaction.user.id)
        for holding in holdings:
            if holding.id == text:
                return holding
        named = [
            holding
            for holding in holdings
            if text.casefold()
            in ((holding.name or "").casefold(), holding_label(services, holding, interaction).casefold())
        ]
        if text and len(named) == 1:
            return named[0]
        raise NoSuchHolding(text)

    async def autocomplete(self, interaction: Interaction, value: Any, /) -> list[Any]:
        services = seam(interaction.client).services
        typed = str(value).strip().casefold()
        found = []
        for holding in await services.portfolios.list(interaction.user.id):
            label = holding_label(services, holding, interaction)
            if typed in label.casefold():
                found.append(app_commands.Choice(name=label, value=holding.id))
        return found[:CHOICES]


class DayOption(app_commands.Transformer):
    """A day such as 2025-12-31."""

    async def transform(self, interaction: Interaction, value: str, /) -> date:
        """The day.

        Raises:
            BadHolding: it is none.
        """
        return read_day("purchased_on", value) or date.min


Gpu = app_commands.Transform[str, GpuOption]
Platform = app_commands.Transform[str, PlatformOption]
Region = app_commands.Transform[str, RegionOption]
Own = app_commands.Transform[Holding, HoldingOption]
Day = app_commands.Transform[date, DayOption]
Quantity = app_commands.Range[int, QUANTITY[0], QUANTITY[1]]
Price = app_commands.Range[float, RANGES["asked_price"][0], RANGES["asked_price"][1]]
Watts = app_commands.Range[float, RANGES["power_w"][0], RANGES["power_w"][1]]
Tariff = app_commands.Range[float, RANGES["tariff"][0], RANGES["tariff"][1]]
Percent = app_commands.Range[float, RANGES["fee"][0] * 100, RANGES["fee"][1] * 100]
Cost = app_commands.Range[float, RANGES["purchase_price"][0], RANGES["purchase_price"][1]]
Mining = app_commands.Range[float, RANGES["mining_usd_day"][0], RANGES["mining_usd_day"][1]]
Name = app_commands.Range[str, 1, NAME_LENGTH]
