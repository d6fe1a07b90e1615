"""REST: application commands, emojis, SKUs and entitlements."""

from __future__ import annotations

import re
from typing import Any

from aiohttp import web

from sandbox.discord import wire
from sandbox.discord.commands import Commands
from sandbox.discord.errors import ApiError, invalid_field
from sandbox.discord.rest import Call, Endpoint, Reply, RestApi
from sandbox.discord.sessions import Sessions
from sandbox.discord.state import World

Json = dict[str, Any]

MAX_EMOJIS = 2000
_EMOJI_NAME = re.compile(r"^\w{2,32}$", re.ASCII)
_LOCALIZATIONS = ("name_localizations", "description_localizations")


class ApplicationRoutes:
    """What belongs to the application itself."""

    def __init__(self, world: World, commands: Commands, sessions: Sessions) -> None:
        self._world = world
        self._commands = commands
        self._sessions = sessions

    def routes(self, api: RestApi) -> list[web.RouteDef]:
        """All routes of this file."""
        app = "/applications/{application_id}"
        result = []
        for scope in (app, f"{app}/guilds/{{guild_id}}"):
            result += [
                api.route("GET", f"{scope}/commands", self._own(self.list_commands)),
                api.route("PUT", f"{scope}/commands", self._own(self.overwrite_commands)),
                api.route("POST", f"{scope}/commands", self._own(self.upsert_command)),
                api.route("GET", f"{scope}/commands/{{command_id}}", self._own(self.get_command)),
                api.route("PATCH", f"{scope}/commands/{{command_id}}", self._own(self.edit_command)),
                api.route("DELETE", f"{scope}/commands/{{command_id}}", self._own(self.delete_command)),
            ]
        return [
            *result,
            api.route("GET", f"{app}/emojis", self._own(self.list_emojis)),
            api.route("POST", f"{app}/emojis", self._own(self.create_emoji)),
            api.route("DELETE", f"{app}/emojis/{{emoji_id}}", self._own(self.delete_emoji)),
            api.route("GET", f"{app}/skus", self._own(self.list_skus)),
            api.route("GET", f"{app}/entitlements", self._own(self.list_entitlements)),
            api.route("POST", f"{app}/entitlements", self._own(self.create_entitlement)),
            api.route("GET", f"{app}/entitlements/{{entitlement_id}}", self._own(self.get_entitlement)),
            api.route(
                "DELETE",
                f"{app}/entitlements/{{entitlement_id}}",
                self._own(self.delete_entitlement),
            ),
            api.route(
                "POST",
                f"{app}/entitlements/{{entitlement_id}}/consume",
                self._own(self.consume_entitlement),
            ),
        ]

    def _own(self, endpoint: Endpoint) -> Endpoint:
        """Refuse another application's id."""

        async def handle(call: Call) -> Reply:
            if call.number("application_id") != self._world.bot.id:
                raise ApiError(20012)
            return await endpoint(call)

        return handle

    # -- commands -------------------------------------------------------------------------

    @staticmethod
    def _scope(call: Call) -> int | None:
        return call.number("guild_id") if "guild_id" in call.request.match_info else None

    async def list_commands(self, call: Call) -> Reply:
        """GET …/commands; localizations only on request."""
        commands = list(self._commands.scope(self._scope(call)).values())
        if not call.flag("with_localizations"):
            commands = [_without_localizations(command) for command in commands]
        return Reply(commands)

    async def overwrite_commands(self, call: Call) -> Reply:
        """PUT …/commands."""
        return Reply(self._commands.overwrite(self._scope(call), call.body or []))

    async def upsert_command(self, call: Call) -> Reply:
        """POST …/commands."""
        command, new = self._commands.upsert(self._scope(call), call.body)
        return Reply(command, 201 if new else 200)

    async def get_command(self, call: Call) -> Reply:
        """GET …/commands/{command_id}."""
        command = self._commands.scope(self._scope(call)).get(call.number("command_id"))
        if command is None:
            raise ApiError(10063)
        return Reply(command)

    async def edit_command(self, call: Call) -> Reply:
        """PATCH …/commands/{command_id}."""
        scope, number = self._scope(call), call.number("command_id")
        return Reply(self._commands.edit(scope, number, call.body))

    async def delete_command(self, call: Call) -> Reply:
        """DELETE …/commands/{command_id}."""
        self._commands.delete(self._scope(call), call.number("command_id"))
        return Reply(status=204)

    # -- emojis ---------------------------------------------------------------------------

    async def list_emojis(self, call: Call) -> Reply:
        """GET …/emojis."""
        return Reply({"items": list(self._world.emojis.values())})

    async def create_emoji(self, call: Call) -> Reply:
        """POST …/emojis. The picture itself is not kept."""
        name = call.body["name"]
        if not _EMOJI_NAME.match(name):
            message = "Must be 2 to 32 word characters."
            raise invalid_field(["name"], "STRING_TYPE_REGEX", message)
        if len(self._world.emojis) >= MAX_EMOJIS:
            raise ApiError(30008, message=f"Maximum number of emojis reached ({MAX_EMOJIS})")
        number = self._world.next_id()
        self._world.emojis[number] = {
            "id": str(number),
            "name": name,
            "roles": [],
            "user": wire.user(self._world.bot),
            "require_colons": True,
            "managed": False,
            "animated": str(call.body["image"]).startswith("data:image/gif"),
            "available": True,
        }
        return Reply(self._world.emojis[number], 201)

    async def delete_emoji(self, call: Call) -> Reply:
        """DELETE …/emojis/{emoji_id}."""
        if self._world.emojis.pop(call.number("emoji_id"), None) is None:
            raise ApiError(10014)
        return Reply(status=204)

    # -- purchases ------------------------------------------------------------------------

    async def list_skus(self, call: Call) -> Reply:
        """GET …/skus."""
        return Reply(list(self._world.skus.values()))

    async def list_entitlements(self, call: Call) -> Reply:
        """GET …/entitlements, oldest first, filtered as asked."""
        query = call.request.query
        skus = set(query["sku_ids"].split(",")) if query.get("sku_ids") else None
        limit = call.query_int("limit", 100, 1, 100)
        before = call.query_int("before", (1 << 64) - 1, 0, 1 << 64)
        after = call.query_int("after", 0, 0, 1 << 64)
        hide_deleted = query.get("exclude_deleted", "true").lower() in ("1", "true")
        now = self._world.timestamp()
        found = [
            e
            for number, e in self._world.entitlements.items()
            if after < number < before
            and (skus is None or e["sku_id"] in skus)
            and query.get("user_id") in (None, e.get("user_id"))
            and query.get("guild_id") in (None, e.get("guild_id"))
            and not (call.flag("exclude_ended") and e.get("ends_at") and e["ends_at"] < now)
            and not (hide_deleted and e["deleted"])
        ]
        found.sort(key=lambda e: int(e["id"]))
        return Reply(found[-limit:] if "before" in query else found[:limit])

    def _entitlement(self, call: Call) -> Json:
        found = self._world.entitlements.get(call.number("entitlement_id"))
        if found is None:
            raise ApiError(10029)
        return found

    async def get_entitlement(self, call: Call) -> Reply:
        """GET …/entitlements/{entitlement_id}."""
        return Reply(self._entitlement(call))

    async def create_entitlement(self, call: Call) -> Reply:
        """POST …/entitlements: a test entitlement for a user (owner_type 2) or guild (1)."""
        body = call.body
        if int(body["sku_id"]) not in self._world.skus:
            raise ApiError(50035)
        owner = "guild_id" if body.get("owner_type") == 1 else "user_id"
        entitlement = add_entitlement(self._world, self._sessions, {"sku_id": body["sku_id"], owner: body["owner_id"]})
        return Reply(entitlement)

    async def delete_entitlement(self, call: Call) -> Reply:
        """DELETE …/entitlements/{entitlement_id}."""
        found = self._entitlement(call)
        found["deleted"] = True
        self._sessions.dispatch("ENTITLEMENT_DELETE", found, guild_id=None)
        return Reply(status=204)

    async def consume_entitlement(self, call: Call) -> Reply:
        """POST …/entitlements/{entitlement_id}/consume."""
        found = self._entitlement(call)
        found["consumed"] = True
        self._sessions.dispatch("ENTITLEMENT_UPDATE", found, guild_id=None)
        return Reply(status=204)


def add_entitlement(world: World, sessions: Sessions, fields: Json) -> Json:
    """Give a user or guild an entitlement to a SKU and tell the bot."""
    number = world.next_id()
    entitlement: Json = {
        "id": str(number),
        "sku_id": str(fields["sku_id"]),
        "application_id": str(world.bot.id),
        "type": fields.get("type", 8),
        "deleted": False,
        "consumed": False,
        "starts_at": fields.get("starts_at"),
        "ends_at": fields.get("ends_at"),
    }
    for owner in ("user_id", "guild_id"):
        if fields.get(owner):
            entitlement[owner] = str(fields[owner])
    world.entitlements[number] = entitlement
    sessions.dispatch("ENTITLEMENT_CREATE", entitlement, guild_id=None)
    return entitlement


def _without_localizations(command: Json) -> Json:
    slim = {key: value for key, value in command.items() if key not in _LOCALIZATIONS}
    for key in ("options", "choices"):
        if key in slim:
            slim[key] = [_without_localizations(item) for item in slim[key]]
    return slim
