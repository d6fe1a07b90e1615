"""``/server``: what admins choose for their server. Every answer is for them alone."""

from __future__ import annotations

from typing import Any

import discord
import structlog
from discord import app_commands
from discord.app_commands import locale_str
from discord.ext import commands

from cogs.account_options import ZoneOption
from cogs.alert_build import Asked
from cogs.alert_kinds import KindChoice
from cogs.alert_options import SEVERITIES, EndOption, KindOption, LevelOption, WindowOption
from cogs.alert_panel import AlertPanel
from cogs.digest_server import ServerDigestFlow, server_digest_items
from cogs.options import GpuOption, PlatformOption, RegionOption
from cogs.replies import Place, Reply, text_of
from cogs.server_alerts import server_alerts
from cogs.server_flow import Panel, ServerFlow, require_admin
from cogs.services import Services
from cogs.slash import describe, slash
from cogs.ui.base import Interaction
from cogs.ui.server_items import roles_panel, server_items
from cogs.usage import seam
from config.i18n import Text
from gpuscout.accounts.servers import ServerSettings
from gpuscout.cards import server_card as cards
from gpuscout.cards.kit import Card

log = structlog.get_logger(__name__)

SUBCOMMANDS = ("channels", "feed", "digest", "alerts", "defaults", "timezone", "roles")


@app_commands.guild_only()
@app_commands.allowed_contexts(guilds=True, dms=False, private_channels=False)
@app_commands.allowed_installs(guilds=True, users=False)
@app_commands.default_permissions(manage_guild=True)
class Server(
    commands.GroupCog, name=locale_str("server"), description=locale_str("For admins: this server's settings")
):
    """Settings of a server, and what becomes of them when the bot is removed."""

    def __init__(
        self, bot: commands.AutoShardedBot, flow: ServerFlow, digests: ServerDigestFlow, panel: AlertPanel
    ) -> None:
        super().__init__()
        self.bot = bot
        self.flow = flow
        self.digests = digests
        self.panel = panel

    async def interaction_check(self, interaction: Interaction, /) -> bool:
        """Only admins, whatever the command's permissions in Discord's settings say."""
        require_admin(interaction)
        return True

    @slash("show", "What is set for this server, how its feed does, and which permissions I lack", "server")
    async def show(self, interaction: Interaction) -> None:
        """Everything at a glance."""
        mention = seam(interaction.client).mention
        mentions = {name: mention(f"server {name}") for name in SUBCOMMANDS}
        await self._panel(interaction, lambda settings, facts, t: cards.server_card(settings, facts, mentions, t))

    @slash("channels", "Where I may answer in public; elsewhere only who asks sees the answer", "server")
    async def channels(self, interaction: Interaction) -> None:
        """The panel of public channels."""
        await self._panel(interaction, lambda settings, facts, t: cards.channels_card(settings, facts, None, t))

    @slash("feed", "Market feed into a channel: daily, on big moves, and a test post", "server")
    async def feed(self, interaction: Interaction) -> None:
        """The panel of the feed."""
        await self._panel(interaction, lambda settings, facts, t: cards.feed_card(settings, facts, None, t))

    @slash("digest", "The week of the GPU market and this server's alerts, into a channel", "server")
    async def digest(self, interaction: Interaction) -> None:
        """The panel of the server's digest."""
        await self.digests.show(interaction)

    @slash("roles", "Roles that the feed and alerts may ping", "server")
    async def roles(self, interaction: Interaction) -> None:
        """The panel of alert roles."""
        await self._panel(interaction, lambda settings, facts, t: roles_panel(settings, facts, None, t))

    @slash("defaults", "GPU and platform where an option is left out", "server")
    @describe(gpu="Offered first in this server, and drawn in its feed", platform="Where prices are looked up first")
    async def defaults(
        self,
        interaction: Interaction,
        gpu: app_commands.Transform[str, GpuOption] | None = None,
        platform: app_commands.Transform[str, PlatformOption] | None = None,
    ) -> None:
        """Set what was given, then show both."""
        values = {name: value for name, value in (("gpu", gpu), ("platform", platform)) if value is not None}
        command = seam(interaction.client).mention("server defaults")

        def panel(settings: ServerSettings, facts: cards.ServerFacts, t: Text) -> Card:
            return cards.defaults_card(facts, command, "✅ " + t("Saved.") if values else None, t)

        if values:
            reply = Reply(interaction, Place.PRIVATE)
            await self.flow.change(reply, lambda settings: settings.changed(**values), panel)
        else:
            await self._panel(interaction, panel)

    @slash("timezone", "Time zone of this server: for the hour of its feed and its charts", "server")
    @describe(zone="A city or a name, such as Berlin or Eastern Time")
    async def timezone(self, interaction: Interaction, zone: app_commands.Transform[str, ZoneOption]) -> None:
        """Set the zone. A daily post whose hour that puts into the past is not made up for."""
        now = self.flow.services.clock()
        t = text_of(interaction)
        await self.flow.change(
            Reply(interaction, Place.PRIVATE),
            lambda settings: settings.changed(timezone=zone).with_feed(since=now),
            lambda settings, facts, words: cards.feed_card(settings, facts, "✅ " + t("Saved."), words),
        )

    @slash("alerts", "Alerts into a channel of this server; without options the list of those there are", "server")
    @describe(
        when="What must happen; left out: the list",
        gpu="The GPU model, for example RTX 4090",
        level="Like 0.25, 25c, -10%, 80%, 50",
        window="Time that is looked at: 1h, 24h, 7d; for lows and highs days",
        platform="Left out: where most are listed",
        region="Left out: worldwide",
        channel="Where it is told; left out: here",
        role="Whom it mentions: one of the roles of /server roles",
        severity="Sets the colour",
        polls="Readings in a row that must show it; left out: 2 for per cent, else 1",
        expires="When it ends: 30d, 3 months, 2026-12-24; left out: never",
    )
    @app_commands.choices(severity=SEVERITIES)
    async def alerts(
        self,
        interaction: Interaction,
        when: app_commands.Transform[KindChoice, KindOption] | None = None,
        gpu: app_commands.Transform[str, GpuOption] | None = None,
        level: app_commands.Transform[str, LevelOption] | None = None,
        window: app_commands.Transform[str, WindowOption] | None = None,
        platform: app_commands.Transform[str, PlatformOption] | None = None,
        region: app_commands.Transform[str, RegionOption] | None = None,
        channel: discord.TextChannel | None = None,
        role: discord.Role | None = None,
        severity: str | None = None,
        polls: app_commands.Range[int, 1, 96] | None = None,
        expires: app_commands.Transform[str, EndOption] | None = None,
    ) -> None:
        """Propose one, or show the list."""
        asked = None
        if when is not None:
            asked = Asked(
                when,
                gpu=gpu,
                level=level,
                window=window,
                platform=platform,
                region=region,
                severity=severity or "info",
                polls=polls,
                expires=expires,
            )
        await server_alerts(self.panel, Reply(interaction, Place.PRIVATE), asked, channel, role)

    async def _panel(self, interaction: Interaction, panel: Panel) -> None:
        await self.flow.show(Reply(interaction, Place.PRIVATE), panel)

    # --- coming and going ---

    @commands.Cog.listener()
    async def on_guild_join(self, guild: discord.Guild) -> None:
        """Keep what was set before the bot was removed, if that is not erased yet."""
        if await self.flow.services.servers.back(guild.id):
            log.info("server_settings_kept", guild=guild.id)

    @commands.Cog.listener()
    async def on_guild_remove(self, guild: discord.Guild) -> None:
        """Begin the thirty days."""
        await self.flow.services.servers.left(guild.id)

    @commands.Cog.listener()
    async def on_ready(self) -> None:
        """Make up for servers that came or went while the bot was away."""
        shards: Any = self.bot.shards
        count = self.bot.shard_count or 1
        try:
            await self.flow.services.servers.reconcile(
                {guild.id for guild in self.bot.guilds}, lambda guild_id: (guild_id >> 22) % count in shards
            )
        except Exception:
            # The next connection tries again; nothing is erased before thirty days.
            log.exception("servers_not_reconciled")


async def register(bot: commands.AutoShardedBot, services: Services, panel: AlertPanel) -> None:
    """Add the cog and its controls to *bot*."""
    flow = ServerFlow(services)
    digests = ServerDigestFlow(services)
    bot.add_dynamic_items(*server_items(flow), *server_digest_items(digests))
    await bot.add_cog(Server(bot, flow, digests, panel))
