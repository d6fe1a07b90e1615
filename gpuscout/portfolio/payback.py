"""Payback of a purchase, with a range (docs/methodology.md, "Portfolios")."""

from __future__ import annotations

from collections import defaultdict
from statistics import median
from typing import Final

from gpuscout.market.models import History
from gpuscout.market.weighted import weighted_side
from gpuscout.portfolio.models import DAYS_A_MONTH, Basis, Input, NoValue, Payback, PaybackCase, RoiQuestion
from gpuscout.portfolio.valuation import Terms, earnings, market_inputs

USE_DAYS: Final = 90
"""Days of history that a range of utilization is taken from."""
MIN_DAYS: Final = 14
"""Days with data below which there is no range of utilization."""
_DAY: Final = 86_400


def use_range(past: History) -> tuple[float, float, int]:
    """p10 and p90 of the daily medians of utilization, and from how many days; (0, 0, 0) with too few.

    Percentiles are by the market's rule (:mod:`gpuscout.market.weighted`).
    """
    days: dict[int, list[float]] = defaultdict(list)
    for point in past.points:
        if point.utilization is not None:
            days[point.ts // _DAY].append(point.utilization)
    spread = weighted_side((median(values), 1) for values in days.values())
    if len(days) < MIN_DAYS or spread.p10 is None or spread.p90 is None:
        return 0.0, 0.0, 0
    return spread.p10, spread.p90, len(days)


def payback_of(question: RoiQuestion, gpu_name: str, basis: Basis, terms: Terms, past: History) -> Payback:
    """The payback.

    The expected case takes the asked price (else the market's median) and the present utilization.

    Raises:
        NoValue: utilization, fee or power draw are not known.
    """
    median_price, use = market_inputs(basis)
    if use is None:
        raise NoValue("no_market")
    if terms.fee is None:
        raise NoValue("no_fee")
    if terms.power is None:
        raise NoValue("no_power")
    price = median_price
    if question.price is not None:
        price = Input("asked price", question.price, "USD/GPU-hour", "member")
    low, high, days = use_range(past)
    if not days:
        low = high = use.value
    # A price of the member's own is no spread of the market's; the range is then that of utilization alone.
    own = question.price is not None
    cheap = price.value if own or basis.p10 is None else min(basis.p10, price.value)
    dear = price.value if own or basis.p90 is None else max(basis.p90, price.value)

    def case(usd: float, share: float) -> PaybackCase:
        found = earnings(
            Input(price.name, usd, "USD/GPU-hour", price.source, price.as_of),
            Input(use.name, share, "share", use.source, use.as_of),
            question.quantity,
            terms,
        )
        net, gross, fee = found.net_day.value, found.gross_day.value, found.fee_day.value
        if net is None or gross is None or fee is None:
            raise NoValue("no_market")
        before, after = (gross - fee) * DAYS_A_MONTH, net * DAYS_A_MONTH
        return PaybackCase(
            price=usd,
            utilization=share,
            before_electricity_month=before,
            net_month=after,
            months_before_electricity=question.cost / before if before > 0 else None,
            months=question.cost / after if after > 0 else None,
        )

    return Payback(
        gpu=question.gpu,
        gpu_name=gpu_name,
        quantity=question.quantity,
        cost=question.cost,
        basis=basis,
        share=1 - terms.fee.value,
        power_w=terms.power.value,
        tariff=terms.tariff.value,
        expected=case(price.value, use.value),
        slow=case(cheap, min(low, use.value)),
        fast=case(dear, max(high, use.value)),
        days=days,
        inputs=(price, use, terms.fee, terms.power, terms.tariff),
    )
