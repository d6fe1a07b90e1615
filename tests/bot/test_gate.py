"""The allowance of commands and clicks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.gate import Allowance


def test_burst_then_a_trickle() -> None:
    allowance = Allowance(burst=3, every=2.0)
    assert [allowance.take(1, 100.0) for _ in range(4)] == [0, 0, 0, 2.0]
    assert allowance.take(2, 100.0) == 0
    assert allowance.take(1, 101.9) > 0
    assert allowance.take(1, 102.0) == 0
    assert allowance.take(1, 102.0) == 2.0
    assert [allowance.take(1, 200.0) for _ in range(4)] == [0, 0, 0, 2.0]


def test_a_clock_set_back_shuts_nobody_out() -> None:
    allowance = Allowance(burst=3, every=2.0)
    assert [allowance.take(1, 10_000.0) for _ in range(4)] == [0, 0, 0, 2.0]
    assert [allowance.take(1, 100.0) for _ in range(4)] == [0, 0, 0, 2.0]


@given(st.lists(st.floats(0, 3), min_size=1, max_size=200))
def test_never_more_than_the_burst_and_the_trickle(gaps: list[float]) -> None:
    allowance = Allowance(burst=4, every=2.0)
    now, taken = 0.0, 0
    for gap in gaps:
        now += gap
        taken += allowance.take(7, now) == 0
    assert taken <= 4 + now / 2.0 + 1


def test_memory_is_bounded() -> None:
    allowance = Allowance(burst=2, every=10.0, members=50)
    for member in range(500):
        allowance.take(member, float(member) / 100)
    assert len(allowance) <= 50
    allowance.take(1, 10_000.0)
    assert len(allowance) == 1
