"""The state of a market card, packed into the custom ids of its components."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from gpuscout.cards.state import BadState, from_base36, to_base36
from gpuscout.market.overview import Ranking

PREFIX: Final = "market1"
PAGE_PREFIX: Final = f"{PREFIX}.page"
GLANCE: Final = "overview"
VIEWS: Final = (GLANCE, *(ranking.value for ranking in Ranking))
"""What a market card can show: everything at a glance, or one ranking."""


@dataclass(frozen=True, slots=True)
class MarketState:
    """Whose card it is (Discord user id), which view it shows, and which page of it (from 0)."""

    owner: int
    view: str = GLANCE
    page: int = 0

    def owned_by(self, user: int) -> MarketState:
        """The same card for somebody else."""
        return replace(self, owner=user)

    def turned_to(self, page: int) -> MarketState:
        """Another page of the same view."""
        return replace(self, page=page)

    def viewing(self, view: str) -> MarketState:
        """The first page of another view.

        Raises:
            BadState: there is no such view.
        """
        if view not in VIEWS:
            raise BadState("unknown view")
        return replace(self, view=view, page=0)


def pack_state(state: MarketState) -> str:
    """Owner and view; the page is what buttons change."""
    return f"{to_base36(state.owner)}|{state.view}"


def unpack_state(text: str, page: int = 0) -> MarketState:
    """Read :func:`pack_state` back, trusting nothing in it.

    Raises:
        BadState: of another version, or forged.
    """
    owner, _, view = text.partition("|")
    return MarketState(from_base36(owner)).viewing(view).turned_to(page)


def pack(state: MarketState, action: str) -> str:
    """Custom id of a component that is not part of the pager: ``market1.sort|page|owner|view``."""
    return f"{PREFIX}.{action}|{state.page}|{pack_state(state)}"


def unpack(custom_id: str) -> tuple[str, MarketState]:
    """Action and state of a custom id.

    Raises:
        BadState: of another version, or forged.
    """
    match = re.fullmatch(re.escape(PREFIX) + r"\.([a-z]+)\|(\d{1,5})\|(.*)", custom_id)
    if match is None:
        raise BadState("another version")
    return match[1], unpack_state(match[3], int(match[2]))
