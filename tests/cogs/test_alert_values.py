"""Levels and times as people type them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cogs.alert_values import Level, read_count, read_level, read_span


@pytest.mark.parametrize(
    ("typed", "level"),
    [
        ("0.25", Level(0.25, "plain")),
        ("0,25", Level(0.25, "plain")),
        (".25", Level(0.25, "plain")),
        ("25c", Level(0.25, "usd")),
        ("25 ct", Level(0.25, "usd")),
        ("35¢", Level(0.35, "usd")),
        ("$0.25", Level(0.25, "usd")),
        ("0.25$", Level(0.25, "usd")),
        ("0.25 usd", Level(0.25, "usd")),
        ("$0.25/h", Level(0.25, "usd")),
        ("0.25 per hour", Level(0.25, "usd")),
        ("0,25 $/h", Level(0.25, "usd")),
        ("-10%", Level(10, "percent", -1)),
        ("−10 %", Level(10, "percent", -1)),
        ("+5%", Level(5, "percent", 1)),
        ("± 5 %", Level(5, "percent", 0)),
        ("5 %", Level(5, "percent")),
        ("2,5 Prozent", Level(2.5, "percent")),
        ("-$0.05", Level(0.05, "usd", -1)),
        ("$-0.05", Level(0.05, "usd", -1)),
        ("1,234.5", Level(1234.5, "plain")),
        ("1.234,5", Level(1234.5, "plain")),
        ("1,000,000", Level(1_000_000, "plain")),
        ("2k", Level(2000, "plain")),
        ("50 GPUs", Level(50, "plain")),
    ],
)
def test_levels(typed: str, level: Level) -> None:
    assert read_level(typed) == level


@pytest.mark.parametrize(
    "typed", ["", "cheap", "1.2.3", "1,2,3", "--5", "5 %%", "$5%", "$5c", "0x10", "1e9", "nan", "\u0663", "5 apples"]
)
def test_no_levels(typed: str) -> None:
    assert read_level(typed) is None


def test_the_sign_comes_along() -> None:
    level = read_level("-10%")
    assert level is not None
    assert level.signed == -10
    up = read_level("10%")
    assert up is not None
    assert up.signed == 10


@pytest.mark.parametrize(
    ("typed", "span"),
    [
        ("24h", timedelta(hours=24)),
        ("1 Std", timedelta(hours=1)),
        ("90 min", timedelta(minutes=90)),
        ("30m", timedelta(minutes=30)),
        ("7d", timedelta(days=7)),
        ("3 Tage", timedelta(days=3)),
        ("1,5 h", timedelta(minutes=90)),
        ("2w", timedelta(weeks=2)),
        ("3 months", timedelta(days=90)),
        ("1 mo", timedelta(days=30)),
    ],
)
def test_spans(typed: str, span: timedelta) -> None:
    assert read_span(typed) == span


@pytest.mark.parametrize("typed", ["", "7", "h", "0 h", "soon", "1000000 d", "-3 d"])
def test_no_spans(typed: str) -> None:
    assert read_span(typed) is None


@pytest.mark.parametrize(
    ("typed", "count"), [("10", 10), ("1,000", 1000), ("1,000,000", 1_000_000), ("0", 0), ("3 gpus", 3)]
)
def test_counts(typed: str, count: int) -> None:
    assert read_count(typed) == count


@pytest.mark.parametrize("typed", ["1.5", "-1", "$3", "few"])
def test_no_counts(typed: str) -> None:
    assert read_count(typed) is None
