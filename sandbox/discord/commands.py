"""Application commands: registering them as Discord does, and who may use them where."""

from __future__ import annotations

import re
from typing import Any

from sandbox.discord.errors import ApiError, ClientRefusal, invalid_field
from sandbox.discord.events import Bus
from sandbox.discord.models import Channel
from sandbox.discord.permissions import Perm
from sandbox.discord.state import World

Json = dict[str, Any]

CHAT_INPUT, USER_MENU, MESSAGE_MENU = 1, 2, 3
SUBCOMMAND, SUBCOMMAND_GROUP = 1, 2
#: Commands per type and scope, and characters per command.
MAX_COMMANDS = {CHAT_INPUT: 100, USER_MENU: 15, MESSAGE_MENU: 15}
MAX_CHARACTERS = 8000
_NAME = re.compile(r"^[-_'\w]{1,32}$")
_GUILD, _BOT_DM = 0, 1
_OPTIONAL = (
    "choices", "options", "min_value", "max_value", "min_length", "max_length", "channel_types",
)  # fmt: skip


class Commands:
    """The commands the bot registered, globally and per guild."""

    def __init__(self, world: World, bus: Bus) -> None:
        self._world = world
        self._bus = bus

    def scope(self, guild_id: int | None) -> dict[int, Json]:
        """Registered commands by id: global ones, or one guild's.

        Raises:
            ApiError: 50001 when the bot is not in that guild.
        """
        if guild_id is None:
            return self._world.global_commands
        if not self._world.in_guild(guild_id, self._world.bot.id):
            raise ApiError(50001)
        return self._world.guild_commands.setdefault(guild_id, {})

    def overwrite(self, guild_id: int | None, wanted: list[Json]) -> list[Json]:
        """Replace all commands of a scope; those of a known name keep their id."""
        scope = self.scope(guild_id)
        ids = {(c["type"], c["name"]): int(c["id"]) for c in scope.values()}
        made: dict[int, Json] = {}
        seen: set[tuple[int, str]] = set()
        for index, body in enumerate(wanted):
            key = (body.get("type") or CHAT_INPUT, body["name"])
            if key in seen:
                message = "Application command names must be unique"
                code = "APPLICATION_COMMANDS_DUPLICATE_NAME"
                raise invalid_field([index, "name"], code, message)
            seen.add(key)
            command = self._command(guild_id, body, ids.get(key), path=[index])
            made[int(command["id"])] = command
        for kind, most in MAX_COMMANDS.items():
            if sum(1 for c in made.values() if c["type"] == kind) > most:
                raise ApiError(30032)
        scope.clear()
        scope.update(made)
        self._bus.publish("COMMANDS_CHANGED", {"guild_id": str(guild_id) if guild_id else None})
        return list(made.values())

    def upsert(self, guild_id: int | None, body: Json) -> tuple[Json, bool]:
        """Create one command or replace the one of that name; whether it is new."""
        scope = self.scope(guild_id)
        kind = body.get("type") or CHAT_INPUT
        same = [c for c in scope.values() if (c["type"], c["name"]) == (kind, body["name"])]
        if not same and sum(1 for c in scope.values() if c["type"] == kind) >= MAX_COMMANDS[kind]:
            raise ApiError(30032)
        command = self._command(guild_id, body, int(same[0]["id"]) if same else None, path=[])
        scope[int(command["id"])] = command
        self._bus.publish("COMMANDS_CHANGED", {"guild_id": str(guild_id) if guild_id else None})
        return command, not same

    def edit(self, guild_id: int | None, command_id: int, body: Json) -> Json:
        """Change some fields of a command."""
        scope = self.scope(guild_id)
        if command_id not in scope:
            raise ApiError(10063)
        command = self._command(guild_id, scope[command_id] | body, command_id, path=[])
        scope[command_id] = command
        self._bus.publish("COMMANDS_CHANGED", {"guild_id": str(guild_id) if guild_id else None})
        return command

    def delete(self, guild_id: int | None, command_id: int) -> None:
        """Remove a command."""
        if self.scope(guild_id).pop(command_id, None) is None:
            raise ApiError(10063)
        self._bus.publish("COMMANDS_CHANGED", {"guild_id": str(guild_id) if guild_id else None})

    def _command(self, guild_id: int | None, body: Json, number: int | None, *, path: list[str | int]) -> Json:
        """A checked command object; 50035 for what the schema alone does not catch."""
        kind = body.get("type") or CHAT_INPUT
        if kind == CHAT_INPUT:
            _check_names(body, path)
            if not body.get("description"):
                message = "This field is required"
                raise invalid_field([*path, "description"], "BASE_TYPE_REQUIRED", message)
        elif body.get("description"):
            message = "Context menu commands cannot have description"
            code = "APPLICATION_COMMAND_CONTEXT_MENU_DESCRIPTION_CANNOT_EXIST"
            raise invalid_field([*path, "description"], code, message)
        if _characters(body) > MAX_CHARACTERS:
            message = f"Command exceeds maximum size ({MAX_CHARACTERS})"
            raise invalid_field(path, "APPLICATION_COMMAND_TOO_LARGE", message)
        permissions = body.get("default_member_permissions")
        command: Json = {
            "id": str(number or self._world.next_id()),
            "application_id": str(self._world.bot.id),
            "version": str(self._world.next_id()),
            "default_member_permissions": None if permissions is None else str(permissions),
            "type": kind,
            "name": body["name"],
            "name_localizations": body.get("name_localizations"),
            "description": body.get("description") or "",
            "description_localizations": body.get("description_localizations"),
            "dm_permission": body.get("dm_permission") is not False,
            "contexts": body.get("contexts"),
            "integration_types": body.get("integration_types") or [0],
            "nsfw": bool(body.get("nsfw")),
        }
        if kind == CHAT_INPUT:
            command["options"] = [_option(o) for o in body.get("options") or []]
        if guild_id is not None:
            command["guild_id"] = str(guild_id)
        return command

    # -- the user's side ------------------------------------------------------------------

    def available(self, user_id: int, channel: Channel) -> list[Json]:
        """The commands that a client offers the user in this channel; guild ones first."""
        every: list[Json] = []
        if channel.guild_id is not None:
            every += self._world.guild_commands.get(channel.guild_id, {}).values()
        every += self._world.global_commands.values()
        return [command for command in every if self._usable(command, user_id, channel)]

    def _usable(self, command: Json, user_id: int, channel: Channel) -> bool:
        world = self._world
        installs = command["integration_types"]
        contexts = command["contexts"]
        by_user = 1 in installs and world.users[user_id].installed
        if channel.guild_id is None:
            in_context = command["dm_permission"] if contexts is None else _BOT_DM in contexts
            return in_context and (0 in installs or by_user) and "guild_id" not in command
        by_guild = 0 in installs and world.in_guild(channel.guild_id, world.bot.id)
        if not (by_guild or by_user) or (contexts is not None and _GUILD not in contexts):
            return False
        bits = world.permissions(user_id, channel)
        needed = command["default_member_permissions"]
        if needed is not None and not bits & Perm.ADMINISTRATOR:
            wanted = int(needed)
            if wanted == 0 or bits & wanted != wanted:
                return False
        return bool(bits & Perm.USE_APPLICATION_COMMANDS)

    def find(self, user_id: int, channel: Channel, name: str, kind: int) -> Json:
        """The command of that name that the user may use here; else ClientRefusal."""
        for command in self.available(user_id, channel):
            if command["name"] == name and command["type"] == kind:
                return command
        raise ClientRefusal(f"There is no command {name!r} here.")


def _option(body: Json) -> Json:
    option: Json = {"type": body["type"], "name": body["name"], "description": body["description"]}
    option["name_localizations"] = body.get("name_localizations")
    option["description_localizations"] = body.get("description_localizations")
    if body["type"] not in (SUBCOMMAND, SUBCOMMAND_GROUP):
        option["required"] = bool(body.get("required"))
        if body.get("autocomplete"):
            option["autocomplete"] = True
    for key in _OPTIONAL:
        if body.get(key) is not None:
            option[key] = body[key]
    if "options" in option:
        option["options"] = [_option(o) for o in option["options"]]
    return option


def _check_names(body: Json, path: list[str | int]) -> None:
    if not _NAME.match(body["name"]) or body["name"] != body["name"].lower():
        message = "Command name is invalid"
        raise invalid_field([*path, "name"], "APPLICATION_COMMAND_INVALID_NAME", message)
    options = body.get("options") or []
    names: set[str] = set()
    optional_seen = False
    subcommands = [o["type"] in (SUBCOMMAND, SUBCOMMAND_GROUP) for o in options]
    if any(subcommands) and not all(subcommands):
        message = "Sub-command and sub-command group option types are mutually exclusive"
        code = "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID"
        raise invalid_field([*path, "options"], code, message)
    for index, option in enumerate(options):
        where = [*path, "options", index]
        if option["name"] in names:
            message = "Option name already exists"
            code = "APPLICATION_COMMAND_OPTIONS_NAME_ALREADY_EXISTS"
            raise invalid_field([*where, "name"], code, message)
        names.add(option["name"])
        if option.get("required") and optional_seen:
            message = "Required options must be placed before non-required options"
            code = "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID"
            raise invalid_field(where, code, message)
        optional_seen |= not option.get("required")
        if option.get("autocomplete") and option.get("choices"):
            message = "Options with autocomplete cannot have choices"
            code = "APPLICATION_COMMAND_OPTIONS_AUTOCOMPLETE_INVALID"
            raise invalid_field(where, code, message)
        _check_names(option, where)


def _characters(node: Json) -> int:
    """Characters that count to the limit: name, description and values, longest localization."""
    total = 0
    for key in ("name", "description"):
        texts = [node.get(key) or "", *(node.get(f"{key}_localizations") or {}).values()]
        total += max(map(len, texts))
    if isinstance(node.get("value"), str):
        total += len(node["value"])
    children = (node.get("options") or []) + (node.get("choices") or [])
    return total + sum(map(_characters, children))
