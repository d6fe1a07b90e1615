"""The world a sandbox Discord holds, its clock, and its ids."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sandbox.discord.models import DM, TEXT, Channel, Guild, Member, Message, Role, StoredFile, User
from sandbox.discord.permissions import DEFAULT_MEMBER, Perm, member_permissions

Json = dict[str, Any]

DISCORD_EPOCH_MS = 1_420_070_400_000
#: Messages kept per channel; older ones are forgotten.
MAX_MESSAGES = 500


class World:
    """Everything the sandbox knows, and the two clocks it reads.

    Args:
        bot_name: user name of the bot; its user id is also the application id.
    """

    def __init__(self, bot_name: str) -> None:
        self.clock_skew_s = 0.0
        self.last_id = 0
        #: Grows with every change, so that saving knows whether there is something new.
        self.revision = 0
        self.users: dict[int, User] = {}
        self.guilds: dict[int, Guild] = {}
        self.channels: dict[int, Channel] = {}
        self.messages: dict[int, OrderedDict[int, Message]] = {}
        self.global_commands: dict[int, Json] = {}
        self.guild_commands: dict[int, dict[int, Json]] = {}
        self.entitlements: dict[int, Json] = {}
        self.skus: dict[int, Json] = {}
        self.emojis: dict[int, Json] = {}
        self.loose_files: OrderedDict[str, StoredFile] = OrderedDict()
        self.bot = User(self.next_id(), bot_name, bot=True)
        self.users[self.bot.id] = self.bot

    # -- time and ids ---------------------------------------------------------------------

    def now(self) -> float:
        """Discord's wall clock in epoch seconds: ours plus the configured skew."""
        return time.time() + self.clock_skew_s

    def timestamp(self) -> str:
        """Discord's present time in ISO 8601, UTC."""
        return datetime.fromtimestamp(self.now(), UTC).isoformat(timespec="microseconds")

    def next_id(self, age_ms: int = 0) -> int:
        """A fresh snowflake. ``age_ms`` dates it back by so many milliseconds."""
        self.revision += 1
        made = (int(self.now() * 1000) - DISCORD_EPOCH_MS - age_ms) << 22
        if age_ms or made < self.last_id - (1 << 32):
            # Dated back (or the clock was set back): keep the low bits unique instead of monotonic.
            self.last_id += 1
            return made | (self.last_id & 0x3FFFFF)
        self.last_id = max(made, self.last_id + 1)
        return self.last_id

    def skip_ids(self, last_id: int) -> None:
        """Never give out ids up to ``last_id`` (again)."""
        self.last_id = max(self.last_id, last_id)

    # -- look-ups -------------------------------------------------------------------------

    def in_guild(self, guild_id: int, user_id: int) -> bool:
        """Whether the user is a member of the guild."""
        guild = self.guilds.get(guild_id)
        return guild is not None and user_id in guild.members

    def permissions(self, user_id: int, channel: Channel) -> int:
        """The user's permission bits in the channel; 0 for a guild that he is not in."""
        if channel.guild_id is None:
            return int(Perm.DM) if user_id in channel.recipients else 0
        guild = self.guilds[channel.guild_id]
        member = guild.members.get(user_id)
        if member is None:
            return 0
        roles = {rid: role.permissions for rid, role in guild.roles.items()}
        return member_permissions(
            guild_id=guild.id,
            owner=guild.owner_id == user_id,
            user_id=user_id,
            role_ids=member.roles,
            role_permissions=roles,
            overwrites=channel.overwrites,
        )

    def can_see(self, user_id: int, channel: Channel) -> bool:
        """Whether the user sees the channel."""
        return bool(self.permissions(user_id, channel) & Perm.VIEW_CHANNEL)

    def bucket(self, channel_id: int) -> OrderedDict[int, Message]:
        """The messages of a channel by id, oldest first."""
        return self.messages.get(channel_id) or OrderedDict()

    def message(self, message_id: int, channel_id: int | None = None) -> Message | None:
        """A stored message by id, in one channel or in any."""
        if channel_id is not None:
            return self.bucket(channel_id).get(message_id)
        for bucket in self.messages.values():
            if found := bucket.get(message_id):
                return found
        return None

    def mutual_guilds(self, user_id: int) -> Iterator[Guild]:
        """Guilds that hold both the user and the bot."""
        for guild in self.guilds.values():
            if user_id in guild.members and self.bot.id in guild.members:
                yield guild

    def dm_channel(self, user_id: int) -> Channel | None:
        """The DM between the user and the bot, if it was ever opened."""
        for channel in self.channels.values():
            if channel.type == DM and user_id in channel.recipients:
                return channel
        return None

    # -- changes --------------------------------------------------------------------------

    def store(self, message: Message) -> None:
        """Keep a message; the oldest of its channel beyond :data:`MAX_MESSAGES` is forgotten."""
        bucket = self.messages.setdefault(message.channel_id, OrderedDict())
        bucket[message.id] = message
        while len(bucket) > MAX_MESSAGES:
            bucket.popitem(last=False)
        if message.visible_to is None:
            self.channels[message.channel_id].last_message_id = message.id

    def add_user(self, username: str, **fields: Any) -> User:
        """Add a user; one with that user name already there is returned as it is."""
        for user in self.users.values():
            if user.username == username and not user.bot:
                return user
        user = User(id=int(fields.pop("id", 0)) or self.next_id(), username=username, **fields)
        self.users[user.id] = user
        return user

    def add_guild(self, name: str, owner_id: int, *, guild_id: int | None = None) -> Guild:
        """Add a guild with its @everyone role and owner; one of that name (and id) is returned."""
        for guild in self.guilds.values():
            if guild.name == name and guild_id in (None, guild.id):
                return guild
        guild = Guild(guild_id or self.next_id(), name, owner_id)
        guild.roles[guild.id] = Role(guild.id, "@everyone", int(DEFAULT_MEMBER))
        self.guilds[guild.id] = guild
        self.add_member(guild, owner_id)
        return guild

    def add_member(self, guild: Guild, user_id: int, roles: list[int] | None = None) -> Member:
        """Make the user a member (again: his roles are replaced when given)."""
        member = guild.members.setdefault(
            user_id, Member(user_id, [], datetime.fromtimestamp(self.now(), UTC).isoformat())
        )
        if roles is not None:
            member.roles = roles
        return member

    def add_role(
        self, guild: Guild, name: str, permissions: int, *, managed: bool = False, mentionable: bool = False
    ) -> Role:
        """Add a role; one of that name is returned with its permissions replaced."""
        for role in guild.roles.values():
            if role.name == name and role.managed == managed:
                role.permissions, role.mentionable = permissions, mentionable
                return role
        role = Role(self.next_id(), name, permissions, managed, len(guild.roles), mentionable)
        guild.roles[role.id] = role
        return role

    def add_channel(self, guild: Guild, name: str, **fields: Any) -> Channel:
        """Add a text channel to the guild; one of that name is returned as it is."""
        for channel_id in guild.channel_ids:
            if self.channels[channel_id].name == name:
                return self.channels[channel_id]
        channel = Channel(
            id=int(fields.pop("id", 0)) or self.next_id(),
            type=TEXT,
            name=name,
            guild_id=guild.id,
            position=len(guild.channel_ids),
            **fields,
        )
        self.channels[channel.id] = channel
        guild.channel_ids.append(channel.id)
        return channel

    def open_dm(self, user_id: int) -> tuple[Channel, bool]:
        """The DM between the user and the bot, and whether it is new."""
        channel = self.dm_channel(user_id)
        if channel is not None:
            return channel, False
        channel = Channel(self.next_id(), DM, recipients=[user_id, self.bot.id])
        self.channels[channel.id] = channel
        return channel, True
