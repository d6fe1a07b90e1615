"""The user's side, acting: slash commands, components, forms and messages of a user."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from sandbox.discord import modals, options, payloads, wire
from sandbox.discord.commands import CHAT_INPUT, MESSAGE_MENU, USER_MENU, Commands
from sandbox.discord.errors import ClientRefusal
from sandbox.discord.events import Bus
from sandbox.discord.gateway import Gateway
from sandbox.discord.interactions import Interaction, Interactions
from sandbox.discord.messages import Messages
from sandbox.discord.models import Channel, User
from sandbox.discord.options import OptionReader
from sandbox.discord.permissions import Perm
from sandbox.discord.state import World
from sandbox.discord.user_side import UserSide, mapping, number, read_object, refusing, text

Json = dict[str, Any]

MAX_CONTENT = 2000


class ClientActions(UserSide):
    """Routes under ``/sandbox/users/{user_id}`` that act for a user."""

    def __init__(
        self,
        world: World,
        bus: Bus,
        gateway: Gateway,
        messages: Messages,
        commands: Commands,
        interactions: Interactions,
    ) -> None:
        super().__init__(world, bus, gateway, messages, commands)
        self._interactions = interactions

    def routes(self) -> list[web.RouteDef]:
        """All routes of this file."""
        user = "/sandbox/users/{user_id}"
        return [
            web.post(f"{user}/slash", refusing(self.slash)),
            web.post(f"{user}/autocomplete", refusing(self.autocomplete)),
            web.post(f"{user}/context_menu", refusing(self.context_menu)),
            web.post(f"{user}/component", refusing(self.component)),
            web.post(f"{user}/modal", refusing(self.modal)),
            web.post(f"{user}/messages", refusing(self.send)),
            web.post(f"{user}/dm", refusing(self.open_dm)),
        ]

    def _reader(self, user: User, channel: Channel) -> OptionReader:
        return OptionReader(self._world, self._messages, channel, user.id)

    def _sent(self, interaction: Interaction) -> web.Response:
        return web.json_response({"interaction_id": str(interaction.id)}, status=201)

    def _command_data(self, command: Json, values: list[Json]) -> Json:
        data: Json = {"id": command["id"], "name": command["name"], "type": command["type"]}
        if "guild_id" in command:
            data["guild_id"] = command["guild_id"]
        return data | ({"options": values} if values else {})

    async def slash(self, request: web.Request) -> web.StreamResponse:
        """POST …/slash."""
        user, body = self._user(request), await read_object(request)
        channel = self._channel(user, number(body, "channel_id"))
        command = self._commands.find(user.id, channel, text(body, "name"), CHAT_INPUT)
        known, chain = options.leaf(command, text(body, "subcommand", ""))
        reader = self._reader(user, channel)
        values = options.nest(chain, reader.read(known, mapping(body, "options")))
        data = self._command_data(command, values)
        if reader.resolved:
            data["resolved"] = reader.resolved
        kind = payloads.APPLICATION_COMMAND
        return self._sent(self._interactions.create(kind, user.id, channel, data))

    async def autocomplete(self, request: web.Request) -> web.StreamResponse:
        """POST …/autocomplete: the bot's choices, none when it does not answer in time."""
        user, body = self._user(request), await read_object(request)
        channel = self._channel(user, number(body, "channel_id"))
        command = self._commands.find(user.id, channel, text(body, "name"), CHAT_INPUT)
        known, chain = options.leaf(command, text(body, "subcommand", ""))
        given = options.partial(known, mapping(body, "options"), text(body, "focused"))
        data = self._command_data(command, options.nest(chain, given))
        interaction = self._interactions.create(payloads.AUTOCOMPLETE, user.id, channel, data)
        choices = await interaction.choices if interaction.choices is not None else []
        return web.json_response({"choices": choices})

    async def context_menu(self, request: web.Request) -> web.StreamResponse:
        """POST …/context_menu, on a user or on a message."""
        user, body = self._user(request), await read_object(request)
        channel = self._channel(user, number(body, "channel_id"))
        name, target_id = text(body, "name"), number(body, "target_id")
        reader = self._reader(user, channel)
        if target_id in self._world.users:
            command = self._commands.find(user.id, channel, name, USER_MENU)
            reader.entity("target", options.USER, target_id)
        else:
            command = self._commands.find(user.id, channel, name, MESSAGE_MENU)
            message = self._message(user, target_id)
            if message.channel_id != channel.id:
                raise ClientRefusal("The message is in another channel.")
            reader.resolved["messages"] = {str(target_id): self._messages.for_bot(message)}
        data = self._command_data(command, [])
        data |= {"target_id": str(target_id), "resolved": reader.resolved}
        kind = payloads.APPLICATION_COMMAND
        return self._sent(self._interactions.create(kind, user.id, channel, data))

    async def component(self, request: web.Request) -> web.StreamResponse:
        """POST …/component."""
        user, body = self._user(request), await read_object(request)
        message = self._message(user, number(body, "message_id"))
        channel = self._world.channels[message.channel_id]
        reader = self._reader(user, channel)
        custom_id, values = text(body, "custom_id"), body.get("values")
        data = modals.use(message.data["components"], custom_id, values, reader)
        kind = payloads.MESSAGE_COMPONENT
        return self._sent(self._interactions.create(kind, user.id, channel, data, message=message))

    async def modal(self, request: web.Request) -> web.StreamResponse:
        """POST …/modal: submits the form that an interaction opened."""
        user, body = self._user(request), await read_object(request)
        opener = self._interactions.by_id.get(number(body, "interaction_id"))
        if opener is None or opener.modal is None or opener.user_id != user.id:
            raise ClientRefusal("There is no such form.")
        channel = self._world.channels[opener.channel_id]
        data = modals.submit(opener.modal, mapping(body, "values"), self._reader(user, channel))
        interaction = self._interactions.create(
            payloads.MODAL_SUBMIT,
            user.id,
            channel,
            data,
            message=opener.source,
            parent=payloads.metadata(self._world, opener.payload),
        )
        return self._sent(interaction)

    async def send(self, request: web.Request) -> web.StreamResponse:
        """POST …/messages."""
        user, body = self._user(request), await read_object(request)
        channel = self._channel(user, number(body, "channel_id"))
        content = text(body, "content").strip()
        if not 1 <= len(content) <= MAX_CONTENT:
            raise ClientRefusal(f"A message has 1 to {MAX_CONTENT} characters.")
        if not self._world.permissions(user.id, channel) & Perm.SEND_MESSAGES:
            raise ClientRefusal("You may not write here.")
        message = self._messages.user_posts(channel, user.id, content)
        return web.json_response(message.data, status=201)

    async def open_dm(self, request: web.Request) -> web.StreamResponse:
        """POST …/dm."""
        user = self._user(request)
        channel = self._messages.open_dm(user.id)
        return web.json_response(wire.channel(self._world, channel, user.id), status=201)
