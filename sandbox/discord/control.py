"""The tests' side: populate the sandbox, break it on purpose, and read what the bot did."""

from __future__ import annotations

from collections import deque
from typing import Any

from aiohttp import web

from sandbox.discord import wire
from sandbox.discord.errors import ClientRefusal
from sandbox.discord.faults import Faults, Record, RouteFault
from sandbox.discord.gateway import Gateway
from sandbox.discord.interactions import Interactions
from sandbox.discord.permissions import DEFAULT_MEMBER
from sandbox.discord.rest_application import add_entitlement
from sandbox.discord.setup import Setup
from sandbox.discord.state import World
from sandbox.discord.user_side import number, numbers, read_object, refusing

Json = dict[str, Any]

_USER_FIELDS = {"global_name": str, "locale": str, "dms_open": bool, "installed": bool}


class ControlApi:
    """Routes under ``/sandbox/control``."""

    def __init__(
        self,
        world: World,
        setup: Setup,
        gateway: Gateway,
        interactions: Interactions,
        faults: Faults,
        records: deque[Record],
    ) -> None:
        self._world = world
        self._setup = setup
        self._gateway = gateway
        self._interactions = interactions
        self._faults = faults
        self._records = records

    def routes(self) -> list[web.RouteDef]:
        """All routes of this file."""
        control = "/sandbox/control"
        guild = f"{control}/guilds/{{guild_id}}"
        return [
            web.post(f"{control}/users", refusing(self.add_user)),
            web.post(f"{control}/guilds", refusing(self.add_guild)),
            web.post(f"{control}/channels", refusing(self.add_channel)),
            web.post(f"{guild}/add_bot", refusing(self.add_bot)),
            web.post(f"{guild}/remove_bot", refusing(self.remove_bot)),
            web.post(f"{guild}/members", refusing(self.add_member)),
            web.post(f"{guild}/roles", refusing(self.add_role)),
            web.post(f"{control}/entitlements", refusing(self.add_entitlement)),
            web.post(f"{control}/faults", refusing(self.set_faults)),
            web.get(f"{control}/requests", refusing(self.requests)),
            web.delete(f"{control}/requests", refusing(self.clear_requests)),
            web.get(f"{control}/interactions/{{interaction_id}}", refusing(self.interaction)),
        ]

    def _guild_id(self, request: web.Request) -> int:
        guild_id = number(request.match_info, "guild_id")
        if guild_id not in self._world.guilds:
            raise ClientRefusal("There is no such guild.")
        return guild_id

    def _known_user(self, user_id: int) -> int:
        if user_id not in self._world.users:
            raise ClientRefusal("There is no such user.")
        return user_id

    async def add_user(self, request: web.Request) -> web.StreamResponse:
        """POST /users {username, global_name?, locale?, dms_open?, installed?, id?} → user.

        For a user name that is there already the given fields are changed.
        """
        body = await read_object(request)
        if not isinstance(body.get("username"), str) or not body["username"]:
            raise ClientRefusal("username is required.")
        chosen = number(body, "id") if "id" in body else None
        user = self._setup.add_user(body["username"], user_id=chosen)
        for key, kind in _USER_FIELDS.items():
            if key in body:
                if not isinstance(body[key], kind):
                    raise ClientRefusal(f"{key} has a value that makes no sense.")
                setattr(user, key, body[key])
        return web.json_response(wire.user(user), status=201)

    async def add_guild(self, request: web.Request) -> web.StreamResponse:
        """POST /guilds {name, owner_id?, members?, channels?, bot?, permissions?, id?} → guild."""
        body = await read_object(request)
        if not isinstance(body.get("name"), str) or not body["name"]:
            raise ClientRefusal("name is required.")
        guild = self._setup.add_guild(
            body["name"],
            owner=self._known_user(number(body, "owner_id")) if "owner_id" in body else None,
            members=[self._known_user(uid) for uid in numbers(body, "members")],
            channels=_names(body.get("channels", ["general"])),
            bot=body.get("bot", True) is True,
            permissions=_bits(body),
            guild_id=number(body, "id") if "id" in body else None,
        )
        channels = [wire.channel(self._world, self._world.channels[c]) for c in guild.channel_ids]
        return web.json_response(wire.guild(self._world, guild) | {"channels": channels}, status=201)

    async def add_channel(self, request: web.Request) -> web.StreamResponse:
        """POST /channels {guild_id, name, topic?, overwrites?, id?} → channel."""
        body = await read_object(request)
        guild_id = number(body, "guild_id")
        if guild_id not in self._world.guilds or not isinstance(body.get("name"), str):
            raise ClientRefusal("guild_id of a guild and a name are required.")
        channel = self._setup.add_channel(
            guild_id,
            body["name"],
            topic=body.get("topic"),
            overwrites=body.get("overwrites"),
            channel_id=number(body, "id") if "id" in body else None,
        )
        return web.json_response(wire.channel(self._world, channel), status=201)

    async def add_bot(self, request: web.Request) -> web.StreamResponse:
        """POST /guilds/{guild_id}/add_bot {permissions?}."""
        guild_id, body = self._guild_id(request), await read_object(request)
        self._setup.add_bot(guild_id, _bits(body))
        return web.json_response({})

    async def remove_bot(self, request: web.Request) -> web.StreamResponse:
        """POST /guilds/{guild_id}/remove_bot."""
        self._setup.remove_bot(self._guild_id(request))
        return web.json_response({})

    async def add_member(self, request: web.Request) -> web.StreamResponse:
        """POST /guilds/{guild_id}/members {user_id, roles?}."""
        guild_id, body = self._guild_id(request), await read_object(request)
        roles = numbers(body, "roles") if "roles" in body else None
        if roles and not set(roles) <= self._world.guilds[guild_id].roles.keys():
            raise ClientRefusal("There is no such role.")
        self._setup.add_member(guild_id, self._known_user(number(body, "user_id")), roles)
        return web.json_response({})

    async def add_role(self, request: web.Request) -> web.StreamResponse:
        """POST /guilds/{guild_id}/roles {name, permissions?, mentionable?} → role."""
        guild_id, body = self._guild_id(request), await read_object(request)
        (name,) = _names([body.get("name")])
        mentionable = body.get("mentionable") is True
        role = self._setup.add_role(guild_id, name, permissions=_bits(body, 0), mentionable=mentionable)
        return web.json_response(wire.role(role), status=201)

    async def add_entitlement(self, request: web.Request) -> web.StreamResponse:
        """POST /entitlements {sku_id, user_id? | guild_id?, starts_at?, ends_at?} → entitlement."""
        body = await read_object(request)
        sku_id = number(body, "sku_id")
        self._world.skus.setdefault(
            sku_id,
            {
                "id": str(sku_id),
                "type": 5,
                "application_id": str(self._world.bot.id),
                "name": str(body.get("sku_name", "Plan")),
                "slug": "plan",
                "flags": 1 << 7 if body.get("guild_id") else 1 << 8,
            },
        )
        made = add_entitlement(self._world, self._gateway.sessions, body)
        return web.json_response(made, status=201)

    async def set_faults(self, request: web.Request) -> web.StreamResponse:
        """POST /faults: see :meth:`apply_faults`."""
        await self.apply_faults(await read_object(request))
        return web.json_response({})

    async def apply_faults(self, body: Json) -> None:
        """Break things on purpose.

        ``rate_limit`` {route, times, retry_after, global} and ``status`` {route, times, code,
        error_code} replace answers, ``lose_answer`` {route, times} serves the request and closes the
        connection instead of answering (an object or a list of them); ``latency_ms`` and
        ``age_interactions_ms`` stand until set to 0; ``clock_skew_s`` moves Discord's clock;
        ``drop_gateway`` closes the sockets (4000), ``reconnect`` sends op 7,
        ``invalidate_session`` sends op 9, ``refuse_gateway`` refuses new sockets;
        ``close_dms``/``open_dms`` list user ids; ``expire_tokens`` ends all interaction tokens;
        ``clear`` takes all standing faults back.

        Raises:
            ClientRefusal: an unknown fault, or values that make no sense.
        """
        known = {"rate_limit", "status", "lose_answer", "latency_ms", "age_interactions_ms", "clock_skew_s",
                 "drop_gateway", "reconnect", "invalidate_session", "refuse_gateway", "close_dms",
                 "open_dms", "expire_tokens", "clear"}  # fmt: skip
        if unknown := body.keys() - known:
            raise ClientRefusal(f"Unknown fault: {', '.join(sorted(unknown))}.")
        faults = self._faults
        if body.get("clear"):
            faults.routes.clear()
            faults.latency_ms, faults.age_interactions_ms = 0.0, 0
            self._world.clock_skew_s, self._gateway.refuse = 0.0, False
        try:
            faults.routes += _route_faults(body)
            faults.latency_ms = float(body.get("latency_ms", faults.latency_ms))
            faults.age_interactions_ms = int(body.get("age_interactions_ms", faults.age_interactions_ms))
            skew = float(body.get("clock_skew_s", self._world.clock_skew_s))
            closed = [int(uid) for uid in body.get("close_dms", [])]
            opened = [int(uid) for uid in body.get("open_dms", [])]
            for user_id in closed + opened:
                self._world.users[user_id].dms_open = user_id in opened
        except (TypeError, ValueError, KeyError) as exc:
            raise ClientRefusal(f"A fault has a value that makes no sense: {exc}.") from None
        self._world.clock_skew_s = skew
        self._gateway.refuse = bool(body.get("refuse_gateway", self._gateway.refuse))
        if body.get("expire_tokens"):
            for interaction in self._interactions.by_id.values():
                interaction.expired = True
        if body.get("reconnect"):
            self._gateway.ask_reconnect()
        if body.get("invalidate_session"):
            self._gateway.invalidate()
        if body.get("drop_gateway"):
            await self._gateway.drop()

    async def requests(self, request: web.Request) -> web.StreamResponse:
        """GET /requests: the bot's REST calls, oldest first."""
        return web.json_response([record.to_json() for record in self._records])

    async def clear_requests(self, request: web.Request) -> web.StreamResponse:
        """DELETE /requests."""
        self._records.clear()
        return web.json_response({})

    async def interaction(self, request: web.Request) -> web.StreamResponse:
        """GET /interactions/{interaction_id}."""
        found = self._interactions.by_id.get(number(request.match_info, "interaction_id"))
        if found is None:
            raise ClientRefusal("There is no such interaction.")
        return web.json_response(
            {
                "acked_ms": found.acked_ms,
                "state": found.state,
                "ephemeral": found.ephemeral,
                "messages": [str(mid) for mid in found.message_ids],
            }
        )


def _bits(body: Json, usual: int = DEFAULT_MEMBER) -> int:
    return number(body, "permissions") if "permissions" in body else int(usual)


def _names(values: Any) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(name, str) and name for name in values):
        raise ClientRefusal("A name is missing or not text.")
    return values


def _route_faults(body: Json) -> list[RouteFault]:
    result = []
    for key in ("rate_limit", "status", "lose_answer"):
        entries = body.get(key) or []
        for entry in entries if isinstance(entries, list) else [entries]:
            limited = key == "rate_limit"
            result.append(
                RouteFault(
                    route=str(entry["route"]),
                    times=int(entry.get("times", 1)),
                    status=429 if limited else int(entry["code"]) if key == "status" else 0,
                    retry_after=float(entry.get("retry_after", 0.1)),
                    code=int(entry.get("error_code", 0)),
                    is_global=bool(entry.get("global", False)),
                    lost=key == "lose_answer",
                )
            )
    return result
