"""The price with the largest expected income, from what comparable machines ask and how many of them are rented.

That rented machines ask more than idle ones proves nothing about raising a price: better machines are both dearer and
rented sooner. So a raise needs a market in which the rented share falls with the price, and none is proposed across a
stretch in which it rises.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gpuscout.market.earnings import HOURS_A_DAY
from gpuscout.portfolio.advice_models import Evidence, Interval, NotEnoughEvidence, PriceAdvice, RentPoint, TooLittle
from gpuscout.portfolio.evidence import MIN_MACHINES, Comparable
from gpuscout.portfolio.models import DAYS_A_MONTH
from gpuscout.portfolio.rentfit import CONFIDENCE, Floats, RentFit
from gpuscout.portfolio.valuation import Terms

KEEP: Final = 0.02
"""A gain under this part of the present income is none: the present price is as good."""
NO_FALL: Final = 0.05
"""The rented share must fall with the price in all but this part of the draws."""
RISING: Final = 0.90
"""A level stretch of the fit in which the share as it is rises in more of the draws than this supports no raise."""


@dataclass(frozen=True, slots=True)
class _Host:
    """What one GPU brings: income a day at a price and a rented share."""

    gpus: int
    share: float
    load_hour: float

    def margin(self, price: float | Floats) -> float | Floats:
        """USD a day of all GPUs if they were always rented."""
        return HOURS_A_DAY * self.gpus * (price * self.share - self.load_hour)


def advise_price(
    found: Comparable, present: float | None, quantity: int, terms: Terms
) -> PriceAdvice | NotEnoughEvidence:
    """The advice; holds the processor for some milliseconds, so call it in a thread.

    Args:
        present: the price asked now, USD per GPU-hour.
    """
    evidence = _evidence(found)
    if found.lacking is not None or found.fit is None:
        reason: TooLittle = found.lacking or "few_machines"
        return NotEnoughEvidence(reason, evidence, found.machines, MIN_MACHINES)
    if present is None or terms.fee is None or terms.electricity_hour is None:
        return NotEnoughEvidence("outside", evidence, found.machines)
    host = _Host(quantity, 1 - terms.fee.value, terms.electricity_hour)
    fit = found.fit
    evidence = _evidence(found, fit, host)
    rented, available = fit.sides
    if rented.median is None or available.median is None:
        return NotEnoughEvidence("one_sided", evidence, found.machines)
    if rented.median > available.median:
        return NotEnoughEvidence("dearer_rents_more", evidence, found.machines)
    if fit.rising(0, len(fit.prices) - 1) > NO_FALL or fit.fit[0] <= fit.fit[-1]:
        return NotEnoughEvidence("flat", evidence, found.machines)
    return _choose(fit, evidence, present, host)


def _choose(fit: RentFit, evidence: Evidence, present: float, host: _Host) -> PriceAdvice | NotEnoughEvidence:
    # Below what anybody asks the share is not known, and may be all; above, it is at most that of the dearest.
    below = present < fit.lows[0]
    share_now = 1.0 if below else fit.share_at(present)
    drawn_now = np.ones(len(fit.draws)) if below else fit.drawn_at(present)
    now = host.margin(present) * share_now
    rented = fit.sides[0]
    ceiling = rented.p90 if rented.p90 is not None else rented.median
    usable = np.asarray(host.margin(fit.prices)) > 0
    if not usable.any():
        return NotEnoughEvidence("no_profit", evidence, evidence.machines)
    usable &= fit.prices <= (ceiling if ceiling is not None else np.inf)
    usable &= (fit.prices <= present) | ~_doubtful(fit, fit.band_of(present))
    if not usable.any():
        # All that pays its electricity is dearer than nearly all that is rented, or beyond a doubtful stretch.
        reason: TooLittle = "outside" if not fit.spans(present) else "uncertain"
        return NotEnoughEvidence(reason, evidence, evidence.machines)
    margins = np.asarray(host.margin(fit.prices))
    gains = margins * fit.fit - now
    drawn = margins * fit.draws - (host.margin(present) * drawn_now)[:, None]
    low, high = simultaneous(drawn[:, usable], gains[usable])
    best = int(np.argmax(gains[usable]))
    number = int(np.flatnonzero(usable)[best])
    gain = Interval(*(float(x) * DAYS_A_MONTH for x in (gains[number], low[best], high[best])))
    price = float(fit.prices[number])
    here = Interval(share_now, *((share_now, share_now) if below else fit.interval_at(present)))
    there = Interval(fit.share_at(price), *fit.interval_at(price))
    if gain.value <= KEEP * max(float(now), 0.0) * DAYS_A_MONTH or (gain.value <= 0):
        if not below and not fit.spans(present):
            return NotEnoughEvidence("outside", evidence, evidence.machines)
        none = Interval(0.0, 0.0, max(0.0, gain.high))
        return PriceAdvice("keep", present, here, present, here, none, evidence)
    if gain.low <= 0:
        return NotEnoughEvidence("uncertain", evidence, evidence.machines)
    return PriceAdvice("raise" if price > present else "lower", present, here, price, there, gain, evidence)


def _doubtful(fit: RentFit, start: int) -> NDArray[np.bool_]:
    """Bands that a raise from band *start* reaches only across, or within, a level stretch that really rises.

    There the fit is level because it may not rise, not because the price does not matter.
    """
    found = np.zeros(len(fit.prices), dtype=bool)
    for first, last in fit.levels():
        if last >= start and fit.rising(first, last) > RISING:
            found[max(first, start) :] = True
            break
    return found


def simultaneous(drawn: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Interval of every candidate's gain that holds for all of them at once, so also for the one that is chosen.

    Sup-t band (J. L. Montiel Olea and M. Plagborg-Møller, 2019): mean ± c · deviation, where c is the
    :data:`~gpuscout.portfolio.rentfit.CONFIDENCE` quantile over the draws of the largest deviation of any candidate.

    Args:
        drawn: (draws, candidates). values: the gains of the fit itself, which the intervals are made to hold.
    """
    mean, spread = drawn.mean(axis=0), drawn.std(axis=0)
    away = np.divide(np.abs(drawn - mean), spread, out=np.zeros_like(drawn), where=spread > 0)
    reach = float(np.quantile(away.max(axis=1), CONFIDENCE)) * spread
    return np.minimum(mean - reach, values), np.maximum(mean + reach, values)


def _evidence(found: Comparable, fit: RentFit | None = None, host: _Host | None = None) -> Evidence:
    points: list[RentPoint] = []
    if fit is not None and host is not None:
        for band, price in enumerate(fit.prices.tolist()):
            points.append(
                RentPoint(
                    low=float(fit.lows[band]),
                    high=float(fit.highs[band]),
                    price=price,
                    machines=int(fit.machines[band]),
                    gpus=int(fit.gpus[band]),
                    rented=int(fit.rented[band]),
                    fit=Interval(float(fit.fit[band]), *fit.interval_at(price)),
                    income_day=float(host.margin(price) * fit.fit[band]),
                )
            )
    sides = found.fit.sides if found.fit is not None else None
    return Evidence(
        platform=found.platform,
        gpu=found.gpu,
        region=found.region,
        verification=found.verification,
        segment=found.segment,
        machines=found.machines,
        gpus=found.gpus,
        rented=found.rented,
        rented_median=sides[0].median if sides is not None else None,
        available_median=sides[1].median if sides is not None else None,
        as_of=found.as_of,
        source=found.source,
        points=points,
    )
