"""Quiet hours by the clock on the wall, whatever the clocks do; and what may be chosen."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuscout.accounts.delivery_choices import Choice, DeliveryChoices, Quiet, quiet_until
from gpuscout.accounts.members import BadSetting
from gpuscout.accounts.walltime import first_instant, last_instant
from tests.fake_choices import FakeChoiceRows

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def until(start: str, end: str, zone: ZoneInfo, now: str) -> str | None:
    found = quiet_until(Choice(1, quiet=Quiet(minutes(start), minutes(end))), zone, datetime.fromisoformat(now))
    return None if found is None else f"{found.astimezone(zone):%m-%dT%H:%M%z}"


def minutes(text: str) -> int:
    hour, minute = text.split(":")
    return int(hour) * 60 + int(minute)


@pytest.mark.parametrize(
    ("start", "end", "now", "expected"),
    [
        ("22:00", "07:00", "2026-11-24T21:59:59+01:00", None),
        ("22:00", "07:00", "2026-11-24T22:00:00+01:00", "11-25T07:00+0100"),
        ("22:00", "07:00", "2026-11-25T06:59:59+01:00", "11-25T07:00+0100"),
        ("22:00", "07:00", "2026-11-25T07:00:00+01:00", None),
        ("13:00", "14:30", "2026-11-25T13:30:00+01:00", "11-25T14:30+0100"),
        ("00:00", "08:00", "2026-11-25T00:00:00+01:00", "11-25T08:00+0100"),
        ("22:00", "00:00", "2026-11-25T23:59:00+01:00", "11-26T00:00+0100"),
        # Forward on 2026-03-29, 02:00 → 03:00.
        ("22:00", "07:00", "2026-03-28T23:00:00+01:00", "03-29T07:00+0200"),
        ("22:00", "02:30", "2026-03-29T01:59:00+01:00", "03-29T03:00+0200"),
        ("22:00", "02:30", "2026-03-29T03:00:00+02:00", None),
        ("02:30", "06:00", "2026-03-29T01:59:00+01:00", None),
        ("02:30", "06:00", "2026-03-29T03:00:00+02:00", "03-29T06:00+0200"),
        ("02:10", "02:50", "2026-03-29T03:00:00+02:00", None),
        # Back on 2026-10-25, 03:00 → 02:00.
        ("22:00", "07:00", "2026-10-25T02:30:00+02:00", "10-25T07:00+0100"),
        ("22:00", "02:30", "2026-10-25T02:40:00+02:00", "10-25T02:30+0100"),
        ("22:00", "02:30", "2026-10-25T02:30:00+01:00", None),
        ("02:30", "06:00", "2026-10-25T02:30:00+02:00", "10-25T06:00+0100"),
        ("02:30", "06:00", "2026-10-25T02:10:00+01:00", "10-25T06:00+0100"),
        ("02:30", "02:10", "2026-10-25T02:20:00+02:00", "10-26T02:10+0100"),  # one night joins the next
    ],
)
def test_quiet_hours_in_berlin(start: str, end: str, now: str, expected: str | None) -> None:
    assert until(start, end, BERLIN, now) == expected


def test_without_quiet_hours_it_is_never_quiet() -> None:
    assert quiet_until(Choice(1), BERLIN, NOW) is None


ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",  # half an hour
    "Asia/Kathmandu",
    "America/St_Johns",
    "Pacific/Apia",
    "Africa/Casablanca",
    "America/Havana",  # changes at midnight
)
CHANGES = tuple(
    datetime.fromisoformat(text).replace(tzinfo=UTC)
    for text in (
        "2026-03-29T01:00",
        "2026-10-25T01:00",
        "2026-03-08T07:00",
        "2026-11-01T06:00",
        "2026-04-04T15:00",
        "2026-10-03T15:30",
        "2011-12-30T10:00",  # Apia goes without a day
        "2026-02-15T02:00",
        "2026-06-15T12:00",
    )
)
WALL = st.integers(0, 24 * 60 - 1)


@settings(max_examples=200, deadline=None)
@given(
    start=WALL, end=WALL, zone=st.sampled_from(ZONES), change=st.sampled_from(CHANGES), shift=st.integers(-2000, 900)
)
def test_quiet_hours_against_a_walk_by_minutes(start: int, end: int, zone: str, change: datetime, shift: int) -> None:
    """Nights marked minute by minute: each begins when the clock first shows its start or a later time, and ends when
    it never shows a time before its end again."""
    if start == end:
        return
    tz, now = ZoneInfo(zone), change + timedelta(minutes=shift)
    origin = now - timedelta(days=3)
    instants = [origin + n * MINUTE for n in range(6 * 1440)]
    walls = [at.astimezone(tz).replace(tzinfo=None, second=0) for at in instants]
    # Whole minutes are enough: all changes and offsets of these years are.
    latest, least_after = [], []
    for wall in walls:
        latest.append(wall if not latest else max(latest[-1], wall))
    for wall in reversed(walls):
        least_after.append(wall if not least_after else min(least_after[-1], wall))
    least_after.reverse()
    quiet = [False] * len(instants)
    for day in {wall.date() for wall in walls} | {(walls[0] - timedelta(days=1)).date(), date(2011, 12, 30)}:
        base = datetime.combine(day, time())
        night_start = base + start * MINUTE
        night_end = base + end * MINUTE + timedelta(days=1 if end < start else 0)
        begin = next((n for n, wall in enumerate(latest) if wall >= night_start), len(instants))
        over = next((n for n, wall in enumerate(least_after) if wall >= night_end), len(instants))
        for n in range(begin, over):
            quiet[n] = True
    here = 3 * 1440
    found = quiet_until(Choice(1, quiet=Quiet(start, end)), tz, now)
    assert (found is not None) == quiet[here]
    if found is not None:
        expected = next(n for n in range(here, len(quiet)) if not quiet[n])
        assert found == instants[expected]


@settings(max_examples=100, deadline=None)
@given(minute=WALL, zone=st.sampled_from(ZONES), change=st.sampled_from(CHANGES))
def test_the_first_and_last_instant_of_a_local_time(minute: int, zone: str, change: datetime) -> None:
    tz = ZoneInfo(zone)
    day = change.astimezone(tz).date()
    wall = datetime.combine(day, time()) + minute * MINUTE
    first, last = first_instant(day, minute, tz), last_instant(day, minute, tz)
    assert first <= last
    for at in (first, last):
        assert at.astimezone(tz).replace(tzinfo=None) >= wall
        before = (at - timedelta(seconds=1)).astimezone(tz)
        # Where the clocks are put back to this very time, they showed a later one just before.
        put_back = at == last and before.utcoffset() != at.astimezone(tz).utcoffset()
        assert before.replace(tzinfo=None) < wall or put_back


@pytest.mark.parametrize("hours", [(0, 0), (-1, 5), (5, 1440)])
def test_hours_that_are_none_are_refused(hours: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="quiet hours"):
        Quiet(*hours)


# --- what is chosen ---


def choices(rows: FakeChoiceRows | None = None) -> DeliveryChoices:
    return DeliveryChoices(rows or FakeChoiceRows(), clock=lambda: NOW)


async def test_defaults_without_a_row() -> None:
    choice = await choices().get(1)
    assert (choice.channels, choice.quiet, choice.critical_passes, choice.stored) == (
        ("dm", "mention", "email"),
        None,
        False,
        False,
    )
    assert choice.wants("alert")


async def test_one_change_leaves_the_rest() -> None:
    mine = choices()
    await mine.change(1, channels=["email", "dm"], quiet=Quiet(22 * 60, 7 * 60))
    choice = await mine.change(1, muted_kinds=["digest"], critical_passes=True)
    assert choice.channels == ("email", "dm")
    assert choice.quiet == Quiet(1320, 420)
    assert (choice.wants("digest"), choice.wants("alert"), choice.critical_passes) == (False, True, True)
    choice = await mine.change(1, quiet="off")
    assert (choice.quiet, choice.channels) == (None, ("email", "dm"))


@pytest.mark.parametrize(
    "values",
    [
        {"channels": []},
        {"channels": ["dm", "dm"]},
        {"channels": ["carrier pigeon"]},
        {"muted_kinds": ["security"]},
        {"muted_kinds": ["billing"]},
    ],
)
async def test_what_cannot_be_chosen_changes_nothing(values: dict[str, list[str]]) -> None:
    rows = FakeChoiceRows()
    with pytest.raises(BadSetting):
        await choices(rows).change(1, **values)  # type: ignore[arg-type]
    assert rows.rows == {}


async def test_what_another_version_stored_is_read_as_far_as_it_is_known() -> None:
    rows = FakeChoiceRows()
    await rows.put(1, {"channels": ["sms", "email", "dm"], "muted_kinds": ["alert", "x"], "quiet_start": 5}, NOW)
    choice = await choices(rows).get(1)
    assert (choice.channels, choice.muted_kinds, choice.quiet) == (("email", "dm"), frozenset({"alert"}), None)


async def test_three_failures_in_a_row_switch_direct_messages_off() -> None:
    mine = choices()
    assert [await mine.note_dm_failure(1) for _ in range(2)] == [False, False]
    await mine.note_dm_ok(1)
    assert [await mine.note_dm_failure(1) for _ in range(4)] == [False, False, True, False]
    choice = await mine.get(1)
    assert choice.dm_off_at == NOW
    assert choice.usable == ("mention", "email")
    await mine.reactivate(1)
    choice = await mine.get(1)
    assert (choice.dm_off_at, choice.dm_failures, choice.usable) == (None, 0, ("dm", "mention", "email"))
