"""REST: channels and the messages the bot posts to them."""

from __future__ import annotations

from aiohttp import web

from sandbox.discord import wire
from sandbox.discord.errors import ApiError
from sandbox.discord.events import Bus
from sandbox.discord.messages import Messages
from sandbox.discord.models import Channel, Message
from sandbox.discord.permissions import Perm
from sandbox.discord.rest import Call, Reply, RestApi
from sandbox.discord.state import World


class MessageRoutes:
    """Channel messages as the bot reads and writes them."""

    def __init__(self, world: World, messages: Messages, bus: Bus) -> None:
        self._world = world
        self._messages = messages
        self._bus = bus

    def routes(self, api: RestApi) -> list[web.RouteDef]:
        """All routes of this file."""
        channel, message = "/channels/{channel_id}", "/channels/{channel_id}/messages/{message_id}"
        return [
            api.route("GET", channel, self.channel),
            api.route("POST", f"{channel}/typing", self.typing),
            api.route("GET", f"{channel}/messages", self.history),
            api.route("POST", f"{channel}/messages", self.create),
            api.route("GET", message, self.get),
            api.route("PATCH", message, self.edit),
            api.route("DELETE", message, self.delete),
        ]

    def _channel(self, call: Call) -> Channel:
        channel = self._world.channels.get(call.number("channel_id"))
        if channel is None:
            raise ApiError(10003)
        if not self._world.can_see(self._world.bot.id, channel):
            raise ApiError(50001)
        return channel

    def _readable(self, call: Call) -> Channel:
        channel = self._channel(call)
        bits = self._world.permissions(self._world.bot.id, channel)
        if not bits & Perm.READ_MESSAGE_HISTORY:
            raise ApiError(50001)
        return channel

    def _message(self, call: Call, channel: Channel) -> Message:
        message = self._world.message(call.number("message_id"), channel.id)
        if message is None or message.visible_to is not None:
            raise ApiError(10008)  # ephemeral messages exist only behind their token
        return message

    async def channel(self, call: Call) -> Reply:
        """GET /channels/{channel_id}."""
        return Reply(wire.channel(self._world, self._channel(call), self._world.bot.id))

    async def typing(self, call: Call) -> Reply:
        """POST /channels/{channel_id}/typing."""
        channel = self._channel(call)
        self._messages.check_bot_may_send(channel, {}, [])
        data = {"channel_id": str(channel.id), "user_id": str(self._world.bot.id)}
        self._bus.publish("TYPING", data, lambda uid: self._world.can_see(uid, channel))
        return Reply(status=204)

    async def history(self, call: Call) -> Reply:
        """GET /channels/{channel_id}/messages, newest first."""
        channel = self._readable(call)
        limit = call.query_int("limit", 50, 1, 100)
        every = [message for message in self._world.bucket(channel.id).values() if message.visible_to is None]
        query = call.request.query
        if "before" in query:
            before = call.query_int("before", 0, 0, 1 << 64)
            chosen = [m for m in every if m.id < before][-limit:]
        elif "after" in query:
            after = call.query_int("after", 0, 0, 1 << 64)
            chosen = [m for m in every if m.id > after][:limit]
        elif "around" in query:
            middle = call.query_int("around", 0, 0, 1 << 64)
            nearest = sorted(every, key=lambda m: abs(m.id - middle))[:limit]
            chosen = sorted(nearest, key=lambda m: m.id)
        else:
            chosen = every[-limit:]
        return Reply([self._messages.for_bot(message) for message in reversed(chosen)])

    async def get(self, call: Call) -> Reply:
        """GET /channels/{channel_id}/messages/{message_id}."""
        return Reply(self._messages.for_bot(self._message(call, self._readable(call))))

    async def create(self, call: Call) -> Reply:
        """POST /channels/{channel_id}/messages."""
        message = self._messages.bot_posts(self._channel(call), call.body or {}, call.uploads)
        return Reply(self._messages.for_bot(message))

    async def edit(self, call: Call) -> Reply:
        """PATCH /channels/{channel_id}/messages/{message_id}."""
        message = self._message(call, self._channel(call))
        if message.author_id != self._world.bot.id:
            raise ApiError(50005)
        self._messages.edit(message, call.body or {}, call.uploads)
        return Reply(self._messages.for_bot(message))

    async def delete(self, call: Call) -> Reply:
        """DELETE /channels/{channel_id}/messages/{message_id}."""
        channel = self._channel(call)
        message = self._message(call, channel)
        bits = self._world.permissions(self._world.bot.id, channel)
        foreign = message.author_id != self._world.bot.id
        if foreign and (channel.guild_id is None or not bits & Perm.MANAGE_MESSAGES):
            raise ApiError(50013)
        self._messages.delete(message)
        return Reply(status=204)
