"""A digest's chart: what the portfolio is expected to bring, day by day, or the price of the member's main GPU."""

from __future__ import annotations

from config.i18n import Text
from gpuscout.cards.chart_spec import chart_labels
from gpuscout.charts.model import MAX_TEXT, ChartPanel, ChartSeries, ChartSpec
from gpuscout.digests.models import DigestContent


def digest_chart(content: DigestContent, t: Text, image: str = "webp") -> ChartSpec | None:
    """The chart, or None when there is nothing to draw.

    Args:
        image: ``webp`` or ``png``.

    Raises:
        ValueError: the content holds what cannot be drawn (the message says what).
    """
    part = content.chart
    if part is None or sum(value is not None for value in part.values) < 2:
        return None
    if part.kind == "portfolio":
        title, subtitle = t("Your portfolio: net USD a day"), t("At your asked prices and at the market's medians")
        series = [_series("asked", t("Your prices"), part.times, part.values, emphasis=True)]
        if any(value is not None for value in part.others):
            series.append(_series("market", t("Market medians"), part.times, part.others))
        panel = ChartPanel("usd_per_day", tuple(series))
    else:
        title = t("{gpu}: USD per GPU-hour", gpu=part.gpu_name or "")
        subtitle = f"{part.platform_name or ''} · {t('Median of all listed GPUs')}"
        panel = ChartPanel("usd_per_hour", (_series("price", t("All"), part.times, part.values, emphasis=True),))
    return ChartSpec(
        title=title[:MAX_TEXT],
        subtitle=subtitle[:MAX_TEXT],
        panels=(panel,),
        start=part.times[0],
        end=max(part.times[-1], part.times[0] + 1.0),
        gap_seconds=part.step,
        source=part.source[:MAX_TEXT],
        as_of=(content.as_of or content.until).timestamp(),
        timezone=content.timezone,
        locale=t.locale,
        badge=t("SIMULATED") if content.simulated else None,
        format="png" if image == "png" else "webp",
        missing_note=t("No data"),
        labels=chart_labels(t),
    )


def _series(
    key: str, label: str, times: tuple[float, ...], values: tuple[float | None, ...], *, emphasis: bool = False
) -> ChartSeries:
    return ChartSeries(key=key, label=label, times=times, values=values, emphasis=emphasis)
