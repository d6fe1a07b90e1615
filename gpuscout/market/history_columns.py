"""Observations of history files as columns: gathered, put in one order, cleared of repetitions, outliers marked.

Whatever order the rows came in, the columns are the same: series by their names, then time, then the figures.
"""

from __future__ import annotations

import math
from array import array
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gpuscout.market.buckets import QuoteColumns
from gpuscout.market.history_rows import Measured, Observation, SideRow
from gpuscout.market.models import SeriesKey
from gpuscout.market.outliers import HISTORY_DAYS, is_outlier
from gpuscout.market.rollup import DAY

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FIGURES = Measured._fields


class Gathered:
    """Observations in memory, about 85 bytes each."""

    def __init__(self) -> None:
        self._series: dict[SeriesKey, int] = {}
        self._sources: dict[str, int] = {}
        self._series_column, self._source_column, self._ts_column = array("i"), array("i"), array("q")
        self._figures = tuple(array("d") for _ in _FIGURES)
        self._sides: dict[tuple[SeriesKey, int, str], list[SideRow]] = {}

    def add(self, rows: Sequence[Observation | SideRow]) -> None:
        """Keep what a row of a file said."""
        for row in rows:
            if isinstance(row, SideRow):
                self._sides.setdefault((row.key, row.ts, row.source), []).append(row)
            else:
                self._append(row)

    def _append(self, row: Observation) -> None:
        self._series_column.append(self._series.setdefault(row.key, len(self._series)))
        self._source_column.append(self._sources.setdefault(row.source, len(self._sources)))
        self._ts_column.append(row.ts)
        for column, value in zip(self._figures, row.values, strict=True):
            column.append(value)

    def finish(self) -> HistoryColumns:
        """The columns in their one order. Empty ones when nothing was added."""
        import numpy as np

        for (key, at, name), sides in self._sides.items():
            self._append(Observation(key, at, name, _quote_of_sides(sides)))
        self._sides.clear()
        keys, sources = sorted(self._series), sorted(self._sources)
        series = _ranks(self._series, keys)[np.asarray(self._series_column, dtype=np.int64)]
        source = _ranks(self._sources, sources)[np.asarray(self._source_column, dtype=np.int64)]
        ts = np.asarray(self._ts_column, dtype=np.int64)
        figures: list[NDArray[np.float64]] = [np.asarray(column, dtype=np.float64) for column in self._figures]

        order = np.lexsort((*reversed(figures), source, ts, series))
        series, source, ts = series[order], source[order], ts[order]
        figures = [column[order] for column in figures]
        fresh = np.ones(len(ts), dtype=bool)
        if len(ts):
            same = np.ones(len(ts) - 1, dtype=bool)
            for column in (series, source, ts, *figures):
                same &= (column[1:] == column[:-1]) | ((column[1:] != column[1:]) & (column[:-1] != column[:-1]))
            fresh[1:] = ~same
        named = dict(zip(_FIGURES, (column[fresh] for column in figures), strict=True))
        quotes = QuoteColumns(
            series=series[fresh],
            ts=ts[fresh],
            source=source[fresh],
            outlier=np.zeros(int(fresh.sum()), dtype=bool),
            demand=np.full(int(fresh.sum()), np.nan),
            **named,
        )
        mark_outliers(quotes)
        return HistoryColumns(keys, sources, quotes, repeated=len(ts) - len(quotes.ts))


class HistoryColumns:
    """What files say, ready to be rolled up. ``quotes.series`` and ``quotes.source`` are places in the lists."""

    def __init__(self, keys: list[SeriesKey], sources: list[str], quotes: QuoteColumns, repeated: int) -> None:
        import numpy as np

        self.keys = keys
        self.sources = sources
        self.quotes = quotes
        self.repeated = repeated
        """Observations that were there twice, left out."""
        self._bounds = np.searchsorted(quotes.series, np.arange(len(keys) + 1))

    @property
    def outliers(self) -> int:
        """Observations whose price is flagged."""
        return int(self.quotes.outlier.sum())

    def of_series(self, first: int, end: int) -> QuoteColumns:
        """The rows of the series from place *first* to before *end*."""
        return self.quotes.take(slice(int(self._bounds[first]), int(self._bounds[end])))

    def size(self, place: int) -> int:
        """Rows of one series."""
        return int(self._bounds[place + 1] - self._bounds[place])


def _ranks(places: dict[SeriesKey, int] | dict[str, int], ordered: Sequence[SeriesKey | str]) -> NDArray[np.int64]:
    import numpy as np

    ranks = np.zeros(len(places), dtype=np.int64)
    for rank, item in enumerate(ordered):
        ranks[places[item]] = rank  # type: ignore[index]
    return ranks


def _quote_of_sides(rows: Sequence[SideRow]) -> Measured:
    """One quote of the rows of its sides; of two rows of one side the one with more GPUs counts."""
    sides: dict[str, SideRow] = {}
    for row in sorted(rows, key=lambda row: (row.gpus, row.median, row.p10, row.p90)):
        sides[row.side] = row
    every, rented, available = (sides.get(side) for side in ("all", "rented", "available"))
    total = every.gpus if every is not None else math.nan
    # A side without GPUs has no row, so one side and all of them tell the other.
    if rented is not None:
        hired = rented.gpus
    else:
        hired = total - available.gpus if available is not None else math.nan
    if not 0 <= hired <= total:
        hired = total = math.nan
    return Measured(
        every.median if every is not None else math.nan,
        every.p10 if every is not None else math.nan,
        every.p90 if every is not None else math.nan,
        rented.median if rented is not None else math.nan,
        available.median if available is not None else math.nan,
        hired,
        total,
    )


def mark_outliers(quotes: QuoteColumns) -> None:
    """Set ``outlier`` by the rule of live quotes: against the daily prices of the 14 days before, at least two.

    A day of which every price is flagged counts with the median of the flagged ones, so that a lasting change
    becomes the usual price. The rows must be in (series, time) order.
    """
    import numpy as np

    known = np.flatnonzero(~np.isnan(quotes.price))
    if not len(known):
        return
    series, days, prices = quotes.series[known], quotes.ts[known] // DAY, quotes.price[known]
    starts = np.flatnonzero(np.r_[True, (np.diff(series) != 0) | (np.diff(days) != 0)])
    low, high = np.minimum.reduceat(prices, starts), np.maximum.reduceat(prices, starts)
    ends = np.r_[starts[1:], len(prices)]
    before: deque[tuple[int, float]] = deque()
    current = -1
    columns = (series[starts], days[starts], starts, ends, low, high)
    for of_series, day, start, end, least, most in zip(*(column.tolist() for column in columns), strict=True):
        if of_series != current:
            current = of_series
            before.clear()
        while before and before[0][0] < day - HISTORY_DAYS:
            before.popleft()
        usual = [price for _, price in before]
        sound = prices[start:end]
        if is_outlier(least, usual) or (most != least and is_outlier(most, usual)):
            flagged = np.array([is_outlier(price, usual) for price in sound.tolist()])
            quotes.outlier[known[start:end][flagged]] = True
            if not flagged.all():
                sound = sound[~flagged]
        before.append((day, float(np.median(sound)) if len(sound) > 1 else float(sound[0])))
