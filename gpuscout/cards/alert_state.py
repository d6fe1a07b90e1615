"""What a control of an alert does and to which rule, packed into its custom id."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from gpuscout.cards.state import BadState, from_base36, to_base36

PREFIX: Final = "alert1"
PAGE_PREFIX: Final = "alerts1"
"""Of the buttons that turn the pages of a list; their state is the list's owner."""

Whose = Literal["m", "g"]
"""``m``: a rule of the member who clicks; ``g``: one of the server where it is clicked, or whose message it is."""


class AlertAction(StrEnum):
    """What a control does."""

    SNOOZE = "snooze"
    """A menu whose values are hours."""
    WAKE = "wake"
    PAUSE = "pause"
    RESUME = "resume"
    CHART = "chart"
    EDIT = "edit"
    WHY = "why"
    OPEN = "open"
    """The panel of one rule."""
    PICK = "pick"
    """A menu whose values are rules."""
    TEST = "test"
    REMOVE = "remove"
    """Asks first."""
    DROP = "drop"
    """Removes."""
    RESTORE = "restore"
    RENEW = "renew"
    MUTE = "mute"
    UNMUTE = "unmute"
    LIST = "list"


SNOOZE_HOURS: Final = (1, 8, 24)


@dataclass(frozen=True, slots=True)
class AlertControl:
    """A parsed custom id. ``guild_id`` is of a server's rule (its messages may be read elsewhere); else 0."""

    action: AlertAction
    rule_id: int
    whose: Whose = "m"
    guild_id: int = 0

    def owner_key(self, member_id: int) -> str:
        """Key of the rule's owner for whoever clicked."""
        return f"g:{self.guild_id}" if self.whose == "g" else f"m:{member_id}"


def pack(action: AlertAction, rule_id: int = 0, *, guild_id: int | None = None) -> str:
    """The custom id of a control; *guild_id* for a server's rule."""
    whose = "m" if guild_id is None else f"g{to_base36(guild_id)}"
    return f"{PREFIX}|{action.value}|{to_base36(rule_id)}|{whose}"


def unpack(custom_id: str) -> AlertControl:
    """Read a custom id back, trusting nothing in it.

    Raises:
        BadState: another version wrote it, or nobody did.
    """
    match = re.fullmatch(rf"{PREFIX}\|([a-z]+)\|([0-9a-z]{{1,13}})\|(m|g[0-9a-z]{{1,13}})", custom_id)
    if match is None:
        raise BadState("no alert control")
    try:
        action = AlertAction(match[1])
    except ValueError:
        raise BadState("unknown action") from None
    rule_id = from_base36(match[2])
    if rule_id >= 2**63:
        raise BadState("no rule")
    if match[3] == "m":
        return AlertControl(action, rule_id)
    return AlertControl(action, rule_id, "g", from_base36(match[3][1:]))
