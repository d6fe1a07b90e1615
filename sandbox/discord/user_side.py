"""What the user-side APIs share: reading requests, and finding who acts on what."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from sandbox.discord.commands import Commands
from sandbox.discord.errors import ApiError, ClientRefusal
from sandbox.discord.events import Bus
from sandbox.discord.gateway import Gateway
from sandbox.discord.messages import Messages
from sandbox.discord.models import Channel, Message, User
from sandbox.discord.state import World

Json = dict[str, Any]


def refusing(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Answer refusals, and bodies that make no sense, with 400 and one sentence."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except ClientRefusal as exc:
            return web.json_response({"error": str(exc)}, status=400)
        except ApiError as exc:
            return web.json_response({"error": exc.message}, status=400)

    return handle


async def read_object(request: web.Request) -> Json:
    """The request's JSON object (empty without a body); ClientRefusal for anything else."""
    if not request.body_exists:
        return {}
    try:
        body = await request.json()
    except ValueError:
        raise ClientRefusal("The request is not JSON.") from None
    if not isinstance(body, dict):
        raise ClientRefusal("The request is not a JSON object.")
    return body


def number(body: Any, key: str) -> int:
    """A snowflake of a request; ClientRefusal when it is none."""
    value = str(body.get(key, ""))
    if not (value.isascii() and value.isdigit()):
        raise ClientRefusal(f"{key} must be an id.")
    return int(value)


def numbers(body: Any, key: str) -> list[int]:
    """A list of snowflakes of a request, empty when left out."""
    values = body.get(key) or []
    if not isinstance(values, list):
        raise ClientRefusal(f"{key} must be a list of ids.")
    return [number({key: value}, key) for value in values]


def text(body: Json, key: str, default: str | None = None) -> str:
    value = body.get(key)
    if value is None:
        value = default
    if not isinstance(value, str):
        raise ClientRefusal(f"{key} must be text.")
    return value


def mapping(body: Json, key: str) -> Json:
    value = body.get(key) or {}
    if not isinstance(value, dict):
        raise ClientRefusal(f"{key} must be an object.")
    return value


class UserSide:
    """The parts of the sandbox that a user's client touches."""

    def __init__(self, world: World, bus: Bus, gateway: Gateway, messages: Messages, commands: Commands) -> None:
        self._world = world
        self._bus = bus
        self._gateway = gateway
        self._messages = messages
        self._commands = commands

    def _user(self, request: web.Request) -> User:
        """The acting user: from the path or query; the first person when none is named."""
        text = request.match_info.get("user_id") or request.query.get("user")
        people = [user for user in self._world.users.values() if not user.bot]
        if text is None and people:
            return people[0]
        user = self._world.users.get(int(text)) if text and text.isdigit() else None
        if user is None or user.bot:
            raise ClientRefusal("There is no such user.")
        return user

    def _channel(self, user: User, channel_id: int) -> Channel:
        channel = self._world.channels.get(channel_id)
        if channel is None or not self._world.can_see(user.id, channel):
            raise ClientRefusal("There is no such channel.")
        return channel

    def _message(self, user: User, message_id: int) -> Message:
        message = self._world.message(message_id)
        if message is None or not self._messages.visible(message, user.id):
            raise ClientRefusal("There is no such message.")
        return message
