"""A panel made ready to draw: traces, axis, end labels, and the box it gets on the canvas."""

from __future__ import annotations

from dataclasses import dataclass

from gpuscout.charts import theme
from gpuscout.charts.axes import ValueAxis, value_axis
from gpuscout.charts.canvas import text_width
from gpuscout.charts.formatting import format_value
from gpuscout.charts.layout import Box
from gpuscout.charts.model import ChartPanel, ChartSpec
from gpuscout.charts.segments import Interval, Trace, common_gaps, traces

EDGE = 44.0
PLOT_TOP = 694.0
PLOT_BOTTOM = 148.0
LOWER_HEIGHT = 136.0
PANEL_SPACE = 60.0
AXIS_SPACE = 20.0
LABEL_SPACE = 26.0
LABEL_ROOM = 460.0
WORD_SPACE = 14.0
LABEL_PAIR = 100.0


@dataclass(frozen=True, slots=True)
class EndLabel:
    """What is written at the end of a line: its name and, if it is current, its last value."""

    name: str
    value: str
    color: str


@dataclass(frozen=True, slots=True)
class Plot:
    """A panel made ready to draw."""

    panel: ChartPanel
    traces: tuple[Trace, ...]
    gaps: tuple[Interval, ...]
    axis: ValueAxis
    labels: tuple[EndLabel, ...]
    lower: bool

    @property
    def empty(self) -> bool:
        """Whether nothing at all was measured in the range."""
        return not any(trace.runs for trace in self.traces)


def prepare(panel: ChartPanel, spec: ChartSpec, index: int) -> Plot:
    """Cuts the series of a panel to the range and chooses axis and colours; ``index`` 1 is the lower one."""
    lower = index > 0
    cut = traces(panel, spec)
    shown = [
        value
        for trace in cut
        for column in (trace.series.values, trace.series.low, trace.series.high)
        if column is not None
        for value in (column[i] for i in trace.indices)
        if value is not None
    ]
    low, high = (min(shown), max(shown)) if shown else (0.0, 1.0)
    full = panel.unit == "ratio" and (lower or not shown) and low >= 0 and high <= 1
    axis = value_axis(low, high, panel.unit, spec.locale, max_ticks=3 if lower else 5, full_ratio=full)
    # The small panel goes on with the colours, so that no colour means two things.
    first = sum(len(above.series) for above in spec.panels[:index])
    labels = tuple(
        _end_label(trace, spec, panel.unit, theme.PALETTE[(first + number) % len(theme.PALETTE)])
        for number, trace in enumerate(cut)
    )
    return Plot(panel, cut, common_gaps(cut), axis, labels, lower)


def _end_label(trace: Trace, spec: ChartSpec, unit: str, color: str) -> EndLabel:
    value = ""
    if trace.runs:
        last = trace.runs[-1][-1]
        number = trace.series.values[last]
        # A line that ended long before the chart does has no present value.
        if number is not None and spec.end - trace.series.times[last] <= spec.gap_seconds:
            value = format_value(number, unit, spec.locale)
    return EndLabel(trace.series.label, value, color)


def in_pairs(plot: Plot, height: float) -> bool:
    """Whether the end labels have room for the value above the name."""
    return len(plot.labels) <= 3 and len(plot.labels) * LABEL_PAIR <= height


def boxes_of(plots: list[Plot]) -> list[Box]:
    """The plotting areas, as wide as tick and end labels leave them, with common sides."""
    lower = len(plots) > 1
    main_bottom = PLOT_BOTTOM + (LOWER_HEIGHT + PANEL_SPACE if lower else 0)
    ticks = [text_width(tick.text, theme.TICK_TEXT) for plot in plots for tick in plot.axis.ticks]
    left = EDGE + max(ticks, default=0) + AXIS_SPACE
    heights = (PLOT_TOP - main_bottom, LOWER_HEIGHT)
    widths = [_label_width(plot, height) for plot, height in zip(plots, heights, strict=False)]
    right = theme.WIDTH - EDGE - LABEL_SPACE - min(max(widths), LABEL_ROOM)
    boxes = [Box(left, main_bottom, right, PLOT_TOP)]
    if lower:
        boxes.append(Box(left, PLOT_BOTTOM, right, PLOT_BOTTOM + LOWER_HEIGHT))
    return boxes


def _label_width(plot: Plot, height: float) -> float:
    widths = [0.0]
    for label in plot.labels:
        name = text_width(label.name, theme.LABEL_TEXT)
        if in_pairs(plot, height):
            widths += [name, text_width(label.value, theme.VALUE_TEXT, strong=True)]
        else:
            value = text_width(label.value, theme.LABEL_TEXT, strong=True)
            widths.append(name + (value + WORD_SPACE if label.value else 0))
    return max(widths)
