"""Numbers, days and tariffs as people type them."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogs import portfolio_values as read
from gpuscout.portfolio.models import BadHolding
from gpuscout.portfolio.tariffs import TariffPlan, TariffWindow


@pytest.mark.parametrize(
    ("text", "value"),
    [("", None), ("0.35", 0.35), ("0,35", 0.35), ("$0.35", 0.35), ("35c", 0.35), ("350 W", 350.0), ("0.3 $/kWh", 0.3)],
)
def test_numbers(text: str, value: float | None) -> None:
    assert read.read_number("tariff", text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("16,000", 16_000.0),
        ("16.000", 16_000.0),
        ("$1,234,567", 1_234_567.0),
        ("1.234.567,50 $", 1_234_567.5),
        ("16,000.50", 16_000.5),
        ("999.5", 999.5),
        ("16k", 16_000.0),
        ("1600", 1_600.0),
    ],
)
def test_sums_have_thousands(text: str, value: float) -> None:
    assert read.read_total("purchase_price", text) == value


@pytest.mark.parametrize("value", [123.456, 0.125, 99.999, 16_000.0, 1_234_567.891, 16_000.1, 0.01, 1e8, 7.5])
def test_a_form_that_is_saved_unchanged_changes_no_sum(value: float) -> None:
    assert read.read_total("purchase_price", read.total_text(value)) == value


@given(st.floats(0, 5))
def test_a_number_in_a_form_is_read_back(value: float) -> None:
    text = read.number_text(value)
    assert len(text) > 40 or read.read_number("tariff", text) == pytest.approx(value, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("text", ["x", "5%", "1..2", "--1", "1e5", "∞", "0" * 90])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(BadHolding) as error:
        read.read_number("tariff", text)
    assert error.value.field == "tariff"


@pytest.mark.parametrize("text", ["2025-12-31", "31.12.2025", "31 Dec 2025", "Dec 31, 2025", " 2025-12-31 "])
def test_days(text: str) -> None:
    assert read.read_day("purchased_on", text) == date(2025, 12, 31)


def test_per_cent_with_and_without_its_sign() -> None:
    assert read.read_percent("fee", "25") == read.read_percent("fee", "25 %") == 0.25


@pytest.mark.parametrize(
    ("line", "days"),
    [
        ("Mon 1-2 0.1", {0}),
        ("Mon-Fri 1-2 0.1", {0, 1, 2, 3, 4}),
        ("fri - mon 1-2 0.1", {4, 5, 6, 0}),
        ("Sa, So 1-2 0,1", {5, 6}),
        ("daily 1-2 0.1", set(range(7))),
        ("täglich 1-2 0.1", set(range(7))),
        ("Monday, Wednesday 1-2 0.1", {0, 2}),
    ],
)
def test_days_of_a_window(line: str, days: set[int]) -> None:
    plan = read.read_tariff("0.3", line)
    assert plan is not None
    assert plan.windows == (TariffWindow(frozenset(days), 60, 120, 0.1),)


@given(
    base=st.integers(0, 500),
    windows=st.lists(
        st.tuples(st.sets(st.integers(0, 6), min_size=1), st.integers(0, 96), st.integers(0, 96), st.integers(0, 500)),
        max_size=12,
    ),
)
def test_a_plan_is_read_back_from_its_form(base: int, windows: list[tuple[set[int], int, int, int]]) -> None:
    plan = TariffPlan(
        base / 100,
        tuple(TariffWindow(frozenset(days), start * 15, end * 15, price / 100) for days, start, end, price in windows),
    )
    assert read.read_tariff(*read.tariff_texts(plan)) == plan
