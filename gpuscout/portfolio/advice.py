"""Advice about one holding: price, use, place. Deterministic; the rules are in docs/methodology.md, "Advice"."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from config.platforms import Platform, PlatformCatalogue
from gpuscout.market.models import ANY, GLOBAL, Quote
from gpuscout.portfolio.advice_models import (
    HoldingAdvice,
    MoveAdvice,
    NoPriceAdvice,
    NotEnoughEvidence,
    PriceAdvice,
)
from gpuscout.portfolio.evidence import Newest, RentEvidence
from gpuscout.portfolio.models import DAYS_A_MONTH, HoldingValuation, Input
from gpuscout.portfolio.use_advice import advise_use
from gpuscout.portfolio.valuation import Terms, earnings

MOVE_GAIN = 0.10
"""Part by which another platform must bring more before a move is worth a word."""


async def advise(
    value: HoldingValuation,
    terms: Terms,
    quotes: Sequence[Quote],
    platforms: PlatformCatalogue,
    evidence: RentEvidence,
    newest: Newest,
    now: datetime,
) -> HoldingAdvice:
    """Everything that can be said about one holding.

    Args:
        quotes: all current quotes of the model, segments included.
        newest: when the machines of each platform were listed.
    """
    holding, basis = value.holding, value.basis
    slug = basis.key.platform if basis is not None else holding.platform
    platform = platforms.get(slug) if slug is not None else None
    machine = holding.machine
    return HoldingAdvice(
        holding=holding,
        gpu_name=value.gpu_name,
        price=await _price(value, terms, platform, evidence, newest, now),
        use=advise_use(value, terms),
        move=_move(value, terms, quotes, platforms),
        unvalued=value.unvalued,
        rented=machine is not None and machine.listed and machine.num_rented == machine.num_gpus > 0,
    )


async def _price(
    value: HoldingValuation,
    terms: Terms,
    platform: Platform | None,
    evidence: RentEvidence,
    newest: Newest,
    now: datetime,
) -> PriceAdvice | NotEnoughEvidence | NoPriceAdvice:
    if platform is None:
        return NoPriceAdvice("undecided")
    if not platform.takes_new_hosts:
        return NoPriceAdvice("no_new_hosts")
    if not platform.host_sets_price:
        return NoPriceAdvice("platform_sets_price")
    found = await evidence.find(value.holding, platform.slug, newest, now)
    if found is None:
        return NotEnoughEvidence("no_list")
    present = value.holding.asked_price
    if present is None and value.basis is not None:
        present = value.basis.median

    def advise_price() -> PriceAdvice | NotEnoughEvidence:
        from gpuscout.portfolio import price_advice  # numpy: loaded in this thread, once somebody asks for advice

        return price_advice.advise_price(found, present, value.holding.quantity, terms)

    return await asyncio.to_thread(advise_price)


def _move(
    value: HoldingValuation, terms: Terms, quotes: Sequence[Quote], platforms: PlatformCatalogue
) -> MoveAdvice | None:
    """The best other platform, when it brings clearly more. Only places that take new hosts who set their price."""
    holding = value.holding
    here = value.basis.key.platform if value.basis is not None else holding.platform
    known: dict[str, tuple[float, Quote]] = {}
    for quote in quotes:
        key = quote.key
        platform = platforms.get(key.platform)
        if platform is None or (key.verification, key.segment, key.region) != (ANY, ANY, GLOBAL):
            continue
        if key.tier != holding.tier or quote.thin or quote.outlier or not quote.sized:
            continue
        elsewhere = key.platform != here
        if elsewhere and not (platform.takes_new_hosts and platform.host_sets_price):
            continue
        net = _net_month(quote, holding.quantity, terms, platform, own_fee=not elsewhere)
        if net is not None:
            known[key.platform] = (net, quote)
    if here is None or here not in known:
        return None
    present = known.pop(here)[0]
    best = max(known.items(), key=lambda item: (item[1][0], item[0]), default=None)
    if best is None:
        return None
    slug, (net, quote) = best
    if net <= 0 or net - present <= MOVE_GAIN * abs(present):
        return None
    price, use = quote.price, quote.utilization
    assert price is not None and use is not None  # noqa: S101 - it has a net value
    return MoveAdvice(slug, price, use, net, present, quote.all.count, quote.at)


def _net_month(quote: Quote, quantity: int, terms: Terms, platform: Platform, *, own_fee: bool) -> float | None:
    """USD a month at a platform's median and utilization; the fee is the member's own only where he hosts now."""
    if quote.price is None or quote.utilization is None:
        return None
    fee = terms.fee if own_fee else None
    if not own_fee and platform.host_share is not None:
        fee = Input("platform's fee", 1 - platform.host_share, "share", "catalogue")
    found = earnings(
        Input("market's median", quote.price, "USD/GPU-hour", quote.source, quote.at),
        Input("market's utilization", quote.utilization, "share", quote.source, quote.at),
        quantity,
        Terms(fee, terms.power, terms.tariff),
    ).net_day.value
    return None if found is None else found * DAYS_A_MONTH
