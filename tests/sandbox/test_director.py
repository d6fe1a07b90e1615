"""What the demo's director plays for an alert."""

from __future__ import annotations

import pytest

from sandbox.director import Move, Waiting, move_for


def waiting(metric: str, direction: int, level: float, value: float) -> Waiting:
    return Waiting(1, metric, "rtx-4090", direction, level, value)


@pytest.mark.parametrize(("direction", "level", "value"), [(-1, 0.35, 0.40), (1, 0.45, 0.40), (-1, 0.30, 0.31)])
def test_a_price_passes_its_level_also_after_it_is_cut_to_a_cent(direction: int, level: float, value: float) -> None:
    move = move_for(waiting("price", direction, level, value))
    assert move is not None and move.rented is None
    cents = int(value * move.price * 100) / 100
    assert cents <= level if direction < 0 else cents >= level


def test_what_the_market_would_call_absurd_is_not_played() -> None:
    assert move_for(waiting("price", -1, 0.02, 0.40)) is None
    assert move_for(waiting("price", 1, 4.0, 0.40)) is None
    assert move_for(waiting("price", -1, 0.35, 0.0)) is None


def test_shares_and_supply() -> None:
    assert move_for(waiting("utilization", 1, 0.98, 0.6)) == Move(rented=1.0)
    assert move_for(waiting("utilization", -1, 0.5, 0.6)) == Move(rented=pytest.approx(0.45))
    assert move_for(waiting("available", -1, 0, 12)) == Move(rented=1.0)
    assert move_for(waiting("available", 1, 40, 12)) == Move(rented=0.0)
    assert move_for(waiting("change_24h_percent", -1, -10, 0)) is None
