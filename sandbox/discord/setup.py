"""Populating a sandbox: users, guilds, channels, and the bot joining and leaving."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sandbox.discord import wire
from sandbox.discord.messages import Messages
from sandbox.discord.models import Channel, Guild, Role, User
from sandbox.discord.permissions import DEFAULT_MEMBER
from sandbox.discord.sessions import GUILDS, Sessions
from sandbox.discord.state import World

Json = dict[str, Any]


class Setup:
    """Changes to the world that a test or the demo makes, announced as Discord announces them.

    Everything is found again by its natural key (user name, guild name, channel name within the
    guild), so that a demo may ask for the same things at every start.
    """

    def __init__(self, world: World, messages: Messages, sessions: Sessions) -> None:
        self._world = world
        self._messages = messages
        self._sessions = sessions

    def add_user(
        self,
        username: str,
        *,
        global_name: str | None = None,
        locale: str = "en-US",
        dms_open: bool = True,
        installed: bool = False,
        user_id: int | None = None,
    ) -> User:
        """Add a person. ``installed``: has the application as a user install."""
        return self._world.add_user(
            username,
            id=user_id or 0,
            global_name=global_name,
            locale=locale,
            dms_open=dms_open,
            installed=installed,
        )

    def add_guild(
        self,
        name: str,
        *,
        owner: int | None = None,
        members: Iterable[int] = (),
        channels: Iterable[str] = ("general",),
        bot: bool = True,
        permissions: int | str = DEFAULT_MEMBER,
        guild_id: int | None = None,
    ) -> Guild:
        """Add a guild with its members and text channels.

        Args:
            owner: user id of the owner; a user of its own is made when left out.
            bot: whether the bot is in it, with ``permissions`` by its role.
            guild_id: a chosen id, for instance to place it on a certain shard.
        """
        if owner is None:
            owner = self.add_user(f"owner of {name}").id
        guild = self._world.add_guild(name, owner, guild_id=guild_id)
        for user_id in members:
            self._world.add_member(guild, user_id)
        for channel in channels:
            self._world.add_channel(guild, channel)
        if bot and self._world.bot.id not in guild.members:
            self.add_bot(guild.id, permissions)
        return guild

    def add_member(self, guild_id: int, user_id: int, roles: list[int] | None = None) -> None:
        """Let a user join a guild."""
        self._world.add_member(self._world.guilds[guild_id], user_id, roles)

    def add_role(self, guild_id: int, name: str, *, permissions: int | str = 0, mentionable: bool = False) -> Role:
        """Add a role, or change the one of that name, and announce it."""
        guild = self._world.guilds[guild_id]
        known = len(guild.roles)
        role = self._world.add_role(guild, name, int(permissions), mentionable=mentionable)
        event = "GUILD_ROLE_CREATE" if len(guild.roles) > known else "GUILD_ROLE_UPDATE"
        data: Json = {"guild_id": str(guild.id), "role": wire.role(role)}
        self._sessions.dispatch(event, data, guild_id=guild.id, intent=GUILDS)
        return role

    def add_channel(
        self,
        guild_id: int,
        name: str,
        *,
        topic: str | None = None,
        overwrites: list[Json] | None = None,
        channel_id: int | None = None,
    ) -> Channel:
        """Add a text channel and announce it.

        Args:
            overwrites: ``[{"id", "type": 0 role | 1 member, "allow", "deny"}]``, bits as strings.
        """
        known = len(self._world.channels)
        channel = self._world.add_channel(
            self._world.guilds[guild_id],
            name,
            id=channel_id or 0,
            topic=topic,
            overwrites=overwrites or [],
        )
        if len(self._world.channels) > known:
            self._messages.announce_guild_channel(channel)
        return channel

    def set_overwrites(self, channel_id: int, overwrites: list[Json]) -> None:
        """Replace a channel's permission overwrites and announce the change."""
        channel = self._world.channels[channel_id]
        channel.overwrites = overwrites
        data = wire.channel(self._world, channel)
        self._sessions.dispatch("CHANNEL_UPDATE", data, guild_id=channel.guild_id, intent=GUILDS)

    def add_bot(self, guild_id: int, permissions: int | str = DEFAULT_MEMBER) -> None:
        """Install the bot to a guild with these permission bits."""
        guild, bot = self._world.guilds[guild_id], self._world.bot
        was_in = bot.id in guild.members
        role = self._world.add_role(guild, bot.username, int(permissions), managed=True)
        self._world.add_member(guild, bot.id, [role.id])
        if was_in:
            data: Json = {"guild_id": str(guild.id), "role": wire.role(role)}
            self._sessions.dispatch("GUILD_ROLE_UPDATE", data, guild_id=guild.id, intent=GUILDS)
        else:
            data = wire.guild_create(self._world, guild)
            self._sessions.dispatch("GUILD_CREATE", data, guild_id=guild.id, intent=GUILDS)

    def remove_bot(self, guild_id: int) -> None:
        """Remove the bot from a guild."""
        guild = self._world.guilds[guild_id]
        if guild.members.pop(self._world.bot.id, None) is not None:
            data = {"id": str(guild.id)}
            self._sessions.dispatch("GUILD_DELETE", data, guild_id=guild.id, intent=GUILDS)
