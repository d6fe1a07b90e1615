"""Turning pages: which part of a list is shown, and the row of buttons that turns it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import discord
from discord import ui

from config.i18n import Text
from gpuscout.cards.kit import Card, Rows

T = TypeVar("T")


class Move(StrEnum):
    """What a button of the pager does."""

    FIRST = "first"
    BACK = "back"
    JUMP = "jump"
    NEXT = "next"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class Paging:
    """One page of a list. ``page`` counts from 0."""

    page: int
    pages: int
    entries: int
    size: int

    @classmethod
    def of(cls, entries: int, size: int, page: int) -> Paging:
        """The page *page* of a list of *entries*, *size* a page; the nearest one where the list has become shorter."""
        pages = max(1, -(-entries // size))
        return cls(min(max(page, 0), pages - 1), pages, entries, size)

    @property
    def offset(self) -> int:
        """Entries before the page."""
        return self.page * self.size

    def part(self, items: Sequence[T]) -> Sequence[T]:
        """The entries on the page."""
        return items[self.offset : self.offset + self.size]

    def words(self, t: Text) -> str | None:
        """E.g. ``Page 2 of 7 (83 entries)``; None for a single page."""
        if self.pages == 1:
            return None
        return t(
            "Page {page} of {pages} ({entries} entries)",
            page=t.number(self.page + 1),
            pages=t.number(self.pages),
            entries=t.number(self.entries),
        )


def pager_row(paging: Paging, pack: Callable[[Move, int], str]) -> Rows | None:
    """First, back, page number, next, last; None when there is only one page.

    Args:
        pack: the custom id of a button that does a move; the number is the page to turn to, and for
            :attr:`Move.JUMP` the number of pages.
    """
    if paging.pages == 1:
        return None
    last = paging.pages - 1
    turns = (
        (Move.FIRST, "⏮", 0, paging.page == 0),
        (Move.BACK, "◀", max(paging.page - 1, 0), paging.page == 0),
        (Move.JUMP, None, paging.pages, False),
        (Move.NEXT, "▶", min(paging.page + 1, last), paging.page == last),
        (Move.LAST, "⏭", last, paging.page == last),
    )
    return ui.ActionRow(
        *(
            ui.Button[Card](
                label=f"{paging.page + 1}/{paging.pages}" if move is Move.JUMP else None,
                emoji=sign,
                custom_id=pack(move, target),
                disabled=disabled,
                style=discord.ButtonStyle.secondary,
            )
            for move, sign, target, disabled in turns
        )
    )
