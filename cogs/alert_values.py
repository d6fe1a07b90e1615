"""Levels, times and numbers as people type them: ``0.25``, ``25c``, ``-10%``, ``5 %``, ``1,5``, ``3d``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

Unit = Literal["usd", "percent", "plain"]

_LONGEST: Final = 40
_LEVEL: Final = re.compile(
    r"(?P<sign>[+\-−–±]?)\s*(?P<dollar>(?:us)?\$|usd)?\s*(?P<sign2>[+\-−–±]?)\s*"
    r"(?P<number>[0-9][0-9.,' ]*|[.,][0-9]+)\s*"
    r"(?P<unit>%|percent|per cent|prozent|pct|c|ct|ct\.|cents?|¢|\$|usd|dollars?|k|gpus?)?\s*"
    r"(?P<per>(?:/|per|pro|an|a)\s*(?:gpu|h|hr|hour|std|stunde)\.?(?:\s*(?:/|-)?\s*(?:gpu|h|hr|hour))?)?",
    re.IGNORECASE,
)
_PERCENT: Final = frozenset({"%", "percent", "per cent", "prozent", "pct"})
_CENTS: Final = frozenset({"c", "ct", "ct.", "cent", "cents", "¢"})
_DOLLARS: Final = frozenset({"$", "usd", "dollar", "dollars"})
_GROUPED: Final = re.compile(r"[0-9]{1,3}(?:[.,][0-9]{3})+(?![0-9.,])")
_SPAN: Final = re.compile(
    r"(?P<number>[0-9]+(?:[.,][0-9]+)?)\s*"
    r"(?P<unit>m|min|mins|minutes?|minuten?|h|hrs?|hours?|std|stunden?|d|days?|tage?n?|w|weeks?|wochen?|mo|months?|monate?)",
    re.IGNORECASE,
)
_SPANS: Final = (
    (re.compile(r"mo", re.IGNORECASE), timedelta(days=30)),
    (re.compile(r"m", re.IGNORECASE), timedelta(minutes=1)),
    (re.compile(r"[hs]", re.IGNORECASE), timedelta(hours=1)),
    (re.compile(r"[dt]", re.IGNORECASE), timedelta(days=1)),
    (re.compile(r"w", re.IGNORECASE), timedelta(weeks=1)),
)


@dataclass(frozen=True, slots=True)
class Level:
    """A number that a member typed.

    Attributes:
        number: without its sign: dollars for money (``25c`` is 0.25), points for per cent (``5 %`` is 5.0).
        unit: what was typed beside it; ``plain`` when nothing was.
        sign: +1, −1, or 0 when none was typed (or ``±``).
    """

    number: float
    unit: Unit
    sign: int = 0

    @property
    def signed(self) -> float:
        """The number with the sign that was typed; positive without one."""
        return -self.number if self.sign < 0 else self.number


def read_level(text: str) -> Level | None:
    """The number in *text*, or None when it is none.

    A comma and a point are both decimal marks; where both occur, the last one is, and the other groups thousands.
    """
    match = _LEVEL.fullmatch(text.strip()[:_LONGEST])
    if match is None or (match["sign"] and match["sign2"]):
        return None
    number = _number(match["number"])
    if number is None:
        return None
    unit = (match["unit"] or "").lower()
    sign = {"+": 1, "-": -1, "−": -1, "–": -1}.get(match["sign"] or match["sign2"] or "", 0)
    if unit in _PERCENT:
        return None if match["dollar"] else Level(number, "percent", sign)
    if unit in _CENTS:
        return None if match["dollar"] else Level(number / 100, "usd", sign)
    if unit == "k":
        number *= 1000
    if unit in _DOLLARS or match["dollar"] or match["per"]:
        return Level(number, "usd", sign)
    return Level(number, "plain", sign)


def _number(text: str) -> float | None:
    digits = text.replace(" ", "").replace("'", "")
    if not digits or digits[-1] in ".,":
        return None
    marks = [mark for mark in digits if mark in ".,"]
    if len(set(marks)) == 2:
        decimal = marks[-1]
        if marks.count(decimal) > 1:
            return None
        digits = digits.replace("," if decimal == "." else ".", "").replace(decimal, ".")
    elif len(marks) > 1:  # 1,000,000
        if not re.fullmatch(r"\d{1,3}(?:[.,]\d{3})+", digits):
            return None
        digits = digits.replace(".", "").replace(",", "")
    else:
        digits = digits.replace(",", ".")
    try:
        return float(digits)
    except ValueError:
        return None


def read_span(text: str) -> timedelta | None:
    """A length of time such as ``90 min``, ``24h``, ``3 d``, ``2w`` or ``3 months`` (of 30 days); None when it is none.

    Zero is none too.
    """
    match = _SPAN.fullmatch(text.strip()[:_LONGEST])
    if match is None:
        return None
    number = float(match["number"].replace(",", "."))
    span = next(span for pattern, span in _SPANS if pattern.match(match["unit"]))
    if not 0 < number <= 100_000:
        return None
    return number * span


def read_count(text: str) -> int | None:
    """A whole number from zero on; every comma and point groups thousands. None when it is none."""
    cleaned = text.strip()[:_LONGEST]
    if _GROUPED.match(cleaned):
        cleaned = cleaned.replace(",", "").replace(".", "")
    level = read_level(cleaned)
    if level is None or level.unit == "usd" or level.sign or level.number != int(level.number):
        return None
    return int(level.number)
