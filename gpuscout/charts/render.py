"""Draws a chart: :class:`ChartSpec` in, image bytes out.

Pure and deterministic: equal specs give equal bytes, whatever was drawn before. Uses
matplotlib's ``Figure`` and Agg, never pyplot. It takes tens of milliseconds and holds
the interpreter, so servers call it through :class:`gpuscout.charts.ChartRenderer`.
"""

from __future__ import annotations

import numpy as np

from gpuscout.charts import theme
from gpuscout.charts.axes import ValueAxis, time_ticks
from gpuscout.charts.canvas import Points, Sheet, text_width
from gpuscout.charts.formatting import format_moment, resolve_zone
from gpuscout.charts.layout import Box, shorten, spread
from gpuscout.charts.model import ChartSpec, Values
from gpuscout.charts.plots import (
    AXIS_SPACE,
    EDGE,
    LABEL_PAIR,
    LABEL_SPACE,
    WORD_SPACE,
    Plot,
    boxes_of,
    in_pairs,
    prepare,
)
from gpuscout.charts.segments import Trace

_TITLE_BASE = 812.0
_SUBTITLE_BASE = 752.0
_TICK_BASE = 96.0
_FOOTER_BASE = 34.0
_LABEL_LINE = 46.0


def render(spec: ChartSpec) -> bytes:
    """The chart as a 1600x900 image in ``spec.format``; equal specs give equal bytes."""
    with theme.settings():
        return compose(spec).encode(spec.format)


def compose(spec: ChartSpec) -> Sheet:
    """The chart as a sheet of artists, not yet drawn."""
    plots = [prepare(panel, spec, index) for index, panel in enumerate(spec.panels)]
    boxes = boxes_of(plots)
    sheet = Sheet()
    _header(sheet, spec, plots)
    _footer(sheet, spec)
    for plot, box in zip(plots, boxes, strict=True):
        _grid(sheet, plot, box)
        _gaps(sheet, plot, box, spec)
        _lines(sheet, plot, box, spec)
        _end_labels(sheet, plot, box, spec)
    _time_axis(sheet, boxes[-1], spec)
    return sheet


def _header(sheet: Sheet, spec: ChartSpec, plots: list[Plot]) -> None:
    right = theme.WIDTH - EDGE
    if spec.badge:
        badge = shorten(spec.badge, 520, lambda text: text_width(text, theme.BADGE_TEXT, strong=True))
        width = text_width(badge, theme.BADGE_TEXT, strong=True)
        middle = _TITLE_BASE + theme.TITLE_TEXT * 0.3636
        sheet.pill(Box(right - width - 40, middle - 29, right, middle + 29), theme.BADGE)
        sheet.text(right - width - 20, middle, badge, theme.BADGE_TEXT, theme.BADGE_INK, strong=True, middle=True)
        right -= width + 40 + 28
    size = float(theme.TITLE_TEXT)
    room = right - EDGE
    natural = text_width(spec.title, size, strong=True)
    if natural > room:
        size = max(float(theme.VALUE_TEXT), size * room / natural // 1)
    title = shorten(spec.title, room, lambda text: text_width(text, size, strong=True))
    sheet.text(EDGE, _TITLE_BASE, title, size, theme.TEXT, strong=True)

    left_of_key = _key(sheet, spec, plots)
    subtitle = shorten(spec.subtitle, left_of_key - 32 - EDGE, lambda text: text_width(text, theme.SUBTITLE_TEXT))
    sheet.text(EDGE, _SUBTITLE_BASE, subtitle, theme.SUBTITLE_TEXT, theme.MUTED)


def _key(sheet: Sheet, spec: ChartSpec, plots: list[Plot]) -> float:
    """Explains band and hatching at the right of the subtitle; returns where that begins."""
    right = theme.WIDTH - EDGE
    size = float(theme.LABEL_TEXT)
    swatch = Box(0, _SUBTITLE_BASE - 4, 44, _SUBTITLE_BASE + 30)
    entries: list[tuple[str, str | None]] = []
    if any(plot.gaps and not plot.empty for plot in plots):
        entries.append((spec.missing_note or spec.labels.no_data, None))
    for plot in plots:
        colors = [
            label.color for label, trace in zip(plot.labels, plot.traces, strict=True) if trace.series.low is not None
        ]
        if colors:
            entries.append((spec.labels.band, colors[0]))
            break
    for text, color in entries:
        note = shorten(text, 420, lambda part: text_width(part, size))
        left = right - text_width(note, size) - 14 - swatch.width
        box = Box(left, swatch.bottom, left + swatch.width, swatch.top)
        if color is None:
            sheet.hatch(box)
        else:
            sheet.fill([_rectangle(box)], color, 2 * theme.BAND_ALPHA, box)
        sheet.text(box.right + 14, _SUBTITLE_BASE, note, size, theme.MUTED)
        right = left - 36
    return right + 36 if entries else right


def _footer(sheet: Sheet, spec: ChartSpec) -> None:
    size = float(theme.FOOTER_TEXT)
    moment = format_moment(spec.as_of, resolve_zone(spec.timezone), spec.locale)
    when = f"{spec.labels.as_of} {moment}"
    right = theme.WIDTH - EDGE
    sheet.text(right, _FOOTER_BASE, when, size, theme.MUTED, align="right")
    room = right - text_width(when, size) - 40 - EDGE
    source = shorten(f"{spec.labels.source}: {spec.source}", room, lambda text: text_width(text, size))
    sheet.text(EDGE, _FOOTER_BASE, source, size, theme.MUTED)


def _grid(sheet: Sheet, plot: Plot, box: Box) -> None:
    for tick in plot.axis.ticks:
        y = float(round(_y(tick.at, plot.axis, box)))
        sheet.line(np.array([[box.left, y], [box.right, y]]), theme.GRID, theme.GRID_LINE, order=0)
        if plot.empty:
            # Without a measurement there is no scale to write.
            continue
        sheet.text(box.left - AXIS_SPACE, y, tick.text, theme.TICK_TEXT, theme.MUTED, align="right", middle=True)


def _time_axis(sheet: Sheet, box: Box, spec: ChartSpec) -> None:
    size = float(theme.TICK_TEXT)
    before = -np.inf
    for tick in time_ticks(spec.start, spec.end, resolve_zone(spec.timezone), spec.locale):
        half = text_width(tick.text, size) / 2
        x = min(max(_x(tick.at, spec, box), EDGE + half), theme.WIDTH - EDGE - half)
        if x - half < before + 24:
            continue
        sheet.text(x, _TICK_BASE, tick.text, size, theme.MUTED, align="center")
        before = x + half


def _gaps(sheet: Sheet, plot: Plot, box: Box, spec: ChartSpec) -> None:
    if plot.empty:
        note = spec.missing_note or spec.labels.no_data
        sheet.text(
            (box.left + box.right) / 2,
            (box.bottom + box.top) / 2,
            shorten(note, box.width - 40, lambda text: text_width(text, theme.SUBTITLE_TEXT)),
            theme.SUBTITLE_TEXT,
            theme.MUTED,
            align="center",
            middle=True,
        )
        return
    for start, end in plot.gaps:
        sheet.hatch(Box(_x(start, spec, box), box.bottom, _x(end, spec, box), box.top))


def _lines(sheet: Sheet, plot: Plot, box: Box, spec: ChartSpec) -> None:
    # Emphasised lines come last and lie on top.
    order = sorted(range(len(plot.traces)), key=lambda index: plot.traces[index].series.emphasis)
    for index in order:
        trace, color = plot.traces[index], plot.labels[index].color
        if not trace.runs:
            continue
        runs = [_points(trace, run, trace.series.values, plot.axis, box, spec) for run in trace.runs]
        low, high = trace.series.low, trace.series.high
        if low is not None and high is not None:
            bands = _bands(trace, low, high, plot.axis, box, spec)
            if bands:
                sheet.fill(bands, color, theme.BAND_ALPHA, box)
        elif plot.lower:
            areas = [_area(run, box.bottom) for run in runs if len(run) > 1]
            if areas:
                sheet.fill(areas, color, theme.AREA_ALPHA, box)
        strokes = [run for run in runs if len(run) > 1]
        if strokes:
            width = theme.LINE_EMPHASIS if trace.series.emphasis else theme.LINE
            clip = Box(box.left, box.bottom - width, box.right + width, box.top + width)
            sheet.line(_joined(strokes), color, width, clip, order=3.2 if trace.series.emphasis else 3)
        # The last point carries the label; a point alone has no line to be seen by.
        dots = [run[0] for run in runs if len(run) == 1]
        if len(runs[-1]) > 1:
            dots.append(runs[-1][-1])
        sheet.dots(np.array(dots), color, theme.DOT * (1.25 if trace.series.emphasis else 1))


def _end_labels(sheet: Sheet, plot: Plot, box: Box, spec: ChartSpec) -> None:
    shown = [index for index, trace in enumerate(plot.traces) if trace.runs]
    pairs = in_pairs(plot, box.height)
    ends: list[tuple[float, float]] = []
    for index in shown:
        trace = plot.traces[index]
        last = trace.runs[-1][-1]
        x, y = _points(trace, (last,), trace.series.values, plot.axis, box, spec)[0]
        ends.append((float(x), float(y)))
    pitch = LABEL_PAIR if pairs else _LABEL_LINE
    inset = 0.5 * pitch - 20
    placed = spread([y for _, y in ends], pitch, box.bottom + inset, box.top - inset)
    left = box.right + LABEL_SPACE
    room = theme.WIDTH - EDGE - left
    for index, (x, y), middle in zip(shown, ends, placed, strict=True):
        label = plot.labels[index]
        if abs(middle - y) > 14 and box.right - x < 40:
            leader = np.array([[x + 10, y], [left - 6, middle]])
            sheet.line(leader, label.color, 1.0 * theme.SCALE, alpha=0.7, order=2.5)
        if pairs and label.value:
            sheet.text(left, middle + 4, label.value, theme.VALUE_TEXT, label.color, strong=True)
            sheet.text(left, middle - 36, _fit(label.name, room), theme.LABEL_TEXT, theme.MUTED)
            continue
        used = 0.0
        if label.value:
            used = text_width(label.value, theme.LABEL_TEXT, strong=True) + WORD_SPACE
            sheet.text(left, middle, label.value, theme.LABEL_TEXT, label.color, strong=True, middle=True)
        sheet.text(left + used, middle, _fit(label.name, room - used), theme.LABEL_TEXT, label.color, middle=True)


def _fit(text: str, room: float) -> str:
    return shorten(text, room, lambda part: text_width(part, theme.LABEL_TEXT))


def _x(moment: float, spec: ChartSpec, box: Box) -> float:
    return box.left + (moment - spec.start) / (spec.end - spec.start) * box.width


def _y(value: float, axis: ValueAxis, box: Box) -> float:
    return box.bottom + (value - axis.low) / (axis.high - axis.low) * box.height


def _points(trace: Trace, run: tuple[int, ...], column: Values, axis: ValueAxis, box: Box, spec: ChartSpec) -> Points:
    indices = list(run)
    times = np.array([trace.series.times[i] for i in indices])
    values = np.array([column[i] for i in indices], dtype=np.float64)
    x = box.left + (times - spec.start) / (spec.end - spec.start) * box.width
    y = box.bottom + (values - axis.low) / (axis.high - axis.low) * box.height
    return np.column_stack((x, y))


def _bands(trace: Trace, low: Values, high: Values, axis: ValueAxis, box: Box, spec: ChartSpec) -> list[Points]:
    outlines = []
    for run in trace.runs:
        piece: list[int] = []
        for index in (*run, None):
            if index is not None and low[index] is not None and high[index] is not None:
                piece.append(index)
                continue
            if len(piece) > 1:
                above = _points(trace, tuple(piece), high, axis, box, spec)
                below = _points(trace, tuple(piece), low, axis, box, spec)
                outlines.append(np.concatenate((above, below[::-1])))
            piece = []
    return outlines


def _area(run: Points, bottom: float) -> Points:
    foot = np.array([[run[-1, 0], bottom], [run[0, 0], bottom]])
    return np.concatenate((run, foot))


def _joined(runs: list[Points]) -> Points:
    pause = np.full((1, 2), np.nan)
    parts = [part for run in runs for part in (pause, run)]
    return np.concatenate(parts[1:])


def _rectangle(box: Box) -> Points:
    return np.array([[box.left, box.bottom], [box.right, box.bottom], [box.right, box.top], [box.left, box.top]])
