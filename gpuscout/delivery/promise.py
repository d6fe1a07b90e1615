"""What is promised about alerts (docs/promises.md), and what the bot measures of itself."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

PROMISED_SECONDS: Final = 60
"""From the poll to the DM, while Discord answers and fewer than 2,000 members are told at once."""
MEASURED_OVER: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class DeliveryTimes:
    """Seconds from the poll to the DM of some alerts.

    Attributes:
        count: DMs measured; quiet hours are left out.
        p50, p99: percentiles by linear interpolation between the closest ranks; None without any DM.
    """

    count: int
    p50: float | None
    p99: float | None

    @classmethod
    def of(cls, seconds: Sequence[float]) -> DeliveryTimes:
        """The percentiles of *seconds*, in any order."""
        if len(seconds) < 2:
            only = seconds[0] if seconds else None
            return cls(len(seconds), only, only)
        cuts = statistics.quantiles(seconds, n=100, method="inclusive")
        return cls(len(seconds), cuts[49], cuts[98])
