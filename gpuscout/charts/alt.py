"""The chart in words, for screen readers and for images that do not load."""

from __future__ import annotations

from gpuscout.charts.formatting import format_moment, format_value, resolve_zone
from gpuscout.charts.layout import plain
from gpuscout.charts.model import ChartSpec
from gpuscout.charts.segments import Trace, common_gaps, traces

#: Discord's limit for the description of an attachment.
MAX_ALT = 1024


def alt_text(spec: ChartSpec) -> str:
    """What the chart shows in at most 1024 characters.

    Title, period, then for each series its first, last, lowest and highest value, the
    number of gaps, the source and its time. Whole sentences are left out when it
    would get too long, those on the last series first; the source stays.
    """
    zone = resolve_zone(spec.timezone)
    labels = spec.labels
    period = labels.alt_period.format(
        start=format_moment(spec.start, zone, spec.locale), end=format_moment(spec.end, zone, spec.locale)
    )
    head = f"{spec.title}. {spec.subtitle}. {period}."
    if spec.badge:
        head = f"{spec.badge}. {head}"
    as_of = format_moment(spec.as_of, zone, spec.locale)
    tail = f"{labels.source}: {spec.source}, {labels.as_of} {as_of}."

    sentences: list[str] = []
    for number, panel in enumerate(spec.panels):
        cut = traces(panel, spec)
        sentences += [_sentence(trace, spec, panel.unit) for trace in cut]
        if number == 0:
            if not cut:
                sentences.append(f"{labels.no_data}.")
            elif gaps := common_gaps(cut):
                tail = f"{labels.alt_gaps.format(count=len(gaps))}. {tail}"
    while True:
        text = plain(" ".join((head, *sentences, tail)))
        if len(text) <= MAX_ALT:
            return text
        if not sentences:
            return text[: MAX_ALT - 1] + "…"
        sentences.pop()


def _sentence(trace: Trace, spec: ChartSpec, unit: str) -> str:
    series = trace.series
    values = [value for index in trace.indices if (value := series.values[index]) is not None]
    if not values:
        return f"{series.label}: {spec.labels.no_data}."
    shown = [format_value(value, unit, spec.locale) for value in (values[0], values[-1], min(values), max(values))]
    first, last, low, high = shown
    return spec.labels.alt_series.format(label=series.label, first=first, last=last, low=low, high=high) + "."
