"""Instants of local times, exact where clocks are put forward or back."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo


def first_instant(day: date, minute: int, zone: tzinfo) -> datetime:
    """The first instant, UTC, at which clocks of *zone* show *minute* (after midnight) of *day*, or a later time.

    A time that is skipped comes when the clocks jump over it; of one that comes twice this is the first.
    """
    return _instant(day, minute, zone, fold=0)


def last_instant(day: date, minute: int, zone: tzinfo) -> datetime:
    """The first instant, UTC, from which on clocks of *zone* never show a time before *minute* of *day*.

    As :func:`first_instant`, but of a time that comes twice this is the second.
    """
    return _instant(day, minute, zone, fold=1)


def _instant(day: date, minute: int, zone: tzinfo, fold: int) -> datetime:
    wall = datetime.combine(day, time(minute // 60, minute % 60))
    early, late = (wall.replace(tzinfo=zone, fold=side).astimezone(UTC) for side in (0, 1))
    if early <= late:  # shown once (both are the same) or twice
        return late if fold else early
    # Skipped: the offset before the jump gives the later instant. The jump lies between the two.
    return _jump(late, early, wall, zone)


def _jump(low: datetime, high: datetime, wall: datetime, zone: tzinfo) -> datetime:
    """The first second in (*low*, *high*] at which clocks show *wall* or later."""
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
        if middle.astimezone(zone).replace(tzinfo=None) >= wall:
            high = middle
        else:
            low = middle
    return high
