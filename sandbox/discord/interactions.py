"""Interactions: from the user's click to the bot's first answer, with Discord's deadlines."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from sandbox.discord import components, payloads
from sandbox.discord.compose import Upload
from sandbox.discord.errors import ApiError, invalid_field
from sandbox.discord.events import Bus
from sandbox.discord.faults import Faults
from sandbox.discord.messages import CHAT_INPUT_COMMAND, CONTEXT_MENU_COMMAND, REPLY, Messages
from sandbox.discord.models import EPHEMERAL, LOADING, Channel, Message
from sandbox.discord.payloads import (
    APPLICATION_COMMAND,
    AUTOCOMPLETE,
    MESSAGE_COMPONENT,
    MODAL_SUBMIT,
)
from sandbox.discord.sessions import Sessions
from sandbox.discord.state import World

Json = dict[str, Any]

#: Seconds in which the first answer must come, and for which the token then works.
ACK_DEADLINE_S = 3.0
TOKEN_LIFE_S = 15 * 60.0
#: Interactions remembered after that, for the control API.
MAX_REMEMBERED = 2000
NO_ANSWER = "The application did not respond"

MESSAGE, DEFER, DEFER_UPDATE, UPDATE, CHOICES, MODAL = 4, 5, 6, 7, 8, 9
_ALLOWED: dict[int, frozenset[int]] = {
    APPLICATION_COMMAND: frozenset({MESSAGE, DEFER, MODAL}),
    MESSAGE_COMPONENT: frozenset({MESSAGE, DEFER, DEFER_UPDATE, UPDATE, MODAL}),
    AUTOCOMPLETE: frozenset({CHOICES}),
    MODAL_SUBMIT: frozenset({MESSAGE, DEFER}),
}
_STATES = {
    MESSAGE: "replied", DEFER: "deferred", DEFER_UPDATE: "updating", UPDATE: "updated",
    CHOICES: "choices", MODAL: "modal",
}  # fmt: skip


@dataclass(slots=True)
class Interaction:
    """One interaction and how it went.

    ``state`` is pending, deferred, replied, updating, updated, modal, choices or failed.
    ``born`` is on the monotonic clock; an aged interaction was born earlier than it was sent.
    """

    id: int
    token: str
    type: int
    user_id: int
    channel_id: int
    payload: Json
    born: float
    state: str = "pending"
    acked_ms: float | None = None
    ephemeral: bool = False
    original_id: int | None = None
    source: Message | None = None
    message_ids: list[int] = field(default_factory=list)
    follow_ups: int = 0
    modal: Json | None = None
    parent: Json | None = None
    choices: asyncio.Future[list[Json]] | None = None
    timer: asyncio.TimerHandle | None = None
    expired: bool = False

    @property
    def user_install_only(self) -> bool:
        """Whether only the user's own installation lets the app act here."""
        return "0" not in self.payload["authorizing_integration_owners"]


class Interactions:
    """Creates interactions and takes the bot's first answers.

    Args:
        ack_deadline_s: seconds until an unanswered interaction fails.
        token_life_s: seconds for which the token edits and follows up.
    """

    def __init__(
        self,
        world: World,
        bus: Bus,
        sessions: Sessions,
        messages: Messages,
        faults: Faults,
        *,
        ack_deadline_s: float = ACK_DEADLINE_S,
        token_life_s: float = TOKEN_LIFE_S,
    ) -> None:
        self._world = world
        self._bus = bus
        self._sessions = sessions
        self._messages = messages
        self._faults = faults
        self.ack_deadline_s = ack_deadline_s
        self.token_life_s = token_life_s
        self.by_id: OrderedDict[int, Interaction] = OrderedDict()
        self.by_token: dict[str, Interaction] = {}

    # -- the user acts --------------------------------------------------------------------

    def create(
        self,
        kind: int,
        user_id: int,
        channel: Channel,
        data: Json,
        *,
        message: Message | None = None,
        parent: Json | None = None,
    ) -> Interaction:
        """Send an interaction to the bot and start its deadline.

        Args:
            message: the message whose component was used.
            parent: metadata of the interaction that opened a modal.
        """
        age_ms = self._faults.age_interactions_ms
        number = self._world.next_id(age_ms)
        token = secrets.token_urlsafe(48)
        payload = payloads.interaction(
            self._world, kind=kind, number=number, token=token, user_id=user_id,
            channel=channel, data=data,
        )  # fmt: skip
        if message is not None:
            payload["message"] = self._messages.for_bot(message)
        loop = asyncio.get_running_loop()
        interaction = Interaction(
            number, token, kind, user_id, channel.id, payload, time.monotonic() - age_ms / 1000,
            source=message, parent=parent,
        )  # fmt: skip
        if kind == AUTOCOMPLETE:
            interaction.choices = loop.create_future()
        left = max(self.ack_deadline_s - age_ms / 1000, 0.0)
        interaction.timer = loop.call_later(left, self._deadline, interaction)
        self.by_id[number] = self.by_token[token] = interaction
        while len(self.by_id) > MAX_REMEMBERED:
            _, old = self.by_id.popitem(last=False)
            del self.by_token[old.token]
            if old.timer is not None:
                old.timer.cancel()
        self._sessions.dispatch("INTERACTION_CREATE", payload, guild_id=channel.guild_id)
        return interaction

    def _deadline(self, interaction: Interaction) -> None:
        if interaction.state == "pending":
            self._fail(interaction)

    def _token_deadline(self, interaction: Interaction) -> None:
        original = interaction.original_id and self._world.message(interaction.original_id)
        if original and original.data["flags"] & LOADING:
            self._fail(interaction)

    def _fail(self, interaction: Interaction) -> None:
        interaction.state = "failed"
        if interaction.choices is not None and not interaction.choices.done():
            interaction.choices.set_result([])
        if interaction.type != AUTOCOMPLETE:
            data = {"interaction_id": str(interaction.id), "message": NO_ANSWER}
            self._bus.to_user(interaction.user_id, "INTERACTION_FAILED", data)

    def close(self) -> None:
        """Stop all deadlines."""
        for interaction in self.by_id.values():
            if interaction.timer is not None:
                interaction.timer.cancel()
            if interaction.choices is not None and not interaction.choices.done():
                interaction.choices.set_result([])

    # -- the bot answers ------------------------------------------------------------------

    def find(self, interaction_id: int, token: str) -> Interaction:
        """The interaction of a callback URL; 10062 when there is none."""
        interaction = self.by_id.get(interaction_id)
        if interaction is None or not secrets.compare_digest(interaction.token, token):
            raise ApiError(10062)
        return interaction

    def callback(self, interaction: Interaction, body: Json, uploads: list[Upload]) -> Json:
        """Take the first answer; returns the body of ``with_response=1``.

        Raises:
            ApiError: 10062 too late, 40060 answered before, 50035 an answer of the wrong kind.
        """
        kind = body["type"]
        waited = time.monotonic() - interaction.born
        if interaction.state not in ("pending", "failed"):
            raise ApiError(40060)
        if interaction.state == "failed" or waited > self.ack_deadline_s:
            raise ApiError(10062)
        allowed = _ALLOWED[interaction.type]
        if interaction.type == MODAL_SUBMIT and interaction.source is not None:
            allowed |= {DEFER_UPDATE, UPDATE}
        if kind not in allowed:
            text = ", ".join(map(str, sorted(allowed)))
            raise invalid_field(["type"], "BASE_TYPE_CHOICES", f"Value must be one of {{{text}}}.")
        message = self._act(interaction, kind, body.get("data") or {}, uploads)
        interaction.state = _STATES[kind]
        interaction.acked_ms = waited * 1000
        self._restart_timer(interaction)
        return self._response(interaction, kind, message)

    def _restart_timer(self, interaction: Interaction) -> None:
        if interaction.timer is not None:
            interaction.timer.cancel()
        if interaction.type != AUTOCOMPLETE:
            loop = asyncio.get_running_loop()
            interaction.timer = loop.call_later(self.token_life_s, self._token_deadline, interaction)

    def _act(self, interaction: Interaction, kind: int, data: Json, uploads: list[Upload]) -> Message | None:
        source = interaction.source
        if kind in (MESSAGE, DEFER):
            interaction.ephemeral = bool((data.get("flags") or 0) & EPHEMERAL)
            message = self.new_message(interaction, ephemeral=interaction.ephemeral)
            if kind == DEFER:
                message.data["flags"] |= LOADING
            else:
                self._messages.apply(message, data, uploads)
            self._messages.post(message)
            interaction.original_id = message.id
            interaction.message_ids.append(message.id)
            return message
        if kind in (UPDATE, DEFER_UPDATE):
            if source is None:
                raise ApiError(10008)
            interaction.original_id = source.id
            if kind == UPDATE:
                self._messages.edit(source, data, uploads)
            return source
        if kind == CHOICES:
            if interaction.choices is not None and not interaction.choices.done():
                interaction.choices.set_result(data.get("choices") or [])
            return None
        interaction.modal = components.prepare_modal(data)
        self._bus.to_user(
            interaction.user_id,
            "MODAL",
            {"interaction_id": str(interaction.id), **interaction.modal},
        )
        return None

    def new_message(self, interaction: Interaction, *, ephemeral: bool) -> Message:
        """A blank message of the bot that answers the interaction."""
        channel = self._world.channels[interaction.channel_id]
        message = self._messages.blank(channel, self._world.bot.id)
        message.interaction_id = interaction.id
        payload = interaction.payload
        facts = payloads.metadata(self._world, payload, source=interaction.parent)
        message.data |= {
            "application_id": str(self._world.bot.id),
            "webhook_id": str(self._world.bot.id),
            "interaction_metadata": facts,
        }
        reference = interaction.original_id
        if interaction.type == APPLICATION_COMMAND and reference is None:
            is_slash = payload["data"]["type"] == 1
            message.data["type"] = CHAT_INPUT_COMMAND if is_slash else CONTEXT_MENU_COMMAND
            message.data["interaction"] = {
                "id": payload["id"], "type": APPLICATION_COMMAND,
                "name": facts["name"], "user": facts["user"],
            }  # fmt: skip
        elif reference is None and interaction.source is not None:
            reference = interaction.source.id
        if reference is not None:
            facts["original_response_message_id"] = str(reference)
            message.data["type"] = REPLY
            message.data["message_reference"] = {
                "type": 0, "channel_id": str(channel.id), "message_id": str(reference),
            }  # fmt: skip
        if ephemeral:
            message.data["flags"] |= EPHEMERAL
            message.visible_to = interaction.user_id
        return message

    def _response(self, interaction: Interaction, kind: int, message: Message | None) -> Json:
        facts: Json = {"id": str(interaction.id), "type": interaction.type}
        result: Json = {"interaction": facts}
        if message is not None:
            facts |= {
                "response_message_id": str(message.id),
                "response_message_loading": bool(message.data["flags"] & LOADING),
                "response_message_ephemeral": message.visible_to is not None,
            }
            if kind in (MESSAGE, UPDATE):
                result["resource"] = {"type": kind, "message": self._messages.for_bot(message)}
        return result
