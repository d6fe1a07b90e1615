"""The simulated market: determinism, agreement of its two views, and how real it looks."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sandbox.farm import SERIES, Market, SimClock, Snapshot
from sandbox.farm.calibration import ModelCalibration, epoch, load_calibration
from sandbox.farm.market import SIDES, gpu_range, series_weights
from sandbox.farm.stats import weighted_stats

HOUR, DAY = 3600, 86400
MARKET = Market(seed=7)
ANCHOR = load_calibration().anchor
REAL = Path(os.environ.get("GPUSCOUT_SHARED", Path(__file__).parents[3] / "shared")) / "data"
REAL_ANSWER = REAL / "500farm_gpu_stats_2025-12-07.json"

instants = st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def around_anchor(days: int, step: int) -> np.ndarray:
    return epoch(ANCHOR) + np.arange(-days * DAY // 2, days * DAY // 2, step, dtype=np.int64)


def same(left: Snapshot, right: Snapshot) -> bool:
    if left.at != right.at or [m.name for m in left.models] != [m.name for m in right.models]:
        return False
    return all(
        np.array_equal(getattr(a, field), getattr(b, field))
        for a, b in zip(left.models, right.models, strict=True)
        for field in ("num_gpus", "rented", "cents", "verified", "datacenter", "vram", "dlperf")
    )


def assert_equal(left: np.ndarray, right: np.ndarray) -> None:
    for field in ("count", "median", "p10", "p90"):
        np.testing.assert_array_equal(left[field], right[field])


# --- a pure function of seed and time -------------------------------------------------------


@given(instants)
@settings(max_examples=15, deadline=None)
def test_the_same_seed_and_time_give_the_same_market(at: datetime) -> None:
    assert same(MARKET.snapshot(at), Market(seed=7).snapshot(at))


def test_another_seed_is_another_market() -> None:
    assert not same(MARKET.snapshot(ANCHOR), Market(seed=8).snapshot(ANCHOR))


def test_the_zone_of_a_time_does_not_matter_but_it_must_have_one() -> None:
    local = ANCHOR.astimezone(SimClock.real_time().now().tzinfo)
    assert same(MARKET.snapshot(ANCHOR), MARKET.snapshot(local))
    with pytest.raises(ValueError, match="zone"):
        MARKET.snapshot(datetime(2026, 1, 1))  # noqa: DTZ001


@given(instants)
@settings(max_examples=25, deadline=None)
def test_every_machine_is_plausible(at: datetime) -> None:
    for model in MARKET.snapshot(at).models:
        assert 1 <= len(model.num_gpus) <= 250
        assert model.num_gpus.min() >= 1
        assert model.num_gpus.max() <= 12
        assert (model.rented >= 0).all()
        assert (model.rented <= model.num_gpus).all()
        assert (model.cents >= 1).all()
        assert (np.diff(model.cents) >= 0).all()


# --- history and snapshots are one market ---------------------------------------------------


@given(st.lists(instants, min_size=1, max_size=4), st.sampled_from(MARKET.models))
@settings(max_examples=40, deadline=None)
def test_history_equals_the_snapshots_at_the_same_instants(times: list[datetime], name: str) -> None:
    history = MARKET.history_stats(name, np.array([epoch(t) for t in times]))
    assert set(history) == set(SERIES)
    for i, at in enumerate(times):
        found = {m.name: m for m in MARKET.snapshot(at).models}.get(name)
        if found is None:
            assert all(history[series][i]["count"] == 0 for series in SERIES)
            continue
        for series, weights in series_weights(found.num_gpus, found.rented, found.verified):
            assert_equal(history[series][i], weighted_stats(found.cents, weights)[()])


def test_an_instant_does_not_depend_on_its_neighbours_in_the_array() -> None:
    times = around_anchor(days=700, step=7 * HOUR)  # several blocks
    whole = MARKET.history_stats("RTX 4090", times)
    some = [0, 240, 241, 1000, len(times) - 1]
    alone = MARKET.history_stats("RTX 4090", times[some])
    for series in SERIES:
        assert_equal(whole[series][some], alone[series])


def test_history_iterates_over_all_models() -> None:
    start = ANCHOR - timedelta(hours=300)
    rows = list(MARKET.history(start, ANCHOR, timedelta(hours=1)))
    assert [at for at, _ in rows[:2]] == [start, start + timedelta(hours=1)]
    assert len(rows) == 300
    for at, stats in (rows[0], rows[-1]):
        snapshot = MARKET.snapshot(at)
        assert list(stats) == [model.name for model in snapshot.models]
        for model in snapshot.models:
            assert stats[model.name]["all", "all"]["count"] == model.num_gpus.sum()
    with pytest.raises(ValueError, match="step"):
        next(MARKET.history(start, ANCHOR, timedelta(0)))


def test_segments_add_up_to_the_headline_counts() -> None:
    times = around_anchor(days=20, step=5 * HOUR)
    for name in ("RTX 5090", "H100 SXM", "Quadro K2200"):
        headline = MARKET.history_stats(name, times)
        segments = MARKET.segment_stats(name, times)
        for side in SIDES:
            for verified, verification in ((True, "verified"), (False, "unverified")):
                total = sum(
                    stats["count"]
                    for ((_, _, ver), of_side), stats in segments.items()
                    if of_side == side and ver == verified
                )
                np.testing.assert_array_equal(headline[side, verification]["count"], total)


def test_an_unknown_model_is_an_error_and_no_times_are_none() -> None:
    with pytest.raises(KeyError):
        MARKET.history_stats("RTX 0", around_anchor(1, HOUR))
    nothing = MARKET.history_stats("H200", np.array([], dtype=np.int64))
    assert all(len(column) == 0 for column in nothing.values())


def test_two_years_of_headline_history_cost_less_than_ten_seconds() -> None:
    now = epoch(ANCHOR)
    times = np.concatenate(
        [
            now - DAY * np.arange(180, 731),
            now - HOUR * np.arange(48, 180 * 24),
            now - 900 * np.arange(192),
        ]
    )
    before = time.process_time()
    for model in MARKET.models:
        MARKET.history_stats(model, times)
    assert time.process_time() - before < 10


# --- does it look like the market it stands for -----------------------------------------------


def test_levels_and_utilization_stay_near_the_calibration() -> None:
    times = around_anchor(days=200, step=5 * HOUR)
    gpus = rented = 0
    for name, wanted in MARKET.calibration.models.items():
        stats = MARKET.history_stats(name, times)
        everything, taken = stats["all", "all"], stats["rented", "all"]
        gpus += everything["count"].sum()
        rented += taken["count"].sum()
        if everything["count"].mean() < 30:
            continue  # a handful of machines is as uneven as in reality
        tolerance = 0.2 * wanted.median + 0.01
        assert np.nanmean(everything["median"]) == pytest.approx(wanted.median, abs=tolerance), name
        assert np.nanmean(everything["p10"]) == pytest.approx(wanted.p10, rel=0.25, abs=0.01), name
        assert np.nanmean(everything["p90"]) == pytest.approx(wanted.p90, rel=0.3, abs=0.01), name
        util = taken["count"].sum() / everything["count"].sum()
        assert util == pytest.approx(wanted.util, abs=0.1), name
        verified = stats["all", "verified"]["count"].sum() / everything["count"].sum()
        assert verified == pytest.approx(wanted.verified, abs=0.1), name
    assert 0.42 < rented / gpus < 0.60


@pytest.mark.skipif(not REAL_ANSWER.exists(), reason=f"no recorded answer at {REAL_ANSWER}")
def test_the_common_models_resemble_the_recorded_answer() -> None:
    real = {m["name"]: m for m in json.loads(REAL_ANSWER.read_text())["models"]}
    times = around_anchor(days=60, step=3 * HOUR)
    ratios = []
    for name, model in real.items():
        wanted = model["stats"]["all"]["all"][0]
        if name not in MARKET.models or wanted["count"] < 150:
            continue
        found = MARKET.history_stats(name, times)["all", "all"]
        ratios.append(np.nanmean(found["median"]) / wanted["price_median"])
        assert 0.6 < ratios[-1] < 1.5, name
    assert len(ratios) >= 15
    assert np.median(ratios) == pytest.approx(1, abs=0.12)


def test_prices_move_and_come_back() -> None:
    median = MARKET.history_stats("RTX 4090", around_anchor(700, 6 * HOUR))["all", "all"]["median"]
    mean = median.mean()
    assert 0.03 < median.std() / mean < 0.2
    crossings = np.count_nonzero(np.diff(np.sign(median - mean)))
    assert crossings > 8
    assert np.abs(np.diff(median)).max() / mean < 0.15  # no leap within six hours


def test_demand_has_a_daily_and_a_weekly_rhythm() -> None:
    times = around_anchor(days=364, step=HOUR)
    stats = MARKET.history_stats("RTX 5090", times)
    util = stats["rented", "all"]["count"] / stats["all", "all"]["count"]
    hour, day = times // HOUR % 24, (times // DAY + 3) % 7  # Monday is 0
    assert util[hour == 16].mean() - util[hour == 6].mean() > 0.05
    assert util[day == 2].mean() - util[day == 6].mean() > 0.03


def test_cheaper_machines_are_rented_first_mostly() -> None:
    times = around_anchor(days=100, step=5 * HOUR)
    cheaper = []
    for name in MARKET.models[:20]:
        stats = MARKET.history_stats(name, times)
        cheaper.append(np.nanmean(stats["rented", "all"]["median"]) < np.nanmean(stats["available", "all"]["median"]))
    assert np.mean(cheaper) > 0.85


def test_the_market_moves_while_one_watches_but_not_all_at_once() -> None:
    minutes = epoch(ANCHOR) + 60 * np.arange(241)
    moved = np.zeros(240, dtype=bool)
    for name in MARKET.models:
        stats = MARKET.history_stats(name, minutes)
        rented, everything = stats["rented", "all"]["count"], stats["all", "all"]["count"]
        if name == "RTX 4090":
            assert np.mean(np.diff(rented) != 0) > 0.5
            assert np.abs(np.diff(rented)).max() < 0.05 * everything.mean()
        moved |= np.diff(rented) != 0
    assert moved.all()


def test_whole_nodes_join_and_leave() -> None:
    times = around_anchor(days=120, step=HOUR)
    stats = MARKET.segment_stats("H100 SXM", times)
    big = sum(s["count"] for ((_, size, _), side), s in stats.items() if (size, side) == ("8+", "all"))
    steps = np.diff(big)
    assert (steps % 8 == 0).all()
    assert (steps > 0).any()
    assert (steps < 0).any()


def test_models_with_few_gpus_and_the_rare_cases() -> None:
    times = around_anchor(days=40, step=2 * HOUR)

    def column(name: str) -> np.ndarray:
        return MARKET.history_stats(name, times)["all", "all"]

    one = column("Quadro K2200")
    assert (one["count"] == 1).all()
    assert (one["p10"] == one["median"]).all()
    assert (one["p90"] == one["median"]).all()
    thin = [name for name in MARKET.models if column(name)["count"].max() in range(2, 10)]
    assert len(thin) >= 4
    for name in thin:
        assert np.isnan(column(name)["p10"]).all()
        assert not np.isnan(column(name)["median"]).any()
    comes_and_goes = column("RTX 5060")["count"]
    assert 0.3 < np.mean(comes_and_goes > 0) < 0.9
    assert (column("RTX 9090 Ti Proto")["count"] == 3).all()
    assert (MARKET.snapshot(datetime(2024, 12, 1, tzinfo=UTC)).models[0].name) != "RTX 5090"


def test_a_model_is_not_listed_before_its_launch() -> None:
    before = {m.name for m in MARKET.snapshot(datetime(2025, 2, 1, tzinfo=UTC)).models}
    after = {m.name for m in MARKET.snapshot(datetime(2025, 12, 1, tzinfo=UTC)).models}
    assert "RTX 5090" not in before
    assert {"RTX 5090", "B200"} <= after


def test_an_absurd_ask_is_listed_and_never_rented() -> None:
    asks = []
    for hours in range(0, 400, 7):
        snapshot = MARKET.snapshot(ANCHOR + timedelta(hours=hours))
        model = next(m for m in snapshot.models if m.name == "RTX 5090")
        absurd = model.cents > 350
        asks.append(absurd.sum())
        assert model.rented[absurd].sum() == 0
    assert max(asks) == 1


# --- the table ------------------------------------------------------------------------------


def test_the_table_has_the_promised_size() -> None:
    assert 35 <= len(MARKET.models) <= 45


@pytest.mark.parametrize(
    "change",
    [
        {"p10": 0.9},
        {"sizes": (1, 2)},
        {"machines": None, "sizes": (13,), "profile": None},
        {"profile": None},
        {"cycle_hours": 3},
        {"wheels": 4},
    ],
)
def test_a_wrong_entry_is_refused(change: dict[str, object]) -> None:
    good = MARKET.calibration.models["RTX 4090"].model_dump()
    ModelCalibration.model_validate(good)
    with pytest.raises(ValidationError):
        ModelCalibration.model_validate(good | change)


def test_gpu_ranges() -> None:
    assert [gpu_range(n) for n in (1, 3, 4, 7, 8, 12)] == ["1-3", "1-3", "4-7", "4-7", "8+", "8+"]


# --- the clock ------------------------------------------------------------------------------


def test_simulated_time_runs_at_its_own_speed() -> None:
    wall = [1_800_000_000.0]
    clock = SimClock.real_time(speed=60, wall_source=lambda: wall[0])
    assert clock.now() == clock.wall_now() == datetime.fromtimestamp(wall[0], UTC)
    start = clock.now()
    wall[0] += 10
    assert clock.now() - start == timedelta(minutes=10)
    assert clock.wall_at(clock.now()) == clock.wall_now()


@pytest.mark.parametrize("speed", [0, -1, float("nan"), float("inf"), 2_000_000])
def test_a_clock_needs_a_sane_speed(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        SimClock.real_time(speed=speed)


def test_a_clock_needs_zones() -> None:
    with pytest.raises(ValueError, match="zone"):
        SimClock(datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC))  # noqa: DTZ001
