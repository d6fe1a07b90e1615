"""What an interaction's token allows after the first answer: the original and follow-ups."""

from __future__ import annotations

import time
from typing import Any

from sandbox.discord.compose import Upload
from sandbox.discord.errors import ApiError
from sandbox.discord.interactions import Interaction, Interactions
from sandbox.discord.messages import Messages
from sandbox.discord.models import EPHEMERAL, LOADING, Message
from sandbox.discord.payloads import AUTOCOMPLETE
from sandbox.discord.state import World

Json = dict[str, Any]

#: Follow-ups where only the user's own installation lets the app act.
USER_INSTALL_FOLLOW_UPS = 5


class Replies:
    """The webhook that an interaction token is."""

    def __init__(self, world: World, messages: Messages, interactions: Interactions) -> None:
        self._world = world
        self._messages = messages
        self._interactions = interactions

    def open(self, application_id: int, token: str) -> Interaction:
        """The interaction behind a token.

        Raises:
            ApiError: 10015 unknown or not yet answered, 50027 expired.
        """
        interaction = self._interactions.by_token.get(token)
        if interaction is None or application_id != self._world.bot.id:
            raise ApiError(10015)
        age = time.monotonic() - interaction.born
        if interaction.expired or age > self._interactions.token_life_s:
            raise ApiError(50027)
        if interaction.state in ("pending", "failed") or interaction.type == AUTOCOMPLETE:
            raise ApiError(10015)
        return interaction

    def message(self, interaction: Interaction, message_id: str) -> Message:
        """One of the interaction's messages; ``@original`` is its first answer."""
        number = interaction.original_id if message_id == "@original" else _number(message_id)
        known = {*interaction.message_ids, interaction.original_id}
        found = None
        if number is not None and number in known:
            found = self._world.message(number, interaction.channel_id)
        if found is None:
            raise ApiError(10008)
        return found

    def follow_up(self, interaction: Interaction, body: Json, uploads: list[Upload]) -> Message:
        """Post a follow-up. The first one after a deferral becomes the original itself."""
        original = interaction.original_id and self._world.message(interaction.original_id)
        if original and original.data["flags"] & LOADING and interaction.state == "deferred":
            self.edit(interaction, original, body, uploads)
            return original
        if interaction.user_install_only and interaction.follow_ups >= USER_INSTALL_FOLLOW_UPS:
            raise ApiError(40094)
        ephemeral = bool((body.get("flags") or 0) & EPHEMERAL)
        message = self._interactions.new_message(interaction, ephemeral=ephemeral)
        self._messages.apply(message, body, uploads)
        self._messages.post(message)
        interaction.follow_ups += 1
        interaction.message_ids.append(message.id)
        if interaction.original_id is None:
            interaction.original_id = message.id
        return message

    def edit(self, interaction: Interaction, message: Message, body: Json, uploads: list[Upload]) -> None:
        """Edit one of the interaction's messages."""
        was_loading = bool(message.data["flags"] & LOADING)
        self._messages.edit(message, body, uploads, mark_edited=not was_loading)
        if was_loading:
            interaction.state = "replied"
        elif interaction.state == "updating":
            interaction.state = "updated"


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() else None
