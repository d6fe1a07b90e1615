"""At which price machines like this are rented: a fit that never rises in price, and how sure it is.

Machines are put into price bands. Over the bands runs the antitonic regression of the rented share, weighted by GPUs:
the least-squares fit among all that do not rise (R. E. Barlow et al., "Statistical Inference under Order Restrictions",
1972), here by its min-max formula ``fit(k) = min over a <= k of max over b >= k of mean(a … b)``.

How sure it is comes from the Bayesian bootstrap (D. B. Rubin, 1981) over **machines**, since the GPUs of one machine
are often rented together: each draw weighs every machine by an exponential random number. Each band also holds one
rented and one idle machine of small random weight (Jeffreys' prior), for a band in which all is rented is not certain
to be. The random numbers are the same each time: same machines, same answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuscout.market.models import Side
from gpuscout.market.weighted import weighted_side

Floats = NDArray[np.float64]

BANDS: Final = 20
"""At most so many price bands."""
MACHINES_A_BAND: Final = 5
"""At least so many machines in each."""
DRAWS: Final = 400
CONFIDENCE: Final = 0.90
"""Of every interval."""
_SEED: Final = 20_251_207


class Ask(NamedTuple):
    """A listed machine: what it asks (USD per GPU-hour), its GPUs, and how many are rented."""

    price: float
    gpus: int
    rented: int


@dataclass(frozen=True)
class RentFit:
    """The fit over price bands, cheapest first. All arrays have one entry a band; ``draws`` one row a draw.

    ``prices`` are GPU-weighted means; ``shares`` the rented parts as they are, ``fit`` those that never rise.
    """

    asks: Sequence[Ask]
    lows: Floats
    highs: Floats
    prices: Floats
    machines: NDArray[np.int64]
    gpus: NDArray[np.int64]
    rented: NDArray[np.int64]
    shares: Floats
    fit: Floats
    _bands: NDArray[np.int64]

    @cached_property
    def sides(self) -> tuple[Side, Side]:
        """Distribution of the rented and of the available GPUs."""
        return (
            weighted_side((ask.price, ask.rented) for ask in self.asks),
            weighted_side((ask.price, ask.gpus - ask.rented) for ask in self.asks),
        )

    def share_at(self, price: float) -> float:
        """Expected rented share at a price: between the bands' prices along a straight line, beyond them their last."""
        return float(np.interp(price, self.prices, self.fit))

    def spans(self, price: float) -> bool:
        """Whether comparable machines ask about this price."""
        return bool(self.lows[0] <= price <= self.highs[-1])

    @cached_property
    def _drawn(self) -> tuple[Floats, Floats]:
        rng = np.random.default_rng(_SEED)
        count = len(self.lows)
        gpus = np.array([ask.gpus for ask in self.asks], dtype=np.float64)
        rented = np.array([ask.rented for ask in self.asks], dtype=np.float64)
        weights = rng.standard_exponential((DRAWS, len(self.asks)))
        prior = rng.standard_gamma(0.5, (DRAWS, count, 2)) * (self.gpus / self.machines)[None, :, None]
        member = np.zeros((len(self.asks), count))
        member[np.arange(len(self.asks)), self._bands] = 1.0
        total = (weights * gpus) @ member + prior.sum(axis=2)
        taken = (weights * rented) @ member + prior[:, :, 0]
        return taken / total, antitonic(taken, total)

    @property
    def raw_draws(self) -> Floats:
        """Rented shares in each draw, as they are: (draws, bands)."""
        return self._drawn[0]

    @property
    def draws(self) -> Floats:
        """The fit in each draw: (draws, bands)."""
        return self._drawn[1]

    def drawn_at(self, price: float) -> Floats:
        """:meth:`share_at` in each draw."""
        position = float(np.interp(price, self.prices, np.arange(len(self.prices), dtype=np.float64)))
        left = min(int(position), len(self.prices) - 1)
        right = min(left + 1, len(self.prices) - 1)
        part = position - left
        found: Floats = self.draws[:, left] * (1 - part) + self.draws[:, right] * part
        return found

    def interval_at(self, price: float) -> tuple[float, float]:
        """Interval of :meth:`share_at`, which it holds."""
        value = self.share_at(price)
        low, high = np.quantile(self.drawn_at(price), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        return min(float(low), value), max(float(high), value)

    def rising(self, first: int, last: int) -> float:
        """Part of the draws in which the shares as they are rise with the price from band *first* to *last*."""
        if last <= first:
            return 0.0
        prices = np.log(self.prices[first : last + 1])
        weights = self.gpus[first : last + 1].astype(np.float64)
        centred = prices - np.average(prices, weights=weights)
        shares = self.raw_draws[:, first : last + 1]
        slopes = (shares * (weights * centred)).sum(axis=1)
        return float((slopes > 0).mean())

    def levels(self) -> list[tuple[int, int]]:
        """The stretches on which the fit is level, as (first, last) band."""
        ends = [*np.flatnonzero(np.diff(self.fit) < 0).tolist(), len(self.fit) - 1]
        return list(zip([0, *(end + 1 for end in ends[:-1])], ends, strict=True))

    def band_of(self, price: float) -> int:
        """The band whose mean price is nearest."""
        return int(np.abs(self.prices - price).argmin())


def antitonic(taken: Floats, total: Floats) -> Floats:
    """Antitonic regression of ``taken / total`` weighted by *total*, along the last axis (min-max formula).

    Args:
        taken, total: of one shape, (…, bands); *total* above zero.
    """
    count = total.shape[-1]
    lead = np.zeros((*total.shape[:-1], 1))
    sums = np.concatenate((lead, np.cumsum(taken, axis=-1)), axis=-1)
    weights = np.concatenate((lead, np.cumsum(total, axis=-1)), axis=-1)
    # means[…, a, b]: of the bands from a to b; only b >= a has a meaning.
    with np.errstate(divide="ignore", invalid="ignore"):
        means = (sums[..., None, 1:] - sums[..., :-1, None]) / (weights[..., None, 1:] - weights[..., :-1, None])
    upper = np.triu(np.ones((count, count), dtype=bool))
    means = np.where(upper, means, -np.inf)
    best = np.maximum.accumulate(means[..., ::-1], axis=-1)[..., ::-1]
    best = np.where(upper, best, np.inf)
    found: Floats = np.clip(best.min(axis=-2), 0.0, 1.0)
    # Sums of floats may leave a rise in the last digit.
    return np.minimum.accumulate(found, axis=-1)


def fit_rents(asks: Sequence[Ask]) -> RentFit | None:
    """The fit over listed machines in any order; None when there are too few for two bands."""
    asks = sorted(ask for ask in asks if ask.gpus > 0 and ask.price > 0)
    wanted = min(BANDS, len(asks) // MACHINES_A_BAND)
    if wanted < 2:
        return None
    edges: list[tuple[int, int]] = []
    start = 0
    while start < len(asks):
        left = wanted - len(edges)
        end = min(len(asks), start + max(MACHINES_A_BAND, round((len(asks) - start) / max(left, 1))))
        while end < len(asks) and asks[end].price == asks[end - 1].price:
            end += 1  # machines of one price stay together
        if len(asks) - end < MACHINES_A_BAND:
            end = len(asks)
        edges.append((start, end))
        start = end
    if len(edges) < 2:
        return None
    bands = np.concatenate([np.full(end - start, band) for band, (start, end) in enumerate(edges)]).astype(np.int64)
    price = np.array([ask.price for ask in asks], dtype=np.float64)
    count = np.array([ask.gpus for ask in asks], dtype=np.int64)
    taken = np.array([ask.rented for ask in asks], dtype=np.int64)
    gpus = np.bincount(bands, weights=count)
    rented = np.bincount(bands, weights=taken)
    return RentFit(
        asks=asks,
        lows=np.array([asks[start].price for start, _ in edges]),
        highs=np.array([asks[end - 1].price for _, end in edges]),
        prices=np.bincount(bands, weights=price * count) / gpus,
        machines=np.bincount(bands),
        gpus=gpus.astype(np.int64),
        rented=rented.astype(np.int64),
        shares=rented / gpus,
        fit=antitonic(rented.astype(np.float64), gpus.astype(np.float64)),
        _bands=bands,
    )
