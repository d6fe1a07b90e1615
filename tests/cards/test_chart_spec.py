"""From history to a chart's description."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from config.i18n import translator_for
from gpuscout.cards.chart_spec import gap_seconds, price_chart
from gpuscout.charts.alt import alt_text
from gpuscout.charts.render import render
from gpuscout.market.models import History, HistoryPoint, HistoryTier, PriceView
from tests.fakes import INTERVAL, NOW, FakeMarket

EN, DE = translator_for("en-US"), translator_for("de")


@pytest.fixture
async def view() -> PriceView:
    return await FakeMarket().price("rtx-4090")


async def past(view: PriceView, days: int = 7) -> History:
    return await FakeMarket().history(view.quote.key, NOW - timedelta(days=days), NOW)


async def test_price_with_band_and_utilization_below(view: PriceView) -> None:
    history = await past(view)
    spec = price_chart(history, view, "Vast.ai", EN)

    main, below = spec.panels
    assert [s.label for s in main.series] == ["All", "Rented", "Available"]
    assert main.unit == "usd_per_hour"
    assert main.series[0].low is not None
    assert main.series[1].low is None
    assert below.unit == "ratio"
    assert spec.title == "RTX 4090: USD per GPU-hour"
    assert spec.subtitle == "Vast.ai · Worldwide · All machines"
    assert spec.badge is None
    assert render(spec)[:4] == b"RIFF"
    assert "Utilization" in alt_text(spec)


async def test_german_and_simulated(view: PriceView) -> None:
    spec = price_chart(await past(view), replace(view, simulated=True), "Vast.ai", DE, timezone="Europe/Berlin")
    assert spec.badge == "SIMULIERT"
    assert spec.locale == "de"
    assert spec.labels.source == "Quelle"
    assert render(spec)[:4] == b"RIFF"


async def test_no_history_is_an_empty_chart(view: PriceView) -> None:
    empty = History(view.quote.key, HistoryTier.RAW, NOW - timedelta(days=1), NOW, INTERVAL, ())
    spec = price_chart(empty, view, "Vast.ai", EN)
    assert [len(panel.series) for panel in spec.panels] == [0, 0]
    assert render(spec)[:4] == b"RIFF"


async def test_holes_and_crossed_bands_do_not_break_the_chart(view: PriceView) -> None:
    start = int((NOW - timedelta(hours=2)).timestamp())
    points = (
        HistoryPoint(start, None, None, None, None, None, 0, 0),
        HistoryPoint(start + 900, 0.3, 0.5, 0.2, None, None, 5, 10),
        HistoryPoint(start + 1800, 0.3, 0.2, 0.4, None, None, 5, 10),
    )
    history = History(view.quote.key, HistoryTier.RAW, NOW - timedelta(hours=2), NOW, INTERVAL, points)
    spec = price_chart(history, view, "Vast.ai", EN)
    (price,) = spec.panels[0].series
    assert price.low == (None, None, 0.2)
    assert price.high == (None, None, 0.4)
    assert render(spec)[:4] == b"RIFF"


async def test_gap_follows_the_steps(view: PriceView) -> None:
    history = replace(await past(view), step=INTERVAL)
    assert gap_seconds(history) == pytest.approx(1620)
    thinned = replace(history, thinned=True, step=INTERVAL, points=history.points[::4])
    spacing = 4 * (history.points[1].ts - history.points[0].ts)
    assert gap_seconds(thinned) > spacing


async def test_a_gap_shorter_than_thinned_points_lie_apart_still_breaks_the_line(view: PriceView) -> None:
    whole = await past(view)
    before, after = whole.points[40].ts, whole.points[60].ts
    kept = [p for p in whole.points[::30] if not before < p.ts < after]
    history = replace(whole, thinned=True, points=kept, gaps=[(before, after)])
    (price, *_) = price_chart(history, view, "Vast.ai", EN).panels[0].series
    assert price.times == tuple(sorted(price.times))
    assert [v for at, v in zip(price.times, price.values, strict=True) if before < at < after] == [None]
