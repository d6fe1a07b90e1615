"""What the bot may do in a channel, from what the gateway told about roles and overwrites."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import discord

from gpuscout.accounts.servers import ServerSettings

NEEDED: Final = ("view_channel", "send_messages", "embed_links", "attach_files")
"""Flags that a card with a picture needs, in the order in which an admin grants them."""


def missing_in(channel: discord.abc.GuildChannel, roles: Sequence[int] = ()) -> list[str]:
    """Names of the permission flags that the bot lacks in *channel*; all of them when it cannot see itself there.

    Args:
        roles: roles that a post would ping: those that not everybody may ping need a permission too.
    """
    me = cast("discord.Member | None", channel.guild.me)  # None for a server that is not there yet
    if me is None:
        return list(NEEDED)
    rights = channel.permissions_for(me)
    lacking = [flag for flag in NEEDED if not getattr(rights, flag)]
    found = [channel.guild.get_role(role) for role in roles]
    closed = any(role is not None and not role.mentionable for role in found)
    if closed and not rights.mention_everyone:
        lacking.append("mention_everyone")
    return lacking


def channel_of(guild: discord.Guild, channel_id: int) -> discord.abc.GuildChannel | None:
    """The channel, or None when it is gone."""
    return guild.get_channel(channel_id)


def survey(guild: discord.Guild, settings: ServerSettings) -> tuple[dict[int, list[str]], frozenset[int]]:
    """What the bot lacks in each channel that the settings name, and which of these are gone."""
    chosen = dict.fromkeys(settings.public_channels)
    feed = settings.feed
    if feed.mode != "off" and feed.channel_id is not None:
        chosen.setdefault(feed.channel_id)
    missing, gone = {}, set()
    for channel_id in chosen:
        channel = channel_of(guild, channel_id)
        if channel is None:
            gone.add(channel_id)
            continue
        pinged = settings.roles if feed.ping and channel_id == feed.channel_id else ()
        missing[channel_id] = missing_in(channel, pinged)
    return missing, frozenset(gone)
