"""``/portfolio``: what a member's GPUs should bring, and what could be done better. For his eyes only."""

from __future__ import annotations

from datetime import date
from typing import Any

import discord
from discord import app_commands
from discord.app_commands import locale_str
from discord.ext import commands

from cogs.portfolio_errors import MachineAlone
from cogs.portfolio_files import PortfolioFiles
from cogs.portfolio_flow import PortfolioFlow
from cogs.portfolio_options import (
    SEGMENTS,
    TIERS,
    VERIFICATIONS,
    Cost,
    Day,
    Gpu,
    Mining,
    Name,
    Own,
    Percent,
    Platform,
    Price,
    Quantity,
    Region,
    Tariff,
    Watts,
)
from cogs.portfolio_values import given
from cogs.replies import Place, Reply, text_of
from cogs.slash import describe, slash
from cogs.ui.base import Interaction
from cogs.ui.portfolio_forms import AddForm, EditForm
from cogs.ui.portfolio_items import portfolio_items
from gpuscout.cards.portfolio_state import PortfolioState
from gpuscout.market.models import GLOBAL
from gpuscout.portfolio.models import HoldingDraft

OPTIONS = {
    "quantity": "How many of them; left out: one",
    "price": "What you ask, in US dollars per GPU-hour as the renter pays it; left out: the market's median",
    "platform": "Where you rent them out; left out: undecided",
    "region": "Where they stand; left out: worldwide",
    "tier": "How they are sold; left out: on-demand",
    "segment": "Datacenter or not, and GPUs in one machine",
    "verification": "Whether the platform verified the machine",
    "power": "Watts one GPU draws; left out: the board power of the model",
    "electricity": "What you pay, in US dollars per kWh; left out: as in your settings",
    "fee": "What the platform keeps, in percent; left out: as the platform says",
    "purchase_price": "What you paid for all of them together, in US dollars",
    "purchase_date": "When you bought them, for example 2025-12-31",
    "mining": "What mining brings one GPU in a day, in US dollars before electricity",
    "name": "A name for the rig, for your own eyes",
}


class Portfolio(
    commands.GroupCog, name=locale_str("portfolio"), description=locale_str("Your rigs and what they earn")
):
    """A member's holdings."""

    def __init__(self, flow: PortfolioFlow, files: PortfolioFiles) -> None:
        super().__init__()
        self.flow = flow
        self.files = files

    @slash("add", "Put a rig into your portfolio: what it should bring after fee and electricity", "rigs")
    @describe(
        gpu="The GPU model; leave everything out for a form",
        machine="A Vast.ai machine by its number: GPU, count, price and place come from the market",
        **OPTIONS,
    )
    @app_commands.choices(tier=TIERS, segment=SEGMENTS, verification=VERIFICATIONS)
    async def add(
        self,
        interaction: Interaction,
        gpu: Gpu | None = None,
        quantity: Quantity | None = None,
        price: Price | None = None,
        platform: Platform | None = None,
        region: Region | None = None,
        tier: str | None = None,
        segment: str | None = None,
        verification: str | None = None,
        power: Watts | None = None,
        electricity: Tariff | None = None,
        fee: Percent | None = None,
        purchase_price: Cost | None = None,
        purchase_date: Day | None = None,
        name: Name | None = None,
        mining: Mining | None = None,
        machine: app_commands.Range[int, 1, 1 << 52] | None = None,
    ) -> None:
        """Store a holding and show it; without options, a form."""
        said = _said(quantity, price, platform, region, tier, segment, verification)
        own = _own(power, electricity, fee, purchase_price, purchase_date, name, mining)
        reply = Reply(interaction, Place.PRIVATE)
        if machine is not None:
            if gpu is not None or said:
                raise MachineAlone
            await self.flow.add_machine(reply, machine, own)
        elif gpu is not None:
            await self.flow.add(reply, HoldingDraft(gpu=gpu, **said, **own))
        else:
            preset = HoldingDraft(gpu="", **{"platform": "vast", **said, **own})
            await interaction.response.send_modal(AddForm(self.flow, text_of(interaction), preset))

    @slash("edit", "Change a holding; without further options, in a form", "rigs")
    @describe(
        holding="One of your holdings",
        gpu="The GPU model",
        **{
            **OPTIONS,
            "quantity": "How many of them",
            "platform": "Where you rent them out",
            "region": "Where they stand",
        },
    )
    @app_commands.choices(tier=TIERS, segment=SEGMENTS, verification=VERIFICATIONS)
    async def edit(
        self,
        interaction: Interaction,
        holding: Own,
        gpu: Gpu | None = None,
        quantity: Quantity | None = None,
        price: Price | None = None,
        platform: Platform | None = None,
        region: Region | None = None,
        tier: str | None = None,
        segment: str | None = None,
        verification: str | None = None,
        power: Watts | None = None,
        electricity: Tariff | None = None,
        fee: Percent | None = None,
        purchase_price: Cost | None = None,
        purchase_date: Day | None = None,
        name: Name | None = None,
        mining: Mining | None = None,
    ) -> None:
        """Change what was given and show the holding."""
        values = {
            **given(gpu=gpu),
            **_said(quantity, price, platform, region, tier, segment, verification),
            **_own(power, electricity, fee, purchase_price, purchase_date, name, mining),
        }
        state = PortfolioState(holding.id)
        if not values:
            form = EditForm(self.flow, holding, state, text_of(interaction))
            await interaction.response.send_modal(form)
            return
        await self.flow.edit(Reply(interaction, Place.PRIVATE), state, values)

    @slash("remove", "Take a holding out of your portfolio; you can undo it for a day", "rigs")
    @describe(holding="One of your holdings")
    async def remove(self, interaction: Interaction, holding: Own) -> None:
        """Ask, then remove."""
        await self.flow.ask_remove(Reply(interaction, Place.PRIVATE), PortfolioState(holding.id))

    @slash("show", "What your rigs should bring: utilization, income, costs, payback, chart", "rigs")
    async def show(self, interaction: Interaction) -> None:
        """The whole portfolio."""
        await self.flow.show(Reply(interaction, Place.PRIVATE), PortfolioState())

    @slash("import", "Add many rigs from a CSV file; without a file you get a template", "rigs")
    @describe(file="A CSV file; nothing is stored before you confirm it")
    async def import_(self, interaction: Interaction, file: discord.Attachment | None = None) -> None:
        """Show what the file holds, or the template."""
        reply = Reply(interaction, Place.PRIVATE)
        if file is None:
            await self.files.template(reply)
        else:
            await self.files.read(reply, file)

    @slash("export", "Your rigs as a CSV file", "rigs")
    async def export(self, interaction: Interaction) -> None:
        """The holdings as a file."""
        await self.files.export(Reply(interaction, Place.PRIVATE))

    @slash("advice", "A better price, a better use, a better place for each rig, with the evidence", "rigs")
    async def advice(self, interaction: Interaction) -> None:
        """Advice for every holding."""
        await self.flow.advice(Reply(interaction, Place.PRIVATE))


def _said(
    quantity: int | None,
    price: float | None,
    platform: str | None,
    region: str | None,
    tier: str | None,
    segment: str | None,
    verification: str | None,
) -> dict[str, Any]:
    """What the market says itself of a machine."""
    return given(
        quantity=quantity,
        asked_price=price,
        platform=platform,
        region=region.lower() if region is not None and region != GLOBAL else region,
        tier=tier,
        segment=segment,
        verification=verification,
    )


def _own(
    power: float | None,
    electricity: float | None,
    fee: float | None,
    purchase_price: float | None,
    purchase_date: date | None,
    name: str | None,
    mining: float | None,
) -> dict[str, Any]:
    """What only the member knows."""
    return given(
        power_w=power,
        tariff=electricity,
        fee=None if fee is None else fee / 100,
        purchase_price=purchase_price,
        purchased_on=purchase_date,
        name=name,
        mining_usd_day=mining,
    )


async def register(bot: commands.AutoShardedBot, flow: PortfolioFlow, files: PortfolioFiles) -> None:
    """Add the cog and its controls to *bot*."""
    bot.add_dynamic_items(*portfolio_items(flow, files))
    await bot.add_cog(Portfolio(flow, files))
