"""When a digest is due: the local hour, whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuscout.digests.schedule import Rhythm, newest_slot, next_slot

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "America/Havana", "Asia/Kolkata")


@pytest.mark.parametrize(
    ("rhythm", "after", "expected"),
    [
        (Rhythm("daily", 8), "2026-11-24T07:59:59+01:00", "2026-11-24T08:00:00+01:00"),
        (Rhythm("daily", 8), "2026-11-24T08:00:00+01:00", "2026-11-25T08:00:00+01:00"),
        (Rhythm("weekly", 8, 0), "2026-11-24T08:00:00+01:00", "2026-11-30T08:00:00+01:00"),
        (Rhythm("weekly", 8, 1), "2026-11-24T07:00:00+01:00", "2026-11-24T08:00:00+01:00"),
        # The clocks go forward on 2026-03-29: 02:00 does not come, and 08:00 comes an hour earlier.
        (Rhythm("daily", 2), "2026-03-28T12:00:00+01:00", "2026-03-29T03:00:00+02:00"),
        (Rhythm("daily", 8), "2026-03-28T12:00:00+01:00", "2026-03-29T08:00:00+02:00"),
        # And back on 2026-10-25: 02:00 comes twice, the first counts, and the second brings no second digest.
        (Rhythm("daily", 2), "2026-10-24T12:00:00+02:00", "2026-10-25T02:00:00+02:00"),
        (Rhythm("daily", 2), "2026-10-25T02:00:00+02:00", "2026-10-26T02:00:00+01:00"),
    ],
)
def test_the_next_slot_in_berlin(rhythm: Rhythm, after: str, expected: str) -> None:
    assert next_slot(rhythm, BERLIN, datetime.fromisoformat(after)) == datetime.fromisoformat(expected)


RHYTHMS = st.builds(
    Rhythm, cadence=st.sampled_from(["daily", "weekly"]), hour=st.integers(0, 23), weekday=st.integers(0, 6)
)
STARTS = st.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - naive bounds


@settings(max_examples=150, deadline=None)
@given(rhythm=RHYTHMS, zone=st.sampled_from(ZONES), start=STARTS)
def test_every_local_day_has_its_digest_exactly_once(rhythm: Rhythm, zone: str, start: datetime) -> None:
    tz = ZoneInfo(zone)
    slots, at = [], start
    for _ in range(12):
        at = next_slot(rhythm, tz, at)
        slots.append(at)
    local = [slot.astimezone(tz) for slot in slots]
    days = [moment.date() for moment in local]
    step = 7 if rhythm.cadence == "weekly" else 1
    assert [(b - a).days for a, b in pairwise(days)] == [step] * 11
    for moment in local:
        assert rhythm.falls_on(moment.date())
        # The hour itself, unless the clocks jumped over it.
        wall = moment.replace(tzinfo=None)
        shown = wall.replace(hour=rhythm.hour, minute=0, second=0)
        if wall != shown:
            back = shown.replace(tzinfo=tz).astimezone(UTC).astimezone(tz).replace(tzinfo=None)
            assert back != shown, "the hour exists on that day"
            assert wall > shown


@settings(max_examples=80, deadline=None)
@given(rhythm=RHYTHMS, zone=st.sampled_from(ZONES), start=STARTS, hours=st.integers(0, 24 * 40))
def test_after_an_outage_one_digest_stands_for_all(rhythm: Rhythm, zone: str, start: datetime, hours: int) -> None:
    tz = ZoneInfo(zone)
    first = next_slot(rhythm, tz, start)
    now = first + timedelta(hours=hours)
    slot, missed = newest_slot(rhythm, tz, first, now)
    assert slot <= now < next_slot(rhythm, tz, slot)
    counted, at = 0, first
    while at < slot:
        at, counted = next_slot(rhythm, tz, at), counted + 1
    assert (at, counted) == (slot, missed)


@pytest.mark.parametrize("values", [("daily", 24, 0), ("daily", -1, 0), ("weekly", 8, 7), ("monthly", 8, 0)])
def test_rules_that_are_none_are_refused(values: tuple[str, int, int]) -> None:
    with pytest.raises(ValueError, match="at"):
        Rhythm(*values)  # type: ignore[arg-type]
