"""Discord's JSON shapes of users, members, roles, channels and guilds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.discord.models import DM, Channel, Guild, Member, Role, User
from sandbox.discord.state import World

Json = dict[str, Any]
CDN = "/cdn/"
_URL_KEYS = {"url", "proxy_url", "icon_url", "proxy_icon_url"}


def user(subject: User) -> Json:
    """A user object."""
    return {
        "id": str(subject.id),
        "username": subject.username,
        "global_name": subject.global_name,
        "discriminator": "0000" if subject.bot else "0",
        "avatar": None,
        "avatar_decoration_data": None,
        "banner": None,
        "accent_color": None,
        "public_flags": 0,
        "flags": 0,
        "bot": subject.bot,
        "system": False,
        "primary_guild": None,
        "clan": None,
    }


def role(subject: Role) -> Json:
    """A role object."""
    return {
        "id": str(subject.id),
        "name": subject.name,
        "description": None,
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "icon": None,
        "unicode_emoji": None,
        "position": subject.position,
        "permissions": str(subject.permissions),
        "managed": subject.managed,
        "mentionable": subject.mentionable,
        "flags": 0,
    }


def member(world: World, subject: Member, permissions: int | None = None) -> Json:
    """A guild member object; ``permissions`` are added for interactions."""
    data: Json = {
        "user": user(world.users[subject.user_id]),
        "nick": None,
        "avatar": None,
        "banner": None,
        "roles": [str(rid) for rid in subject.roles],
        "joined_at": subject.joined_at,
        "premium_since": None,
        "deaf": False,
        "mute": False,
        "pending": False,
        "communication_disabled_until": None,
        "flags": 0,
    }
    if permissions is not None:
        data["permissions"] = str(permissions)
    return data


def channel(world: World, subject: Channel, viewer_id: int | None = None) -> Json:
    """A channel object. A DM lists the recipients other than ``viewer_id``."""
    last = str(subject.last_message_id) if subject.last_message_id else None
    data: Json = {"id": str(subject.id), "type": subject.type, "last_message_id": last, "flags": 0}
    if subject.type == DM:
        others = [world.users[uid] for uid in subject.recipients if uid != viewer_id]
        data["recipients"] = [user(other) for other in others]
        return data
    return data | {
        "guild_id": str(subject.guild_id),
        "name": subject.name,
        "topic": subject.topic,
        "position": subject.position,
        "parent_id": None,
        "nsfw": False,
        "rate_limit_per_user": 0,
        "permission_overwrites": subject.overwrites,
    }


def guild(world: World, subject: Guild) -> Json:
    """A guild object without its channels and members."""
    return {
        "id": str(subject.id),
        "name": subject.name,
        "icon": None,
        "splash": None,
        "discovery_splash": None,
        "banner": None,
        "description": None,
        "owner_id": str(subject.owner_id),
        "region": "us-east",
        "afk_channel_id": None,
        "afk_timeout": 300,
        "system_channel_id": str(subject.channel_ids[0]) if subject.channel_ids else None,
        "system_channel_flags": 0,
        "rules_channel_id": None,
        "public_updates_channel_id": None,
        "safety_alerts_channel_id": None,
        "widget_enabled": False,
        "widget_channel_id": None,
        "verification_level": 0,
        "default_message_notifications": 1,
        "explicit_content_filter": 0,
        "mfa_level": 0,
        "nsfw_level": 0,
        "nsfw": False,
        "premium_tier": 0,
        "premium_subscription_count": 0,
        "premium_progress_bar_enabled": False,
        "preferred_locale": subject.locale,
        "vanity_url_code": None,
        "max_members": 500_000,
        "max_presences": None,
        "application_id": None,
        "features": [],
        "roles": [role(r) for r in subject.roles.values()],
        "emojis": [],
        "stickers": [],
    }


def guild_create(world: World, subject: Guild) -> Json:
    """The body of GUILD_CREATE: the guild with its channels and, of its members, the bot."""
    bot_member = subject.members[world.bot.id]
    channels = [channel(world, world.channels[cid]) for cid in subject.channel_ids]
    for data in channels:
        del data["guild_id"]  # Discord leaves it out inside GUILD_CREATE
    return guild(world, subject) | {
        "joined_at": bot_member.joined_at,
        "large": False,
        "member_count": len(subject.members),
        "members": [member(world, bot_member)],
        "channels": channels,
        "threads": [],
        "voice_states": [],
        "presences": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "soundboard_sounds": [],
    }


def with_origin(data: Any, origin: str) -> Any:
    """``data`` (copied) with every stored CDN path made a whole URL."""
    return _map_urls(data, lambda url: origin + url if url.startswith(CDN) else url)


def without_origin(data: Any, origin: str) -> Any:
    """The reverse of :func:`with_origin`, for what the bot sends back to us."""
    start = origin + CDN
    return _map_urls(data, lambda url: url[len(origin) :] if url.startswith(start) else url)


def _map_urls(data: Any, change: Callable[[str], str]) -> Any:
    if isinstance(data, dict):
        return {
            key: change(value) if key in _URL_KEYS and isinstance(value, str) else _map_urls(value, change)
            for key, value in data.items()
        }
    return [_map_urls(item, change) for item in data] if isinstance(data, list) else data
