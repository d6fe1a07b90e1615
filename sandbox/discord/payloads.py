"""The interaction objects that the bot receives."""

from __future__ import annotations

from typing import Any

from sandbox.discord import wire
from sandbox.discord.commands import SUBCOMMAND, SUBCOMMAND_GROUP
from sandbox.discord.compose import MAX_FILE_BYTES
from sandbox.discord.models import DM, Channel
from sandbox.discord.permissions import Perm
from sandbox.discord.state import World

Json = dict[str, Any]

APPLICATION_COMMAND, MESSAGE_COMPONENT, AUTOCOMPLETE, MODAL_SUBMIT = 2, 3, 4, 5
GUILD_CONTEXT, BOT_DM_CONTEXT = 0, 1


def owners(world: World, user_id: int, channel: Channel) -> dict[str, str]:
    """``authorizing_integration_owners``: what installation lets the user use the app here."""
    result: dict[str, str] = {}
    if channel.guild_id is None:
        result["0"] = "0"
    elif world.in_guild(channel.guild_id, world.bot.id):
        result["0"] = str(channel.guild_id)
    if world.users[user_id].installed:
        result["1"] = str(user_id)
    return result


def app_permissions(world: World, channel: Channel) -> int:
    """What the application may do here; a user install alone gives it a fixed few rights."""
    if channel.guild_id is None or world.in_guild(channel.guild_id, world.bot.id):
        return world.permissions(world.bot.id, channel)
    return int(Perm.ATTACH_FILES | Perm.EMBED_LINKS | Perm.USE_EXTERNAL_EMOJIS | Perm.MENTION_EVERYONE)


def interaction(
    world: World, *, kind: int, number: int, token: str, user_id: int, channel: Channel, data: Json
) -> Json:
    """The interaction object without its message.

    Args:
        kind: interaction type, 2 to 5.
        number: id of the interaction.
        data: the part that depends on the type.
    """
    user = world.users[user_id]
    bits = world.permissions(user_id, channel)
    shown_channel = wire.channel(world, channel, world.bot.id) | {"permissions": str(bits)}
    guild_id = channel.guild_id
    entitlements = [
        entitlement
        for entitlement in world.entitlements.values()
        if not entitlement["deleted"]
        and (str(user_id) == entitlement.get("user_id") or str(guild_id) == entitlement.get("guild_id"))
    ]
    payload: Json = {
        "id": str(number),
        "application_id": str(world.bot.id),
        "type": kind,
        "token": token,
        "version": 1,
        "data": data,
        "channel": shown_channel,
        "channel_id": str(channel.id),
        "app_permissions": str(app_permissions(world, channel)),
        "locale": user.locale,
        "entitlements": entitlements,
        "entitlement_sku_ids": [],
        "authorizing_integration_owners": owners(world, user_id, channel),
        "context": BOT_DM_CONTEXT if channel.type == DM else GUILD_CONTEXT,
        "attachment_size_limit": MAX_FILE_BYTES,
    }
    if guild_id is None:
        return payload | {"user": wire.user(user)}
    guild = world.guilds[guild_id]
    return payload | {
        "guild_id": str(guild_id),
        "guild": {"id": str(guild_id), "locale": guild.locale, "features": []},
        "guild_locale": guild.locale,
        "member": wire.member(world, guild.members[user_id], bits),
    }


def path(data: Json) -> str:
    """A command's name as Discord shows it: with its group and subcommand."""
    names = [str(data["name"])]
    options = data.get("options") or []
    while options and options[0]["type"] in (SUBCOMMAND, SUBCOMMAND_GROUP):
        names.append(str(options[0]["name"]))
        options = options[0].get("options") or []
    return " ".join(names)


def metadata(world: World, payload: Json, *, source: Json | None = None) -> Json:
    """``interaction_metadata`` of a message that answers the interaction.

    Args:
        source: metadata of the interaction that opened the modal, for a modal submit.
    """
    person = payload.get("user") or payload["member"]["user"]
    result: Json = {
        "id": payload["id"],
        "type": payload["type"],
        "user": person,
        "authorizing_integration_owners": payload["authorizing_integration_owners"],
    }
    if payload["type"] == APPLICATION_COMMAND:
        result["name"] = path(payload["data"])
        result["command_type"] = payload["data"]["type"]
        target = payload["data"].get("target_id")
        if payload["data"]["type"] == 2 and target:
            result["target_user"] = wire.user(world.users[int(target)])
        elif payload["data"]["type"] == 3 and target:
            result["target_message_id"] = target
    elif payload["type"] == MESSAGE_COMPONENT:
        result["interacted_message_id"] = payload["message"]["id"]
    elif payload["type"] == MODAL_SUBMIT and source is not None:
        result["triggering_interaction_metadata"] = source
    return result
