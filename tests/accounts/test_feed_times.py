"""A daily post comes at its local hour whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuscout.accounts.feed_times import LATEST, daily_instant, day_start, due_day, next_daily
from gpuscout.accounts.servers import FeedSettings, ServerSettings
from gpuscout.accounts.timezones import COMMON, zone_of

MOMENTS = st.integers(1_767_225_600, 1_830_000_000).map(lambda at: datetime.fromtimestamp(at, UTC))
"""Some instant of 2026 or 2027."""


def server(zone: str, hour: int, since: datetime | None = None) -> ServerSettings:
    return ServerSettings(timezone=zone, feed=FeedSettings(channel_id=1, mode="daily", hour=hour, since=since))


@pytest.mark.parametrize(
    ("zone", "hour", "day", "utc"),
    [
        ("UTC", 9, date(2026, 11, 24), "2026-11-24T09:00"),
        ("Europe/Berlin", 9, date(2026, 10, 24), "2026-10-24T07:00"),  # summer
        ("Europe/Berlin", 9, date(2026, 10, 25), "2026-10-25T08:00"),  # the clocks went back at night
        ("Europe/Berlin", 2, date(2026, 10, 25), "2026-10-25T00:00"),  # 2:00 comes twice: the first
        ("Europe/Berlin", 2, date(2026, 3, 29), "2026-03-29T01:00"),  # 2:00 is skipped: when it has become 3:00
        ("America/New_York", 2, date(2026, 3, 8), "2026-03-08T07:00"),
        ("Asia/Kolkata", 0, date(2026, 11, 24), "2026-11-23T18:30"),
        ("Pacific/Auckland", 23, date(2026, 11, 24), "2026-11-24T10:00"),
        ("Nowhere/Land", 9, date(2026, 11, 24), "2026-11-24T09:00"),
    ],
)
def test_instant(zone: str, hour: int, day: date, utc: str) -> None:
    assert daily_instant(server(zone, hour), day) == datetime.fromisoformat(utc).replace(tzinfo=UTC)


def test_due_from_the_hour_on_for_three_hours() -> None:
    chosen = server("Europe/Berlin", 23)
    hour = datetime(2026, 11, 24, 22, 0, tzinfo=UTC)
    assert due_day(chosen, hour - timedelta(seconds=1)) is None
    assert due_day(chosen, hour) == date(2026, 11, 24)
    assert due_day(chosen, hour + timedelta(hours=2)) == date(2026, 11, 24), "it is the 25th there by now"
    assert due_day(chosen, hour + LATEST) is None


def test_a_time_before_the_set_up_is_not_made_up_for() -> None:
    set_up = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
    chosen = server("UTC", 9, set_up)
    assert due_day(chosen, set_up + timedelta(minutes=5)) is None
    assert due_day(chosen, set_up + timedelta(hours=23, minutes=30)) == date(2026, 11, 25)
    assert next_daily(chosen, set_up) == datetime(2026, 11, 25, 9, tzinfo=UTC)


@settings(deadline=None, max_examples=30)
@given(
    zone=st.sampled_from(COMMON),
    hour=st.integers(0, 23),
    start=MOMENTS,
)
def test_every_local_day_has_exactly_one_post(zone: str, hour: int, start: datetime) -> None:
    chosen = server(zone, hour)
    now = start
    due = []
    for _ in range(4 * 24 * 4):  # a look each quarter of an hour for four days
        day = due_day(chosen, now)
        if day is not None and day not in due:
            due.append(day)
        now += timedelta(minutes=15)
    assert 4 <= len(due) <= 5
    assert due == [due[0] + timedelta(days=number) for number in range(len(due))]


@given(zone=st.sampled_from(COMMON), at=MOMENTS)
def test_the_day_begins_at_local_midnight(zone: str, at: datetime) -> None:
    now = at
    start = day_start(server(zone, 9), now)
    assert start <= now < start + timedelta(hours=25, minutes=1)
    assert start.astimezone(zone_of(zone)).date() == now.astimezone(zone_of(zone)).date()
