"""Forms of a portfolio: a new rig, changes to one, a file, a tariff by the hour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import discord
from discord import ui

from cogs import portfolio_values as read
from cogs.options import find_gpu
from cogs.portfolio_files import PortfolioFiles
from cogs.portfolio_flow import PortfolioFlow
from cogs.replies import Place, Reply
from cogs.ui.base import Interaction, ScoutModal
from cogs.usage import record_interaction
from config.i18n import Text
from config.platforms import Platform
from gpuscout.cards.portfolio_state import PortfolioState
from gpuscout.portfolio.models import Holding, HoldingDraft
from gpuscout.portfolio.tariffs import TariffPlan

_SECONDS: Final = 900.0
_UNDECIDED: Final = "undecided"
_NAME: Final = 60


class _Form(ScoutModal):
    """A form with labelled fields."""

    usage_name = "portfolio form"

    def __init__(self, title: str) -> None:
        super().__init__(title=title[:45], timeout=_SECONDS)

    def field(
        self,
        name: str,
        label: str,
        about: str | None,
        value: str = "",
        *,
        longest: int = 40,
        required: bool = False,
        long: bool = False,
    ) -> ui.TextInput[Any]:
        """Add a text field."""
        box: ui.TextInput[Any] = ui.TextInput(
            custom_id=name,
            style=discord.TextStyle.paragraph if long else discord.TextStyle.short,
            default=value or None,
            max_length=longest,
            required=required,
        )
        self.add_item(ui.Label(text=label[:45], description=about[:100] if about else None, component=box))
        return box


def place_of(interaction: Interaction) -> Place:
    """Where a form's answer goes: into the private card that opened it, else a private message of its own."""
    message = interaction.message
    return Place.IN_PLACE if message is not None and message.flags.ephemeral else Place.PRIVATE


class AddForm(_Form):
    """A new rig.

    Args:
        preset: what is known already, such as the series of a price card.
        gpu: name of the preset's model.
    """

    def __init__(self, flow: PortfolioFlow, t: Text, preset: HoldingDraft | None = None, gpu: str = "") -> None:
        super().__init__(t("Add a rig"))
        self._flow = flow
        self._preset = preset or HoldingDraft(gpu="", platform="vast")
        self.gpu = self.field("gpu", t("GPU"), t("For example RTX 4090"), gpu, longest=80, required=True)
        self.quantity = self.field(
            "quantity", t("How many"), None, str(self._preset.quantity), longest=8, required=True
        )
        self.price = self.field(
            "price",
            t("Price you ask, $ per GPU-hour"),
            t("As the renter pays it. Empty: the market's median"),
            read.number_text(self._preset.asked_price),
        )
        self.platform: ui.Select[Any] = ui.Select(
            custom_id="platform", options=_platforms(flow.services.platforms.platforms, self._preset.platform, t)
        )
        self.add_item(ui.Label(text=t("Platform")[:45], component=self.platform))
        self.tariff = self.field(
            "electricity",
            t("Electricity, $ per kWh"),
            t("Empty: as in your settings, else an assumption"),
            read.number_text(self._preset.tariff),
        )

    async def on_submit(self, interaction: Interaction, /) -> None:
        """Check, store, and show the holding."""
        gpu = await find_gpu(self._flow.services, self.gpu.value)
        chosen = self.platform.values[0] if self.platform.values else self._preset.platform
        draft = replace(
            self._preset,
            gpu=gpu,
            quantity=read.read_whole("quantity", self.quantity.value),
            asked_price=read.read_number("asked_price", self.price.value),
            platform=None if chosen == _UNDECIDED else chosen,
            tariff=read.read_number("tariff", self.tariff.value),
        )
        await self._flow.add(Reply(interaction, place_of(interaction)), draft)
        record_interaction(interaction, "portfolio add form", "component", "ok")


def _platforms(known: Sequence[Platform], chosen: str | None, t: Text) -> list[discord.SelectOption]:
    """Platforms with hosts of their own, those that take new ones first; at most 25."""
    hosted = [p for p in known if p.who_may_host != "no" or p.slug == chosen]
    ranked = sorted(hosted, key=lambda p: (p.slug != chosen, not p.takes_new_hosts, not p.host_sets_price))[:24]
    options = [discord.SelectOption(label=p.name[:100], value=p.slug, default=p.slug == chosen) for p in ranked]
    undecided = discord.SelectOption(
        label=t("Undecided: the largest that takes hosts")[:100], value=_UNDECIDED, default=chosen is None
    )
    return [*options, undecided]


class EditForm(_Form):
    """Name, number, price, power and electricity of a holding; one with a machine keeps what the market says."""

    def __init__(self, flow: PortfolioFlow, holding: Holding, state: PortfolioState, t: Text) -> None:
        super().__init__(t("Edit a holding"))
        self._flow = flow
        self._state = state.of(holding.id)
        self.name = self.field(
            "name", t("Name of the rig"), t("For your own eyes, for example Rig 1"), holding.name or "", longest=_NAME
        )
        self.quantity: ui.TextInput[Any] | None = None
        self.price: ui.TextInput[Any] | None = None
        if holding.machine_id is None:
            self.quantity = self.field("quantity", t("How many"), None, str(holding.quantity), longest=8, required=True)
            self.price = self.field(
                "price",
                t("Price you ask, $ per GPU-hour"),
                t("As the renter pays it. Empty: the market's median"),
                read.number_text(holding.asked_price),
            )
        self.power = self.field(
            "power", t("Watts per GPU"), t("Empty: the board power of the model"), read.number_text(holding.power_w)
        )
        self.tariff = self.field(
            "electricity",
            t("Electricity, $ per kWh"),
            t("Empty: as in your settings, else an assumption"),
            read.number_text(holding.tariff),
        )

    async def on_submit(self, interaction: Interaction, /) -> None:
        """Check, store, and show the holding."""
        values: dict[str, Any] = {
            "name": self.name.value.strip() or None,
            "power_w": read.read_number("power_w", self.power.value),
            "tariff": read.read_number("tariff", self.tariff.value),
        }
        if self.quantity is not None and self.price is not None:
            values["quantity"] = read.read_whole("quantity", self.quantity.value)
            values["asked_price"] = read.read_number("asked_price", self.price.value)
        await self._flow.edit(Reply(interaction, place_of(interaction)), self._state, values)
        record_interaction(interaction, "portfolio edit form", "component", "ok")


class CostsForm(_Form):
    """Fee, purchase and mining of a holding."""

    def __init__(self, flow: PortfolioFlow, holding: Holding, state: PortfolioState, t: Text) -> None:
        super().__init__(t("Purchase and costs"))
        self._flow = flow
        self._state = state.of(holding.id)
        self.fee = self.field(
            "fee",
            t("What the platform keeps, %"),
            t("Empty: as the platform says"),
            read.number_text(None if holding.fee is None else round(holding.fee * 100, 10)),
        )
        self.cost = self.field(
            "purchase",
            t("Purchase price, $"),
            t("For all of these GPUs together"),
            read.total_text(holding.purchase_price),
        )
        self.day = self.field(
            "date",
            t("Day of purchase"),
            t("For example 2025-12-31"),
            holding.purchased_on.isoformat() if holding.purchased_on else "",
        )
        self.mining = self.field(
            "mining", t("Mining, $ a day per GPU"), t("Before electricity"), read.number_text(holding.mining_usd_day)
        )

    async def on_submit(self, interaction: Interaction, /) -> None:
        """Check, store, and show the holding."""
        values = {
            "fee": read.read_percent("fee", self.fee.value),
            "purchase_price": read.read_total("purchase_price", self.cost.value),
            "purchased_on": read.read_day("purchased_on", self.day.value),
            "mining_usd_day": read.read_number("mining_usd_day", self.mining.value),
        }
        await self._flow.edit(Reply(interaction, place_of(interaction)), self._state, values)
        record_interaction(interaction, "portfolio costs form", "component", "ok")


class UploadForm(_Form):
    """A CSV file."""

    def __init__(self, files: PortfolioFiles, t: Text) -> None:
        super().__init__(t("Import CSV"))
        self._files = files
        self.file: ui.FileUpload[Any] = ui.FileUpload(custom_id="file", min_values=1, max_values=1)
        about = t("Nothing is stored before you confirm it.")
        self.add_item(ui.Label(text=t("CSV file"), description=about[:100], component=self.file))

    async def on_submit(self, interaction: Interaction, /) -> None:
        """Show what it holds."""
        await self._files.read(Reply(interaction, Place.PRIVATE), self.file.values[0])
        record_interaction(interaction, "portfolio upload form", "component", "ok")


class TariffForm(_Form):
    """A tariff by the hour, or none."""

    def __init__(self, flow: PortfolioFlow, plan: TariffPlan | None, state: PortfolioState, zone: str, t: Text) -> None:
        super().__init__(t("Electricity by the hour"))
        self._flow = flow
        self._state = state
        self._t = t
        base, windows = read.tariff_texts(plan)
        self.base = self.field(
            "base", t("Electricity, $ per kWh"), t("Outside of the windows. Empty: one price for all hours"), base
        )
        self.windows = self.field(
            "windows",
            t("Hours with another price"),
            t("A line each: Mon-Fri 22:00-06:00 0.12. Times of {zone}", zone=zone),
            windows,
            longest=1000,
            long=True,
        )

    async def on_submit(self, interaction: Interaction, /) -> None:
        """Check, store, and show the portfolio with it."""
        plan = read.read_tariff(self.base.value, self.windows.value)
        await self._flow.services.portfolios.set_tariff_plan(interaction.user.id, plan)
        t = self._t
        note = (
            t("One electricity price counts for all hours now, that of your settings.")
            if plan is None
            else t("Saved: {price} on average over your week.", price=t.money(plan.mean, per="kWh"))
        )
        await self._flow.show(Reply(interaction, place_of(interaction)), self._state, f"✅ {note}")
        record_interaction(interaction, "portfolio tariff form", "component", "ok")
