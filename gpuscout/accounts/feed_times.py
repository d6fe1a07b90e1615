"""When a server's daily post is due: a local hour, whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from gpuscout.accounts.servers import ServerSettings
from gpuscout.accounts.timezones import zone_of

LATEST: Final = timedelta(hours=3)
"""How late a daily post may come (after an outage, or once stale data are fresh again); then the day goes without."""


def daily_instant(settings: ServerSettings, day: date) -> datetime:
    """The instant of a local day's post, UTC.

    An hour that the clocks skip is taken by the clock before the change, so the post comes when they have jumped; of
    an hour that comes twice the first is meant.
    """
    local = datetime.combine(day, time(settings.feed.hour), tzinfo=zone_of(settings.timezone))
    return local.astimezone(UTC)


def local_day(settings: ServerSettings, now: datetime) -> date:
    """The server's calendar day."""
    return now.astimezone(zone_of(settings.timezone)).date()


def day_start(settings: ServerSettings, now: datetime) -> datetime:
    """Midnight of the server's day, UTC: from here posts are counted."""
    zone = zone_of(settings.timezone)
    return datetime.combine(local_day(settings, now), time(), tzinfo=zone).astimezone(UTC)


def due_day(settings: ServerSettings, now: datetime) -> date | None:
    """The local day whose post is due now, or None. Nothing is due for a time before the feed was set up."""
    today = local_day(settings, now)
    for day in (today, today - timedelta(days=1)):  # an evening post may be late until after midnight
        instant = daily_instant(settings, day)
        if instant <= now < instant + LATEST:
            since = settings.feed.since
            return day if since is None or instant >= since else None
    return None


def next_daily(settings: ServerSettings, now: datetime) -> datetime:
    """The instant of the next daily post."""
    today = local_day(settings, now)
    for days in range(3):
        instant = daily_instant(settings, today + timedelta(days=days))
        if instant > now:
            return instant
    raise AssertionError("a day has at most 25 hours")
