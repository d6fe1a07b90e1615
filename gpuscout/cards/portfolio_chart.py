"""A portfolio's expected income day by day, as a chart."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from config.i18n import Text
from gpuscout.cards.chart_spec import chart_labels
from gpuscout.charts.model import MAX_TEXT, ChartPanel, ChartSeries, ChartSpec
from gpuscout.portfolio.models import SnapshotPoint

LEAST_POINTS: Final = 2
"""Days from which on there is a line to draw."""
_GAP: Final = timedelta(days=1.8)


def portfolio_chart(
    points: Sequence[SnapshotPoint],
    days: int,
    now: datetime,
    t: Text,
    *,
    simulated: bool,
    timezone: str = "UTC",
    image: str = "webp",
) -> ChartSpec:
    """Net dollars a day at the asked prices and at the market's medians, from daily snapshots.

    Raises:
        ValueError: there are fewer than two days, or what cannot be drawn.
    """
    if len(points) < LEAST_POINTS:
        raise ValueError("a line needs two days")
    times = tuple(point.at.timestamp() for point in points)
    newest = points[-1].at
    own = ChartSeries("net", t("At your prices"), times, tuple(point.net_day for point in points), emphasis=True)
    market = ChartSeries("market", t("At market medians"), times, tuple(point.market_net_day for point in points))
    title = t("Portfolio: expected net USD a day")
    gpus = t("{count} GPUs", count=t.number(points[-1].gpus))
    return ChartSpec(
        title=title[:MAX_TEXT],
        subtitle=f"{gpus} · {t('after fee and electricity')}"[:MAX_TEXT],
        panels=(ChartPanel("usd_per_day", (own, market)),),
        start=(now - timedelta(days=days)).timestamp(),
        end=max(now, newest + timedelta(seconds=1)).timestamp(),
        gap_seconds=_GAP.total_seconds(),
        source=t("GPUScout's daily snapshots")[:MAX_TEXT],
        as_of=newest.timestamp(),
        timezone=timezone,
        locale=t.locale,
        badge=t("SIMULATED") if simulated else None,
        format="png" if image == "png" else "webp",
        missing_note=t("No snapshot"),
        labels=chart_labels(t),
    )
