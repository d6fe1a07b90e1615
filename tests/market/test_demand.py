from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gpuscout.market.demand import Reference, demand
from gpuscout.market.models import Side


def test_nothing_listed_has_no_demand() -> None:
    assert demand(Side(0), Side(0), Side(0), {}) is None


def test_without_history_and_spread_it_is_the_utilization() -> None:
    assert demand(Side(48), Side(52), Side(100), {}) == 48.0


def test_worked_example() -> None:
    # level 0.5; momentum: +5 points in 24 h of a full scale of 10 -> 0.75; spread (0.36-0.33)/0.35 of 25 % -> 0.6714;
    # supply +5 % of 10 % -> 0.25
    value = demand(
        Side(105, 0.36), Side(105, 0.33), Side(210, 0.35), {"24h": Reference(90, 200), "7d": Reference(0, 0)}
    )
    assert value == round(60 * 0.5 + 20 * 0.75 + 10 * (0.5 + 0.5 * (0.03 / 0.35 / 0.25)) + 10 * 0.25, 1)


def test_more_rented_than_before_raises_it() -> None:
    sides = Side(50), Side(50), Side(100)
    falling = demand(*sides, {"24h": Reference(60, 100)})
    rising = demand(*sides, {"24h": Reference(40, 100)})
    assert falling is not None and rising is not None and rising > falling


counts = st.integers(0, 10_000)
prices = st.none() | st.floats(0, 100)


@given(
    counts,
    counts,
    prices,
    prices,
    prices,
    st.dictionaries(st.sampled_from(["1h", "24h", "7d"]), st.tuples(counts, counts)),
)
def test_stays_between_0_and_100(rented, available, rp, ap, price, then) -> None:
    references = {window: Reference(min(pair), max(pair)) for window, pair in then.items()}
    value = demand(Side(rented, rp), Side(available, ap), Side(rented + available, price), references)
    assert (value is None) == (rented + available == 0)
    assert value is None or 0 <= value <= 100
