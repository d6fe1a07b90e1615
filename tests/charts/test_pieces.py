"""Label placing, shortening, cutting into runs and gaps, and the chart in words."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gpuscout.charts import ChartLabels, ChartPanel, ChartSeries, alt_text
from gpuscout.charts.layout import plain, shorten, spread
from gpuscout.charts.segments import common_gaps, trace, traces
from tests.charts.builders import DAY, END, compare_spec, price_spec, series, spec


@given(st.lists(st.floats(-1000, 2000), max_size=8), st.floats(1, 200))
def test_spread_keeps_order_room_and_distance(wanted: list[float], gap: float) -> None:
    placed = spread(wanted, gap, 0, 700)
    assert len(placed) == len(wanted)
    assert all(-1e-6 <= position <= 700 + 1e-6 for position in placed)
    fair = min(gap, 700 / max(len(wanted) - 1, 1))
    in_order = [placed[i] for i in sorted(range(len(wanted)), key=lambda i: wanted[i])]
    assert all(after - before >= fair - 1e-6 for before, after in pairwise(in_order))


def test_spread_moves_nothing_that_has_room() -> None:
    assert spread([300.0, 100.0, 200.0], 50, 0, 700) == [300.0, 100.0, 200.0]


def test_spread_moves_equal_positions_evenly() -> None:
    assert spread([100.0, 100.0, 100.0], 50, 0, 700) == [50.0, 100.0, 150.0]


@given(st.text(max_size=60), st.floats(2, 80))
def test_shorten_fits(text: str, room: float) -> None:
    short = shorten(text, room, lambda part: float(len(part)))
    assert len(short) <= room
    assert short == text or (short.endswith("…") and text.startswith(short[:-1]))


def test_plain_is_one_line_without_direction_changes() -> None:
    assert plain("RTX\n4090\t\u202eevil\x00 ") == "RTX 4090 evil"


def _line(*points: tuple[float, float | None]) -> ChartSeries:
    return ChartSeries("a", "A", tuple(t for t, _ in points), tuple(v for _, v in points))


HOURLY = {"start": 0.0, "end": 36000.0, "gap_seconds": 5400.0, "as_of": 36000.0}


def test_a_long_step_and_a_missing_value_end_a_run() -> None:
    whole = _line(*((h * 3600.0, None if h == 7 else 1.0) for h in range(11) if h not in (2, 3)))
    cut = trace(whole, spec(**HOURLY))
    assert [[whole.times[i] / 3600 for i in run] for run in cut.runs] == [[0, 1], [4, 5, 6], [8, 9, 10]]
    assert cut.gaps == ((3600.0, 14400.0), (21600.0, 28800.0))


def test_history_that_begins_late_or_ends_early_has_gaps_at_the_edges() -> None:
    cut = trace(_line((18000.0, 1.0), (21600.0, 1.0)), spec(**HOURLY))
    assert cut.gaps == ((0.0, 18000.0), (21600.0, 36000.0))


def test_points_outside_of_the_range_are_left_out() -> None:
    cut = trace(_line((0.0, 1.0), (3600.0, 1.0), (90000.0, 9.0)), spec(**HOURLY))
    assert cut.indices == (0, 1)


def test_nothing_measured_is_one_gap() -> None:
    assert trace(_line((3600.0, None)), spec(**HOURLY)).gaps == ((0.0, 36000.0),)


def test_a_gap_of_one_series_is_no_gap_of_the_panel() -> None:
    whole = _line(*((h * 3600.0, 1.0) for h in range(11)))
    broken = _line(*((h * 3600.0, 1.0) for h in range(11) if h not in (4, 5)))
    chart = spec(ChartPanel("ratio", (whole, dataclasses.replace(broken, key="b"))), **HOURLY)
    assert common_gaps(traces(chart.panels[0], chart)) == ()


def test_alt_text_says_what_the_chart_shows() -> None:
    values = (0.31, 0.29, 0.36, 0.33)
    line = ChartSeries("r", "Rented", tuple(END - (3 - i) * DAY for i in range(4)), values)
    chart = spec(ChartPanel("usd_per_hour", (line,)), days=3, gap_seconds=2 * DAY, badge="SIMULATED")
    assert alt_text(chart) == (
        "SIMULATED. RTX 4090 · Vast.ai. Price per GPU-hour, 30 days. "
        "Dec 4, 2025, 2:00 PM UTC to Dec 7, 2025, 2:00 PM UTC. "
        "Rented: $0.31 at first, $0.33 at last, lowest $0.29, highest $0.36. "
        "Source: 500.farm (Vast.ai), as of Dec 7, 2025, 2:00 PM UTC."
    )


def test_alt_text_counts_gaps_and_follows_locale_and_labels() -> None:
    labels = ChartLabels(
        alt_gaps="Lücken ohne Daten: {count}", source="Quelle", as_of="Stand", alt_period="{start} bis {end}"
    )
    text = alt_text(price_spec(locale="de", timezone="Europe/Berlin", labels=labels))
    assert "Lücken ohne Daten: 1. Quelle: 500.farm (Vast.ai), Stand 07.12.2025, 15:00 MEZ." in text
    assert "Rented: 0,337 $ at first" in text
    assert " bis " in text


def test_alt_text_of_nothing_says_so() -> None:
    assert "No data." in alt_text(spec(ChartPanel("ratio", ())))
    assert "A: No data." in alt_text(spec(ChartPanel("ratio", (_line((END - 60, None)),))))


def test_alt_text_is_never_too_long_and_keeps_the_source() -> None:
    lines = tuple(series(str(i), "W" * 190) for i in range(6))
    text = alt_text(spec(ChartPanel("ratio", lines), title="T" * 200, subtitle="S" * 200))
    assert len(text) <= 1024
    assert text.endswith("2:00 PM UTC.")
    assert len(alt_text(compare_spec(6))) <= 1024
