"""Advice on the recorded answer of 500.farm: machines spread as it says, for each of its models."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpuscout.portfolio.advice_models import NotEnoughEvidence, PriceAdvice
from gpuscout.portfolio.evidence import MIN_MACHINES, Comparable, lacking
from gpuscout.portfolio.models import Input
from gpuscout.portfolio.price_advice import advise_price
from gpuscout.portfolio.rentfit import Ask, fit_rents
from gpuscout.portfolio.valuation import Terms

SHARED = Path(os.environ.get("GPUSCOUT_SHARED", Path(__file__).parents[3] / "shared"))
RECORDED = SHARED / "data" / "500farm_gpu_stats_2025-12-07.json"
pytestmark = pytest.mark.skipif(not RECORDED.is_file(), reason=f"the recorded answer is not at {RECORDED}")

TERMS = Terms(
    Input("platform's fee", 0.25, "share", "catalogue"),
    Input("power draw of one GPU", 250.0, "W", "member"),
    Input("electricity price", 0.05, "USD/kWh", "member"),
)


@lru_cache(maxsize=1)
def models() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Recorded statistics of the rented and of the available GPUs, by model."""
    found = json.loads(RECORDED.read_text())["models"]
    return {m["name"]: (m["stats"]["rented"]["all"][0], m["stats"]["available"]["all"][0]) for m in found}


def spread(stats: dict[str, Any], rented: bool) -> list[Ask]:
    """Single GPUs whose median, p10 and p90 are the recorded ones."""
    if not stats["count"]:
        return []
    median = stats["price_median"]
    low, high = stats.get("price_10th_percentile", median), stats.get("price_90th_percentile", median)
    count = min(stats["count"], 400)
    places = (np.arange(count) + 0.5) / count
    prices = np.interp(places, [0.0, 0.1, 0.5, 0.9, 1.0], [low * 0.9, low, median, high, high * 1.2])
    return [Ask(float(price), 1, int(rented)) for price in prices]


def advised(name: str, present: float | None = None) -> PriceAdvice | NotEnoughEvidence:
    rented, available = models()[name]
    asks = spread(rented, True) + spread(available, False)
    found = Comparable(
        platform="vast",
        gpu="any",
        region="global",
        verification="any",
        segment="any",
        machines=len(asks),
        gpus=len(asks),
        rented=sum(ask.rented for ask in asks),
        as_of=datetime(2025, 12, 7, tzinfo=UTC),
        source="500.farm",
        fit=fit_rents(asks),
        lacking=lacking(asks),
    )
    middle = float(np.median([ask.price for ask in asks])) if asks else 0.3
    return advise_price(found, present or middle, 1, TERMS)


def dearer(least: int = 1) -> list[str]:
    """Models whose rented median lies above the available one, with at least so many GPUs on either side."""
    return [
        name
        for name, (rented, available) in models().items()
        if min(rented["count"], available["count"]) >= least and rented["price_median"] > available["price_median"]
    ]


def test_nineteen_models_are_rented_at_a_higher_median_and_that_proves_nothing() -> None:
    assert len(dearer(10)) == 19
    found = dearer()
    judged = 0
    for name in found:
        for factor in (0.7, 1.0, 1.3):
            rented, available = models()[name]
            advice = advised(name, available["price_median"] * factor)
            assert isinstance(advice, NotEnoughEvidence), name
            judged += advice.reason == "dearer_rents_more"
            assert advice.reason in ("dearer_rents_more", "few_machines", "few_prices", "one_sided"), name
            if rented["count"] + available["count"] < MIN_MACHINES:
                assert advice.reason == "few_machines"
    assert judged >= 3 * 19


def test_every_model_is_judged_and_no_promise_is_empty() -> None:
    reasons: dict[str, int] = {}
    for name in models():
        advice = advised(name)
        if isinstance(advice, NotEnoughEvidence):
            reasons[advice.reason] = reasons.get(advice.reason, 0) + 1
            continue
        reasons[advice.kind] = reasons.get(advice.kind, 0) + 1
        assert advice.kind == "keep" or 0 < advice.gain_month.low <= advice.gain_month.value
        shares = [point.fit.value for point in advice.evidence.points]
        assert shares == sorted(shares, reverse=True)
        if advice.kind == "raise":
            assert advice.evidence.rented_median is not None and advice.evidence.available_median is not None
            assert advice.evidence.rented_median <= advice.evidence.available_median
    assert sum(reasons.values()) == len(models()) == 88
    assert reasons["few_machines"] > 10  # the long tail of models with a handful of machines
    assert reasons.get("lower", 0) + reasons.get("raise", 0) + reasons.get("keep", 0) > 0, reasons
