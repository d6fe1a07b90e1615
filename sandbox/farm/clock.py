"""Simulated time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True)
class SimClock:
    """Maps wall time to simulated time: ``origin_sim + speed * (wall - origin_real)``.

    With speed 1 and equal origins (:meth:`real_time`) both are the same. ``wall_source`` gives
    wall time as epoch seconds; tests put their own in.
    """

    origin_real: datetime
    origin_sim: datetime
    speed: float = 1.0
    wall_source: Callable[[], float] = field(default=time.time, repr=False)

    def __post_init__(self) -> None:
        if self.origin_real.tzinfo is None or self.origin_sim.tzinfo is None:
            raise ValueError("both origins need a zone, for example datetime.now(UTC)")
        if not 0 < self.speed <= 1_000_000:
            raise ValueError(f"the speed lies above 0 and at most at 1000000, not at {self.speed}")

    @classmethod
    def real_time(cls, speed: float = 1.0, wall_source: Callable[[], float] = time.time) -> SimClock:
        """A clock that agrees with the wall clock now and runs ``speed`` times as fast."""
        now = datetime.fromtimestamp(wall_source(), UTC)
        return cls(now, now, speed, wall_source)

    def wall_now(self) -> datetime:
        """Wall time, aware UTC."""
        return datetime.fromtimestamp(self.wall_source(), UTC)

    def now(self) -> datetime:
        """Simulated time, aware UTC."""
        return self.at(self.wall_now())

    def at(self, wall: datetime) -> datetime:
        """The simulated time that belongs to a wall time."""
        return (self.origin_sim + (wall - self.origin_real) * self.speed).astimezone(UTC)

    def wall_at(self, simulated: datetime) -> datetime:
        """The wall time at which a simulated time is reached."""
        elapsed: timedelta = (simulated - self.origin_sim) / self.speed
        return (self.origin_real + elapsed).astimezone(UTC)
