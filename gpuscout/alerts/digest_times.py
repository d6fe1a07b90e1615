"""When a digest of alerts is due."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

from gpuscout.accounts.walltime import first_instant
from gpuscout.alerts.rules import DigestRule


def next_digest(rule: DigestRule, zone: tzinfo, after: datetime) -> datetime:
    """The first time after *after* (UTC) at which clocks of *zone* show the rule's hour, on Mondays for weekly ones."""
    day = after.astimezone(zone).date()
    for _ in range(9):
        at = first_instant(day, rule.hour * 60, zone)
        if at > after and (rule.every == "day" or day.weekday() == 0):
            return at
        day += timedelta(days=1)
    raise RuntimeError("no such hour within nine days")
