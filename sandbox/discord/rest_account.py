"""REST: the bot's own user and application, the gateway's address, guilds, DMs, entitlements."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from sandbox.discord import wire
from sandbox.discord.errors import ApiError, invalid_field
from sandbox.discord.gateway import Gateway
from sandbox.discord.messages import Messages
from sandbox.discord.models import Guild
from sandbox.discord.rest import Call, Reply, RestApi
from sandbox.discord.sessions import GUILDS
from sandbox.discord.state import World

Json = dict[str, Any]

IDENTIFIES_PER_DAY = 1000


class AccountRoutes:
    """Who the bot is and what it belongs to."""

    def __init__(self, world: World, messages: Messages, gateway: Gateway, *, shards: int) -> None:
        self._world = world
        self._messages = messages
        self._gateway = gateway
        self._shards = shards

    def routes(self, api: RestApi) -> list[web.RouteDef]:
        """All routes of this file."""
        return [
            api.route("GET", "/users/@me", self.me),
            api.route("GET", "/users/@me/guilds", self.my_guilds),
            api.route("DELETE", "/users/@me/guilds/{guild_id}", self.leave),
            api.route("POST", "/users/@me/channels", self.open_dm),
            api.route("GET", "/users/{user_id}", self.user),
            api.route("GET", "/oauth2/applications/@me", self.application),
            api.route("GET", "/applications/@me", self.application),
            api.route("GET", "/gateway", self.gateway, public=True),
            api.route("GET", "/gateway/bot", self.gateway_bot),
            api.route("GET", "/guilds/{guild_id}", self.guild),
            api.route("GET", "/guilds/{guild_id}/channels", self.guild_channels),
            api.route("GET", "/guilds/{guild_id}/roles", self.guild_roles),
            api.route("GET", "/guilds/{guild_id}/members/{user_id}", self.guild_member),
        ]

    async def me(self, call: Call) -> Reply:
        """GET /users/@me."""
        data = wire.user(self._world.bot)
        return Reply(data | {"verified": True, "mfa_enabled": True, "locale": "en-US", "email": None})

    async def user(self, call: Call) -> Reply:
        """GET /users/{user_id}."""
        user = self._world.users.get(call.number("user_id"))
        if user is None:
            raise ApiError(10013)
        return Reply(wire.user(user))

    async def application(self, call: Call) -> Reply:
        """GET /oauth2/applications/@me."""
        bot = self._world.bot
        owner = next((u for u in self._world.users.values() if not u.bot), bot)
        return Reply(
            {
                "id": str(bot.id),
                "name": bot.username,
                "icon": None,
                "description": "",
                "type": None,
                "bot": wire.user(bot),
                "bot_public": True,
                "bot_require_code_grant": False,
                "rpc_origins": [],
                "verify_key": "0" * 64,
                "owner": wire.user(owner),
                "team": None,
                "flags": 0,
                "integration_types_config": {"0": {}, "1": {}},
                "approximate_guild_count": len(self._mine()),
                "approximate_user_install_count": sum(1 for u in self._world.users.values() if u.installed),
                "explicit_content_filter": 0,
                "max_participants": None,
                "redirect_uris": [],
                "interactions_endpoint_url": None,
                "role_connections_verification_url": None,
                "tags": [],
            }
        )

    async def gateway(self, call: Call) -> Reply:
        """GET /gateway."""
        return Reply({"url": self._gateway.url})

    async def gateway_bot(self, call: Call) -> Reply:
        """GET /gateway/bot."""
        left = IDENTIFIES_PER_DAY - self._gateway.identify_count % IDENTIFIES_PER_DAY
        limit = {
            "total": IDENTIFIES_PER_DAY,
            "remaining": left,
            "reset_after": 86_400_000,
            "max_concurrency": self._gateway.max_concurrency,
        }
        return Reply({"url": self._gateway.url, "shards": self._shards, "session_start_limit": limit})

    def _mine(self) -> list[Guild]:
        bot = self._world.bot.id
        return [guild for guild in self._world.guilds.values() if bot in guild.members]

    def _guild(self, call: Call) -> Guild:
        guild = self._world.guilds.get(call.number("guild_id"))
        if guild is None:
            raise ApiError(10004)
        if self._world.bot.id not in guild.members:
            raise ApiError(50001)
        return guild

    async def my_guilds(self, call: Call) -> Reply:
        """GET /users/@me/guilds."""
        keys = ("id", "name", "icon", "banner", "features")
        limit = call.query_int("limit", 200, 1, 200)
        after = call.query_int("after", 0, 0, 1 << 64)
        mine = sorted((g for g in self._mine() if g.id > after), key=lambda g: g.id)[:limit]
        return Reply(
            [
                {k: v for k, v in wire.guild(self._world, guild).items() if k in keys}
                | {"owner": False, "permissions": "0"}
                for guild in mine
            ]
        )

    async def leave(self, call: Call) -> Reply:
        """DELETE /users/@me/guilds/{guild_id}."""
        guild = self._guild(call)
        del guild.members[self._world.bot.id]
        self._gateway.sessions.dispatch("GUILD_DELETE", {"id": str(guild.id)}, guild_id=guild.id, intent=GUILDS)
        return Reply()

    async def guild(self, call: Call) -> Reply:
        """GET /guilds/{guild_id}."""
        guild = self._guild(call)
        data = wire.guild(self._world, guild)
        if call.flag("with_counts"):
            data["approximate_member_count"] = len(guild.members)
            data["approximate_presence_count"] = len(guild.members)
        return Reply(data)

    async def guild_channels(self, call: Call) -> Reply:
        """GET /guilds/{guild_id}/channels."""
        guild = self._guild(call)
        channels = [self._world.channels[cid] for cid in guild.channel_ids]
        return Reply([wire.channel(self._world, channel) for channel in channels])

    async def guild_roles(self, call: Call) -> Reply:
        """GET /guilds/{guild_id}/roles."""
        return Reply([wire.role(role) for role in self._guild(call).roles.values()])

    async def guild_member(self, call: Call) -> Reply:
        """GET /guilds/{guild_id}/members/{user_id}."""
        member = self._guild(call).members.get(call.number("user_id"))
        if member is None:
            raise ApiError(10013, message="Unknown Member")
        return Reply(wire.member(self._world, member))

    async def open_dm(self, call: Call) -> Reply:
        """POST /users/@me/channels. Opening always works; sending may not."""
        recipient = call.body.get("recipient_id")
        if recipient is None:
            raise invalid_field(["recipient_id"], "BASE_TYPE_REQUIRED", "This field is required")
        user = self._world.users.get(int(recipient))
        if user is None or user.bot:
            raise ApiError(50007) if user else ApiError(10013)
        channel = self._messages.open_dm(user.id)
        return Reply(wire.channel(self._world, channel, self._world.bot.id))
