from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuscout.market.thinning import thin

prices = st.lists(st.none() | st.floats(0, 1000), max_size=400)


@given(prices, st.integers(1, 120))
def test_thinning_keeps_ends_order_and_limit(values, limit) -> None:
    kept = thin(values, limit)
    assert kept == sorted(set(kept))
    assert len(kept) <= limit
    if values:
        assert kept[0] == 0
        assert limit == 1 or kept[-1] == len(values) - 1


@given(prices, st.integers(4, 120))
def test_thinning_keeps_the_extremes(values, limit) -> None:
    kept = [values[i] for i in thin(values, limit)]
    known = [v for v in values if v is not None]
    if known:
        assert min(v for v in kept if v is not None) == min(known)
        assert max(v for v in kept if v is not None) == max(known)


def test_short_history_is_left_alone() -> None:
    assert thin([1.0, None, 2.0], 500) == [0, 1, 2]


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="1 or more"):
        thin([1.0], 0)
