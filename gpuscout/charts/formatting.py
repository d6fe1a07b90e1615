"""Numbers, money, dates and times as a reader of the locale writes them (CLDR through Babel)."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_skeleton, format_time, get_timezone_name
from babel.numbers import NumberPattern

# CLDR puts no-break and narrow spaces inside of numbers and times; chart fonts and
# screen readers do better with one kind of space.
_SPACES = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " "})


@lru_cache(maxsize=64)
def resolve_locale(tag: str) -> Locale:
    """Babel's locale for a BCP 47 tag; raises ``ValueError`` for an unknown one."""
    try:
        return Locale.parse(tag.replace("_", "-"), sep="-")
    except (ValueError, TypeError, UnknownLocaleError) as error:
        raise ValueError(f"unknown locale {tag!r}") from error


@lru_cache(maxsize=256)
def resolve_zone(name: str) -> ZoneInfo:
    """The IANA zone; raises ``ValueError`` for an unknown one."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"unknown time zone {name!r}") from error


def local_time(moment: float, zone: ZoneInfo) -> datetime:
    """Epoch seconds as an aware time in ``zone``."""
    return datetime.fromtimestamp(moment, UTC).astimezone(zone)


@lru_cache(maxsize=128)
def _pattern(tag: str, kind: str, decimals: int) -> NumberPattern:
    locale = resolve_locale(tag)
    source: NumberPattern = {
        "usd": locale.currency_formats["standard"],
        "percent": locale.percent_formats[None],
        "number": locale.decimal_formats[None],
    }[kind]
    pattern = copy.copy(source)
    pattern.frac_prec = (decimals, decimals)
    return pattern


def _apply(tag: str, kind: str, value: float, decimals: int) -> str:
    # Adding 0.0 turns a negative zero, which would be written "-0", into zero.
    rounded = round(value, decimals + (2 if kind == "percent" else 0)) + 0.0
    text = _pattern(tag, kind, decimals).apply(
        rounded,
        resolve_locale(tag),
        currency="USD" if kind == "usd" else None,
        currency_digits=False,
        decimal_quantization=True,
    )
    return str(text).translate(_SPACES)


def format_value(value: float, unit: str, locale: str, decimals: int | None = None) -> str:
    """A value of a chart unit, e.g. ``$0.33``, ``0,33 $``, ``48%``, ``1,234``.

    Without ``decimals``: dollars have two; an hour's below one dollar three where they matter
    ($0.335, as on the cards) and always below ten cents; ratios are whole percents; an index has
    one; counts none.
    """
    if unit == "usd_per_hour":
        if decimals is None:
            small = 0 < abs(value) < 0.0995
            decimals = 3 if small or (abs(value) < 1 and round(value, 3) != round(value, 2)) else 2
        return _apply(locale, "usd", value, decimals)
    if unit == "usd_per_day":
        return _apply(locale, "usd", value, 2 if decimals is None else decimals)
    if unit == "ratio":
        return _apply(locale, "percent", value, decimals or 0)
    if unit == "index":
        return _apply(locale, "number", value, 1 if decimals is None else decimals)
    return _apply(locale, "number", value, decimals or 0)


def format_clock(moment: datetime, locale: str) -> str:
    """Time of day, e.g. ``2:00 PM`` or ``14:00``."""
    return format_time(moment, "short", locale=resolve_locale(locale)).translate(_SPACES)


def format_day(moment: datetime, locale: str) -> str:
    """Day and month, e.g. ``Dec 7`` or ``7. Dez.``."""
    return format_skeleton("MMMd", moment, locale=resolve_locale(locale)).translate(_SPACES)


def format_month(moment: datetime, locale: str) -> str:
    """Month and year, e.g. ``Dec 2025`` or ``Dez. 2025``."""
    return format_skeleton("yMMM", moment, locale=resolve_locale(locale)).translate(_SPACES)


def format_moment(moment: float, zone: ZoneInfo, locale: str) -> str:
    """Date, time and zone, e.g. ``Dec 7, 2025, 2:00 PM UTC``."""
    local = local_time(moment, zone)
    day = format_date(local, "medium", locale=resolve_locale(locale)).translate(_SPACES)
    return f"{day}, {format_clock(local, locale)} {zone_name(local, locale)}"


def zone_name(moment: datetime, locale: str) -> str:
    """Short name of the zone at that time: the locale's, the usual abbreviation, or the offset."""
    usual = moment.tzname() or "UTC"
    if usual in ("UTC", "GMT"):
        return usual
    spoken = get_timezone_name(moment, width="short", locale=resolve_locale(locale))
    for name in (spoken, usual):
        if name.isalpha() and len(name) <= 5:
            return name
    offset = moment.utcoffset()
    minutes = int(offset.total_seconds() // 60) if offset else 0
    hours, rest = divmod(abs(minutes), 60)
    sign = "+" if minutes >= 0 else "−"
    return f"UTC{sign}{hours}" + (f":{rest:02d}" if rest else "")
