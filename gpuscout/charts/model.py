"""What a chart shows, as frozen values that can be pickled, hashed and compared.

Nothing here imports matplotlib, numpy or Pillow: the process that describes a
chart is not the one that draws it.
"""

from __future__ import annotations

import hashlib
import math
from array import array
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Literal

from gpuscout.charts.formatting import resolve_locale, resolve_zone

Unit = Literal["usd_per_hour", "usd_per_day", "ratio", "index", "count"]
ImageFormat = Literal["webp", "png"]

#: Bump when the look changes, so that stored images and ETags of the old look expire.
RENDER_VERSION = 1

MAX_SERIES = 6
MAX_POINTS = 2000
MAX_TEXT = 200
MAX_VALUE = 1e12

_UNITS: tuple[Unit, ...] = ("usd_per_hour", "usd_per_day", "ratio", "index", "count")
_FORMATS: tuple[ImageFormat, ...] = ("webp", "png")

Values = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class ChartLabels:
    """The few words on a chart and in its alt text; callers translate them.

    The ``alt_*`` texts are ``str.format`` templates and must use only the named
    fields of their default.
    """

    source: str = "Source"
    as_of: str = "as of"
    no_data: str = "No data"
    band: str = "p10–p90"
    alt_period: str = "{start} to {end}"
    alt_series: str = "{label}: {first} at first, {last} at last, lowest {low}, highest {high}"
    alt_gaps: str = "Gaps without data: {count}"

    def __post_init__(self) -> None:
        for item in fields(self):
            _check_text(f"labels.{item.name}", getattr(self, item.name))
        try:
            self.alt_period.format(start="", end="")
            self.alt_series.format(label="", first="", last="", low="", high="")
            self.alt_gaps.format(count="")
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(f"labels: an alt text template has an unknown field: {error}") from error


@dataclass(frozen=True, slots=True)
class ChartSeries:
    """One line.

    ``times`` are epoch seconds, strictly ascending; ``values`` are in the unit of
    the panel, ``None`` where nothing was measured. ``low`` and ``high`` (both or
    neither) bound a band around the line, such as p10 to p90. ``key`` names the
    series for programs, ``label`` for people.

    Raises ``ValueError`` when lengths differ, a number is not finite, or there
    are not between 1 and 2000 points.
    """

    key: str
    label: str
    times: tuple[float, ...]
    values: Values
    low: Values | None = None
    high: Values | None = None
    emphasis: bool = False

    def __post_init__(self) -> None:
        _check_text("series key", self.key)
        _check_text("series label", self.label)
        count = len(self.times)
        if not 1 <= count <= MAX_POINTS:
            raise ValueError(f"series {self.key}: 1 to {MAX_POINTS} points, got {count}")
        if (self.low is None) != (self.high is None):
            raise ValueError(f"series {self.key}: a band needs both low and high")
        for name in ("values", "low", "high"):
            column = getattr(self, name)
            if column is None:
                continue
            if len(column) != count:
                raise ValueError(f"series {self.key}: {len(column)} {name} for {count} times")
            # Also false for NaN and infinity.
            if not all(value is None or -MAX_VALUE <= value <= MAX_VALUE for value in column):
                raise ValueError(f"series {self.key}: {name} must be finite numbers (at most 1e12) or None")
        if not all(map(math.isfinite, self.times)):
            raise ValueError(f"series {self.key}: times must be finite")
        if not all(before < after for before, after in pairwise(self.times)):
            raise ValueError(f"series {self.key}: times must ascend strictly")
        if self.low is not None and self.high is not None:
            for low, high in zip(self.low, self.high, strict=True):
                if low is not None and high is not None and low > high:
                    raise ValueError(f"series {self.key}: band with low {low} above high {high}")


@dataclass(frozen=True, slots=True)
class ChartPanel:
    """Series that share one y axis. No series is allowed and drawn as "no data"."""

    unit: Unit
    series: tuple[ChartSeries, ...]

    def __post_init__(self) -> None:
        if self.unit not in _UNITS:
            raise ValueError(f"unknown unit {self.unit!r}; one of {', '.join(_UNITS)}")
        keys = [series.key for series in self.series]
        if len(set(keys)) != len(keys):
            raise ValueError(f"series keys repeat: {', '.join(keys)}")


@dataclass(frozen=True, slots=True)
class ChartSpec:
    """A whole chart: one main panel and, optionally, a small one below it.

    ``start``, ``end`` and ``as_of`` are epoch seconds; points outside of
    ``start``..``end`` are left out. A step longer than ``gap_seconds`` between
    two measured points is a gap: no line crosses it. ``timezone`` is an IANA
    name, ``locale`` a BCP 47 tag. ``missing_note`` explains the hatched gaps
    (default ``labels.no_data``); ``badge`` is shown at the top, e.g. "SIMULATED".

    Raises ``ValueError`` with a sentence for whatever does not hold: over six series in
    all, an empty period, an unknown zone, locale or format.
    """

    title: str
    subtitle: str
    panels: tuple[ChartPanel, ...]
    start: float
    end: float
    gap_seconds: float
    source: str
    as_of: float
    timezone: str = "UTC"
    locale: str = "en-US"
    badge: str | None = None
    format: ImageFormat = "webp"
    missing_note: str | None = None
    labels: ChartLabels = field(default_factory=ChartLabels)

    def __post_init__(self) -> None:
        for name in ("title", "subtitle", "source", "badge", "missing_note"):
            value = getattr(self, name)
            if value is not None:
                _check_text(name, value)
        if not 1 <= len(self.panels) <= 2:
            raise ValueError(f"one main panel and at most one below it, got {len(self.panels)}")
        count = sum(len(panel.series) for panel in self.panels)
        if count > MAX_SERIES:
            raise ValueError(f"at most {MAX_SERIES} series a chart, got {count}")
        if not all(map(math.isfinite, (self.start, self.end, self.as_of))):
            raise ValueError("start, end and as_of must be finite")
        if not self.start < self.end:
            raise ValueError("start must be before end")
        if not (math.isfinite(self.gap_seconds) and self.gap_seconds > 0):
            raise ValueError("gap_seconds must be positive")
        if self.format not in _FORMATS:
            raise ValueError(f"unknown format {self.format!r}; webp or png")
        resolve_zone(self.timezone)
        resolve_locale(self.locale)
        for moment in (self.start, self.end, self.as_of):
            _check_calendar(moment)

    def cache_key(self) -> str:
        """Hex digest of everything that decides the image; equal specs, equal keys, in any process."""
        digest = hashlib.blake2b(digest_size=16)

        def text(*parts: object) -> None:
            # Length-prefixed, so that neighbouring fields cannot run into each other.
            for part in parts:
                encoded = repr(part).encode()
                digest.update(b"%d:" % len(encoded) + encoded)

        text(RENDER_VERSION, self.title, self.subtitle, float(self.start), float(self.end))
        text(float(self.gap_seconds), self.source, float(self.as_of), self.timezone, self.locale)
        text(self.badge, self.format, self.missing_note)
        text(*(getattr(self.labels, item.name) for item in fields(self.labels)))
        for panel in self.panels:
            text(panel.unit, len(panel.series))
            for series in panel.series:
                text(series.key, series.label, series.emphasis, len(series.times))
                for column in (series.times, series.values, series.low, series.high):
                    text(column is None)
                    if column is not None:
                        digest.update(_column_bytes(column))
        return digest.hexdigest()


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be text")
    if len(value) > MAX_TEXT:
        raise ValueError(f"{name} is longer than {MAX_TEXT} characters")


def _check_calendar(moment: float) -> None:
    # Years 1970 to 2200 keep every later date computation inside of datetime's range.
    if not 0 <= moment <= 7_258_118_400:
        raise ValueError(f"time {moment} is not an epoch second between 1970 and 2200")


def _column_bytes(column: Values | tuple[float, ...]) -> bytes:
    nan = math.nan
    return array("d", [nan if value is None else value for value in column]).tobytes()
