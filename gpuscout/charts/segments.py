"""Which points of a series are visible, where its line breaks, and where nothing was measured."""

from __future__ import annotations

from dataclasses import dataclass

from gpuscout.charts.model import ChartPanel, ChartSeries, ChartSpec

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Trace:
    """A series cut to the range of the chart.

    ``runs`` are lists of indices into the series; a line joins the points inside of
    a run and never two runs. ``gaps`` are the intervals, in epoch seconds, without
    measurements, the edges of the chart included.
    """

    series: ChartSeries
    runs: tuple[tuple[int, ...], ...]
    gaps: tuple[Interval, ...]

    @property
    def indices(self) -> tuple[int, ...]:
        """Indices of all measured points in the range."""
        return tuple(index for run in self.runs for index in run)


def trace(series: ChartSeries, spec: ChartSpec) -> Trace:
    """Cuts ``series`` into runs: a missing value or a step over ``gap_seconds`` ends one."""
    runs: list[list[int]] = []
    gaps: list[Interval] = []
    last: float | None = None
    missing = False
    for index, (time, value) in enumerate(zip(series.times, series.values, strict=True)):
        if not spec.start <= time <= spec.end:
            continue
        if value is None:
            missing = True
            continue
        since = spec.start if last is None else last
        broken = time - since > spec.gap_seconds or (missing and last is not None)
        if broken:
            gaps.append((since, time))
        if last is None or broken:
            runs.append([])
        runs[-1].append(index)
        last, missing = time, False
    since = spec.start if last is None else last
    if last is None or spec.end - since > spec.gap_seconds:
        gaps.append((since, spec.end))
    return Trace(series, tuple(map(tuple, runs)), tuple(gaps))


def traces(panel: ChartPanel, spec: ChartSpec) -> tuple[Trace, ...]:
    """The traces of a panel, in its order."""
    return tuple(trace(series, spec) for series in panel.series)


def common_gaps(cut: tuple[Trace, ...]) -> tuple[Interval, ...]:
    """Intervals in which no series of the panel has a measurement."""
    if not cut:
        return ()
    common = list(cut[0].gaps)
    for other in cut[1:]:
        common = [
            (max(a_start, b_start), min(a_end, b_end))
            for a_start, a_end in common
            for b_start, b_end in other.gaps
            if max(a_start, b_start) < min(a_end, b_end)
        ]
    return tuple(common)
