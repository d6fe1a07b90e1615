"""What a holding is expected to earn, with every figure's formula and inputs (docs/methodology.md, "Portfolios")."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from config.catalogue import GpuCatalogue
from config.platforms import Platform, PlatformCatalogue
from gpuscout.accounts.members import Member
from gpuscout.market.earnings import DEFAULT_TARIFF, HOURS_A_DAY
from gpuscout.market.models import ANY, GLOBAL, Quote, SeriesKey
from gpuscout.portfolio.models import (
    DAYS_A_MONTH,
    Basis,
    Earnings,
    Figure,
    Holding,
    HoldingDraft,
    HoldingValuation,
    Input,
    Position,
    RoiQuestion,
    Totals,
    Unvalued,
)
from gpuscout.portfolio.tariffs import TariffPlan

_MAX_PAYBACK_DAYS: Final = 365 * 100


@dataclass(frozen=True, slots=True)
class Terms:
    """What a host pays: the platform's fee (0 to 1), watts per GPU, USD per kWh. None: not known."""

    fee: Input | None
    power: Input | None
    tariff: Input
    plan: TariffPlan | None = None
    """The tariff by time of use that ``tariff`` is the mean of, if it is."""

    @property
    def electricity_hour(self) -> float | None:
        """USD per GPU-hour under load."""
        return None if self.power is None else self.power.value / 1000 * self.tariff.value


def wanted_key(draft: HoldingDraft | RoiQuestion, platform: str, tier: str) -> SeriesKey:
    """The series that fits best. No source splits a country further: a segment or verification is the world's."""
    split = draft.verification != ANY or draft.segment != ANY
    region = GLOBAL if split else draft.region
    return SeriesKey(platform, draft.gpu, region, tier, draft.verification, draft.segment)


def find_basis(
    draft: HoldingDraft | RoiQuestion, tier: str, quotes: Sequence[Quote], platforms: PlatformCatalogue
) -> Basis | Unvalued:
    """The series to value by: the one that fits, else the next wider one that is not thin, else the narrowest thin one.

    Without a platform: the one with the largest sample among those that take new hosts.

    Args:
        quotes: all current quotes of the model, segments included.
    """
    if not quotes:
        return "no_market"
    usable = {quote.key: quote for quote in quotes if quote.listed and quote.price is not None and not quote.outlier}
    if draft.platform is not None:
        places = [draft.platform]
    else:
        sizes = {
            key.platform: quote.all.count
            for key, quote in sorted(usable.items(), key=lambda item: item[1].all.count)
            if _open(platforms.get(key.platform))
        }
        places = sorted(sizes, key=lambda slug: (-sizes[slug], slug))
        if not places:
            return "no_platform"
    for platform in places:
        wanted = wanted_key(draft, platform, tier)
        ladder = [usable[key] for key in _wider(wanted) if key in usable]
        if ladder:
            chosen = next((quote for quote in ladder if not quote.thin), ladder[0])
            return _basis(chosen, exact=chosen.key == wanted)
    return "unlisted"


def _open(platform: Platform | None) -> bool:
    return platform is not None and platform.takes_new_hosts


def _wider(key: SeriesKey) -> list[SeriesKey]:
    splits = [
        (key.region, key.verification, key.segment),
        (GLOBAL, key.verification, key.segment),
        (GLOBAL, key.verification, ANY),
        (GLOBAL, ANY, ANY),
    ]
    return [SeriesKey(key.platform, key.gpu, r, key.tier, v, s) for r, v, s in dict.fromkeys(splits)]


def _basis(quote: Quote, *, exact: bool) -> Basis:
    return Basis(
        key=quote.key,
        at=quote.at,
        source=quote.source,
        gpus=quote.all.count,
        exact=exact,
        thin=quote.thin,
        p10=quote.all.p10,
        median=quote.price,
        p90=quote.all.p90,
        utilization=quote.utilization,
    )


def terms_of(
    draft: HoldingDraft | RoiQuestion,
    platform: Platform | None,
    member: Member,
    plan: TariffPlan | None,
    gpus: GpuCatalogue,
) -> Terms:
    """Fee, power and electricity: what the holding says, else the member, the catalogue, the assumption."""
    fee = power = None
    if draft.fee is not None:
        fee = Input("platform's fee", draft.fee, "share", "member")
    elif platform is not None and platform.host_share is not None:
        fee = Input("platform's fee", 1 - platform.host_share, "share", "catalogue")
    model = gpus.get(draft.gpu)
    if draft.power_w is not None:
        power = Input("power draw of one GPU", draft.power_w, "W", "member")
    elif model is not None and model.tdp_w is not None:
        power = Input("board power of one GPU", float(model.tdp_w), "W", "catalogue")
    if draft.tariff is not None:
        return Terms(fee, power, Input("electricity price", draft.tariff, "USD/kWh", "member"))
    if plan is not None:
        return Terms(fee, power, Input("electricity price, mean of your week", plan.mean, "USD/kWh", "member"), plan)
    if member.tariff is not None:
        return Terms(fee, power, Input("electricity price", member.tariff, "USD/kWh", "member"))
    return Terms(fee, power, Input("electricity price", DEFAULT_TARIFF, "USD/kWh", "assumption"))


def earnings(
    price: Input, utilization: Input | None, quantity: int, terms: Terms, counted_by: str = "member"
) -> Earnings:
    """Expected income at one price (``24 × GPUs × utilization × price``, less fee and electricity of rented hours).

    Args:
        counted_by: who says how many GPUs there are.
    """
    gpus = Input("GPUs", float(quantity), "GPUs", counted_by)
    use = utilization
    base = (gpus, *([use] if use is not None else ()), price)
    gross = None if use is None else HOURS_A_DAY * quantity * use.value * price.value
    fee = None if gross is None or terms.fee is None else gross * terms.fee.value
    load = terms.electricity_hour
    electricity = None if use is None or load is None else HOURS_A_DAY * quantity * use.value * load
    net = None if gross is None or fee is None or electricity is None else gross - fee - electricity
    no_use = "utilization" if use is None else None
    no_fee = no_use or ("platform's fee" if terms.fee is None else None)
    no_power = no_use or ("power draw of one GPU" if terms.power is None else None)
    fees = (terms.fee,) if terms.fee is not None else ()
    powers = ((terms.power,) if terms.power is not None else ()) + (terms.tariff,)
    every = (*base, *fees, *powers)
    month = Input("days in a mean month", DAYS_A_MONTH, "days", "assumption")

    def monthly(name: str, value: float | None, missing: str | None, inputs: tuple[Input, ...]) -> Figure:
        amount = None if value is None else value * DAYS_A_MONTH
        return Figure(name, amount, "USD/month", f"{_LOWER[name]} a day × days in a month", (*inputs, month), missing)

    return Earnings(
        price=Figure(price.name, price.value, "USD/GPU-hour", price.name, (price,)),
        utilization=Figure(
            "expected utilization",
            use.value if use is not None else None,
            "share",
            use.name if use is not None else "utilization",
            (use,) if use is not None else (),
            no_use,
        ),
        gross_day=Figure("Gross a day", gross, "USD/day", "24 h × GPUs × utilization × price", base, no_use),
        fee_day=Figure("Fee a day", fee, "USD/day", "gross × platform's fee", (*base, *fees), no_fee),
        electricity_day=Figure(
            "Electricity a day",
            electricity,
            "USD/day",
            "24 h × GPUs × utilization × power ÷ 1000 × electricity price",
            (*base[:-1], *powers),
            no_power,
        ),
        net_day=Figure("Net a day", net, "USD/day", "gross − fee − electricity", every, no_fee or no_power),
        gross_month=monthly("Gross a month", gross, no_use, base),
        net_month=monthly("Net a month", net, no_fee or no_power, every),
    )


_LOWER: Final = {"Gross a month": "gross", "Net a month": "net"}


def market_inputs(basis: Basis) -> tuple[Input, Input | None]:
    """The series' median and its utilization."""
    if basis.median is None:
        raise ValueError("a basis has a price")
    use = basis.utilization
    return (
        Input("market's median", basis.median, "USD/GPU-hour", basis.source, basis.at),
        None if use is None else Input("market's utilization", use, "share", basis.source, basis.at),
    )


def position_of(asked: float, basis: Basis) -> Position | None:
    """Where a price stands between p10 and p90; None where the source gives no percentiles."""
    if basis.p10 is None or basis.p90 is None or basis.median is None:
        return None
    width = basis.p90 - basis.p10
    return Position(asked, basis.p10, basis.median, basis.p90, (asked - basis.p10) / width if width > 0 else None)


def value_holding(
    holding: Holding,
    gpu_name: str,
    basis: Basis | Unvalued,
    terms: Terms,
    at_asked: Input | None = None,
    at_median: Input | None = None,
) -> HoldingValuation:
    """One holding, valued.

    Args:
        at_asked, at_median: the share that is rented of comparable machines at the asked price and at the median, where
            there is enough evidence; else the market's utilization is expected.
    """
    if not isinstance(basis, Basis):
        return HoldingValuation(holding, gpu_name, None, None, None, None, None, basis)
    median, use = market_inputs(basis)
    counted_by = basis.source if holding.machine is not None else "member"
    market = earnings(median, at_median or use, holding.quantity, terms, counted_by)
    asked, position = market, None
    if holding.asked_price is not None:
        seen = holding.machine.seen_at if holding.machine is not None else None
        price = Input("asked price", holding.asked_price, "USD/GPU-hour", counted_by, seen)
        asked = earnings(price, at_asked or use, holding.quantity, terms, counted_by)
        position = position_of(holding.asked_price, basis)
    unvalued: Unvalued | None = None
    if asked.net_day.value is None:
        unvalued = "no_fee" if terms.fee is None else "no_power" if terms.power is None else "no_market"
    return HoldingValuation(
        holding, gpu_name, basis, asked, market, position, payback_on(holding, asked.net_day.value), unvalued
    )


def payback_on(holding: HoldingDraft, net_day: float | None) -> date | None:
    """The day on which *net_day*, earned every day since the purchase, has paid it."""
    if holding.purchase_price is None or holding.purchased_on is None or net_day is None or net_day <= 0:
        return None
    days = math.ceil(holding.purchase_price / net_day)
    return holding.purchased_on + timedelta(days=days) if days <= _MAX_PAYBACK_DAYS else None


def totals_of(valuations: Sequence[HoldingValuation]) -> Totals:
    """Sums over the holdings that have a net value."""
    valued = [found for found in valuations if found.net_day is not None]

    def total(figure: Callable[[Earnings], Figure]) -> float:
        return math.fsum(figure(v.asked).value or 0.0 for v in valued if v.asked is not None)

    return Totals(
        holdings=len(valuations),
        gpus=sum(found.holding.quantity for found in valuations),
        valued=len(valued),
        valued_gpus=sum(found.holding.quantity for found in valued),
        gross_day=total(lambda e: e.gross_day),
        fee_day=total(lambda e: e.fee_day),
        electricity_day=total(lambda e: e.electricity_day),
        net_day=total(lambda e: e.net_day),
        market_net_day=math.fsum(v.market.net_day.value or 0.0 for v in valued if v.market is not None),
    )
