"""The exporter's statistics against a literal reading of the rule, GPU by GPU."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.farm.stats import percentile, weighted_stats


def literal_percentile(prices: list[float], percent: float) -> float:
    ordered = sorted(prices)
    if len(ordered) == 1:
        return ordered[0]
    index = (percent / 100) * len(ordered)
    if index == int(index) and index >= 1:
        return ordered[int(index) - 1]
    if index > 1:
        return (ordered[int(index) - 1] + ordered[int(index)]) / 2
    return math.nan


def literal_stats(prices: list[int]) -> dict[str, float]:
    """Cents in, dollars out; only the fields that exist."""
    found: dict[str, float] = {"count": len(prices)}
    if not prices:
        return found
    ordered, n = sorted(prices), len(prices)
    found["median"] = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2 / 100
    p10, p90 = (literal_percentile([float(p) for p in prices], q) for q in (10, 90))
    if not math.isnan(p10) and not math.isnan(p90):
        found["p10"], found["p90"] = p10 / 100, p90 / 100
    return found


def as_dict(record: np.void) -> dict[str, float]:
    names = ("count", "median", "p10", "p90")
    return {name: float(record[name]) for name in names if not np.isnan(record[name])}


machines = st.lists(st.tuples(st.integers(1, 2000), st.integers(0, 12)), min_size=1, max_size=60)


@given(machines)
@settings(deadline=None)
def test_weighted_statistics_are_those_of_the_single_gpus(fleet: list[tuple[int, int]]) -> None:
    fleet.sort()
    cents, gpus = (np.array(column, dtype=np.int64) for column in zip(*fleet, strict=True))
    expected = literal_stats([price for price, n in fleet for _ in range(n)])
    assert as_dict(weighted_stats(cents, gpus)[()]) == expected


@given(machines, st.lists(st.booleans(), min_size=60, max_size=60))
@settings(deadline=None)
def test_many_rows_at_once_equal_each_row_alone(fleet: list[tuple[int, int]], mask: list[bool]) -> None:
    fleet.sort()
    cents, gpus = (np.array(column, dtype=np.int64) for column in zip(*fleet, strict=True))
    keep = np.array(mask[: len(fleet)])
    rows = np.stack([gpus, gpus * 0, gpus * keep, gpus * ~keep])
    together = weighted_stats(cents, rows)
    assert together.shape == (4,)
    for record, row in zip(together, rows, strict=True):
        assert as_dict(record) == as_dict(weighted_stats(cents, row)[()])


@pytest.mark.parametrize(
    ("count", "has_percentiles"), [(0, False), (1, True), (2, False), (9, False), (10, True), (11, True)]
)
def test_percentiles_exist_for_one_and_from_ten(count: int, has_percentiles: bool) -> None:
    record = weighted_stats(np.array([33]), np.array([count]))[()]
    assert record["count"] == count
    assert np.isnan(record["median"]) == (count == 0)
    assert np.isnan(record["p10"]) != has_percentiles
    assert np.isnan(record["p90"]) != has_percentiles


def test_ranks_between_two_prices_take_their_mean() -> None:
    """0.1 x 12 = 1.2 lies between the first and second price, 0.9 x 12 = 10.8 between the 10th and 11th."""
    record = weighted_stats(np.arange(1, 13, dtype=np.int64), np.ones(12, dtype=np.int64))[()]
    assert (record["p10"], record["median"], record["p90"]) == (0.015, 0.065, 0.105)
    record = weighted_stats(np.arange(1, 71, dtype=np.int64), np.ones(70, dtype=np.int64))[()]
    assert (record["p10"], record["median"], record["p90"]) == (0.07, 0.355, 0.63)


def test_no_machine_at_all() -> None:
    empty = np.zeros((3, 0), dtype=np.int64)
    assert weighted_stats(empty, empty)["count"].tolist() == [0, 0, 0]


@given(st.lists(st.floats(0.1, 1000), min_size=1, max_size=40), st.sampled_from([10.0, 50.0, 90.0]))
@settings(deadline=None)
def test_percentile_of_a_plain_list(values: list[float], percent: float) -> None:
    expected = literal_percentile(values, percent)
    got = percentile(np.array(values), percent)
    assert got == expected or (math.isnan(got) and math.isnan(expected))
