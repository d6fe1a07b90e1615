"""Buttons that turn pages, alive as long as the message.

A room that pages calls :func:`pager_items` once with its prefix and a callback, registers the result as dynamic items,
and puts :func:`gpuscout.cards.pager.pager_row` with :func:`pager_id` on its card.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import discord
from discord import ui

from cogs.errors import Mention, Refusal
from cogs.replies import text_of
from cogs.ui.base import Interaction, ScoutItem, ScoutModal
from cogs.usage import record_interaction
from config.i18n import Text
from gpuscout.cards.pager import Move
from gpuscout.cards.state import BadState

MAX_PAGES: Final = 10_000
_MODAL_SECONDS: Final = 300.0

Turn = Callable[[Interaction, str, int], Awaitable[None]]
"""Shows a page: the interaction to answer, the card's state as it was packed, the page from 0. A page beyond the end
is the callback's matter: the list may have become shorter."""


class NotAPage(Refusal):
    """What was typed is no page of the list."""

    outcome = "bad_value"

    def __init__(self, pages: int) -> None:
        self.pages = pages
        super().__init__(f"not a page of {pages}")

    def sentence(self, t: Text, mention: Mention) -> str:
        return t("Give a page from 1 to {pages}.", pages=t.number(self.pages))


def pager_id(prefix: str, state: str) -> Callable[[Move, int], str]:
    """Makes the custom ids of a pager's buttons: ``prefix|next.3|state``."""
    return lambda move, target: f"{prefix}|{move.value}.{target}|{state}"


def pager_items(prefix: str, turn: Turn) -> tuple[type[ScoutItem[Any]], ...]:
    """The buttons of every pager whose ids begin with *prefix*. The page number opens a form that asks for one."""
    pattern = re.escape(prefix) + r"\|(?P<move>first|back|jump|next|last)\.(?P<page>\d{1,5})\|(?P<state>.*)"

    class PageButton(ScoutItem[ui.Button[Any]], template=pattern):
        """One of the five buttons."""

        usage_name = f"{prefix} page"

        async def act(self, interaction: Interaction) -> None:
            move, page, state = _read(pattern, self.custom_id)
            if move is Move.JUMP:
                form = JumpForm(turn, state, page, text_of(interaction), self.usage_name)
                await interaction.response.send_modal(form)
                return
            await turn(interaction, state, page)

    return (PageButton,)


def _read(pattern: str, custom_id: str) -> tuple[Move, int, str]:
    match = re.fullmatch(pattern, custom_id)
    if match is None or int(match["page"]) > MAX_PAGES:
        raise BadState("no page")
    return Move(match["move"]), int(match["page"]), match["state"]


class JumpForm(ScoutModal):
    """Asks for a page number. A form that is closed without an answer is forgotten after five minutes."""

    def __init__(self, turn: Turn, state: str, pages: int, t: Text, name: str) -> None:
        super().__init__(title=t("Go to a page")[:45], timeout=_MODAL_SECONDS)
        self._turn = turn
        self._state = state
        self._pages = pages
        self._name = name
        self._number: ui.TextInput[JumpForm] = ui.TextInput(
            custom_id="page",
            style=discord.TextStyle.short,
            placeholder=f"1–{pages}",
            min_length=1,
            max_length=len(str(MAX_PAGES)),
        )
        self.add_item(ui.Label(text=t("Page (1 to {pages})", pages=pages)[:45], component=self._number))

    async def on_submit(self, interaction: Interaction, /) -> None:
        """Turn to the page, or say which there are."""
        text = self._number.value.strip()
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= self._pages):
            raise NotAPage(self._pages)
        await self._turn(interaction, self._state, int(text) - 1)
        record_interaction(interaction, self._name, "component", "ok")
