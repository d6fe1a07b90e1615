"""Ticks are few, round, in range, and follow the reader's calendar, zone and language."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuscout.charts.axes import time_ticks, value_axis
from gpuscout.charts.formatting import format_moment, format_value

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")
DAY = 86400.0


def at(year: int, month: int, day: int, hour: int = 0, zone: ZoneInfo | None = None) -> float:
    return datetime(year, month, day, hour, tzinfo=zone or UTC).timestamp()


@given(
    low=st.floats(0, 1e6),
    spread=st.floats(0, 1e6),
    unit=st.sampled_from(["usd_per_hour", "usd_per_day", "ratio", "index", "count"]),
    most=st.integers(2, 5),
)
def test_value_axis_holds_the_values_and_few_round_ticks(low: float, spread: float, unit: str, most: int) -> None:
    axis = value_axis(low, low + spread, unit, "en-US", max_ticks=most)
    assert axis.low <= low
    assert axis.high >= (low + spread) * (1 - 1e-9)
    assert axis.low < axis.high
    assert 1 <= len(axis.ticks) <= most
    assert all(axis.low - 1e-6 <= tick.at <= axis.high + 1e-6 for tick in axis.ticks)
    assert len({tick.text for tick in axis.ticks}) == len(axis.ticks)
    if unit != "index":
        assert axis.low >= 0


def test_constant_price_lies_in_the_middle() -> None:
    axis = value_axis(0.34, 0.34, "usd_per_hour", "en-US")
    assert 0.4 < (0.34 - axis.low) / (axis.high - axis.low) < 0.6
    assert [tick.text for tick in axis.ticks] == ["$0.32", "$0.34", "$0.36"]


def test_ratio_stays_inside_of_zero_and_one() -> None:
    axis = value_axis(0.97, 1.0, "ratio", "en-US")
    assert axis.high == 1
    assert axis.ticks[-1].text == "100%"


@pytest.mark.parametrize(
    ("value", "unit", "locale", "text"),
    [
        (0.33, "usd_per_hour", "en-US", "$0.33"),
        (0.33, "usd_per_hour", "de", "0,33 $"),
        (0.085, "usd_per_hour", "en-US", "$0.085"),
        (1234.5, "usd_per_hour", "de", "1.234,50 $"),
        (-0.0001, "usd_per_hour", "en-US", "$0.000"),
        (0.0, "usd_per_hour", "en-US", "$0.00"),
        (1.915, "usd_per_day", "en-US", "$1.92"),
        (-0.085, "usd_per_day", "de", "-0,09 $"),
        (0.4817, "ratio", "en-US", "48%"),
        (0.4817, "ratio", "de", "48 %"),
        (104.25, "index", "de", "104,2"),
        (18915, "count", "en-US", "18,915"),
    ],
)
def test_values_are_written_as_the_locale_does(value: float, unit: str, locale: str, text: str) -> None:
    assert format_value(value, unit, locale) == text


@pytest.mark.parametrize(
    ("zone", "locale", "text"),
    [
        ("UTC", "en-US", "Dec 7, 2025, 2:00 PM UTC"),
        ("Europe/Berlin", "de", "07.12.2025, 15:00 MEZ"),
        ("America/New_York", "en-US", "Dec 7, 2025, 9:00 AM EST"),
        ("Asia/Kolkata", "en-US", "Dec 7, 2025, 7:30 PM IST"),
        ("America/Sao_Paulo", "en-US", "Dec 7, 2025, 11:00 AM UTC−3"),
    ],
)
def test_moments_name_their_zone(zone: str, locale: str, text: str) -> None:
    assert format_moment(at(2025, 12, 7, 14), ZoneInfo(zone), locale) == text


@given(
    start=st.floats(0, 4e9),
    span=st.floats(1, 60 * 365 * DAY),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]),
)
def test_time_ticks_are_few_ascending_and_inside(start: float, span: float, zone: str) -> None:
    ticks = time_ticks(start, start + span, ZoneInfo(zone), "en-US")
    assert len(ticks) <= 5
    assert all(start <= tick.at <= start + span for tick in ticks)
    assert [tick.at for tick in ticks] == sorted({tick.at for tick in ticks})
    if span >= 3600:
        assert len(ticks) >= 1
    for tick in ticks:
        local = datetime.fromtimestamp(tick.at, ZoneInfo(zone))
        assert (local.second, local.microsecond) == (0, 0)


def test_day_ticks_stay_on_local_midnight_over_a_clock_change() -> None:
    # Germany leaves summer time on 2025-10-26.
    ticks = time_ticks(at(2025, 10, 22, 12, BERLIN), at(2025, 10, 29, 12, BERLIN), BERLIN, "de")
    assert [tick.text for tick in ticks] == ["23. Okt.", "25. Okt.", "27. Okt.", "29. Okt."]
    assert {datetime.fromtimestamp(tick.at, BERLIN).hour for tick in ticks} == {0}


def test_hour_ticks_write_the_date_at_midnight_of_the_zone() -> None:
    ticks = time_ticks(at(2025, 12, 6, 14), at(2025, 12, 7, 14), NEW_YORK, "en-US")
    assert [tick.text for tick in ticks] == ["12:00 PM", "6:00 PM", "Dec 7", "6:00 AM"]


def test_two_years_have_months_with_their_year() -> None:
    ticks = time_ticks(at(2023, 12, 8), at(2025, 12, 7), ZoneInfo("UTC"), "de")
    assert [tick.text for tick in ticks] == ["Jan. 2024", "Juli 2024", "Jan. 2025", "Juli 2025"]
