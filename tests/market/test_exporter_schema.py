from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuscout.market.models import Side
from gpuscout.market.sources.base import WrongShape
from gpuscout.market.sources.exporter_schema import parse_document

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def stats(count: int, median: float | None = 0.3, p10: float | None = None, p90: float | None = None) -> list[Any]:
    values = {"count": count, "price_median": median, "price_10th_percentile": p10, "price_90th_percentile": p90}
    return [{key: value for key, value in values.items() if value is not None}]


NONE = stats(0, None)


def v1_model(name: str = "RTX 4090") -> dict[str, Any]:
    return {
        "name": name,
        "stats": {
            "rented": {"verified": stats(12, 0.33, 0.26, 0.4), "unverified": NONE, "all": stats(12, 0.33, 0.26, 0.4)},
            "available": {"verified": stats(5, 0.35), "unverified": stats(1, 0.2, 0.2, 0.2), "all": stats(6, 0.34)},
            "all": {"verified": stats(17, 0.33, 0.26, 0.42), "unverified": stats(1, 0.2), "all": stats(18, 0.33)},
        },
        "info": {"vram": 48},
    }


def v2_model(name: str = "RTX 4090") -> dict[str, Any]:
    def category(datacenter: bool, size: str, verified: bool, price: float) -> dict[str, Any]:
        return {
            "datacenter": datacenter,
            "gpu_count_range": size,
            "verified": verified,
            "stats": {"rented": stats(8, price), "available": stats(2, price), "all": stats(10, price, price, price)},
        }

    return {
        "name": name,
        "count": 20,
        "categories": [category(False, "1-3", False, 0.28), category(True, "8+", True, 0.45)],
    }


def body(*models: Any, timestamp: Any = "2026-11-24T11:59:30.123456789Z", **more: Any) -> bytes:
    return json.dumps({"url": "/gpu-stats", "timestamp": timestamp, "models": list(models), **more}).encode()


def test_v1_gives_one_observation_a_verification() -> None:
    document = parse_document("v1", body(v1_model(), notes=["x"]), NOW)
    assert document.source_time == datetime(2026, 11, 24, 11, 59, 30, 123456, tzinfo=UTC)
    by = {item.verification: item for item in document.observations}
    assert by.keys() == {"any", "verified", "unverified"}
    assert by["any"].rented == Side(12, 0.33, 0.26, 0.4)
    assert by["verified"].available == Side(5, 0.35)
    assert by["unverified"].rented == Side(0)
    assert not document.rejected and not document.unknown_fields


def test_v2_keeps_segments_apart() -> None:
    document = parse_document("v2", body(v2_model()), NOW)
    found = {(item.segment, item.verification): item.all.median for item in document.observations}
    assert found == {("non-dc:1-3", "unverified"): 0.28, ("dc:8+", "verified"): 0.45}


def _broken(change: Any) -> dict[str, Any]:
    model = copy.deepcopy(v1_model("RTX 3090"))
    change(model)
    return model


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: m.pop("name"), "name"),
        (lambda m: m.update(name="   "), "empty name"),
        (lambda m: m["stats"].pop("rented"), "stats.rented"),
        (lambda m: m["stats"]["rented"].update(all=stats(13, 0.3)), "not all 18"),
        (lambda m: m["stats"]["rented"].update(verified=[]), "expected one statistics object"),
        (lambda m: m["stats"]["rented"].update(verified=[{"count": -1}]), "greater than or equal to 0"),
        (lambda m: m["stats"]["rented"].update(verified=[{"count": "12", "price_median": 1}]), "valid integer"),
        (lambda m: m["stats"]["rented"].update(verified=[{"count": 12}]), "no median"),
        (lambda m: m["stats"]["rented"].update(unverified=[{"count": 0, "price_median": 1}]), "prices without GPUs"),
        (lambda m: m["stats"]["rented"].update(verified=stats(12, 0.3, 0.4, 0.2)), "out of order"),
        (lambda m: m["stats"]["rented"].update(verified=stats(12, 1e9)), "less than or equal to"),
        (lambda m: m["stats"]["rented"].update(verified=stats(12, -0.1)), "greater than or equal to 0"),
    ],
)
def test_a_bad_item_is_rejected_with_its_reason_and_stops_nothing(change, reason) -> None:
    document = parse_document("v1", body(_broken(change), v1_model()), NOW)
    assert document.read == 2 and document.models == 1
    [rejected] = document.rejected
    assert reason in rejected.reason
    assert len(rejected.sample) <= 2000


def test_non_finite_numbers_are_rejected() -> None:
    text = body(v1_model("RTX 3090"), v1_model()).replace(b"0.26", b"NaN", 1)
    assert [item.reason for item in parse_document("v1", text, NOW).rejected] != []


def test_a_model_listed_twice_counts_once() -> None:
    document = parse_document("v1", body(v1_model(), v1_model()), NOW)
    assert document.models == 1
    assert [item.reason for item in document.rejected] == ["the model is listed twice"]


def test_v2_categories_must_add_up_and_differ() -> None:
    wrong, twice = v2_model("RTX 3090"), v2_model("RTX 3080")
    wrong["count"] = 21
    twice["categories"][1] = twice["categories"][0]
    document = parse_document("v2", body(wrong, twice, v2_model()), NOW)
    assert [item.reason.split(": ")[1] for item in document.rejected] == [
        "categories hold 20 GPUs, the model 21",
        "a category is listed twice",
    ]


def test_unknown_fields_are_counted() -> None:
    model = v1_model()
    model["fresh"] = 1
    assert parse_document("v1", body(model, extra=2), NOW).unknown_fields == {"extra": 1, "model.fresh": 1}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<html>", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"timestamp": "2026-11-24T11:59:30Z"}', "no list of models"),
        (body(), "empty"),
        (body(v1_model(), timestamp=None), "no timestamp"),
        (body(v1_model(), timestamp="yesterday"), "not RFC 3339"),
        (body(v1_model(), timestamp="2026-11-24T11:59:30"), "no time zone"),
        (body(v1_model(), timestamp="2026-11-24T13:00:00Z"), "in the future"),
        (body(v1_model(), timestamp="1970-01-01T00:00:00Z"), "before 2021"),
        (body({"name": "RTX 4090"}), "none of 1 models is valid"),
        (body(*[{}] * 5001), "more than 5000 models"),
    ],
)
def test_another_shape_is_said(data, message) -> None:
    with pytest.raises(WrongShape, match=message):
        parse_document("v1", data, NOW)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["stats", "name", "rented", "all", "count", "verified", "categories", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.sampled_from(["v1", "v2"]), st.lists(json_values, min_size=1, max_size=4))
@settings(max_examples=200)
def test_no_input_stops_the_good_item(feed, junk) -> None:
    good = v1_model() if feed == "v1" else v2_model()
    document = parse_document(feed, body(*junk, good), NOW)
    assert document.models >= 1
    assert document.read == len(junk) + 1


def test_source_time_may_run_slightly_ahead() -> None:
    ahead = (NOW + timedelta(minutes=4)).isoformat()
    assert parse_document("v1", body(v1_model(), timestamp=ahead), NOW).models == 1
