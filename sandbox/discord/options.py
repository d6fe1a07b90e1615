"""Slash command options as a Discord client takes them: typed, checked, resolved."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from sandbox.discord import wire
from sandbox.discord.commands import SUBCOMMAND, SUBCOMMAND_GROUP
from sandbox.discord.compose import Upload
from sandbox.discord.errors import ApiError, ClientRefusal
from sandbox.discord.messages import Messages
from sandbox.discord.models import Channel
from sandbox.discord.state import World

Json = dict[str, Any]

STRING, INTEGER, BOOLEAN, USER, CHANNEL, ROLE, MENTIONABLE, NUMBER, ATTACHMENT = range(3, 12)
#: Integers beyond this lose precision in a client, which therefore refuses them.
MAX_INTEGER = 2**53


def leaf(command: Json, subcommand: str | None) -> tuple[list[Json], list[Json]]:
    """The options of the (sub)command to run, and the chain of subcommand options to it.

    Raises:
        ClientRefusal: no such subcommand, or one is needed.
    """
    here: list[Json] = command.get("options", [])
    chain: list[Json] = []
    for word in (subcommand or "").split():
        found = next((o for o in here if o["name"] == word and o["type"] <= SUBCOMMAND_GROUP), None)
        if found is None:
            raise ClientRefusal(f"There is no subcommand {subcommand!r} of /{command['name']}.")
        chain.append(found)
        here = found.get("options", [])
    if any(o["type"] in (SUBCOMMAND, SUBCOMMAND_GROUP) for o in here):
        names = ", ".join(o["name"] for o in here)
        raise ClientRefusal(f"/{command['name']} needs a subcommand: {names}.")
    return here, chain


def nest(chain: list[Json], values: list[Json]) -> list[Json]:
    """Option values wrapped in the subcommands that lead to them."""
    for option in reversed(chain):
        values = [{"name": option["name"], "type": option["type"], "options": values}]
    return values


class OptionReader:
    """Reads the values a user gave into Discord's form, and collects ``resolved`` on the way."""

    def __init__(self, world: World, messages: Messages, channel: Channel, user_id: int) -> None:
        self._world = world
        self._messages = messages
        self._channel = channel
        self._user_id = user_id
        self.resolved: Json = {}

    def read(self, options: list[Json], given: Json) -> list[Json]:
        """Checked values in the order of the command's options.

        Raises:
            ClientRefusal: a missing, unknown or invalid option.
        """
        known = {option["name"] for option in options}
        for name in given:
            if name not in known:
                raise ClientRefusal(f"There is no option {name!r}.")
        result = []
        for option in options:
            value = given.get(option["name"])
            if value is None or value == "":
                if option.get("required"):
                    raise ClientRefusal(f"Option {option['name']!r} is required.")
                continue
            result.append({"name": option["name"], "type": option["type"], "value": self._one(option, value)})
        return result

    def _one(self, option: Json, value: Any) -> Any:
        name, kind = option["name"], option["type"]
        if option.get("choices"):
            for choice in option["choices"]:
                if value == choice["value"] or str(value) in (choice["name"], str(choice["value"])):
                    return choice["value"]
            raise ClientRefusal(f"{value!r} is not a choice of option {name!r}.")
        match kind:
            case 3:
                return _string(option, value)
            case 4 | 10:
                return _number(option, value)
            case 5:
                return _boolean(name, value)
            case 11:
                return self.attachment(name, value)
        return self.entity(name, kind, value)

    def entity(self, name: str, kind: int, value: Any) -> str:
        """A user, channel, role or mentionable by id, added to ``resolved``."""
        text = str(value).strip("<@!&#>")
        number = int(text) if text.isdigit() else -1
        guild = self._world.guilds.get(self._channel.guild_id or 0)
        if kind in (USER, MENTIONABLE) and number in self._world.users:
            self._resolve("users", number, wire.user(self._world.users[number]))
            if guild is not None and number in guild.members:
                bits = self._world.permissions(number, self._channel)
                data = wire.member(self._world, guild.members[number], bits)
                del data["user"]
                self._resolve("members", number, data)
            return str(number)
        if kind in (ROLE, MENTIONABLE) and guild is not None and number in guild.roles:
            self._resolve("roles", number, wire.role(guild.roles[number]))
            return str(number)
        if kind == CHANNEL and guild is not None and number in guild.channel_ids:
            found = self._world.channels[number]
            bits = self._world.permissions(self._user_id, found)
            data = wire.channel(self._world, found) | {"permissions": str(bits)}
            self._resolve("channels", number, data)
            return str(number)
        raise ClientRefusal(f"{value!r} is not something option {name!r} takes.")

    def _resolve(self, group: str, number: int, data: Json) -> None:
        self.resolved.setdefault(group, {})[str(number)] = data

    def attachment(self, name: str, value: Any) -> str:
        """A file given as ``{"filename", "content_type", "data_base64"}``; returns its id.

        Raises:
            ClientRefusal: not such an object, not base64, or too large.
        """
        if not isinstance(value, dict) or "data_base64" not in value:
            raise ClientRefusal(f"Option {name!r} takes a file.")
        try:
            data = base64.b64decode(value["data_base64"], validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise ClientRefusal(f"The file of option {name!r} is not base64.") from None
        upload = Upload(0, str(value.get("filename") or "file"), value.get("content_type") or "", data)
        try:
            stored = self._messages.store_loose(self._channel, self._user_id, upload)
        except ApiError:
            raise ClientRefusal(f"The file of option {name!r} is too large.") from None
        shown = wire.with_origin(stored.attachment, self._messages.origin)
        self._resolve("attachments", int(stored.attachment["id"]), shown)
        return str(stored.attachment["id"])


def partial(options: list[Json], given: Json, focused: str) -> list[Json]:
    """Option values while the user types: unchecked, the focused one marked.

    Raises:
        ClientRefusal: the focused option does not exist or has no autocomplete.
    """
    result = []
    for option in options:
        name = option["name"]
        if name == focused:
            if not option.get("autocomplete"):
                raise ClientRefusal(f"Option {name!r} has no autocomplete.")
            text = "" if given.get(name) is None else str(given[name])
            result.append({"name": name, "type": option["type"], "value": text, "focused": True})
        elif given.get(name) not in (None, ""):
            value = given[name]
            if option["type"] == STRING:
                value = str(value)
            result.append({"name": name, "type": option["type"], "value": value})
    if not any(value.get("focused") for value in result):
        raise ClientRefusal(f"There is no option {focused!r}.")
    return result


def _string(option: Json, value: Any) -> str:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise ClientRefusal(f"Option {option['name']!r} takes text.")
    text = str(value)
    low, high = option.get("min_length", 0), min(option.get("max_length", 6000), 6000)
    if not low <= len(text) <= high:
        raise ClientRefusal(f"Option {option['name']!r} takes {low} to {high} characters.")
    return text


def _number(option: Json, value: Any) -> int | float:
    name = option["name"]
    if isinstance(value, bool):
        raise ClientRefusal(f"Option {name!r} takes a number.")
    number: int | float
    try:
        number = int(str(value)) if option["type"] == INTEGER else float(str(value))
    except ValueError:
        what = "a whole number" if option["type"] == INTEGER else "a number"
        raise ClientRefusal(f"Option {name!r} takes {what}.") from None
    low = option.get("min_value", -MAX_INTEGER)
    high = option.get("max_value", MAX_INTEGER)
    if not low <= number <= high:
        raise ClientRefusal(f"Option {name!r} takes a number from {low} to {high}.")
    return number


def _boolean(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() in ("true", "false"):
        return str(value).lower() == "true"
    raise ClientRefusal(f"Option {name!r} takes true or false.")
