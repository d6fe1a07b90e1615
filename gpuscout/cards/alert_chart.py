"""The chart of an alert: the figure that it watches, its levels, and when it fired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from config.i18n import Text
from gpuscout.alerts.messages import AlertItem, Metric
from gpuscout.alerts.rules import ChangeRule, ExtremeRule
from gpuscout.cards.alert_text import Names, metric_name, series_text
from gpuscout.cards.chart_spec import chart_labels, gap_seconds, with_breaks
from gpuscout.charts.model import MAX_TEXT, ChartPanel, ChartSeries, ChartSpec, ImageFormat, Unit
from gpuscout.market.models import History, HistoryPoint, SeriesKey

POINTS: Final = 400
_DAYS: Final = timedelta(days=7)
_UNITS: Final[dict[str, Unit]] = {"utilization": "ratio", "available": "count", "demand": "index"}
_FIGURES: Final = frozenset(
    {"price", "rented_price", "available_price", "p10", "p90", "utilization", "available", "demand"}
)


def shown_metric(metric: Metric | str | None) -> str:
    """The figure that is drawn for a metric: its own where history has it, else the price."""
    return str(metric) if metric in _FIGURES else "price"


def figure_of(point: HistoryPoint, metric: str) -> float | None:
    """A figure of a point of history, in its natural unit; None where it is not known."""
    if metric == "available":
        return max(0.0, point.total - point.rented) if point.total else None
    value: float | None = getattr(point, metric)
    return value


@dataclass(frozen=True, slots=True)
class ChartWish:
    """History that a message's chart needs, to be read with at most :data:`POINTS` points."""

    key: SeriesKey
    span: timedelta


def wish(items: Sequence[AlertItem]) -> ChartWish | None:
    """What to read before rendering; None where there is no chart (several items, or nothing with a history)."""
    rules = {item.rule_id for item in items}
    if len(rules) != 1:
        return None
    item = items[-1]
    if item.gpu is None or item.platform is None or item.kind in ("machine", "new_model", "digest", "fleet"):
        return None
    key = SeriesKey(item.platform, item.gpu, item.region, item.tier, item.verification)
    span = _DAYS
    if isinstance(item.when, ExtremeRule):
        span = timedelta(days=max(7, min(365, item.when.days)))
    elif isinstance(item.when, ChangeRule) and item.when.window == "1h":
        span = timedelta(hours=24)
    elif isinstance(item.when, ChangeRule) and item.when.window == "7d":
        span = timedelta(days=30)
    return ChartWish(key, span)


def alert_chart(
    item: AlertItem,
    history: History | None,
    names: Names,
    t: Text,
    timezone: str = "UTC",
    *,
    simulated: bool = False,
    image: ImageFormat = "png",
) -> ChartSpec | None:
    """The chart of one firing; None without history."""
    if history is None or item.gpu is None:
        return None
    metric = shown_metric(item.metric)
    fired = item.after if item.metric == metric else item.price if metric == "price" else None
    return figure_chart(
        history,
        metric,
        t,
        names,
        levels=[item.threshold] if item.threshold is not None and item.metric == metric else [],
        fired=[] if fired is None else [(item.at.timestamp(), fired)],
        timezone=timezone,
        simulated=simulated,
        image=image,
    )


def figure_chart(
    history: History,
    metric: str,
    t: Text,
    names: Names,
    *,
    levels: Sequence[float] = (),
    fired: Sequence[tuple[float, float]] = (),
    as_of: datetime | None = None,
    timezone: str = "UTC",
    simulated: bool = False,
    image: ImageFormat = "webp",
) -> ChartSpec | None:
    """A figure over time with at most two *levels* as lines and (epoch seconds, value) of firings as dots.

    None where history has nothing of the figure. Levels far outside of what was measured are left out: they would
    flatten the curve.
    """
    points = with_breaks(history)
    values = [figure_of(point, metric) for point in points]
    known = [value for value in values if value is not None]
    if not known:
        return None
    times = tuple(float(point.ts) for point in points)
    key = history.key
    series = [ChartSeries("value", metric_name(metric, t), times, tuple(values), emphasis=True)]
    low, high = min(known), max(known)
    room = max(high - low, 0.05 * abs(high))
    for number, level in enumerate(sorted(set(levels))[:2]):
        if low - 2 * room <= level <= high + 2 * room:
            series.append(ChartSeries(f"level{number}", t("level"), times, tuple(level for _ in times)))
    if dots := _dots(fired, history):
        series.append(ChartSeries("fired", t("fired"), *dots, emphasis=True))
    end = max(history.end.timestamp(), times[-1]) + 1
    return ChartSpec(
        title=f"{names.gpu(key.gpu)}: {metric_name(metric, t)}"[:MAX_TEXT],
        subtitle=series_text(key.gpu, key.platform, names, t, region=key.region, tier=key.tier).replace("\\", "")[
            :MAX_TEXT
        ],
        panels=(ChartPanel(_UNITS.get(metric, "usd_per_hour"), tuple(series)),),
        start=history.start.timestamp(),
        end=end,
        gap_seconds=gap_seconds(history),
        source=(", ".join(history.sources.values()) or history.source)[:MAX_TEXT],
        as_of=as_of.timestamp() if as_of is not None else max(point.ts for point in history.points),
        timezone=timezone,
        locale=t.locale,
        badge=t("SIMULATED") if simulated else None,
        format=image,
        missing_note=t("No data"),
        labels=chart_labels(t),
    )


def _dots(
    fired: Sequence[tuple[float, float]], history: History
) -> tuple[tuple[float, ...], tuple[float | None, ...]] | None:
    """Firings as points that no line joins: an empty one stands between each two."""
    times: list[float] = []
    values: list[float | None] = []
    for at, value in sorted(fired):
        if not history.start.timestamp() <= at <= history.end.timestamp() or (times and at <= times[-1] + 2):
            continue
        if times:
            times.append(times[-1] + 1)
            values.append(None)
        times.append(at)
        values.append(value)
    return (tuple(times), tuple(values)) if times else None
