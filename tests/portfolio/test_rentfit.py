"""The fit of rented share by price: never rising, a least-squares fit, the same each time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuscout.portfolio.rentfit import BANDS, MACHINES_A_BAND, Ask, antitonic, fit_rents

SHARES = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 40)), min_size=1, max_size=25)


def pool_adjacent_violators(taken: list[float], total: list[float]) -> list[float]:
    """The textbook algorithm, as a judge of the min-max formula."""
    blocks: list[list[float]] = []
    for some, every in zip(taken, total, strict=True):
        blocks.append([some, every, 1])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] < blocks[-1][0] / blocks[-1][1]:
            last = blocks.pop()
            blocks[-1] = [a + b for a, b in zip(blocks[-1], last, strict=True)]
    return [block[0] / block[1] for block in blocks for _ in range(int(block[2]))]


@settings(deadline=None)
@given(SHARES)
def test_the_formula_gives_what_pooling_adjacent_violators_gives(shares: list[tuple[int, int]]) -> None:
    total = [float(every) for _, every in shares]
    taken = [float(min(some, every)) for some, every in shares]
    fit = antitonic(np.array(taken), np.array(total))
    assert fit == pytest.approx(pool_adjacent_violators(taken, total), abs=1e-12)
    assert all(np.diff(fit) <= 0)


def test_many_rows_are_fitted_as_each_alone() -> None:
    rng = np.random.default_rng(3)
    total = rng.uniform(1, 9, (6, 11))
    taken = total * rng.uniform(0, 1, (6, 11))
    together = antitonic(taken, total)
    for row in range(6):
        assert together[row] == pytest.approx(antitonic(taken[row], total[row]))


ASKS = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 12), st.integers(0, 12)), min_size=0, max_size=150).map(
    lambda rows: [Ask(price / 100, gpus, min(rented, gpus)) for price, gpus, rented in rows]
)


@settings(deadline=None, max_examples=60)
@given(ASKS)
def test_bands_hold_every_machine_once_and_the_fit_never_rises(asks: list[Ask]) -> None:
    fit = fit_rents(asks)
    if fit is None:
        assert len(asks) < 2 * MACHINES_A_BAND or len({ask.price for ask in asks}) < 2 * MACHINES_A_BAND
        return
    assert 2 <= len(fit.prices) <= BANDS
    assert fit.gpus.sum() == sum(ask.gpus for ask in asks)
    assert fit.rented.sum() == sum(ask.rented for ask in asks)
    assert fit.machines.sum() == len(asks)
    assert fit.machines.min() >= MACHINES_A_BAND
    assert all(np.diff(fit.prices) > 0)
    assert all(fit.highs[:-1] < fit.lows[1:])  # machines of one price stay together
    assert all(np.diff(fit.fit) <= 0)
    assert (np.diff(fit.draws, axis=1) <= 0).all()
    assert ((fit.draws >= 0) & (fit.draws <= 1)).all()
    prices = np.linspace(0.0, 0.7, 40)
    shares = [fit.share_at(price) for price in prices]
    assert all(np.diff(shares) <= 1e-12)
    for price, share in zip(prices[::8], shares[::8], strict=True):
        low, high = fit.interval_at(price)
        assert 0 <= low <= share <= high <= 1


@settings(deadline=None, max_examples=60)
@given(ASKS)
def test_the_order_of_the_machines_changes_nothing(asks: list[Ask]) -> None:
    one, other = fit_rents(asks), fit_rents(asks[::-1])
    if one is None or other is None:
        assert one is other
        return
    assert one.fit == pytest.approx(other.fit)
    assert np.array_equal(one.draws, other.draws)


def test_a_band_in_which_all_is_rented_is_not_certain_to_be() -> None:
    asks = [Ask(0.2 + 0.001 * n, 8, 8) for n in range(20)] + [Ask(0.4 + 0.001 * n, 8, 0) for n in range(20)]
    fit = fit_rents(asks)
    assert fit is not None
    low, high = fit.interval_at(0.205)
    assert high == 1.0
    assert 0.6 < low < 0.999


def test_more_machines_make_it_surer() -> None:
    def width(copies: int) -> float:
        asks = [Ask(0.2 + 0.01 * n, 4, 4 if n % 2 else 0) for n in range(20) for _ in range(copies)]
        fit = fit_rents(asks)
        assert fit is not None
        low, high = fit.interval_at(0.3)
        return high - low

    assert width(20) < width(4) < width(1)


def test_machines_count_not_gpus() -> None:
    """The GPUs of a machine are rented together: eight times the GPUs is no more evidence."""
    few, many = (
        fit_rents([Ask(0.2 + 0.01 * n, gpus, gpus if n % 2 else 0) for n in range(20) for _ in range(4)])
        for gpus in (1, 8)
    )
    assert few is not None and many is not None
    assert np.array_equal(few.draws, many.draws)


def test_no_machines_no_fit() -> None:
    assert fit_rents([]) is None
    assert fit_rents([Ask(0.3, 1, 1)] * 500) is None  # one price is no curve
    assert fit_rents([Ask(0.0, 1, 1), Ask(0.3, 0, 0)] * 50) is None
