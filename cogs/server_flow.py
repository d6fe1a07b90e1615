"""What the controls of ``/server`` do: change one setting, answer with the panel as it is now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import discord
from discord import app_commands

from cogs.replies import PATIENT, Reply, text_of
from cogs.server_rights import survey
from cogs.services import Services
from config.i18n import Text
from gpuscout.accounts import timezones
from gpuscout.accounts.feed_memory import read_memory
from gpuscout.accounts.feed_times import next_daily
from gpuscout.accounts.servers import ServerSettings
from gpuscout.cards.kit import Card
from gpuscout.cards.server_card import ServerFacts
from storage.servers import feed_state_key

Interaction = discord.Interaction[Any]
Panel = Callable[[ServerSettings, ServerFacts, Text], Card]


def require_admin(interaction: Interaction) -> discord.Guild:
    """The server, for a member who may manage it. Discord hides the commands from others; this is what holds.

    Raises:
        app_commands.NoPrivateMessage, app_commands.MissingPermissions: not a server, or not an admin.
    """
    guild = interaction.guild
    if guild is None:
        raise app_commands.NoPrivateMessage
    if not interaction.permissions.manage_guild:
        raise app_commands.MissingPermissions(["manage_guild"])
    return guild


class ServerFlow:
    """Reads and changes the settings of the server that an interaction came from."""

    def __init__(self, services: Services) -> None:
        self.services = services

    async def show(self, reply: Reply, panel: Panel) -> None:
        """The panel as things are."""
        guild = require_admin(reply.interaction)
        settings = await reply.within(PATIENT, self.services.servers.read(guild.id))
        await self._send(reply, guild, settings, panel)

    async def change(
        self, reply: Reply, edit: Callable[[ServerSettings], ServerSettings], panel: Panel
    ) -> ServerSettings:
        """Change something, then the panel. Whatever is changed, the server's language is noted for the feed."""
        guild = require_admin(reply.interaction)
        locale = guild.preferred_locale.value

        def with_locale(settings: ServerSettings) -> ServerSettings:
            return edit(settings).changed(locale=locale)

        settings = await reply.within(PATIENT, self.services.servers.change(guild.id, with_locale))
        await self._send(reply, guild, settings, panel)
        return settings

    async def change_feed(self, reply: Reply, values: dict[str, Any], panel: Panel) -> ServerSettings:
        """Change the feed. A new channel or mode counts from now on, and ends a pause."""
        fresh = {"since": self.services.clock(), "paused": None} if values.keys() & {"channel_id", "mode"} else {}
        return await self.change(reply, lambda settings: settings.with_feed(**values, **fresh), panel)

    async def _send(self, reply: Reply, guild: discord.Guild, settings: ServerSettings, panel: Panel) -> None:
        t = text_of(reply.interaction)
        await reply.send(view=panel(settings, await self.facts(guild, settings, t), t))

    async def facts(self, guild: discord.Guild, settings: ServerSettings, t: Text) -> ServerFacts:
        """What the panels show besides the settings."""
        services = self.services
        await timezones.warm()
        memory = read_memory(await services.state.get(feed_state_key(guild.id)))
        last = await services.servers.newest_post(guild.id)
        missing, gone = survey(guild, settings)
        now = services.clock()
        running = settings.feed.running
        return ServerFacts(
            zone=timezones.label(settings.timezone, now, t.locale),
            gpu_name=await self.gpu_name(settings.gpu),
            platform_name=services.platform_name(settings.platform) if settings.platform else None,
            missing=missing,
            gone=gone,
            next_daily=next_daily(settings, now) if running and settings.feed.daily else None,
            last_post=last.claimed_at if last else None,
            silent_since=memory.silent_since if running else None,
        )

    async def gpu_name(self, slug: str | None) -> str | None:
        """The name of a model; its slug when neither catalogue nor market know it."""
        if slug is None:
            return None
        if model := self.services.gpus.get(slug):
            return model.label
        names = {known: name for known, name, _ in await self.services.market.known_gpus()}
        return names.get(slug, slug)
