"""When a digest is due: a local hour each day or week, whatever the clocks do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final, Literal

from gpuscout.accounts.walltime import first_instant

Cadence = Literal["daily", "weekly"]
CADENCES: Final[tuple[Cadence, ...]] = ("daily", "weekly")
DEFAULT_HOUR: Final = 8


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often and when. ``weekday`` counts from Monday (0) and only for a weekly digest.

    Raises:
        ValueError: an hour or a day that is none.
    """

    cadence: Cadence = "daily"
    hour: int = DEFAULT_HOUR
    weekday: int = 0

    def __post_init__(self) -> None:
        if self.cadence not in CADENCES or not 0 <= self.hour <= 23 or not 0 <= self.weekday <= 6:
            raise ValueError(f"{self.cadence} at {self.hour}, weekday {self.weekday}")

    @property
    def span(self) -> timedelta:
        """What one digest tells of."""
        return timedelta(days=7 if self.cadence == "weekly" else 1)

    def falls_on(self, day: date) -> bool:
        """Whether a digest is due on the local *day*."""
        return self.cadence == "daily" or day.weekday() == self.weekday


def next_slot(rhythm: Rhythm, zone: tzinfo, after: datetime) -> datetime:
    """The first time after *after* at which a digest is due, UTC.

    An hour that the clocks skip comes when they have jumped; of an hour that comes twice the first is meant.
    """
    day = after.astimezone(zone).date() - timedelta(days=1)
    for _ in range(17):  # two weeks: one weekday may lie on a date that a zone left out
        if rhythm.falls_on(day):
            slot = first_instant(day, rhythm.hour * 60, zone)
            if slot > after.astimezone(UTC):
                return slot
        day += timedelta(days=1)
    raise AssertionError("a week has at most eight days")


def newest_slot(rhythm: Rhythm, zone: tzinfo, first: datetime, now: datetime) -> tuple[datetime, int]:
    """The last slot up to *now* of those from *first* on, and how many earlier ones it stands for.

    Args:
        first: a slot that is due.
    """
    slot, missed = first, 0
    while (following := next_slot(rhythm, zone, slot)) <= now:
        slot, missed = following, missed + 1
    return slot, missed
