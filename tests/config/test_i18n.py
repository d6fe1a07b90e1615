"""Texts, numbers and times in the reader's language."""

from __future__ import annotations

import string
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from config.i18n import LOCALES_DIR, Text, available_locales, translator_for

EN, DE = translator_for("en-US"), translator_for("de")
NBSP = "\u00a0"


def _fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_german_is_there() -> None:
    assert "de" in available_locales()


@pytest.mark.parametrize("path", sorted(LOCALES_DIR.glob("*/*.po")), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_translation_is_there_and_keeps_its_fields(path: Path) -> None:
    with path.open("rb") as file:
        messages = [message for message in read_po(file, locale=path.parent.name) if message.id]
    assert messages
    for message in messages:
        assert isinstance(message.id, str) and isinstance(message.string, str)
        assert message.string, f"{message.id!r} is not translated"
        assert not message.fuzzy, f"{message.id!r} is fuzzy"
        assert _fields(message.string) == _fields(message.id), message.id


@pytest.mark.parametrize(
    ("locale", "expected"),
    [(None, "en-US"), ("de", "de"), ("de-AT", "de"), ("en-GB", "en-GB"), ("xx", "en-US"), ("../../etc", "en-US")],
)
def test_unknown_languages_fall_back_to_english(locale: str | None, expected: str) -> None:
    assert translator_for(locale).locale == expected


def test_a_text_without_a_translation_stays_english_and_values_are_not_read_as_fields() -> None:
    assert DE("no such text {name}", name="{other}") == "no such text {other}"
    assert DE("braces {} stay") == "braces {} stay"


@pytest.mark.parametrize(
    ("usd", "english", "german"),
    [
        (0.435, "$0.435", f"0,435{NBSP}$"),
        (0.33, "$0.33", f"0,33{NBSP}$"),
        (0.2475, "$0.248", f"0,248{NBSP}$"),
        (0.9996, "$1.00", f"1,00{NBSP}$"),
        (12345.6, "$12,345.60", f"12.345,60{NBSP}$"),
        (0.0, "$0.00", f"0,00{NBSP}$"),
        (-0.0004, "$0.00", f"0,00{NBSP}$"),
    ],
)
def test_money(usd: float, english: str, german: str) -> None:
    assert EN.money(usd) == english
    assert DE.money(usd) == german
    assert EN.money(usd, "h") == f"{english}/h"


@pytest.mark.parametrize(
    ("ratio", "digits", "expected"),
    [
        (0.05, 0, "+5%"),
        (-0.05, 0, "-5%"),
        (0.004, 0, "0%"),
        (-0.004, 0, "0%"),
        (0.005, 0, "0%"),
        (0.0015, 1, "+0.2%"),
        (-0.0004, 1, "0.0%"),
        (12.5, 0, "+1,250%"),
    ],
)
def test_signed_percentages_never_sign_a_zero(ratio: float, digits: int, expected: str) -> None:
    assert EN.percent(ratio, digits, signed=True) == expected
    assert DE.percent(ratio, digits, signed=True) == expected.replace(",", ";").replace(".", ",").replace(
        ";", "."
    ).replace("%", f"{NBSP}%")


def test_numbers() -> None:
    assert (EN.number(1234.5, 1), DE.number(1234.5, 1), EN.number(-0.2)) == ("1,234.5", "1.234,5", "0")


@pytest.mark.parametrize(
    ("seconds", "english"), [(0, "0 sec"), (-30, "0 sec"), (720, "12 min"), (3600, "1 hr"), (86400, "1 day")]
)
def test_durations(seconds: int, english: str) -> None:
    assert EN.duration(timedelta(seconds=seconds)) == english


@pytest.mark.parametrize("zone", ["Europe/Berlin", "UTC"])
@pytest.mark.parametrize("text", [EN, DE], ids=["en", "de"])
def test_times_name_their_zone(text: Text, zone: str) -> None:
    shown = text.datetime(datetime(2026, 7, 1, 12, 0, tzinfo=UTC), zone)
    assert ("14:00" if zone == "Europe/Berlin" else "12:00 UTC") in shown


@pytest.mark.parametrize("zone", ["", "Nowhere/Else", "Europe", "Europe/", "../../etc/passwd", "a\0b", "x" * 300])
def test_an_unknown_zone_is_utc(zone: str) -> None:
    assert EN.datetime(datetime(2026, 1, 1, tzinfo=UTC), zone) == "1 Jan 2026, 00:00 UTC"
