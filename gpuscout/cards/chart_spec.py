"""From stored history to the description of a chart."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from config.i18n import Text
from gpuscout.cards.price_text import region_name, series_name, tier_name
from gpuscout.charts.model import MAX_TEXT, ChartLabels, ChartPanel, ChartSeries, ChartSpec
from gpuscout.market.models import History, HistoryPoint, PriceView, Tier

POINTS = 400
"""Points a chart asks for: twice what the eye tells apart on 800 pixels with bands."""

# A reading may come a little late without being missed; two nominal steps apart is a gap.
_LATE = 1.8


def gap_seconds(history: History) -> float:
    """Distance between two points beyond which a line must break, in seconds.

    A thinned series keeps extremes, at most two a bucket, so its points may lie up to two buckets apart
    without anything missing.
    """
    nominal = history.step.total_seconds() * _LATE
    if not history.thinned or len(history.points) < 2:
        return max(nominal, 1.0)
    bucket = (history.end - history.start).total_seconds() / len(history.points) * 2
    return max(nominal, bucket * 2, 1.0)


def with_breaks(history: History) -> list[HistoryPoint]:
    """The points with an empty one inside of every gap.

    Thinning may leave points further apart than a short gap is long, so distance alone cannot tell a gap; the
    history says where they are.
    """
    empty = [HistoryPoint(before + 1, None, None, None, None, None, 0, 0, 0) for before, _ in history.gaps]
    return sorted([*history.points, *empty], key=lambda point: point.ts) if empty else list(history.points)


def price_chart(
    history: History, view: PriceView, platform_name: str, t: Text, *, timezone: str = "UTC", image: str = "webp"
) -> ChartSpec:
    """Price with its band, rented and available medians; utilization below.

    Args:
        history: Points, oldest first; none gives an empty chart that says so.
        view: The card's view, for names, source and badge.
        timezone: IANA name of the reader's zone.
        image: ``webp`` or ``png``.

    Raises:
        ValueError: The history holds what cannot be drawn (the message says what).
    """
    points = with_breaks(history)
    key = history.key
    sold = "" if key.tier == Tier.ON_DEMAND else f"{tier_name(key.tier, t)} · "
    machines = series_name(key.verification, key.segment, t)
    subtitle = f"{platform_name} · {region_name(key.region, t)} · {sold}{machines}"
    main = [
        _series("price", t("All"), points, [p.price for p in points], band=True),
        _series("rented", t("Rented"), points, [p.rented_price for p in points]),
        _series("available", t("Available"), points, [p.available_price for p in points]),
    ]
    use = _series("utilization", t("Utilization"), points, [p.utilization for p in points], emphasis=True)
    return ChartSpec(
        title=_cut(t("{gpu}: USD per GPU-hour", gpu=view.gpu_name)),
        subtitle=_cut(subtitle),
        panels=(
            ChartPanel("usd_per_hour", tuple(s for s in main if s is not None)),
            # History of prices alone has no utilization: no panel, rather than an empty one or zeros.
            *([] if use is None and any(s is not None for s in main) else [ChartPanel("ratio", (use,) if use else ())]),
        ),
        start=history.start.timestamp(),
        end=max(history.end, history.start + timedelta(seconds=1)).timestamp(),
        gap_seconds=gap_seconds(history),
        source=_cut(", ".join(history.sources.values()) or view.source),
        as_of=view.quote.at.timestamp(),
        timezone=timezone,
        locale=t.locale,
        badge=t("SIMULATED") if view.simulated else None,
        format="png" if image == "png" else "webp",
        missing_note=t("No data"),
        labels=chart_labels(t),
    )


def chart_labels(t: Text) -> ChartLabels:
    """The few words on every chart, translated."""
    return ChartLabels(
        source=t("Source"),
        as_of=t("as of"),
        no_data=t("No data"),
        band=t("p10–p90"),
        alt_period=t("{start} to {end}"),
        alt_series=t("{label}: {first} at first, {last} at last, lowest {low}, highest {high}"),
        alt_gaps=t("Gaps without data: {count}"),
    )


def _series(
    key: str,
    label: str,
    points: Sequence[HistoryPoint],
    values: list[float | None],
    *,
    band: bool = False,
    emphasis: bool = False,
) -> ChartSeries | None:
    """A line, or None when it has no value at all."""
    if all(value is None for value in values):
        return None
    bands = [_band(point) for point in points] if band else []
    drawn = any(low is not None for low, _ in bands)
    return ChartSeries(
        key=key,
        label=label,
        times=tuple(float(point.ts) for point in points),
        values=tuple(values),
        low=tuple(low for low, _ in bands) if drawn else None,
        high=tuple(high for _, high in bands) if drawn else None,
        emphasis=emphasis or band,
    )


def _band(point: HistoryPoint) -> tuple[float | None, float | None]:
    """p10 and p90 when both are known and in order."""
    if point.p10 is None or point.p90 is None or point.p10 > point.p90:
        return None, None
    return point.p10, point.p90


def _cut(text: str) -> str:
    return text[:MAX_TEXT]
