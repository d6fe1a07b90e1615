"""Advice in words: the suggestion, what it brings, and what it rests on."""

from __future__ import annotations

from collections.abc import Sequence

from config.i18n import Text
from gpuscout.cards import portfolio_text as say
from gpuscout.cards import price_text as words
from gpuscout.cards.kit import code_block, link, pad, plain, relative
from gpuscout.cards.portfolio_text import PortfolioFacts
from gpuscout.portfolio.advice_models import (
    Evidence,
    HoldingAdvice,
    Interval,
    NoPriceAdvice,
    NotEnoughEvidence,
    PriceAdvice,
    RentPoint,
    Use,
)
from gpuscout.portfolio.evidence import MIN_MACHINES, MIN_PRICES, MIN_SIDE
from gpuscout.portfolio.models import DAYS_A_MONTH


def price_lines(advice: HoldingAdvice, facts: PortfolioFacts, t: Text) -> list[str]:
    """What to do about the price, or why nothing is said."""
    price = advice.price
    if isinstance(price, NoPriceAdvice):
        return [_no_price(price, advice, facts, t)]
    if isinstance(price, NotEnoughEvidence):
        return ["❔ " + t("**Not enough evidence** for a price: {reason}", reason=reason(price, t))]
    lines = [_suggestion(price, t)]
    if advice.rented:
        lines.append("-# " + t("All GPUs are rented now: a new price counts when a contract ends."))
    return lines


def _suggestion(price: PriceAdvice, t: Text) -> str:
    now, best = t.money(price.present_price, per="h"), t.money(price.best_price, per="h")
    if price.kind == "keep":
        return "✅ " + t("**Keep {price}**: no other price is clearly better.", price=now)
    gain = t(
        "{gain} a month ({low} to {high})",
        gain=say.signed_money(price.gain_month.value, t),
        low=say.signed_money(price.gain_month.low, t),
        high=say.signed_money(price.gain_month.high, t),
    )
    said = (
        t("**Raise to {best}** from {now}: **{gain}**", best=best, now=now, gain=gain)
        if price.kind == "raise"
        else t("**Lower to {best}** from {now}: **{gain}**", best=best, now=now, gain=gain)
    )
    return f"{'▲' if price.kind == 'raise' else '▼'} {said}"


def evidence_line(price: PriceAdvice, t: Text) -> str:
    """The rented shares behind a suggestion."""
    here = t(
        "At {price} {share} of machines like this are rented ({low}–{high})",
        price=t.money(price.present_price),
        **_shares(price.present_share, t),
    )
    if price.kind == "keep":
        return here
    there = t(
        "at {price} {share} ({low}–{high})",
        price=t.money(price.best_price),
        **_shares(price.best_share, t),
    )
    return f"{here}, {there}"


def _shares(share: Interval, t: Text) -> dict[str, str]:
    return {"share": t.percent(share.value), "low": t.percent(share.low), "high": t.percent(share.high)}


def sample_line(evidence: Evidence, facts: PortfolioFacts, t: Text) -> str:
    """Which machines the advice rests on."""
    which = " · ".join(
        (
            plain(facts.platform_name(evidence.platform), 40),
            words.region_name(evidence.region, t),
            words.series_name(evidence.verification, evidence.segment, t),
        )
    )
    counts = t(
        "{machines} machines, {rented} of {gpus} GPUs rented",
        machines=t.number(evidence.machines),
        rented=t.number(evidence.rented),
        gpus=t.number(evidence.gpus),
    )
    source = t("Source: {source}", source=link(*facts.source_link(evidence.source)))
    return f"{which} · {counts} · {t('as of {when}', when=relative(evidence.as_of))} · {source}"


def reason(price: NotEnoughEvidence, t: Text) -> str:
    """Why no price is proposed, in a sentence."""
    evidence = price.evidence
    medians = {
        "rented": t.money(evidence.rented_median) if evidence and evidence.rented_median is not None else say.NOTHING,
        "idle": t.money(evidence.available_median)
        if evidence and evidence.available_median is not None
        else say.NOTHING,
    }
    said = {
        "no_list": t("no fresh list of single machines is read of this platform."),
        "few_machines": t(
            "{count} machines like this are listed, {needed} are needed.",
            count=t.number(price.machines),
            needed=t.number(price.needed or MIN_MACHINES),
        ),
        "few_prices": t("machines like this ask fewer than {needed} different prices.", needed=MIN_PRICES),
        "one_sided": t("fewer than {needed} GPUs are rented, or fewer than that are idle.", needed=MIN_SIDE),
        "dearer_rents_more": t(
            "rented machines ask more ({rented}) than idle ones ({idle}); that proves nothing about raising a price, "
            "for better machines are both dearer and rented sooner.",
            **medians,
        ),
        "flat": t("the rented share does not fall as the price rises, so that the price explains nothing here."),
        "outside": t("your price lies outside of what machines like this ask, or your costs are not known."),
        "no_profit": t("no price that machines like this ask pays your electricity."),
        "uncertain": t("the gain of any other price could as well be a loss."),
    }
    return said[price.reason]


def _no_price(price: NoPriceAdvice, advice: HoldingAdvice, facts: PortfolioFacts, t: Text) -> str:
    slug = advice.holding.platform
    name = plain(facts.platform_name(slug), 40) if slug else ""
    if price.reason == "platform_sets_price":
        return "➖ " + t("{platform} sets the price itself: there is none to choose.", platform=name)
    if price.reason == "no_new_hosts":
        return "➖ " + t("{platform} takes no new hosts: no price is suggested for it.", platform=name)
    return "❔ " + t("No platform is chosen, and none that takes hosts lists this GPU: no price to suggest.")


def use_lines(advice: HoldingAdvice, t: Text) -> list[str]:
    """Hosting against idling and mining."""
    use = advice.use
    if use is None:
        return []
    ranked = " · ".join(f"{use_name(option.use, t)} {say.per_day(option.net_day, t)}" for option in use.alternatives)
    mark = "✅" if use.best in ("host", "host_and_mine") else "⚠️"
    lines = [f"{mark} " + t("Best use: **{use}**. {ranked}", use=use_name(use.best, t), ranked=ranked)]
    tariff = t.money(use.tariff, per="kWh")
    mean = t("{price}, the mean of your week", price=tariff) if use.time_of_use else tariff
    lines.append(
        "-# "
        + t(
            "A rented hour pays its electricity ({tariff}) from {price} on.",
            tariff=mean,
            price=t.money(use.break_even_price, per="h"),
        )
    )
    lines += [
        "⚠️ "
        + t(
            "{window}: at {tariff} a rented hour loses {loss} a GPU; {hours} hours a week.",
            window=plain(loss.label, 60) or t("Outside of the windows"),
            tariff=t.money(loss.tariff, per="kWh"),
            loss=t.money(-loss.margin_hour),
            hours=t.number(loss.hours_a_week, digits=0 if loss.hours_a_week == int(loss.hours_a_week) else 2),
        )
        for loss in use.loss_windows
    ]
    return lines


def use_name(use: Use, t: Text) -> str:
    """A use of the hardware."""
    return {
        "host": t("hosting"),
        "idle": t("leaving it idle"),
        "mine": t("mining"),
        "host_and_mine": t("hosting, and mining while it is idle"),
    }[use]


def move_line(advice: HoldingAdvice, facts: PortfolioFacts, t: Text) -> str | None:
    """A platform that would bring clearly more; None where there is none."""
    move = advice.move
    if move is None:
        return None
    return "➡️ " + t(
        "**{platform}** would bring {gain} a month more: {there} against {here} at the medians ({price}, {share} "
        "rented, {gpus} GPUs, {when})",
        platform=plain(facts.platform_name(move.platform), 40),
        gain=say.signed_money(move.gain_month, t),
        there=say.amount(move.net_month, t),
        here=say.amount(move.here_month, t),
        price=t.money(move.price, per="h"),
        share=t.percent(move.utilization),
        gpus=t.number(move.gpus),
        when=relative(move.as_of),
    )


NOW_MARK, BEST_MARK = "•", "▸"


def _band(points: Sequence[RentPoint], price: float | None) -> int | None:
    """The band that a price lies in, or the nearer one when it lies between two; None outside of all."""
    if price is None or not points or not points[0].low <= price <= points[-1].high:
        return None
    return min(range(len(points)), key=lambda place: max(points[place].low - price, price - points[place].high))


def bands_table(price: PriceAdvice | NotEnoughEvidence, present: float | None, t: Text) -> str:
    """Rented share and income by price, 28 characters wide: it fits a phone.

    The band of the *present* price and that of the suggested one are marked.
    """
    points = price.evidence.points if price.evidence is not None else ()
    digits = words.decimals(point.price for point in points)
    best = price.best_price if isinstance(price, PriceAdvice) and price.kind != "keep" else None
    cells = [[" $/h", "GPUs", t("rented"), t("fit"), "$"]]
    at_best, at_present = _band(points, best), _band(points, present)
    for place, point in enumerate(points):
        mark = BEST_MARK if place == at_best else NOW_MARK if place == at_present else " "
        cells.append(
            [
                f"{mark}{t.number(point.price, digits=digits)}",
                t.number(point.gpus),
                t.percent(point.share),
                t.percent(point.fit.value),
                t.number(point.income_day * DAYS_A_MONTH).replace("-", say.MINUS),
            ]
        )
    return code_block(pad(cells, gap=1))
