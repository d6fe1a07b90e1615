"""``/roi``: after how many months a purchase is paid."""

from __future__ import annotations

from discord.ext import commands

from cogs.portfolio_flow import PortfolioFlow
from cogs.portfolio_options import Cost, Gpu, Percent, Platform, Price, Quantity, Tariff, Watts
from cogs.replies import Place, Reply
from cogs.roi_flow import RoiFlow
from cogs.slash import describe, slash
from cogs.ui.base import Interaction
from cogs.ui.roi_items import roi_items
from gpuscout.portfolio.models import RoiQuestion


class Roi(commands.Cog):
    """Payback of a purchase."""

    def __init__(self, flow: RoiFlow) -> None:
        self.flow = flow

    @slash("roi", "After how many months a GPU is paid, with a range and all that is assumed", "rigs")
    @describe(
        gpu="The GPU model",
        price="What you pay for it, in US dollars; for all of them together if it is several",
        quantity="How many; left out: one",
        power="Watts one GPU draws; left out: the board power of the model",
        electricity="What you pay, in US dollars per kWh; left out: as in your settings",
        platform="Where you would rent it out; left out: the largest that takes hosts",
        ask="What you would ask, in US dollars per GPU-hour; left out: the market's median",
        fee="What the platform keeps, in percent; left out: as the platform says",
    )
    async def roi(
        self,
        interaction: Interaction,
        gpu: Gpu,
        price: Cost,
        quantity: Quantity | None = None,
        power: Watts | None = None,
        electricity: Tariff | None = None,
        platform: Platform | None = None,
        ask: Price | None = None,
        fee: Percent | None = None,
    ) -> None:
        """Answer with a card for whoever asked alone: it rests on his own tariff."""
        question = RoiQuestion(
            gpu=gpu,
            cost=price,
            quantity=quantity or 1,
            platform=platform,
            price=ask,
            power_w=power,
            tariff=electricity,
            fee=None if fee is None else fee / 100,
        )
        await self.flow.ask(Reply(interaction, Place.PRIVATE), question)


async def register(bot: commands.AutoShardedBot, flow: PortfolioFlow) -> None:
    """Add the cog and its buttons to *bot*."""
    roi = RoiFlow(flow)
    bot.add_dynamic_items(*roi_items(roi, flow))
    await bot.add_cog(Roi(roi))
