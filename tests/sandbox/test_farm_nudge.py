"""Moves of the simulated market on request."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from sandbox.farm import FarmServer, Market, SimClock
from sandbox.farm.nudge import Nudge, nudged

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
MARKET = Market(seed=5)
MODEL = "RTX 4090"


def model(snapshot, name=MODEL):  # type: ignore[no-untyped-def]
    return next(one for one in snapshot.models if one.name == name)


def test_prices_move_and_the_others_stay() -> None:
    before = MARKET.snapshot(NOW)
    after = nudged(before, [Nudge(MODEL, NOW + timedelta(seconds=60), price=0.5)], NOW)
    assert (model(after).cents == np.maximum(model(before).cents // 2, 1)).all()
    assert (model(after).rented == model(before).rented).all()
    others = [(a, b) for a, b in zip(before.models, after.models, strict=True) if a.name != MODEL]
    assert others and all(a is b for a, b in others)


def test_the_cheapest_are_rented_first_up_to_the_share() -> None:
    snapshot = nudged(MARKET.snapshot(NOW), [Nudge(MODEL, NOW + timedelta(seconds=60), rented=0.25)], NOW)
    moved = model(snapshot)
    assert moved.rented.sum() == round(int(moved.num_gpus.sum()) * 0.25)
    full = int((moved.rented == moved.num_gpus).argmin())
    assert (moved.rented[full + 1 :] == 0).all()
    none = nudged(MARKET.snapshot(NOW), [Nudge(MODEL, NOW + timedelta(seconds=60), rented=1.0)], NOW)
    assert (model(none).rented == model(none).num_gpus).all()


def test_a_move_ends() -> None:
    before = MARKET.snapshot(NOW)
    assert nudged(before, [Nudge(MODEL, NOW, price=0.5)], NOW) is before


@pytest.mark.parametrize("bad", [{"price": 0.0}, {"price": 1e9}, {"rented": 1.5}, {"rented": -0.1}])
def test_impossible_moves_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"between|factor"):
        Nudge(MODEL, NOW, **bad)


async def test_the_server_publishes_a_move_at_once() -> None:
    farm = FarmServer(MARKET, SimClock.real_time(), update_interval=3600)
    before = model((await farm.publisher.current()).snapshot)
    farm.nudge(MODEL, price=0.5, seconds=300)
    after = model((await farm.publisher.current()).snapshot)
    assert after.cents.mean() < 0.6 * before.cents.mean()
    with pytest.raises(KeyError, match="RTX 0"):
        farm.nudge("RTX 0", price=0.5)
