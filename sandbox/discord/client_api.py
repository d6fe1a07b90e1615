"""The user's side, reading: what a Discord client shows, as JSON for the page and for tests."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from sandbox.discord import wire
from sandbox.discord.commands import Commands
from sandbox.discord.errors import ClientRefusal
from sandbox.discord.events import Bus, Subscription
from sandbox.discord.gateway import Gateway
from sandbox.discord.messages import Messages
from sandbox.discord.models import DM, Channel
from sandbox.discord.state import World
from sandbox.discord.user_side import UserSide, number, refusing

Json = dict[str, Any]

MAX_HISTORY = 200


@dataclass(slots=True)
class Presentation:
    """What the page shows around the conversation.

    ``suggestions`` are texts such as ``/price gpu:RTX 4090`` that a click puts into the box.
    """

    badge: str | None = None
    notice: str | None = None
    welcome: str = ""
    suggestions: list[str] = field(default_factory=list)


class ClientApi(UserSide):
    """Routes under ``/sandbox`` that show a user what he sees."""

    def __init__(
        self,
        world: World,
        bus: Bus,
        gateway: Gateway,
        messages: Messages,
        commands: Commands,
        presentation: Presentation,
    ) -> None:
        super().__init__(world, bus, gateway, messages, commands)
        self._presentation = presentation

    def routes(self) -> list[web.RouteDef]:
        """All routes of this file."""
        return [
            web.get("/sandbox/state", refusing(self.state)),
            web.get("/sandbox/commands", refusing(self.list_commands)),
            web.get("/sandbox/channels/{channel_id}/messages", refusing(self.history)),
            web.get("/sandbox/events", refusing(self.events)),
        ]

    async def state(self, request: web.Request) -> web.StreamResponse:
        """GET /sandbox/state."""
        world, user = self._world, self._user(request)
        guilds = [
            {
                "id": str(guild.id),
                "name": guild.name,
                "icon": None,
                "channels": [
                    wire.channel(world, world.channels[cid])
                    for cid in guild.channel_ids
                    if world.can_see(user.id, world.channels[cid])
                ],
            }
            for guild in world.guilds.values()
            if user.id in guild.members
        ]
        dms = [
            wire.channel(world, channel, user.id)
            for channel in world.channels.values()
            if channel.type == DM and user.id in channel.recipients
        ]
        shown = self._presentation
        return web.json_response(
            {
                "badge": shown.badge,
                "notice": shown.notice,
                "welcome": shown.welcome,
                "suggestions": shown.suggestions,
                "me": wire.user(user) | {"locale": user.locale},
                "users": [wire.user(other) for other in world.users.values()],
                "guilds": guilds,
                "dms": dms,
                "bot": wire.user(world.bot),
                "ready": self._gateway.ready,
            }
        )

    async def list_commands(self, request: web.Request) -> web.StreamResponse:
        """GET /sandbox/commands: what the user may use in a guild, a channel or the DM."""
        user, world = self._user(request), self._world
        if "channel_id" in request.query:
            channel = self._channel(user, number(request.query, "channel_id"))
            return web.json_response(self._commands.available(user.id, channel))
        if request.query.get("guild_id"):
            guild = world.guilds.get(number(request.query, "guild_id"))
            if guild is None or user.id not in guild.members:
                raise ClientRefusal("There is no such guild.")
            found: dict[str, Json] = {}
            for channel_id in guild.channel_ids:
                for command in self._commands.available(user.id, world.channels[channel_id]):
                    found.setdefault(command["id"], command)
            return web.json_response(list(found.values()))
        dm = world.dm_channel(user.id) or Channel(0, DM, recipients=[user.id, world.bot.id])
        return web.json_response(self._commands.available(user.id, dm))

    async def history(self, request: web.Request) -> web.StreamResponse:
        """GET /sandbox/channels/{channel_id}/messages, oldest first."""
        user = self._user(request)
        channel = self._channel(user, number(request.match_info, "channel_id"))
        limit = min(number({"limit": request.query.get("limit", "50")}, "limit"), MAX_HISTORY)
        found = self._messages.history(channel.id, user.id, limit)
        return web.json_response([message.data for message in found])

    async def events(self, request: web.Request) -> web.StreamResponse:
        """WS /sandbox/events."""
        user = self._user(request)
        socket = web.WebSocketResponse(heartbeat=30.0)
        await socket.prepare(request)
        with self._bus.subscribe(user.id) as subscription:
            writer = asyncio.create_task(_pump(subscription, socket), name="sandbox-events")
            try:
                async for message in socket:  # clients only listen; this notices the end
                    if message.type is WSMsgType.ERROR:
                        break
            finally:
                writer.cancel()
                await asyncio.gather(writer, return_exceptions=True)
        return socket


async def _pump(subscription: Subscription, socket: web.WebSocketResponse) -> None:
    while (event := await subscription.next()) is not None:
        try:
            await socket.send_json(event)
        except ConnectionError:
            return  # the reader sees the closed socket
    await socket.close(code=1001, message=b"stream ended")
