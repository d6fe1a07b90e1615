"""Answering an interaction once, in time, and in the right place."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from enum import Enum
from typing import Any, Final, TypeVar

import discord
import structlog

from cogs.errors import Explanation, Mention, TooLate, error_id, explain, is_expired, unwrap
from cogs.preferences import preferences_of
from config.i18n import Text, translator_for

log = structlog.get_logger(__name__)

T = TypeVar("T")

_EPHEMERAL_DEFER = "scout_ephemeral_defer"

QUICK: Final = 0.008
"""Seconds worth waiting for an answer in one message before "is thinking" is shown."""
PATIENT: Final = 1.0
"""Seconds to wait for what may still refuse the command: a refusal should not appear under a public "thinking"."""


class Place(Enum):
    """Where an answer goes."""

    PUBLIC = "public"
    PRIVATE = "private"
    """Only for the member who asked."""
    IN_PLACE = "in place"
    """The message that was clicked is edited."""


class Reply:
    """One answer to one interaction: at once when it is quick, else after a "thinking" that it replaces.

    A public answer becomes a private one where the server's admins allow no public ones.
    """

    def __init__(self, interaction: discord.Interaction[Any], place: Place) -> None:
        self.interaction = interaction
        self.place = Place.PRIVATE if place is Place.PUBLIC and preferences_of(interaction).private else place

    async def within(self, seconds: float, work: Awaitable[T]) -> T:
        """Await *work*; when it takes longer than *seconds*, acknowledge meanwhile.

        Cancellation and errors reach the work and the caller as usual.
        """
        task = asyncio.ensure_future(work)
        try:
            done, _ = await asyncio.wait({task}, timeout=seconds)
            if not done:
                await self.acknowledge()
            return await task
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def acknowledge(self) -> None:
        """Tell Discord that an answer comes (nothing when that was done)."""
        response = self.interaction.response
        if response.is_done():
            return
        if self.place is Place.IN_PLACE:
            await response.defer()
            return
        private = self.place is Place.PRIVATE
        self.interaction.extras[_EPHEMERAL_DEFER] = private
        await response.defer(thinking=True, ephemeral=private)

    async def send(
        self,
        *,
        view: discord.ui.LayoutView,
        files: Sequence[discord.File] = (),
    ) -> None:
        """Send or edit the one message."""
        response = self.interaction.response
        if response.is_done():
            await self.interaction.edit_original_response(view=view, attachments=list(files))
        elif self.place is Place.IN_PLACE:
            await response.edit_message(view=view, attachments=list(files))
        else:
            await response.send_message(view=view, files=list(files), ephemeral=self.place is Place.PRIVATE)


def text_of(interaction: discord.Interaction[Any]) -> Text:
    """Texts in the language of the member who asked: the one he chose, else his client's."""
    return translator_for(preferences_of(interaction).member.locale or interaction.locale.value)


def sentence_with_id(explanation: Explanation, identity: str, t: Text) -> str:
    """What the member reads."""
    sign = "⚠️" if explanation.expected else "❌"
    return f"{sign} {explanation.sentence}\n-# {t('Error {id}', id=identity)}"


async def answer_error(interaction: discord.Interaction[Any], error: BaseException, mention: Mention, name: str) -> str:
    """Tell the member in one ephemeral sentence and the log under the same id. Returns the outcome's name.

    A public "thinking" that nothing will replace is deleted. When Discord has closed the interaction there is
    nobody to tell: it is logged only.
    """
    cause = unwrap(error)
    identity = error_id()
    t = text_of(interaction)
    if isinstance(cause, TooLate):
        log.warning("interaction_too_old", command=name, age=round(cause.age, 2))
        return cause.outcome
    if is_expired(cause):
        log.warning("interaction_expired", command=name, error_id=identity, detail=str(cause))
        return "expired"
    explanation = explain(cause, t, mention)
    details = {"command": name, "error_id": identity, "outcome": explanation.outcome}
    if explanation.expected:
        log.info("command_refused", detail=str(cause), **details)
    else:
        log.error("command_failed", exc_info=cause, **details)
    try:
        await _tell(interaction, sentence_with_id(explanation, identity, t))
    except discord.HTTPException as failure:
        log.warning("member_not_told", detail=str(failure), **details)
    return explanation.outcome


async def _tell(interaction: discord.Interaction[Any], sentence: str) -> None:
    response = interaction.response
    if not response.is_done():
        await response.send_message(sentence, ephemeral=True)
        return
    if response.type is discord.InteractionResponseType.deferred_channel_message:
        if interaction.extras.get(_EPHEMERAL_DEFER):
            await interaction.edit_original_response(content=sentence)
            return
        # The first follow-up to a public "thinking" takes its place and stays public, and none can be sent once it
        # is deleted while thinking. So it is finished first and deleted last.
        await interaction.edit_original_response(content="…")
        try:
            await interaction.followup.send(sentence, ephemeral=True)
        finally:
            await interaction.delete_original_response()
        return
    await interaction.followup.send(sentence, ephemeral=True)
