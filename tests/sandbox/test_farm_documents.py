"""The two documents: shape, rules of absence, order, and agreement with each other."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.farm import Market, Snapshot, document_v1, document_v2, render
from sandbox.farm.documents import nanoseconds, rfc3339
from sandbox.farm.market import ModelSnapshot, gpu_range
from tests.sandbox.test_farm_stats import literal_stats

MARKET = Market(seed=3)
AT = datetime(2025, 12, 7, 20, 30, 16, tzinfo=UTC)
SIDES, VERIFICATIONS = ("rented", "available", "all"), ("verified", "unverified", "all")
FIELDS = {"price_median": "median", "price_10th_percentile": "p10", "price_90th_percentile": "p90"}

instants = st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def served(at: datetime) -> tuple[Snapshot, dict[str, Any], dict[str, Any]]:
    """A snapshot and both documents as a client parses them."""
    snapshot = MARKET.snapshot(at)
    return (
        snapshot,
        json.loads(render(document_v1(snapshot))),
        json.loads(render(document_v2(snapshot))),
    )


def single(wrapped: list[dict[str, Any]]) -> dict[str, Any]:
    assert isinstance(wrapped, list)
    assert len(wrapped) == 1
    return wrapped[0]


def check_stat(stat: dict[str, Any]) -> None:
    count = stat["count"]
    expected = {"count"}
    if count:
        expected.add("price_median")
    if count == 1 or count >= 10:
        expected |= {"price_10th_percentile", "price_90th_percentile"}
    assert set(stat) == expected
    for name in FIELDS.keys() & stat.keys():
        half_cents = stat[name] * 200
        assert stat[name] > 0
        assert math.isclose(half_cents, round(half_cents), abs_tol=1e-9)
    if "price_10th_percentile" in stat:
        assert stat["price_10th_percentile"] <= stat["price_median"] <= stat["price_90th_percentile"]


@given(instants)
@settings(max_examples=20, deadline=None)
def test_version_1_keeps_its_rules(at: datetime) -> None:
    _, document, _ = served(at)
    for model in document["models"]:
        assert set(model) == {"name", "stats", "info"}
        stats = {side: {v: single(model["stats"][side][v]) for v in VERIFICATIONS} for side in SIDES}
        for side in SIDES:
            for stat in stats[side].values():
                check_stat(stat)
            counts = {v: stats[side][v]["count"] for v in VERIFICATIONS}
            assert counts["verified"] + counts["unverified"] == counts["all"]
        for v in VERIFICATIONS:
            rented, available, everything = (stats[side][v]["count"] for side in SIDES)
            assert rented + available == everything
        assert set(model["info"]) == {"vram", "dlperf", "tflops"}
        assert stats["all"]["all"]["count"] > 0


@given(instants)
@settings(max_examples=20, deadline=None)
def test_version_2_agrees_with_version_1(at: datetime) -> None:
    _, v1, v2 = served(at)
    assert [m["name"] for m in v1["models"]] == [m["name"] for m in v2["models"]]
    assert v1["timestamp"] == v2["timestamp"]
    for one, two in zip(v1["models"], v2["models"], strict=True):
        assert set(two) == {"name", "count", "categories"}
        assert two["count"] == one["stats"]["all"]["all"][0]["count"]
        for side in SIDES:
            for verified, name in ((True, "verified"), (False, "unverified")):
                parts = [single(c["stats"][side])["count"] for c in two["categories"] if c["verified"] is verified]
                assert sum(parts) == one["stats"][side][name][0]["count"]
        keys = [(c["datacenter"], c["gpu_count_range"], c["verified"]) for c in two["categories"]]
        assert keys == sorted(set(keys))
        for category in two["categories"]:
            rented, available, everything = (single(category["stats"][s]) for s in SIDES)
            for stat in (rented, available, everything):
                check_stat(stat)
            assert rented["count"] + available["count"] == everything["count"] > 0


def expand(model: ModelSnapshot, side: str, verification: str, segment: tuple[Any, ...] | None) -> list[int]:
    """The cents of every GPU of a group, machine by machine."""
    prices: list[int] = []
    for i, total in enumerate(model.num_gpus):
        verified = bool(model.verified[i])
        if verification != "all" and verified != (verification == "verified"):
            continue
        if segment and segment != (bool(model.datacenter[i]), gpu_range(int(total)), verified):
            continue
        rented = int(model.rented[i])
        gpus = {"rented": rented, "available": int(total) - rented, "all": int(total)}[side]
        prices += [int(model.cents[i])] * gpus
    return prices


def plain(stat: dict[str, Any]) -> dict[str, float]:
    return {FIELDS.get(name, name): value for name, value in stat.items()}


def test_every_figure_is_that_of_the_machines_gpu_by_gpu() -> None:
    snapshot, v1, v2 = served(AT)
    by_name = {model.name: model for model in snapshot.models}
    figures = 0
    for one, two in zip(v1["models"], v2["models"], strict=True):
        machines = by_name[one["name"]]
        for side in SIDES:
            for verification in VERIFICATIONS:
                expected = literal_stats(expand(machines, side, verification, None))
                assert plain(one["stats"][side][verification][0]) == pytest.approx(expected)
                figures += 1
            for c in two["categories"]:
                segment = (c["datacenter"], c["gpu_count_range"], c["verified"])
                expected = literal_stats(expand(machines, side, "all", segment))
                assert plain(c["stats"][side][0]) == pytest.approx(expected)
                figures += 1
    assert figures > 900


def test_models_come_from_most_to_least_popular_then_by_name() -> None:
    _, v1, v2 = served(AT)
    order = [(-m["stats"]["all"]["all"][0]["count"], m["name"]) for m in v1["models"]]
    assert order == sorted(order)
    assert order == [(-m["count"], m["name"]) for m in v2["models"]]
    assert v1["models"][0]["name"] == "RTX 4090"


def test_the_envelope() -> None:
    _, v1, v2 = served(AT)
    assert list(v1) == list(v2) == ["url", "timestamp", "notes", "models"]
    assert (v1["url"], v2["url"]) == ("/gpu-stats", "/gpu-stats/v2")
    assert v1["notes"] == ["Sorted from most to least popular."]
    assert re.fullmatch(r"2025-12-07T20:30:16\.\d{9}Z", v1["timestamp"])


def test_the_memory_of_a_name_is_the_greatest_in_the_group() -> None:
    _, v1, _ = served(AT)
    vram = {model["name"]: model["info"]["vram"] for model in v1["models"]}
    assert vram["RTX 4090"] == 48  # a few modified cards among cards of 24 GB
    assert vram["H200"] == 141


def test_the_rare_cases_are_all_there() -> None:
    _, v1, _ = served(AT)
    text = render(v1).decode()
    models = {model["name"]: model["stats"]["all"]["all"][0] for model in v1["models"]}
    one = models["Quadro K2200"]
    assert one["count"] == 1
    assert one["price_median"] == one["price_10th_percentile"] == one["price_90th_percentile"]
    assert any(2 <= stat["count"] <= 9 for stat in models.values())
    assert "RTX 9090 Ti Proto" in models
    assert '{\n                            "count": 0\n                        }' in text
    assert re.search(r'"price_[a-z0-9_]+": \d+\.\d\d5,?\n', text)  # half a cent


def test_whole_dollars_have_no_fraction_as_go_writes_them() -> None:
    texts = [render(document_v1(MARKET.snapshot(AT + timedelta(days=d)))).decode() for d in range(60)]
    prices = [p for text in texts for p in re.findall(r'"price_[a-z0-9_]+": (\S+?),?\n', text)]
    assert not [p for p in prices if p.endswith(".0")]
    assert [p for p in prices if "." not in p]


@given(instants)
@settings(deadline=None)
def test_stamps_have_nanoseconds_and_keep_their_time(at: datetime) -> None:
    stamp = rfc3339(nanoseconds(at))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7,9}Z", stamp)
    assert datetime.fromisoformat(stamp) == at


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_500_000_000, "1970-01-01T00:00:01.5Z"),
        (1_765_139_416_932_863_812, "2025-12-07T20:30:16.932863812Z"),
    ],
)
def test_stamps_drop_trailing_zeros(nanos: int, text: str) -> None:
    assert rfc3339(nanos) == text
