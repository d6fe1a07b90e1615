"""Numbers, days and tariffs as members type them into forms and options."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from cogs.alert_values import read_count, read_level
from gpuscout.portfolio.models import BadHolding
from gpuscout.portfolio.tariffs import DAY_MINUTES, MAX_WINDOWS, STEP_MINUTES, TariffPlan, TariffWindow

_DAYS: Final = (("mon", "mo"), ("tue", "di"), ("wed", "mi"), ("thu", "do"), ("fri", "fr"), ("sat", "sa"), ("sun", "so"))
_EVERY_DAY: Final = frozenset({"daily", "every day", "täglich", "all", "alle"})
_WINDOW: Final = re.compile(
    r"(?P<days>[^\d]+?)\s+(?P<start>\d{1,2}(?::\d{2})?)\s*[-–]\s*(?P<end>\d{1,2}(?::\d{2})?)\s+(?P<price>\S.*)"
)
_CLOCK: Final = re.compile(r"(\d{1,2})(?::(\d{2}))?")
_DAY_FORMATS: Final = ("%Y-%m-%d", "%d.%m.%Y", "%d %b %Y", "%b %d, %Y")
_LONGEST: Final = 80
_GROUPED: Final = re.compile(r"(?<![\d.,])\d{1,3}(?:(?:,\d{3})+|(?:\.\d{3})+)(?![\d])")


def read_number(field: str, text: str) -> float | None:
    """A number of dollars or watts; None when nothing is typed.

    Raises:
        BadHolding: it is no number, or per cent where dollars are meant.
    """
    typed = text.strip()
    if not typed:
        return None
    bare = re.sub(r"\s*(?:w|watts?|/\s*kwh)$", "", typed, flags=re.IGNORECASE)
    level = read_level(bare)
    if level is None or level.unit == "percent" or len(typed) > _LONGEST:
        raise BadHolding(field, typed, "number")
    return level.signed


def read_total(field: str, text: str) -> float | None:
    """As :func:`read_number`, for sums: ``16,000`` and ``16.000`` are thousands, for nobody writes thousandths here.

    Raises:
        BadHolding: it is no number.
    """
    if _GROUPED.search(text):
        text = _GROUPED.sub(lambda match: re.sub(r"[.,]", "", match[0]), text)
    return read_number(field, text)


def number_text(value: float | None) -> str:
    """What :func:`read_number` reads back; empty for None."""
    if value is None:
        return ""
    plain = f"{Decimal(repr(value)):f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def total_text(value: float | None) -> str:
    """What :func:`read_total` reads back: three decimals would be taken for thousands, so they get a fourth."""
    text = number_text(value)
    return f"{text}0" if _GROUPED.fullmatch(text) else text


def read_percent(field: str, text: str) -> float | None:
    """A ratio typed in per cent, with or without its sign; None when nothing is typed.

    Raises:
        BadHolding: it is no number.
    """
    typed = text.strip()
    if not typed:
        return None
    level = read_level(typed)
    if level is None or level.unit == "usd":
        raise BadHolding(field, typed, "number")
    return level.signed / 100


def read_whole(field: str, text: str) -> int:
    """A whole number.

    Raises:
        BadHolding: it is none.
    """
    found = read_count(text)
    if found is None:
        raise BadHolding(field, text.strip(), "whole" if text.strip() else "missing")
    return found


def read_day(field: str, text: str) -> date | None:
    """A day, ``2025-12-31`` or ``31.12.2025``; None when nothing is typed.

    Raises:
        BadHolding: it is none.
    """
    typed = text.strip()
    if not typed:
        return None
    for form in _DAY_FORMATS:
        try:
            return datetime.strptime(typed[:_LONGEST], form).date()  # noqa: DTZ007 - a day has no zone
        except ValueError:
            continue
    raise BadHolding(field, typed, "date")


def read_tariff(base: str, windows: str) -> TariffPlan | None:
    """A tariff by the hour; None when both fields are empty.

    *windows* has a line for each, such as ``Mon-Fri 22:00-06:00 0.12``.

    Raises:
        BadHolding: a field or a line is not understood.
    """
    lines = [line.strip() for line in windows.splitlines() if line.strip()]
    price = read_number("base", base)
    if price is None:
        if lines:
            raise BadHolding("base", "", "missing")
        return None
    if len(lines) > MAX_WINDOWS:
        raise BadHolding("windows", len(lines), "many")
    return TariffPlan(price, tuple(_window(line) for line in lines))


def _window(line: str) -> TariffWindow:
    match = _WINDOW.fullmatch(line[:_LONGEST])
    if match is None:
        raise BadHolding("windows", line, "window")
    days = _days(match["days"])
    if days is None:
        raise BadHolding("windows", line, "window")
    price = read_number("price", match["price"])
    if price is None:
        raise BadHolding("windows", line, "window")
    return TariffWindow(days, _minutes("start", match["start"]), _minutes("end", match["end"]), price)


def _days(text: str) -> frozenset[int] | None:
    words = text.strip().casefold()
    if words in _EVERY_DAY:
        return frozenset(range(7))
    found: set[int] = set()
    for part in filter(None, re.split(r"[,\s]+", re.sub(r"\s*[-–]\s*", "-", words))):
        first, _, last = part.partition("-")
        start, end = _day(first), _day(last or first)
        if start is None or end is None:
            return None
        found.update((start + step) % 7 for step in range((end - start) % 7 + 1))
    return frozenset(found) or None


def _day(word: str) -> int | None:
    short = word.strip(".")
    for number, (english, german) in enumerate(_DAYS):
        if short == german or (len(short) >= 3 and short.startswith(english)):
            return number
    return None


def _minutes(field: str, text: str) -> int:
    match = _CLOCK.fullmatch(text)
    hours, minutes = (int(match[1]), int(match[2] or 0)) if match is not None else (99, 0)
    total = hours * 60 + minutes
    if minutes > 59 or not 0 <= total <= DAY_MINUTES or total % STEP_MINUTES:
        raise BadHolding(field, text, "quarter")
    return total


def tariff_texts(plan: TariffPlan | None) -> tuple[str, str]:
    """What :func:`read_tariff` reads back: the base price and the lines of the windows."""
    if plan is None:
        return "", ""
    return number_text(plan.base), "\n".join(_window_text(window) for window in plan.windows)


def _window_text(window: TariffWindow) -> str:
    names = [english.title() for english, _ in _DAYS]
    days = "daily" if len(window.days) == 7 else ",".join(names[day] for day in sorted(window.days))
    return f"{days} {_clock(window.start)}-{_clock(window.end)} {number_text(window.price)}"


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def given(**values: Any) -> dict[str, Any]:
    """The values that were given."""
    return {name: value for name, value in values.items() if value is not None}
