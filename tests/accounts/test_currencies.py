"""Exchange rates that the operator wrote down."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from config.currencies import Currencies, default_currencies
from config.i18n import translator_for


def test_the_shipped_file_holds_none() -> None:
    assert default_currencies().codes == ("USD",)


def test_rates_are_read_with_their_day(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(
        '[EUR]\nper_usd = 0.86\nas_of = 2026-11-20\nsource = "ECB"\n[JPY]\nper_usd = 155\nas_of = 2026-11-20\n'
    )
    known = Currencies.load(path)
    assert known.codes == ("USD", "EUR", "JPY")
    rate = known.get("EUR")
    assert rate is not None
    assert (rate.per_usd, rate.as_of, rate.source) == (0.86, date(2026, 11, 20), "ECB")
    assert known.get("USD") is None
    assert known.name("EUR", "de") == "Euro"


@pytest.mark.parametrize(
    "text",
    [
        "[EUR]\nper_usd = 0\nas_of = 2026-11-20",
        "[EUR]\nper_usd = -1\nas_of = 2026-11-20",
        "[EUR]\nper_usd = nan\nas_of = 2026-11-20",
        "[EUR]\nper_usd = 0.8",
        "[EUR]\nper_usd = 0.8\nas_of = 2026-11-20\nsorce = 'x'",
        "[USD]\nper_usd = 1\nas_of = 2026-11-20",
        "[ABC]\nper_usd = 1\nas_of = 2026-11-20",
        "[EUR",
        "EUR = 3",
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match="CURRENCIES_FILE"):
        Currencies.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        Currencies.load(tmp_path / "none.toml")


def test_amounts_in_the_currency_s_own_decimals() -> None:
    english, german = translator_for("en-US"), translator_for("de")
    assert english.currency(0.3081, "EUR", per="h") == "€0.308/h"
    assert german.currency(0.3081, "EUR", per="h") == "0,308\u00a0€/h"
    assert english.currency(12.5, "EUR") == "€12.50"
    assert english.currency(47.2, "JPY") == "¥47"
    assert german.day(date(2026, 11, 24)) == "24.11.2026"
