from __future__ import annotations

from collections import Counter
from statistics import mean, median
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuscout.market.models import QuoteFlag
from gpuscout.market.rollup import HOUR, roll_up


class Row(NamedTuple):
    series_id: int
    ts: int
    flags: int
    all_median: float | None
    all_p10: float | None
    all_p90: float | None
    rented_median: float | None
    available_median: float | None
    demand: float | None
    rented_count: int
    all_count: int
    utilization: float | None = None
    source_id: int = 1


price = st.none() | st.floats(0.01, 20)
rows = st.lists(
    st.builds(
        Row,
        st.integers(1, 3),
        st.integers(0, 5 * HOUR),
        st.sampled_from([0, 0, 1, 2, 4, 6]),
        price,
        price,
        price,
        price,
        price,
        st.none() | st.floats(0, 100),
        st.integers(0, 50),
        st.integers(50, 90),
        st.none() | st.floats(0, 1),
        st.integers(1, 3),
    ),
    max_size=60,
).map(lambda items: sorted(items, key=lambda r: (r.series_id, r.ts)))


def naive(items: list[Row], bucket: int) -> dict[tuple[int, int], dict[str, Any]]:
    groups: dict[tuple[int, int], list[Row]] = {}
    for row in items:
        groups.setdefault((row.series_id, row.ts // bucket * bucket), []).append(row)
    result = {}
    for key, group in groups.items():
        sound = [row for row in group if not row.flags & QuoteFlag.OUTLIER]

        def mid(name: str, source: list[Row]) -> float | None:
            known = [getattr(row, name) for row in source if getattr(row, name) is not None]
            return median(known) if known else None

        counted = [row for row in group if not row.flags & QuoteFlag.UNSIZED]
        said = [row.utilization for row in group if row.utilization is not None]
        asks = [row.all_median for row in sound if row.all_median is not None]
        result[key] = {
            "samples": len(group),
            "price": mid("all_median", sound),
            "price_min": min(asks, default=None),
            "price_max": max(asks, default=None),
            "p10": mid("all_p10", sound),
            "p90": mid("all_p90", sound),
            "rented_price": mid("rented_median", sound),
            "available_price": mid("available_median", sound),
            "demand": mid("demand", group),
            "rented": mean([row.rented_count for row in counted] or [0]),
            "total": mean([row.all_count for row in counted] or [0]),
            "utilization": mean(said) if said else None,
            "source_id": min(Counter(sorted(row.source_id for row in group)).most_common(), key=lambda n: -n[1])[0],
        }
    return result


@given(rows)
def test_equals_the_rule_written_down(items) -> None:
    rolled = {(row.pop("series_id"), row.pop("ts")): row for row in roll_up(items, HOUR)}
    expected = naive(items, HOUR)
    assert rolled.keys() == expected.keys()
    for key, row in rolled.items():
        assert row.keys() == expected[key].keys()
        for name, value in row.items():
            want = expected[key][name]
            assert value is want is None or value == pytest.approx(want, rel=1e-12), name


def test_a_gap_has_no_row() -> None:
    def at(ts: int) -> Row:
        return Row(1, ts, 0, 0.3, None, None, None, None, None, 1, 2)

    assert [row["ts"] for row in roll_up([at(10), at(3 * HOUR)], HOUR)] == [0, 3 * HOUR]
    assert roll_up([], HOUR) == []
