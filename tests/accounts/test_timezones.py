"""Time zones in plain words."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuscout.accounts import timezones

NOW = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("typed", "zone"),
    [
        ("Eastern Time", "America/New_York"),
        ("eastern", "America/New_York"),
        ("EST", "America/New_York"),
        ("pacific", "America/Los_Angeles"),
        ("Berlin", "Europe/Berlin"),
        ("germany", "Europe/Berlin"),
        ("Deutschland", "Europe/Berlin"),
        ("CET", "Europe/Berlin"),
        ("Mitteleuropäische Zeit", "Europe/Berlin"),
        ("Japan", "Asia/Tokyo"),
        ("india", "Asia/Kolkata"),
        ("SÃO PAULO", "America/Sao_Paulo"),
        ("new york", "America/New_York"),
        ("utc", "UTC"),
        ("Australia/Sydney", "Australia/Sydney"),
    ],
)
def test_words_find_their_zone(typed: str, zone: str) -> None:
    assert timezones.search(typed)[0].id == zone


def test_every_offered_zone_exists_and_is_found_by_its_id() -> None:
    for zone in timezones.search("", 100) + timezones.search("time", 1000):
        assert ZoneInfo(zone.id)
        assert timezones.find_zone(zone.id) == zone.id


def test_label_has_the_offset_of_the_season() -> None:
    assert timezones.label("Europe/Berlin", NOW, "en-US") == "Berlin · Central European Time (UTC+02:00)"
    assert timezones.label("Europe/Berlin", NOW.replace(month=1), "de") == (
        "Berlin · Mitteleuropäische Zeit (UTC+01:00)"
    )
    assert timezones.label("Asia/Kolkata", NOW, "en") == "Kolkata · India Time (UTC+05:30)"
    assert timezones.label("America/St_Johns", NOW, "en").endswith("(UTC−02:30)")


@given(st.text(max_size=200))
def test_whatever_is_typed_is_no_error(typed: str) -> None:
    assert len(timezones.search(typed)) <= 25
    found = timezones.find_zone(typed)
    assert found is None or ZoneInfo(found)


@pytest.mark.parametrize("name", [None, "", "../../etc/passwd", "Europe", "x" * 5000, "\0"])
def test_an_unknown_name_is_utc(name: str | None) -> None:
    assert timezones.zone_of(name) == ZoneInfo("UTC")
