"""What a server's feed remembers between two looks: moves it has told of, and why it stays silent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

REARM: Final = 0.6
"""A series that was told of is told of again only after its change fell below this part of the threshold."""
PAUSE: Final = timedelta(hours=6)
"""And not before this time: a price that jumps by whole cents may pass the threshold and calm down all day long."""
FORGET_DAYS: Final = 7
"""A series that is listed no more is forgotten after this many days."""


class Told(BaseModel):
    """A move that was told: its direction, when, and whether the series has calmed down since."""

    model_config = ConfigDict(frozen=True)

    up: bool
    at: AwareDatetime
    calm: bool = False


class FeedMemory(BaseModel):
    """JSON in ``app_state``.

    Attributes:
        told: by series (see :func:`gpuscout.delivery.feed_moves.key_text`).
        silent: why a post that was due did not come; None when the last one came.
        silent_since: when that began.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    told: dict[str, Told] = {}
    silent: Literal["stale"] | None = None
    silent_since: AwareDatetime | None = None

    def silenced(self, at: datetime) -> FeedMemory:
        """The same, silent for stale data since *at* (or since it was)."""
        if self.silent == "stale":
            return self
        return self.model_copy(update={"silent": "stale", "silent_since": at})

    def speaking(self) -> FeedMemory:
        """The same, not silent."""
        return self if self.silent is None else self.model_copy(update={"silent": None, "silent_since": None})


def read_memory(stored: Mapping[str, Any] | None) -> FeedMemory:
    """Stored JSON as memory; what cannot be read counts as nothing."""
    if not stored:
        return FeedMemory()
    try:
        return FeedMemory.model_validate(stored)
    except ValidationError:
        return FeedMemory()
