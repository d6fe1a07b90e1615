"""``/webhook``: where a member's events are sent, as JSON for a program or as embeds for a Discord channel."""

from __future__ import annotations

from typing import Any, Final

from discord import app_commands
from discord.app_commands import locale_str
from discord.ext import commands

from cogs.options import CHOICES, GpuOption, PlatformOption
from cogs.replies import text_of
from cogs.server_flow import require_admin
from cogs.services import Services
from cogs.slash import describe, slash
from cogs.ui.base import Interaction
from cogs.ui.webhook_items import AddressForm, webhook_items
from cogs.usage import seam
from cogs.webhook_flow import MEMBER_EVENTS, SERVER_EVENTS, WebhookFlow, owners_of, private
from gpuscout.cards.webhook_card import event_names
from storage.events import EVENTS

ALL: Final = "all"


class WebhookOption(app_commands.Transformer):
    """One of the webhooks that the member may change here; the value is its id. Whose it is, the query says."""

    async def transform(self, interaction: Interaction, value: str, /) -> str:
        text = value.strip()
        for endpoint in await seam(interaction.client).services.webhooks.of(owners_of(interaction)):
            if text in (endpoint.id, endpoint.shown):
                return endpoint.id
        return text[:64]

    async def autocomplete(self, interaction: Interaction, value: Any, /) -> list[Any]:
        typed = str(value).strip().casefold()
        words = event_names(text_of(interaction))
        found = []
        for endpoint in await seam(interaction.client).services.webhooks.of(owners_of(interaction)):
            sent = ", ".join(words.get(event, event) for event in endpoint.events)
            name = f"{endpoint.shown} · {sent}"
            if typed in name.casefold() or typed == endpoint.id:
                found.append(app_commands.Choice(name=name[:100], value=endpoint.id))
        return found[:CHOICES]


class Webhook(
    commands.GroupCog,
    name=locale_str("webhook"),
    description=locale_str("Your alerts and market updates, sent to your own program or a channel"),
):
    """A member's webhooks, and those of the server whose admin he is."""

    def __init__(self, flow: WebhookFlow) -> None:
        super().__init__()
        self.flow = flow

    @slash("add", "Send your alerts and more to your own program, or to a Discord channel", "alerts")
    @describe(
        url="Left out: a form asks for it, which keeps it out of what you typed",
        events="What is sent there; left out: everything of yours, or market updates if you name a GPU",
        gpu="Market updates: only this model",
        platform="Market updates: only this platform",
        server="For this server instead of you (its admins only)",
    )
    @app_commands.choices(
        events=[
            app_commands.Choice(name=locale_str("Everything"), value=ALL),
            app_commands.Choice(name=locale_str("Alerts"), value="alert.triggered"),
            app_commands.Choice(name=locale_str("Portfolio summaries"), value="portfolio.summary"),
            app_commands.Choice(name=locale_str("Changes of your plan"), value="subscription.updated"),
            app_commands.Choice(name=locale_str("Market updates"), value="market.updated"),
        ]
    )
    async def add(
        self,
        interaction: Interaction,
        url: app_commands.Range[str, 1, 1000] | None = None,
        events: str | None = None,
        gpu: app_commands.Transform[str, GpuOption] | None = None,
        platform: app_commands.Transform[str, PlatformOption] | None = None,
        server: bool = False,
    ) -> None:
        """Store the address, or ask for it."""
        guild = require_admin(interaction) if server else None
        offered = SERVER_EVENTS if server else EVENTS
        if events is not None:
            chosen = tuple(offered) if events == ALL else (events,)
        elif gpu is not None or platform is not None:
            chosen = ("market.updated",)
        else:
            chosen = ("alert.triggered",) if server else MEMBER_EVENTS
        chosen = tuple(event for event in chosen if event in offered) or (offered[0],)
        if url is None:
            t = text_of(interaction)
            form = AddressForm(self.flow, chosen, offered, t, gpu=gpu, platform=platform, guild=guild)
            await interaction.response.send_modal(form)
            return
        await self.flow.add(private(interaction), url, chosen, gpu=gpu, platform=platform, guild=guild)

    @slash("list", "Your webhooks: where they go, what they send, how they are doing", "alerts")
    async def list(self, interaction: Interaction) -> None:
        """Show all."""
        await self.flow.show_list(private(interaction))

    @slash("test", "Send a marked sample to a webhook, the way real events go", "alerts")
    @describe(webhook="One of your webhooks")
    async def test(self, interaction: Interaction, webhook: app_commands.Transform[str, WebhookOption]) -> None:
        """Send one and say what came of it."""
        await self.flow.test(private(interaction), webhook)

    @slash("rotate", "Draw a new signing secret; the present one stays valid for 24 hours", "alerts")
    @describe(webhook="One of your webhooks")
    async def rotate(self, interaction: Interaction, webhook: app_commands.Transform[str, WebhookOption]) -> None:
        """Show the new secret once."""
        await self.flow.rotate(private(interaction), webhook)

    @slash("remove", "Stop sending to a webhook, and erase its secret and its log", "alerts")
    @describe(webhook="One of your webhooks")
    async def remove(self, interaction: Interaction, webhook: app_commands.Transform[str, WebhookOption]) -> None:
        """Ask first."""
        await self.flow.ask_remove(private(interaction), webhook)

    @slash("deliveries", "What was sent to a webhook, what it answered, and sending it again", "alerts")
    @describe(webhook="One of your webhooks")
    async def deliveries(self, interaction: Interaction, webhook: app_commands.Transform[str, WebhookOption]) -> None:
        """Show the log."""
        await self.flow.show_log(private(interaction), webhook)


async def register(bot: commands.AutoShardedBot, services: Services) -> None:
    """Add the cog and its controls to *bot*."""
    flow = WebhookFlow(services)
    bot.add_dynamic_items(*webhook_items(flow))
    await bot.add_cog(Webhook(flow))
