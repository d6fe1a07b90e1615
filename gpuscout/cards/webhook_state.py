"""What the controls of a webhook card carry in their custom ids: an action, and what it concerns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gpuscout.cards.state import BadState

VERSION: Final = "wh1"
PAGE_PREFIX: Final = "whlog1"
TEMPLATE: Final = r"wh\d+\.[a-z]+\|(?P<state>[0-9a-z.]*)"
_ID = re.compile(r"[0-9a-z]{20}")


class Action(StrEnum):
    """What a control does."""

    LIST = "list"
    OPEN = "open"
    SHOW = "show"
    TEST = "test"
    ROTATE = "rotate"
    REMOVE = "remove"
    ENABLE = "on"
    LOG = "log"
    DELIVERY = "delivery"
    LOOK = "look"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True)
class State:
    """An action and the id that it concerns: a webhook's or a delivery's; empty for the list."""

    action: Action
    id: str = ""


def pack(action: Action, id: str = "") -> str:
    """The custom id of a control."""
    return f"{VERSION}.{action.value}|{id}"


def unpack(custom_id: str) -> State:
    """What a custom id says. Whose it is, the database says.

    Raises:
        BadState: it is not one of this version's.
    """
    head, _, identity = custom_id.partition("|")
    version, _, action = head.partition(".")
    if version != VERSION or action not in set(Action):
        raise BadState("unknown control of a webhook")
    if identity and _ID.fullmatch(identity) is None:
        raise BadState("not an id")
    return State(Action(action), identity)


def check_id(identity: str) -> str:
    """*identity* when it has the shape of an id.

    Raises:
        BadState: it has not.
    """
    if _ID.fullmatch(identity) is None:
        raise BadState("not an id")
    return identity
