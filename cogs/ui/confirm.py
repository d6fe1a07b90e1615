"""Asking before something is done that cannot be undone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import discord
import structlog
from discord import ui

from cogs.replies import Reply
from cogs.ui.base import Interaction, ScoutLayout
from cogs.usage import record_interaction
from config.i18n import Text
from gpuscout.cards.kit import ACCENT, OFFLINE, WARNING

log = structlog.get_logger(__name__)

SHORTEST, LONGEST = 60.0, 180.0
"""Seconds that a question may stay open: long enough to read it, short enough to be remembered."""

Act = Callable[[Interaction], Awaitable[str]]
"""What a yes does; answers one sentence that says what was done."""


class Confirm(ScoutLayout):
    """A question with two buttons, for whoever was asked alone. Its buttons are off once it is decided or too late.

    ``await Confirm(…).ask(Reply(interaction, Place.PRIVATE))`` returns as soon as the question is shown; what a yes
    does happens in *act*, whose error is answered like that of a command.

    Args:
        question: what would be done, in markup.
        yes: label of the button that does it.
        act: does it.
        owner: id of the member who may decide.
        name: of usage events, such as ``erase``.
        seconds: how long the question stays open.

    Raises:
        ValueError: *seconds* is not between one and three minutes.
    """

    def __init__(
        self, question: str, *, yes: str, act: Act, owner: int, name: str, t: Text, seconds: float = 120.0
    ) -> None:
        if not SHORTEST <= seconds <= LONGEST:
            raise ValueError(f"a question stays open for {SHORTEST:.0f} to {LONGEST:.0f} s, not {seconds}")
        super().__init__(owner=owner, timeout=seconds)
        self._act = act
        self._name = name
        self._t = t
        self._asked: Interaction | None = None
        self._decided = False
        self._text: ui.TextDisplay[Confirm] = ui.TextDisplay(question)
        self._box: ui.Container[Confirm] = ui.Container(self._text, accent_colour=WARNING)
        self._yes = _Button(self._on_yes, label=yes[:80], style=discord.ButtonStyle.danger)
        self._no = _Button(self._on_no, label=t("Cancel"), style=discord.ButtonStyle.secondary)
        self._box.add_item(ui.ActionRow(self._yes, self._no))
        self.add_item(self._box)

    async def ask(self, reply: Reply) -> None:
        """Show the question."""
        self._asked = reply.interaction
        await reply.send(view=self)

    async def _on_yes(self, interaction: Interaction) -> None:
        if not self._decide():
            await interaction.response.defer()  # the second of two quick clicks
            return
        # Off before the work: nobody can start it twice, however long it takes.
        await interaction.response.edit_message(view=self)
        self._settle(await self._act(interaction), ACCENT)
        await interaction.edit_original_response(view=self)
        record_interaction(interaction, self._name, "component", "ok")

    async def _on_no(self, interaction: Interaction) -> None:
        if not self._decide():
            await interaction.response.defer()
            return
        self._settle(self._t("Nothing was changed."), OFFLINE)
        await interaction.response.edit_message(view=self)
        record_interaction(interaction, self._name, "component", "cancelled")

    async def on_timeout(self) -> None:
        """Say that it is too late; the member may have closed the message already."""
        if self._asked is None or not self._decide():
            return
        self._settle(self._t("Nothing was changed: that took too long to answer."), OFFLINE)
        try:
            await self._asked.edit_original_response(view=self)
        except discord.HTTPException as error:
            log.info("question_not_closed", name=self._name, detail=str(error))

    def _decide(self) -> bool:
        """Switch the buttons off; True for exactly one caller."""
        if self._decided:
            return False
        self._decided = True
        self._yes.disabled = self._no.disabled = True
        self.stop()
        return True

    def _settle(self, sentence: str, colour: int) -> None:
        self._text.content = f"{self._text.content}\n\n**{sentence}**"
        self._box.accent_colour = colour


class _Button(ui.Button[Confirm]):
    def __init__(self, pressed: Callable[[Interaction], Awaitable[None]], **options: Any) -> None:
        super().__init__(**options)
        self._pressed = pressed

    async def callback(self, interaction: Interaction) -> None:
        await self._pressed(interaction)
