"""Texts, numbers and times in the reader's language.

A text is written in English in the code and looked up in ``config/locales/<language>/*.po`` (one file a subject),
which are read as they are: no compiled catalogue is kept. Unknown languages and untranslated texts fall back to
English.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale
from babel.dates import format_date, format_datetime, format_timedelta
from babel.messages.pofile import read_po
from babel.numbers import format_currency, format_decimal, format_percent, get_currency_precision

DEFAULT_LOCALE = "en-US"
LOCALES_DIR = Path(__file__).parent / "locales"


def _unsigned_zero(value: float, decimals: int) -> float:
    """*value*, or plain zero where it rounds to that (half to even, as the formatter does): nobody reads ``-0 %``."""
    return 0.0 if abs(value) <= 0.5 * 10**-decimals else value


class Text:
    """One reader's language: callable for texts, with methods for numbers and times."""

    def __init__(self, locale: str, messages: dict[str, str]) -> None:
        self.locale = locale
        self._messages = messages
        self._babel = Locale.parse(locale, sep="-")

    def __call__(self, message: str, /, **values: object) -> str:
        """*message* in the reader's language, with ``{name}`` fields filled from *values*."""
        text = self._messages.get(message, message)
        return text.format(**values) if values else text

    def number(self, value: float, digits: int = 0) -> str:
        """A plain number with grouping and exactly *digits* decimals."""
        pattern = "#,##0" + ("." + "0" * digits if digits else "")
        return format_decimal(_unsigned_zero(value, digits), format=pattern, locale=self._babel)

    def money(self, usd: float, per: str | None = None) -> str:
        """US dollars: two decimals from $1, three below where they matter ($0.435).

        *per* is a unit such as ``h``.
        """
        pattern: str = self._babel.currency_formats["standard"].pattern
        digits = 2
        if abs(usd) < 1 and round(usd, 3) != round(usd, 2):
            pattern, digits = pattern.replace("0.00", "0.000"), 3
        text = format_currency(
            _unsigned_zero(usd, digits), "USD", format=pattern, locale=self._babel, currency_digits=False
        )
        return f"{text}/{per}" if per else text

    def currency(self, amount: float, code: str, per: str | None = None) -> str:
        """An amount in any currency, in its own decimals; three below one unit, where GPU-hours are priced."""
        digits = 3 if abs(amount) < 1 else get_currency_precision(code)
        decimals = "0." + "0" * digits if digits else "0"
        pattern = self._babel.currency_formats["standard"].pattern.replace("0.00", decimals)
        text = format_currency(
            _unsigned_zero(amount, digits), code, format=pattern, locale=self._babel, currency_digits=False
        )
        return f"{text}/{per}" if per else text

    def day(self, day: date) -> str:
        """A calendar day as the reader writes it, e.g. ``Nov 24, 2026``."""
        return format_date(day, "medium", locale=self._babel)

    def percent(self, ratio: float, digits: int = 0, signed: bool = False) -> str:
        """A ratio as a percentage; *signed* puts a plus before a gain."""
        pattern: str = self._babel.percent_formats[None].pattern
        if digits:
            pattern = pattern.replace("#,##0", "#,##0." + "0" * digits)
        ratio = _unsigned_zero(ratio, digits + 2)
        text = format_percent(ratio, format=pattern, locale=self._babel)
        return f"+{text}" if signed and ratio > 0 else text

    def duration(self, span: timedelta) -> str:
        """Rough length in the largest fitting unit, e.g. ``12 min``; a negative one (clocks differ) is none at all."""
        return format_timedelta(
            max(span, timedelta(0)), granularity="second", threshold=0.99, format="short", locale=self._babel
        )

    def datetime(self, at: datetime, tz: str = "UTC") -> str:
        """Date and time in the zone *tz* (unknown zones: UTC), with the zone's name."""
        try:
            zone = ZoneInfo(tz)
        except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder, or too long
            zone = ZoneInfo("UTC")
        return format_datetime(at.astimezone(zone), "d MMM y, HH:mm zzz", locale=self._babel)


@lru_cache(maxsize=1)
def available_locales() -> tuple[str, ...]:
    """Languages that have a catalogue, besides English."""
    return tuple(sorted(path.name for path in LOCALES_DIR.iterdir() if any(path.glob("*.po"))))


@lru_cache(maxsize=16)
def _messages(language: str) -> dict[str, str]:
    messages: dict[str, str] = {}
    for path in sorted((LOCALES_DIR / language).glob("*.po")):
        with path.open("rb") as file:
            catalogue = read_po(file, locale=language)
        for message in catalogue:
            if isinstance(message.id, str) and isinstance(message.string, str) and message.id and message.string:
                messages.setdefault(message.id, message.string)
    return messages


@lru_cache(maxsize=64)
def translator_for(locale: str | None) -> Text:
    """The texts of *locale* as Discord names it (``de``, ``en-GB``); English where there is no catalogue."""
    name = locale or DEFAULT_LOCALE
    language = name.split("-")[0].lower()
    if language in available_locales():
        return Text(language, _messages(language))
    return Text("en-GB" if name == "en-GB" else DEFAULT_LOCALE, {})


Translate = Callable[..., str]
