"""What a control of a portfolio card does, packed into its custom id. Whose portfolio it is says who clicks."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from gpuscout.cards.state import BadState

PREFIX: Final = "pf1|"
DAYS: Final = (7, 30, 90)
PAGE_SIZE: Final = 10
MAX_PAGE: Final = 10_000
_ID = re.compile(r"[0-9a-z]{8,40}")


class Do(StrEnum):
    """What a control does."""

    SHOW = "show"
    ADD = "add"
    PICK = "pick"
    ONE = "one"
    EDIT = "edit"
    COSTS = "costs"
    ASK = "ask"
    """Asks whether to remove a holding."""
    REMOVE = "rm"
    UNDO = "undo"
    HOW = "how"
    """How a holding's figures, or without one the totals, are computed."""
    ADVICE = "advice"
    WHY = "why"
    """The evidence behind one holding's advice."""
    EXPORT = "export"
    TEMPLATE = "template"
    UPLOAD = "upload"
    STORE = "store"
    DROP = "drop"
    """Forgets an import that was not confirmed."""
    TARIFF = "tariff"
    NO_TARIFF = "notariff"


@dataclass(frozen=True, slots=True)
class PortfolioState:
    """Which holding a control is about (empty: the whole portfolio), and the page and range to go back to."""

    holding: str = ""
    days: int = 30
    page: int = 0

    def of(self, holding: str) -> PortfolioState:
        """The same place, about a holding."""
        return replace(self, holding=holding)

    def over(self, days: int) -> PortfolioState:
        """The same page over another range."""
        return replace(self, days=days)

    @property
    def whole(self) -> PortfolioState:
        """The same place, about the whole portfolio."""
        return replace(self, holding="")


def pack(state: PortfolioState, do: Do) -> str:
    """The custom id of a control; at most 70 characters."""
    return f"{PREFIX}{do.value}|{state.holding}|{state.days}|{state.page}"


def unpack(custom_id: str) -> tuple[Do, PortfolioState]:
    """Read a custom id back, trusting nothing in it.

    Raises:
        BadState: another version made it, or it was forged.
    """
    parts = custom_id.removeprefix(PREFIX).split("|")
    if not custom_id.startswith(PREFIX) or len(parts) != 4 or parts[0] not in set(Do):
        raise BadState("another version")
    do, holding, days, page = parts
    return Do(do), PortfolioState(check_holding(holding) if holding else "", check_days(days), check_page(page))


def check_holding(text: str) -> str:
    """An id that may be a holding's.

    Raises:
        BadState: it is none.
    """
    if not _ID.fullmatch(text):
        raise BadState("no holding")
    return text


def check_days(text: str) -> int:
    """One of :data:`DAYS`.

    Raises:
        BadState: it is none.
    """
    if text not in {str(days) for days in DAYS}:
        raise BadState("no range")
    return int(text)


def check_page(text: str) -> int:
    """A page from 0.

    Raises:
        BadState: it is none.
    """
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > MAX_PAGE:
        raise BadState("no page")
    return int(text)
